"""
A column's texts as values, by Polars.

Loaded in the reading process alone: Polars starts threads, which no fork survives.

Each kind has a quick reading and, where something in a block did not fit it, a patient one that looks
at spaces, signs and spellings. Null are the empty text and, among numbers, ``NaN``.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from .kinds import BOOLEANS, DECIMALS, Kind

TYPES: Final[dict[str, pl.DataType]] = {
    "text": pl.String(),
    "integer": pl.Int64(),
    "decimal": pl.Float64(),
    "date": pl.Date(),
    "datetime": pl.Datetime("us"),
    "boolean": pl.Boolean(),
}
_FIRST_YEAR: Final = 1
_LAST_YEAR: Final = 9999
_SPELLINGS: Final = {
    spelling: value
    for word, value in BOOLEANS.items()
    for spelling in (word, word.upper(), word.capitalize())
}
#: Beginnings that a number would lose: 007, +34.
_LOST: Final = r"^(?:\+|-?0[0-9])"


def type_of(kind: Kind) -> pl.DataType:
    """The type that a column of this kind has in the dataset."""
    return pl.Datetime("us", "UTC") if _has_zone(kind) else TYPES[kind.name]


def quick(text: pl.Expr, kind: Kind) -> pl.Expr:
    """The value of each text; null where it does not fit as it stands."""
    if kind.name == "integer":
        lost = text.str.starts_with("0") & (text.str.len_bytes() > 1)
        lost = lost | text.str.starts_with("-0") | text.str.starts_with("+")
        return pl.when(~lost).then(text.cast(pl.Int64, strict=False))
    if kind.name == "boolean":
        return text.replace_strict(_SPELLINGS, default=None, return_dtype=pl.Boolean)
    if kind.name == "decimal" and kind.style == "plain":
        return _finite(text.cast(pl.Float64, strict=False))
    if kind.name == "date":
        return _day(text, kind)
    if kind.name == "datetime":
        return _moment(text, kind)
    return patient(text, kind)


def patient(text: pl.Expr, kind: Kind) -> pl.Expr:
    """As :func:`quick`, with spaces around the text, and all that the kind may look like."""
    bare = text if kind.name == "text" else text.str.strip_chars()
    if kind.name == "integer":
        lost = bare.str.contains(_LOST)
        return pl.when(~lost).then(bare.cast(pl.Int64, strict=False))
    if kind.name == "decimal":
        return _decimal(bare, kind)
    if kind.name == "date":
        return _day(bare, kind)
    if kind.name == "datetime":
        return _moment(bare, kind)
    if kind.name == "boolean":
        return bare.str.to_lowercase().replace_strict(
            BOOLEANS, default=None, return_dtype=pl.Boolean
        )
    return text


def is_given(text: pl.Expr, kind: Kind) -> pl.Expr:
    """Whether there is something that should have a value."""
    bare = text.str.strip_chars()
    given = bare.is_not_null() & (bare != "")
    if kind.name == "decimal":
        given = given & (bare.str.to_lowercase() != "nan")
    return given


def _decimal(bare: pl.Expr, kind: Kind) -> pl.Expr:
    number = bare
    if kind.style != "plain":
        number = number.str.replace_all("[€$£\\s]", "")
        thousands, point = (",", ".") if kind.style == "point" else (".", ",")
        number = number.str.replace_all(thousands, "", literal=True)
        number = number.str.replace(point, ".", literal=True)
    value = _finite(number.cast(pl.Float64, strict=False))
    return pl.when(bare.str.contains(DECIMALS[kind.style])).then(value)


def _finite(value: pl.Expr) -> pl.Expr:
    return pl.when(value.is_finite()).then(value)


def _day(bare: pl.Expr, kind: Kind) -> pl.Expr:
    return _in_range(bare.str.to_date(kind.format, strict=False))


def _moment(bare: pl.Expr, kind: Kind) -> pl.Expr:
    return _in_range(bare.str.to_datetime(kind.format, strict=False, time_unit="us"))


def _in_range(value: pl.Expr) -> pl.Expr:
    """Python and most databases know the years 1 to 9999."""
    return pl.when(value.dt.year().is_between(_FIRST_YEAR, _LAST_YEAR)).then(value)


def _has_zone(kind: Kind) -> bool:
    return kind.name == "datetime" and kind.format.endswith("z")
