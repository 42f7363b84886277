"""
A user's processed datasets as one table of sales.

Each Parquet file of ``datasets/{user_id}/`` is looked at by itself: its columns are found
(:mod:`.columns`), text that stands for numbers or dates is read where all of it (or nearly) can be,
and a file whose rows are those of another one, as after processing the same file twice,
counts once. What is left is the table ``sold(day, product, quantity, amount)``.

Amounts and quantities are added as decimals, digit by digit, never as floats: a float
becomes the decimal that it is written as.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb

from ..files import opened_folder
from .columns import Column, candidates
from .failures import ReportFailed
from .values import DECIMAL, quoted_text, value_of

FOLDER: Final = "datasets"


@dataclass(slots=True)
class Source:
    """One file, and what became of it."""

    path: Path
    columns: dict[str, str] = field(default_factory=dict[str, str])
    """Role -> name of the column; with ``price``, the amount was reckoned from it."""
    rows: int = 0
    unread: int = 0
    """Rows without an amount that can be read: they are left out."""
    skipped: str = ""
    """Why it is left out: ``no_columns``, ``unreadable``, ``same_rows``; empty: it is used."""
    same_as: str = ""
    """The file with the same rows."""
    select: str = ""
    """Its rows as (day, product, quantity, amount), in SQL."""

    @property
    def name(self) -> str:
        return self.path.name


def connect(memory: int, scratch: Path) -> duckdb.DuckDBPyConnection:
    """
    A database in memory, which may put aside on disk what does not fit.

    Args:
        memory: bytes; about so many are used before *scratch* is.
    """
    settings: dict[str, Any] = {
        "threads": min(4, os.cpu_count() or 1),
        "memory_limit": f"{memory // 2**20}MiB",
        "temp_directory": str(scratch),
        "preserve_insertion_order": False,
        # Nothing is fetched from anywhere.
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    return duckdb.connect(":memory:", config=settings)


def confine(database: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """From here on it opens files of *folder* alone."""
    database.execute(f"SET allowed_directories = [{quoted_text(str(folder) + '/')}]")
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")


def find_sources(data_dir: Path, user_id: int) -> list[Source]:
    """
    The user's datasets, by name.

    Raises:
        ReportFailed: ``no_datasets``
    """
    try:
        with opened_folder(data_dir, [FOLDER, str(user_id)]) as folder:
            names = sorted(
                name
                for name in os.listdir(folder)
                if name.endswith(".parquet")
                and not name.startswith(".")
                and stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
            )
    except (FileNotFoundError, NotADirectoryError):
        names = []
    if not names:
        raise ReportFailed(
            f"User {user_id} has no processed datasets. Process a file first "
            "(POST /tasks/file/process), then ask for the report again.",
            "no_datasets",
        )
    return [Source(data_dir / FOLDER / str(user_id) / name) for name in names]


def use(database: duckdb.DuckDBPyConnection, sources: Sequence[Source]) -> list[Source]:
    """
    Looks at each file, and makes the view ``sold`` of those that hold sales; these come back.

    Raises:
        ReportFailed: ``no_sales_columns``
    """
    for source in sources:
        _look_at(database, source)
    _leave_out_repeated(database, [source for source in sources if not source.skipped])
    used = [source for source in sources if not source.skipped]
    if not used:
        raise ReportFailed(_without_columns(sources), "no_sales_columns")
    database.execute("CREATE VIEW sold AS " + " UNION ALL ".join(source.select for source in used))
    return used


def _without_columns(sources: Sequence[Source]) -> str:
    unreadable = [source.name for source in sources if source.skipped == "unreadable"]
    more = f" Not readable as Parquet: {', '.join(unreadable[:5])}." if unreadable else ""
    return (
        f"None of the {len(sources)} datasets of this user holds sales. Expected a column with an "
        "amount (importe, amount, total; or precio and cantidad) and one with a date (fecha, date) or "
        f"a product (producto, product).{more}"
    )


def _look_at(database: duckdb.DuckDBPyConnection, source: Source) -> None:
    table = f"read_parquet({_path(source.path)})"
    try:
        source.rows = _count(database, f"SELECT count(*) FROM {table}")
        described = database.execute(f"DESCRIBE SELECT * FROM {table}").fetchall()
        columns = [Column(row[0], row[1]) for row in described]
        roles = _Roles(database, table, columns).found
        source.columns = {role: name for role, (name, _) in roles.items()}
        if "amount" not in roles or not roles.keys() & {"date", "product"}:
            source.skipped = "no_columns"
            return
        source.select = _select(table, {role: sql for role, (_, sql) in roles.items()})
        source.unread = _count(
            database, f"SELECT count(*) FROM ({source.select}) WHERE amount IS NULL"
        )
    except (duckdb.IOException, duckdb.InvalidInputException):
        # No Parquet at all, or cut off: the others may do.
        source.skipped = "unreadable"


def _count(database: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(database.execute(query).fetchall()[0][0])


def _select(table: str, roles: dict[str, str]) -> str:
    empty = {"date": "NULL::DATE", "product": "NULL::VARCHAR", "quantity": f"NULL::{DECIMAL}"}
    found = {**empty, **roles}
    # A typing error such as the year 202 is no day of a sale, and an endless one none at all.
    day = f"CASE WHEN year({found['date']}) BETWEEN 1000 AND 9999 THEN {found['date']} END"
    return (
        f"SELECT {day} AS day, {found['product']} AS product, "
        f"{found['quantity']} AS quantity, {found['amount']} AS amount FROM {table}"
    )


class _Roles:
    """Which column of one file has which role: role -> (name of the column, SQL of its value)."""

    def __init__(
        self, database: duckdb.DuckDBPyConnection, table: str, columns: Sequence[Column]
    ) -> None:
        self._database = database
        self._table = table
        self._columns = columns
        self.found: dict[str, tuple[str, str]] = {}
        # In this order: a column that is plainly a date or a quantity is no amount.
        for role in ("date", "quantity", "amount", "price", "product"):
            self._find(role)
        self._multiply()

    def _find(self, role: str) -> None:
        taken = {name for name, _ in self.found.values()}
        for column in candidates(self._columns, role):
            if column.name in taken:
                continue
            sql = value_of(self._database, self._table, column, role)
            if sql is not None:
                self.found[role] = column.name, sql
                return

    def _multiply(self) -> None:
        """Without an amount: price times quantity, or the price of one where nothing says how many."""
        price = self.found.get("price")
        if price is None or "amount" in self.found:
            self.found.pop("price", None)
            return
        name, sql = price
        times = f" * ({self.found['quantity'][1]})::DOUBLE" if "quantity" in self.found else ""
        self.found["amount"] = name, f"TRY_CAST((({sql})::DOUBLE{times})::VARCHAR AS {DECIMAL})"


def _leave_out_repeated(database: duckdb.DuckDBPyConnection, sources: Sequence[Source]) -> None:
    """Of files with the same rows all but the first."""
    known: dict[tuple[Any, ...], Source] = {}
    by_rows: dict[tuple[Any, ...], list[Source]] = {}
    for source in sources:
        by_rows.setdefault((source.rows, *sorted(source.columns.items())), []).append(source)
    for alike in by_rows.values():
        if len(alike) < 2:
            continue
        for source in alike:
            print_of_rows = _print_of_rows(database, source)
            first = known.setdefault(print_of_rows, source)
            if first is not source:
                source.skipped, source.same_as = "same_rows", first.name


def _print_of_rows(database: duckdb.DuckDBPyConnection, source: Source) -> tuple[Any, ...]:
    """What two files have in common only when they have the same rows, in whatever order."""
    # Each hash is cut to 60 bits, so that a sum over 2^60 rows fits.
    found = database.execute(
        "SELECT count(*), sum((hash(t) >> 4)::HUGEINT), list(DISTINCT typeof(t)) "
        f"FROM read_parquet({_path(source.path)}) t"
    ).fetchone()
    assert found is not None
    return tuple(str(part) for part in found)


def _path(path: Path) -> str:
    # DuckDB takes a path for a pattern; in brackets each of its signs is itself.
    return quoted_text(re.sub(r"[*?\[]", r"[\g<0>]", str(path)))


def zero(value: Decimal | None) -> Decimal:
    """A sum over nothing is nothing."""
    return Decimal(0) if value is None else value
