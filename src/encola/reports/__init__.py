"""
PDF reports: what they say, how they look, and where they lie.

    names       the names of the files and their addresses
    shelf       the finished ones: list, open, remove
    rendering   the worker's side: opened here, drawn apart, named at the end
    child       the child's side: ``python -m encola.reports.child``
    sales, analytics, users     what each says
    document    the parts that a report is made of; page.typ draws them
    wording     sentences, numbers and dates in Spanish and English

The heavy libraries (typst, DuckDB, Babel: the extra ``reports``) are imported in the child alone.
"""
