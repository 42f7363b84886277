"""
The values of a column in SQL: days and decimals, also out of text.

Text counts as numbers or dates when (nearly) all of it can be read in one way of writing them:
``1.234,50 €`` or ``$1,234.50``; the day first or the month first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import duckdb

from .columns import Column

#: Digits before and behind the point that are added exactly.
DECIMAL: Final = "DECIMAL(38, 6)"
#: Part of a text column that must be readable for it to count as numbers or dates.
READABLE: Final = 0.8

#: Order of the day in a written date -> formats of strptime.
_TIMES: Final = ("", " %H:%M", " %H:%M:%S")
_ISO: Final = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%dT%H:%M:%S.%f",
    "%Y-%m",
)
_DATE_FORMATS: Final[dict[str, tuple[str, ...]]] = {
    "day first": (*_ISO, "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y", "%d/%m/%y"),
    "month first": (*_ISO, "%m/%d/%Y", "%m-%d-%Y", "%m/%d/%y"),
}
#: Writing of a number -> (pattern, thousands, decimal point)
_NUMBER_FORMATS: Final = {
    "point": (r"[-+]?([0-9]{1,3}(,[0-9]{3})+|[0-9]+)(\.[0-9]+)?", ",", "."),
    "comma": (r"[-+]?([0-9]{1,3}(\.[0-9]{3})+|[0-9]+)(,[0-9]+)?", ".", ","),
}


def value_of(
    database: duckdb.DuckDBPyConnection, table: str, column: Column, role: str
) -> str | None:
    """The column's values in SQL, of the type that the role needs; None: they cannot be had."""
    name = quoted_name(column.name)
    if role == "product":
        return f"{name}::VARCHAR"
    if role == "date":
        return _day(column) if column.kind == "date" else _written_day(database, table, name)
    return _decimal(column) if column.kind == "number" else _written_number(database, table, name)


def _day(column: Column) -> str:
    name = quoted_name(column.name)
    if column.type == "TIMESTAMP WITH TIME ZONE":
        # The day in UTC, whatever the zone of this machine.
        return f"make_timestamp(epoch_us({name}))::DATE"
    return f"{name}::DATE"


def _decimal(column: Column) -> str:
    name = quoted_name(column.name)
    # A float by way of its text: 0.1 is then 0.1 and not the float beside it.
    exact = f"{name}::VARCHAR" if column.type in ("FLOAT", "DOUBLE") else name
    return f"TRY_CAST({exact} AS {DECIMAL})"


def _written_day(database: duckdb.DuckDBPyConnection, table: str, name: str) -> str | None:
    choices: list[str] = []
    for formats in _DATE_FORMATS.values():
        every = [
            f"{form}{time}" for form in formats for time in (_TIMES if "T" not in form else ("",))
        ]
        listed = ", ".join(quoted_text(form) for form in every)
        choices.append(f"TRY_STRPTIME(trim({name}::VARCHAR), [{listed}])::DATE")
    return _most_readable(database, table, name, choices)


def _written_number(database: duckdb.DuckDBPyConnection, table: str, name: str) -> str | None:
    choices: list[str] = []
    for pattern, thousands, point in _NUMBER_FORMATS.values():
        bare = rf"regexp_replace({name}::VARCHAR, '[\s\x{{00a0}}\x{{202f}}€$£]|EUR|USD', '', 'g')"
        digits = f"replace(replace({bare}, '{thousands}', ''), '{point}', '.')"
        choices.append(
            f"CASE WHEN regexp_full_match({bare}, '{pattern}') THEN TRY_CAST({digits} AS {DECIMAL}) END"
        )
    return _most_readable(database, table, name, choices)


def _most_readable(
    database: duckdb.DuckDBPyConnection, table: str, name: str, choices: Sequence[str]
) -> str | None:
    """The choice that reads most of the column; the first of equal ones. None: none reads enough."""
    counts = ", ".join(f"count({choice})" for choice in choices)
    filled, *read = database.execute(
        f"SELECT count(nullif(trim({name}::VARCHAR), '')), {counts} FROM {table}"
    ).fetchall()[0]
    most = max(read)
    return choices[read.index(most)] if filled and most >= READABLE * filled else None


def quoted_name(column: str) -> str:
    """A column's name as SQL takes it."""
    return '"' + column.replace('"', '""') + '"'


def quoted_text(value: str) -> str:
    """A text as SQL takes it."""
    return "'" + value.replace("'", "''") + "'"
