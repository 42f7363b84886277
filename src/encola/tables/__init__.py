"""
Tables: a text file of rows and columns, read, checked, counted and written as Parquet.

    places      which file a path means, opened without following links
    unpacking   its bytes, unpacked, in blocks
    encoding    the same bytes as UTF-8
    dialect     what separates its columns, and what they are called
    kinds       what each column holds
    lines       which lines are records; the others are rejected
    parsing     a column's texts as values (Polars)
    profile     what there is to say of each column
    rejected    the file of what was left out
    reading     all of that, in order, in a process of its own (``child``)
    processing  the worker's side of that process
"""
