"""
What there is to say of each column: gathered batch by batch, in a memory that does not grow.

Distinct values are estimated from the smallest hashes that were seen (k-minimum values): with fewer than
:data:`KEPT` of them the count is exact, beyond that right to about 2 in 100.

Source: Bar-Yossef et al., "Counting distinct elements in a data stream", RANDOM 2002, algorithm 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

import polars as pl

from .kinds import Kind

KEPT: Final = 2_048
#: Characters of the least and the greatest text that are shown.
SHOWN: Final = 100
_HASHES: Final = 2.0**64
_SEED: Final = 36


class Profile:
    """The columns of one table; in its batches they are called ``0``, ``1``, … (:func:`key`)."""

    def __init__(self, names: Sequence[str], kinds: Sequence[Kind]) -> None:
        self.height = 0
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="profile")
        self._under_way: Future[None] | None = None
        self._columns = [
            _Column(name, kind, key(number))
            for number, (name, kind) in enumerate(zip(names, kinds, strict=True))
        ]

    def add(self, batch: pl.DataFrame) -> None:
        """Takes the next rows in, beside whatever the caller does next."""
        self.height += batch.height
        # One at a time, and one ahead: the columns are added up by one thread alone.
        if self._under_way is not None:
            self._under_way.result()
        self._under_way = self._beside.submit(self._add, batch)

    def _add(self, batch: pl.DataFrame) -> None:
        queries = [expr for column in self._columns for expr in column.asked()]
        answers = batch.lazy().select(queries).collect(engine="in-memory").row(0, named=True)
        for column in self._columns:
            column.take(batch.height, answers)

    def columns(self) -> list[dict[str, Any]]:
        """``{name, type, nulls, distinct, min, max, mean}`` each; JSON values."""
        if self._under_way is not None:
            self._under_way.result()
        self._beside.shutdown()
        return [column.shown() for column in self._columns]


def key(number: int) -> str:
    """What a column is called while it is worked on: its own name may mean something to Polars."""
    return str(number)


class _Column:
    def __init__(self, name: str, kind: Kind, place: str) -> None:
        self.name = name
        self._place = place
        self.kind = kind
        self.nulls = 0
        self.least: Any = None
        self.greatest: Any = None
        self._mean = 0.0
        self._count = 0
        self._hashes = pl.Series("hashes", [], pl.UInt64)
        self._is_full = False
        self._highest = 2**64 - 1

    def asked(self) -> list[pl.Expr]:
        """What to ask of a batch."""
        column = pl.col(self._place)
        hashes = column.drop_nulls().hash(_SEED)
        smallest = (
            hashes.filter(hashes < pl.lit(self._highest, pl.UInt64)) if self._is_full else hashes
        )
        asked = {
            "nulls": column.null_count(),
            "min": column.min(),
            "max": column.max(),
            "hashes": smallest.unique().bottom_k(KEPT).implode(),
        }
        if self.kind.name in ("integer", "decimal"):
            asked["mean"] = column.cast(pl.Float64).mean()
        return [expr.alias(f"{what} {self._place}") for what, expr in asked.items()]

    def take(self, height: int, answers: dict[str, Any]) -> None:
        given = height - int(answers[f"nulls {self._place}"])
        self.nulls += height - given
        if not given:
            return
        least, greatest = answers[f"min {self._place}"], answers[f"max {self._place}"]
        self.least = least if self.least is None else min(self.least, least)
        self.greatest = greatest if self.greatest is None else max(self.greatest, greatest)
        self._count += given
        mean = answers.get(f"mean {self._place}")
        if mean is not None:
            # Weighted step by step: a sum of many large numbers would overflow or lose its end.
            self._mean += (mean - self._mean) * (given / self._count)
        self._add_hashes(answers[f"hashes {self._place}"])

    def _add_hashes(self, found: list[int]) -> None:
        if not found:
            return
        joined = pl.concat([self._hashes, pl.Series("hashes", found, pl.UInt64)])
        self._hashes = joined.unique().bottom_k(KEPT)
        self._is_full = len(self._hashes) == KEPT
        if self._is_full:
            self._highest = int(self._hashes.sort()[-1])

    def _distinct(self) -> int:
        if not self._is_full:
            return len(self._hashes)
        estimate = (KEPT - 1) / ((self._highest + 1) / _HASHES)
        return min(round(estimate), self._count)

    def shown(self) -> dict[str, Any]:
        has_mean = self.kind.name in ("integer", "decimal") and self._count
        return {
            "name": self.name,
            "type": self.kind.name,
            "nulls": self.nulls,
            "distinct": self._distinct(),
            "min": _shown(self.least),
            "max": _shown(self.greatest),
            "mean": self._mean if has_mean else None,
        }


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= SHOWN else f"{value[:SHOWN]}…"
    return value.isoformat() if hasattr(value, "isoformat") else value
