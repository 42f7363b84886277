"""
Sentences, numbers and dates of the reports, in Spanish and English.

Numbers and dates are Babel's (CLDR); the sentences are ours, in :data:`SENTENCES`. Needs the extra ``reports``.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from typing import Any, Final

from babel.dates import format_date, format_skeleton
from babel.numbers import format_compact_decimal, format_decimal, format_percent

from .sentences import SENTENCES

#: Sums have up to 38 digits; Python's usual 28 would round them.
EXACT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)
#: Most characters of a stranger's text in a table; the rest is cut.
LONGEST_TEXT: Final = 200
_RAISED: Final = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
#: Signs that turn the order of the text around them.
_BIDI: Final = dict.fromkeys(
    [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)


@dataclass(frozen=True, slots=True)
class Wording:
    """Everything a report says, in one language."""

    language: str
    """es or en"""

    def say(self, key: str, **values: Any) -> str:
        """The sentence for *key*, with its values in place."""
        spanish, english = SENTENCES[key]
        return (english if self.language == "en" else spanish).format(**values)

    def count(self, value: int) -> str:
        """1.234"""
        return str(format_decimal(value, format="#,##0", locale=self.language))

    def number(self, value: Decimal) -> str:
        """Up to three decimals, none that say nothing: 1.234,5"""
        return self._decimal(value, "#,##0.###")

    def money(self, value: Decimal) -> str:
        """Two decimals, to the nearest: 1.234,50"""
        return self._decimal(value, "#,##0.00")

    def compact(self, value: float) -> str:
        """For an axis: 1,2 M"""
        if abs(value) >= 1e15:
            mantissa, _, power = f"{value:.0e}".partition("e+")
            return f"{mantissa}·10{power.lstrip('0').translate(_RAISED)}"
        digits = 0 if abs(value) < 1000 and float(value).is_integer() else 1
        return str(format_compact_decimal(value, locale=self.language, fraction_digits=digits))

    def percent(self, part: Decimal | int, whole: Decimal | int) -> str:
        """One decimal; a dash where a share of *whole* means nothing."""
        if whole <= 0:
            return "–"
        pattern = "#,##0.0%" if self.language == "en" else "#,##0.0\u00a0%"
        share = EXACT.divide(Decimal(part), Decimal(whole))
        return str(format_percent(rounded(share, 3), format=pattern, locale=self.language))

    def duration(self, ms: float) -> str:
        """320 ms, 4,2 s, 3,5 min, 2,0 h"""
        for limit, unit, word in (
            (1000, 1, "ms"),
            (60_000, 1000, "s"),
            (3_600_000, 60_000, "min"),
            (float("inf"), 3_600_000, "h"),
        ):
            if ms < limit:
                pattern = "#,##0" if unit == 1 else "#,##0.0"
                return (
                    f"{format_decimal(ms / unit, format=pattern, locale=self.language)}\u00a0{word}"
                )
        raise AssertionError(ms)

    def day(self, day: dt.date) -> str:
        """22 nov 2026"""
        return str(format_date(day, format="d MMM y", locale=self.language))

    def moment(self, moment: dt.datetime) -> str:
        """22 nov 2026, 09:00 UTC"""
        return f"{self.day(moment.date())}, {moment:%H:%M} UTC"

    def short_moment(self, moment: dt.datetime, *, with_time: bool = True) -> str:
        """22 nov, 09:00; in UTC"""
        day = format_date(moment.date(), format="d MMM", locale=self.language)
        return f"{day}, {moment:%H:%M}" if with_time else str(day)

    def month(self, day: dt.date) -> str:
        """nov 2026"""
        return str(format_skeleton("yMMM", day, locale=self.language))

    def _decimal(self, value: Decimal, pattern: str) -> str:
        digits = 2 if pattern.endswith("00") else 3
        exact = rounded(value, digits)
        # Babel rounds in the context of the moment, which has 28 digits by default.
        with localcontext(EXACT):
            return str(
                format_decimal(
                    exact, format=pattern, locale=self.language, decimal_quantization=False
                )
            )


def rounded(value: Decimal, digits: int) -> Decimal:
    """To the nearest, ties to even, as Python's own ``round``; never "-0"."""
    exact = value.quantize(Decimal(1).scaleb(-digits), context=EXACT)
    return exact or abs(exact)


def plain(value: Decimal, digits: int) -> str:
    """As a program writes it: ``1234.50``."""
    return f"{rounded(value, digits):f}"


def shown(text: str, limit: int = LONGEST_TEXT) -> str:
    """
    A stranger's text, fit to stand in a cell: one line, no control characters, of bounded length.

    Not for escaping: the page takes all text as text.
    """
    one_line = "".join(_visible(sign) for sign in str(text)[: 4 * limit].translate(_BIDI))
    one_line = re.sub(r"\s+", " ", one_line).strip()
    return shortened(one_line, limit)


def shortened(text: str, limit: int) -> str:
    """At most *limit* characters, with an ellipsis; never cut inside a composed sign."""
    if len(text) <= limit:
        return text
    end = limit - 1
    while end > 1 and (
        unicodedata.combining(text[end]) or text[end] == "\u200d" or text[end - 1] == "\u200d"
    ):
        end -= 1
    return text[:end].rstrip() + "…"


def _visible(sign: str) -> str:
    category = unicodedata.category(sign)
    if sign in "\t\n\r\x0b\x0c\u2028\u2029":
        return " "
    return "\ufffd" if category in ("Cc", "Cs", "Cn") else sign
