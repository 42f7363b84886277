"""
What a column holds, found from a sample of its texts.

A column is of a kind when its texts are, a tenth of them apart: those few are rejected with their rows.
Where a misread value would be worse than a text (an identifier with zeros in front, a yes that
is a name), one that does not fit is enough for the column to stay text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Name = Literal["text", "integer", "decimal", "date", "datetime", "boolean"]
Style = Literal["plain", "point", "comma"]

#: Strays that a kind survives: one, or this part of all texts…
STRAYS: Final = 0.1
#: …and always so many times as many that fit.
FITS: Final = 3


@dataclass(frozen=True, slots=True)
class Kind:
    """What a column's texts mean."""

    name: Name
    style: Style = "plain"
    """Of decimals. ``point``: 1,234.50 · ``comma``: 1.234,50; either with a currency's sign."""
    format: str = ""
    """Of dates and times, as strptime has it."""
    is_strict: bool = False
    """One text that does not fit makes the column text."""

    def survives(self, strays: int, fits: int) -> bool:
        """Whether a column keeps this kind with so many texts that do not fit."""
        if self.is_strict:
            return strays == 0
        return strays <= max(1, STRAYS * (strays + fits)) and fits >= FITS * strays


TEXT: Final = Kind("text")
BOOLEANS: Final = {
    **dict.fromkeys(("true", "yes", "si", "sí", "verdadero"), True),
    **dict.fromkeys(("false", "no", "falso"), False),
}
#: Names of columns whose numbers are names, not amounts: added up they mean nothing.
_IDENTIFIERS: Final = frozenset(
    [
        "zip",
        "zipcode",
        "postal",
        "postcode",
        "cp",
        "phone",
        "telefono",
        "tel",
        "movil",
        "mobile",
        "fax",
        "dni",
        "nif",
        "nie",
        "cif",
        "passport",
        "pasaporte",
        "iban",
        "account",
        "cuenta",
        "ean",
        "gtin",
        "isbn",
        "sku",
        "code",
        "codigo",
        "cod",
        "ref",
        "referencia",
        "reference",
    ]
)

_INTEGER: Final = re.compile(r"-?(?:0|[1-9]\d{0,17})")
#: Shared with the reading of whole columns (Rust's regular expressions): plain constructs only.
DECIMALS: Final[dict[Style, str]] = {
    "plain": r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?$",
    "point": r"^[+-]?[€$£]?\s?[+-]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]*)?\s?[€$£]?$",
    "comma": r"^[+-]?[€$£]?\s?[+-]?(?:[0-9]{1,3}(?:\.[0-9]{3})+|[0-9]+)(?:,[0-9]*)?\s?[€$£]?$",
}
_DECIMALS: Final = {style: re.compile(pattern) for style, pattern in DECIMALS.items()}
_NOT_A_NUMBER: Final = "nan"
#: Only a decimal comma is written so: 0,5 · 12,50 · 1.234,5
_COMMA_SIGN: Final = re.compile(r"(?:^|\D)\d+,\d{1,2}(?:\D|$)|,\d{4,}|\.\d{3},")

_DAY: Final = r"(0?[1-9]|[12]\d|3[01])"
_MONTH: Final = r"(0?[1-9]|1[0-2])"
_YEAR: Final = r"([12]\d{3})"
#: Format -> pattern, in the order of preference: 01/02/2026 is the first of February.
_DATES: Final = {
    f"%Y{sign}%m{sign}%d": rf"{_YEAR}{re.escape(sign)}{_MONTH}{re.escape(sign)}{_DAY}"
    for sign in "-/."
} | {
    form: pattern
    for sign in "/-."
    for form, pattern in (
        (f"%d{sign}%m{sign}%Y", sign.join((_DAY, _MONTH, _YEAR)).replace(".", r"\.")),
        (f"%m{sign}%d{sign}%Y", sign.join((_MONTH, _DAY, _YEAR)).replace(".", r"\.")),
    )
}
_HOUR: Final = r"([01]?\d|2[0-3]):[0-5]\d"
_TIMES: Final = {
    "%H:%M": _HOUR,
    "%H:%M:%S": _HOUR + r":[0-5]\d",
    "%H:%M:%S%.f": _HOUR + r":[0-5]\d(\.\d{1,9})?",
    "%H:%M:%S%.f%#z": _HOUR + r":[0-5]\d(\.\d{1,9})?\s?(Z|[+-]\d\d:?\d\d)",
}
_MOMENTS: Final = {
    f"{day}{sign}{time}": re.compile(day_pattern + sign + time_pattern)
    for day, day_pattern in _DATES.items()
    for sign in " T"
    for time, time_pattern in _TIMES.items()
}
_LIKE_A_DAY: Final = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}")
#: Texts that are held against every format.
_TRIED: Final = 200
_DAYS: Final = {form: re.compile(pattern) for form, pattern in _DATES.items()}


def find_kinds(names: Sequence[str], rows: Sequence[Sequence[str]], separator: str) -> list[Kind]:
    """The kind of each column; *rows* all have as many fields as there are *names*."""
    columns = [[row[index] for row in rows] for index in range(len(names))]
    comma = separator != "," and any(_has_comma(texts) for texts in columns)
    return [
        find_kind(texts, name, decimal_comma=comma)
        for name, texts in zip(names, columns, strict=True)
    ]


def find_kind(texts: Sequence[str], name: str = "", *, decimal_comma: bool = False) -> Kind:
    """
    Args:
        decimal_comma: elsewhere in the table a comma parts the decimals.
    """
    given = [text.strip() for text in texts if text.strip()]
    if not given:
        return TEXT
    is_identifier = bool(set(_words(name)) & _IDENTIFIERS)
    for kind in (_boolean(given), _whole(given, is_identifier), _decimal(given, decimal_comma)):
        if kind is not None and not (is_identifier and kind.name == "decimal"):
            return kind
    return _date(given) or TEXT


def fits(kind: Kind, text: str) -> bool:
    """Whether one text is of this kind."""
    if kind.name == "integer":
        return _INTEGER.fullmatch(text) is not None
    if kind.name == "decimal":
        return _DECIMALS[kind.style].match(text) is not None or text.lower() == _NOT_A_NUMBER
    if kind.name in ("date", "datetime"):
        return (_DAYS | _MOMENTS)[kind.format].fullmatch(text) is not None
    return kind.name == "text" or text.lower() in BOOLEANS


def _boolean(given: Sequence[str]) -> Kind | None:
    kind = Kind("boolean", is_strict=True)
    return kind if all(fits(kind, text) for text in given) else None


def _whole(given: Sequence[str], is_identifier: bool) -> Kind | None:
    strays = [text for text in given if not _INTEGER.fullmatch(text)]
    # 007 and +34: not one of them may lose its beginning.
    if any(re.fullmatch(r"\+\d+|-?0\d+|\d{19,}", text) for text in strays):
        return None
    kind = Kind("integer", is_strict=is_identifier)
    # With 12.5 among them they are decimals.
    if any(fits(Kind("decimal", style), text) for text in strays for style in DECIMALS):
        return None
    return kind if kind.survives(len(strays), len(given) - len(strays)) else None


def _decimal(given: Sequence[str], decimal_comma: bool) -> Kind | None:
    if any(re.fullmatch(r"\+\d+|-?0\d+|\d{19,}", text) for text in given):
        return None
    comma = decimal_comma or _has_comma(given)
    styles: tuple[Style, ...] = (
        ("comma", "plain", "point") if comma else ("plain", "point", "comma")
    )
    for style in styles:
        kind = Kind("decimal", style)
        fitting = sum(fits(kind, text) for text in given)
        if fitting and kind.survives(len(given) - fitting, fitting):
            return kind
    return None


def _has_comma(texts: Sequence[str]) -> bool:
    """Whether among these are numbers that only a decimal comma explains."""
    comma = _DECIMALS["comma"]
    return any(
        comma.match(text) and _COMMA_SIGN.search(text) for text in map(str.strip, texts) if text
    )


def _date(given: Sequence[str]) -> Kind | None:
    first = given[:_TRIED]
    if 2 * sum(_LIKE_A_DAY.match(text) is not None for text in first) < len(first):
        return None
    # Of eighty formats a few fit the first texts; all texts are held against those only.
    name: Name
    for name, formats in (("date", _DAYS), ("datetime", _MOMENTS)):
        tried = {f: p for f, p in formats.items() if any(map(p.fullmatch, first))}
        counts = {f: sum(map(bool, map(p.fullmatch, given))) for f, p in tried.items()}
        if not counts:
            continue
        form = max(counts, key=lambda f: counts[f])
        kind = Kind(name, format=form)
        if kind.survives(len(given) - counts[form], counts[form]):
            return kind
    return None


def _words(name: str) -> list[str]:
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    plain = unicodedata.normalize("NFKD", apart).encode("ascii", "ignore").decode().lower()
    return re.findall(r"[a-z]+", plain)
