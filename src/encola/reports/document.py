"""
The parts that a report is made of, as ``page.typ`` draws them.

Everything is decided here: texts are ready to be shown, and what a chart draws is a
fraction of its length. The page only puts ink where it is told.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Block = dict[str, Any]
#: Names of the page's colours.
Tone = Literal["main", "good", "bad", "dim"]
Align = Literal["left", "right"]
#: Longest word that is sure to fit beside a lying bar.
LABEL_WORD: Final = 22
#: Points that upright bars share on a page, that a sign of a label takes, and between two labels.
CHART_WIDTH: Final = 449.0
LABEL_SIGN: Final = 3.7
LABEL_GAP: Final = 4.0
#: Lines of a chart's scale, about.
TICKS: Final = 5


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report."""

    title: str
    subtitle: str
    made: str
    """When, and of what."""
    language: str
    page_of: str
    """``{page}`` and ``{pages}`` stand in it."""
    blocks: list[Block] = field(default_factory=list[Block])


def heading(text: str) -> Block:
    return {"kind": "heading", "text": text}


def note(text: str) -> Block:
    return {"kind": "note", "text": text}


def legend(items: Sequence[tuple[str, Tone]]) -> Block:
    """What the colours of the chart below it mean."""
    return {"kind": "legend", "items": _legend(items)}


def _legend(items: Sequence[tuple[str, Tone]]) -> list[Block]:
    return [{"text": text, "tone": tone} for text, tone in items]


def cards(items: Sequence[tuple[str, str, str]]) -> Block:
    """*items*: (label, figure, a word on it or empty)"""
    return {
        "kind": "cards",
        "items": [
            {"label": label, "figure": figure, "word": word} for label, figure, word in items
        ],
    }


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    title: str
    align: Align = "left"
    share: float = 0
    """Part of the free width; 0: as wide as what is in it."""
    longest_word: int = 26
    """Longer words get places to break at; in a column with a share."""


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], total: Sequence[str] = ()
) -> Block:
    return {
        "kind": "table",
        "columns": [
            {"title": column.title, "align": column.align, "share": column.share}
            for column in columns
        ],
        "rows": [
            [
                breakable(cell, column.longest_word) if column.share else cell
                for column, cell in zip(columns, row, strict=True)
            ]
            for row in rows
        ],
        "total": list(total),
    }


def breakable(text: str, longest: int) -> str:
    """*text* with invisible places to break at: after a hyphen, and in words of more than *longest* signs."""

    def with_places(found: re.Match[str]) -> str:
        # After what parts a name, else anywhere.
        pieces = re.findall(rf"[^_./:@]{{1,{longest // 2}}}[_./:@]?|[_./:@]", found[0])
        return "\u200b".join(pieces)

    # Typst breaks at no hyphen before a figure, and where it breaks at one a line in Spanish begins with
    # another: what is called a-1 would stick out of its cell, and a-b be read as a--b.
    hyphened = re.sub(r"(?<=\S)-(?=[^\s\u200b-\u200d\u0300-\u036f])", "-\u200b", text)
    # Never inside a composed sign.
    return re.sub(rf"[^\s\u200b-\u200d\u0300-\u036f-]{{{longest + 1},}}", with_places, hyphened)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its label, and its parts from zero on."""

    label: str
    parts: Sequence[tuple[float, Tone]]
    figure: str = ""
    """Written at its end; only in :func:`bars`."""


def columns_chart(
    bars: Sequence[Bar],
    *,
    alt: str,
    format_tick: Callable[[float], str],
    legend: Sequence[tuple[str, Tone]] = (),
    most_labels: int = 12,
) -> Block:
    """Upright bars over a scale. Of many or long labels every second, third, … is shown."""
    scale = Scale.over([value for bar in bars for value in _extent(bar)])
    room = max((len(bar.label) for bar in bars), default=0) * LABEL_SIGN + LABEL_GAP
    most = max(1, min(most_labels, int(CHART_WIDTH / room)))
    every = math.ceil(len(bars) / most) if bars else 1
    return {
        "kind": "columns",
        "alt": alt,
        "legend": _legend(legend),
        "ticks": [{"at": scale.at(tick), "text": format_tick(tick)} for tick in scale.ticks],
        "zero": scale.at(0),
        "bars": [
            {"label": bar.label if index % every == 0 else "", "parts": _parts(bar, scale)}
            for index, bar in enumerate(bars)
        ],
    }


def bars_chart(bars: Sequence[Bar], *, alt: str) -> Block:
    """Lying bars with their figures, one a line."""
    scale = Scale.over([value for bar in bars for value in _extent(bar)])
    return {
        "kind": "bars",
        "alt": alt,
        "zero": scale.at(0),
        "bars": [
            {
                "label": breakable(bar.label, LABEL_WORD),
                "figure": bar.figure,
                "parts": _parts(bar, scale),
            }
            for bar in bars
        ],
    }


@dataclass(frozen=True, slots=True)
class Scale:
    """From the lowest to the highest tick; zero is always on it."""

    ticks: tuple[float, ...]

    @classmethod
    def over(cls, values: Sequence[float]) -> Scale:
        """A scale with round ticks that has room for all of *values*."""
        low, high = min([0.0, *values]), max([0.0, *values])
        if high - low < 1e-9:  # all nothing; no sum is smaller than a millionth
            return cls((0.0, 1.0))
        step = _round_step((high - low) / TICKS)
        first, last = math.floor(low / step), math.ceil(high / step)
        return cls(tuple(step * number for number in range(first, last + 1)))

    def at(self, value: float) -> float:
        """Where *value* is, 0 to 1."""
        low, high = self.ticks[0], self.ticks[-1]
        return (value - low) / (high - low)


def _round_step(step: float) -> float:
    """The next of 1, 2, 5, 10, 20, … that is not below *step*."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= step * (1 - 1e-9))


def _extent(bar: Bar) -> tuple[float, float]:
    below = sum(value for value, _ in bar.parts if value < 0)
    above = sum(value for value, _ in bar.parts if value > 0)
    return below, above


def _parts(bar: Bar, scale: Scale) -> list[Block]:
    above = below = 0.0
    found: list[Block] = []
    for value, tone in bar.parts:
        start = above if value >= 0 else below
        found.append({"from": scale.at(start), "to": scale.at(start + value), "tone": tone})
        if value >= 0:
            above += value
        else:
            below += value
    return found
