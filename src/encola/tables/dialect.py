"""
What separates a table's columns, where it begins, and what its columns are called.

Each separator is tried on the first rows; the one that gives most rows the same number of fields, and
more than one, is it. DuckDB's and Python's own sniffers were tried on the same tables and took
a separator out of somebody's prose, or lost the header to a ragged row (docs/decisions/0014).
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from .failures import FileFailed
from .kinds import TEXT, find_kind

SEPARATORS: Final = (",", ";", "\t", "|")
#: Rows of the beginning that are looked at.
ROWS: Final = 3_000
#: Lines in front of the table (a title, a date) that are skipped at most.
PREAMBLE: Final = 20
MOST_COLUMNS: Final = 2_000
#: A header is believed when this part of the rows has as many fields.
AGREE: Final = 0.1
#: The first line with which Excel is told the separator; it does not show it as a row.
_HINT: Final = re.compile(r'"?sep=([,;\t|])"?\r?\n', re.IGNORECASE)
#: Characters of a column's name that are kept.
NAME_LENGTH: Final = 200


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a table is written."""

    separator: str
    columns: tuple[str, ...]
    """Names, each another; made up where the table has none."""
    has_header: bool
    skipped: int
    """Lines before the first record: what is above the header, and the header."""
    has_backslash: bool
    """Whether a quote inside quotes is written ``\\"`` and not ``""``."""

    @property
    def width(self) -> int:
        return len(self.columns)


@dataclass(slots=True)
class _Row:
    ends_at: int
    """Lines from the beginning to its end."""
    fields: list[str]


def find_dialect(sample: str) -> Dialect:
    """
    Args:
        sample: the beginning of the text, cut at the end of a line.

    Raises:
        FileFailed: there is no table in it.
    """
    hint = _HINT.match(sample)
    if hint is not None:
        sample = sample[hint.end() :]
    if not sample.strip():
        raise FileFailed("The file is empty.", "file_empty")
    has_backslash = '\\"' in sample and _quotes_by_backslash(sample)
    if has_backslash:
        sample = sample.replace('\\"', '""')
    separator, rows = _find_separator(sample, (hint[1],) if hint else SEPARATORS)
    width = _find_width(rows)
    start = _find_start(rows, width)
    first, rest = rows[start], rows[start + 1 :]
    fitting = [row.fields for row in rest if len(row.fields) == width]
    has_header = len(first.fields) != width or _is_header(first.fields, fitting)
    names = _names(first.fields if has_header else [], width)
    if len(names) > MOST_COLUMNS:
        raise FileFailed(
            f"The table has {len(names)} columns; at most {MOST_COLUMNS} are read.",
            "file_too_many_columns",
        )
    before = rows[start - 1].ends_at if start else 0
    skipped = (first.ends_at if has_header else before) + (hint is not None)
    return Dialect(separator, names, has_header, skipped, has_backslash)


def read_rows(text: str, separator: str) -> Iterator[list[str]]:
    """The rows of *text* that can be read, blank ones left out."""
    for row in _rows(text, separator):
        yield row.fields


def _rows(text: str, separator: str, *, strict: bool = False) -> Iterator[_Row]:
    """*strict*: a row with a quote where none belongs is none."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=strict)
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:  # a field of more than 128 KB, a zero, a quote where none belongs
            continue
        if any(field.strip() for field in fields):
            yield _Row(reader.line_num, fields)


def _find_separator(sample: str, separators: Sequence[str]) -> tuple[str, list[_Row]]:
    best: tuple[tuple[float, int], str, list[_Row]] | None = None
    for separator in separators:
        rows = list(itertools.islice(_rows(sample, separator), ROWS))
        if not rows:
            continue
        width, count = Counter(len(row.fields) for row in rows).most_common(1)[0]
        # Rounded: a few ragged rows must not make a column of prose the better table.
        score = (round(count / len(rows), 1), width)
        if width > 1 and score[0] >= 0.3 and (best is None or score > best[0]):
            best = (score, separator, rows)
    if best is None:
        return ",", _single_column(sample)
    return best[1], best[2]


def _single_column(sample: str) -> list[_Row]:
    rows = list(itertools.islice(_rows(sample, ","), ROWS))
    if not rows:
        raise FileFailed("No line of the file can be read as text.", "file_binary")
    return rows


def _quotes_by_backslash(sample: str) -> bool:
    """Whether the sample has more rows of one width when ``\\"`` stands for a quote."""

    def regular(text: str) -> int:
        found = [
            Counter(len(row.fields) for row in _rows(text, separator, strict=True))
            for separator in SEPARATORS
        ]
        return max(
            (count for widths in found for width, count in widths.items() if width > 1), default=0
        )

    return regular(sample.replace('\\"', '""')) > regular(sample)


def _find_width(rows: Sequence[_Row]) -> int:
    """Fields of a record: as many as the header has names, where some rows agree; else what most rows have."""
    widths = Counter(len(row.fields) for row in rows)
    named = len(rows[0].fields)
    agree = widths[named] - 1
    most = widths.most_common(1)[0][0]
    if named == most or named < 2 or not _is_header(rows[0].fields, []):
        return most
    # One name more than there are fields: the rows are at fault, unless nothing is named by it.
    is_believed = agree >= max(1, AGREE * len(rows)) or (most > 1 and named == most + 1)
    return named if is_believed and rows[0].fields[-1].strip() else most


def _find_start(rows: Sequence[_Row], width: int) -> int:
    """Index of the header, or of the first record: lines above it are narrower."""
    for index, row in enumerate(rows[:PREAMBLE]):
        if len(row.fields) == width:
            return index
        # A header with one name too many or too few: row numbers without a name, a comma at the end.
        if width > 2 and abs(len(row.fields) - width) == 1 and _is_header(row.fields, []):
            return index
    return 0


def _is_header(first: Sequence[str], rest: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: its fields are texts, and others below are not."""
    kinds = [find_kind([field]) for field in first]
    if not any(field.strip() for field in first):
        return False
    for index, kind in enumerate(kinds):
        below = find_kind([row[index] for row in rest[:200]]) if rest else TEXT
        if kind.name == "text" and first[index].strip() and below.name != "text":
            return True
    return all(kind.name == "text" for kind in kinds) and len(set(first)) == len(first)


def _names(header: Sequence[str], width: int) -> tuple[str, ...]:
    """A name for each column, each another."""
    given = [" ".join(name.split())[:NAME_LENGTH] for name in header]
    if len(given) == width - 1:
        given.insert(0, "")
    given = (given + [""] * width)[:width]
    names: list[str] = []
    taken: set[str] = set()
    for number, name in enumerate(given, start=1):
        wanted = name or f"column_{number}"
        unique, count = wanted, 1
        while unique.lower() in taken:
            count += 1
            unique = f"{wanted}_{count}"
        taken.add(unique.lower())
        names.append(unique)
    return tuple(names)
