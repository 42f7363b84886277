"""
Records as values, block by block: what fits into the dataset, and what is put aside.

A block that is in order is read whole. One that is not is gone through line by line, with the patient
reading of each column, until every record is either values or rejected with its reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import polars as pl

from .dialect import Dialect
from .kinds import DECIMALS, TEXT, Kind, fits
from .lines import Block, Cut, Line, Lines, Reason, Rejected
from .parsing import is_given, patient, quick
from .profile import Profile, key
from .rejected import RejectedFile

#: Records after which a column's strays are counted; before that one may be half of all.
ENOUGH: Final = 1_000
#: Characters of a value that does not fit which the reason shows.
SHOWN: Final = 60


class Widen(Exception):
    """A column holds something wider than was thought."""

    def __init__(self, kinds: dict[int, Kind]) -> None:
        self.kinds = kinds


class Batches:
    """One going through the text."""

    def __init__(
        self, dialect: Dialect, kinds: Sequence[Kind], rejected: RejectedFile, *, is_patient: bool
    ) -> None:
        self.kinds = list(kinds)
        self.profile = Profile(dialect.columns, kinds)
        self.first_rejected = ""
        self._dialect = dialect
        self._rejected = rejected
        self._is_patient = is_patient
        self._lines = Lines(dialect)
        self._strays = [0] * dialect.width
        self._given = [0] * dialect.width
        self._schema = {key(number): pl.String() for number in range(dialect.width)}
        self._values = [quick(pl.col(key(n)), kind) for n, kind in enumerate(self.kinds)]

    def cut(self, blocks: Iterable[bytes]) -> Iterator[Cut]:
        """The text in whole lines, for :meth:`records_of`."""
        return self._lines.cut(blocks)

    def records_of(self, cut: Cut) -> Iterator[pl.DataFrame]:
        """The clean records of the next lines, as values; the others are written aside."""
        # A record that goes on from the lines before: these were looked at as if they began one.
        block = None if self._lines.carried else cut.block
        batch = self._quickly(block) if block else None
        if batch is not None:
            yield self._noted(batch)
            return
        for piece in self._lines.careful(cut.text, is_last=cut.is_last):
            batch, strays = self._carefully(piece.text, piece.lines)
            self._put_aside(sorted([*piece.rejected, *strays], key=lambda one: one.line.number))
            if batch.height:
                yield self._noted(batch)

    def _noted(self, batch: pl.DataFrame) -> pl.DataFrame:
        self.profile.add(batch)
        return batch

    def _put_aside(self, rejected: list[Rejected]) -> None:
        if rejected and not self.first_rejected:
            line, reason = rejected[0].line, rejected[0].reason
            self.first_rejected = f"line {line.number} ({reason.key})"
        if rejected:
            self._rejected.add(rejected)

    def _quickly(self, block: Block) -> pl.DataFrame | None:
        """All of the block's records as values; None where anything is out of order."""
        if not block.height:
            return None
        try:
            texts = self._parse(block.text, block.height)
        except pl.exceptions.PolarsError:
            return None
        batch, doubtful = self._values_of(texts)
        if doubtful and not self._mend(texts, batch, doubtful, None):
            return None
        self._lines.accept(block)
        for number in range(self._dialect.width):
            self._given[number] += batch.height
        return batch

    def _carefully(self, text: bytes, lines: list[Line]) -> tuple[pl.DataFrame, list[Rejected]]:
        texts = self._parse(text, len(lines))
        batch, doubtful = self._values_of(texts)
        strays: dict[int, Reason] = {}
        if doubtful:
            self._mend(texts, batch, doubtful, strays)
        for number in range(self._dialect.width):
            self._given[number] += batch.height
        if not strays:
            return batch, []
        self.check_strays()
        fitting = pl.Series([row not in strays for row in range(batch.height)], dtype=pl.Boolean)
        return batch.filter(fitting), [Rejected(lines[row], why) for row, why in strays.items()]

    def _parse(self, text: bytes, height: int) -> pl.DataFrame:
        if not text:
            return pl.DataFrame(schema=self._schema)
        texts = pl.read_csv(
            text,
            has_header=False,
            schema=self._schema,
            separator=self._dialect.separator,
            quote_char='"',
            extra_columns="raise",
            missing_columns="raise",
        )
        if texts.height != height:
            raise pl.exceptions.ComputeError(f"expected {height} records, found {texts.height}")
        return texts

    def _values_of(self, texts: pl.DataFrame) -> tuple[pl.DataFrame, list[int]]:
        """(values, columns where a text has none)"""
        values = [value.alias(key(n)) for n, value in enumerate(self._values)]
        typed = texts.lazy().select(values).collect(engine="in-memory")
        doubtful = [
            n
            for n, kind in enumerate(self.kinds)
            if kind.name != "text" and typed[key(n)].null_count() > texts[key(n)].null_count()
        ]
        return typed, doubtful

    def _mend(
        self,
        texts: pl.DataFrame,
        batch: pl.DataFrame,
        doubtful: list[int],
        strays: dict[int, Reason] | None,
    ) -> bool:
        """
        Reads doubtful columns of *batch* again, patiently; puts what still has no value among *strays*.

        Returns whether everything has a value. Without *strays* it ends at the first that has none.

        Raises:
            Widen: a column should be of another kind.
        """
        for number in doubtful:
            kind, column = self.kinds[number], pl.col(key(number))
            found = (
                texts.lazy()
                .select(patient(column, kind).alias("value"), is_given(column, kind).alias("given"))
                .collect(engine="in-memory")
            )
            batch.replace_column(number, found["value"].alias(key(number)))
            without = (found["value"].is_null() & found["given"]).arg_true()
            if not len(without):
                continue
            if strays is None:
                return False
            wrong = texts[key(number)].gather(without)
            self._consider(number, wrong)
            for row, value in zip(without.to_list(), wrong.to_list(), strict=True):
                strays.setdefault(row, self._misfit(number, value))
        return not strays

    def _misfit(self, number: int, value: str) -> Reason:
        name = self._dialect.columns[number]
        shown = value if len(value) <= SHOWN else f"{value[:SHOWN]}…"
        return Reason("value", {"column": name, "kind": self.kinds[number].name, "value": shown})

    def _consider(self, number: int, wrong: pl.Series) -> None:
        """
        Raises:
            Widen: these texts say that the column is of another kind.
        """
        kind = self.kinds[number]
        if kind.is_strict or not self._is_patient:
            raise Widen({number: TEXT})
        if kind.name == "integer":
            texts = [text.strip() for text in wrong.unique().to_list()]
            if any(_is_name(text) for text in texts):
                raise Widen({number: TEXT})
            for style in DECIMALS:
                wider = Kind("decimal", style)
                if all(fits(wider, text) for text in texts):
                    raise Widen({number: wider})
        self._strays[number] += len(wrong)

    def check_strays(self, *, is_last: bool = False) -> None:
        """
        Raises:
            Widen: too many texts of a column do not fit; it is text.
        """
        if not is_last and self.profile.height < ENOUGH:
            return
        wider = {
            number: TEXT
            for number, strays in enumerate(self._strays)
            if strays and not self.kinds[number].survives(strays, self._given[number] - strays)
        }
        if wider:
            raise Widen(wider)


def _is_name(text: str) -> bool:
    """Digits that are no amount: 007, +34 600…, more than a number holds."""
    digits = text.lstrip("+-")
    return digits.isdigit() and (
        text.startswith("+") or len(digits) > 18 or (len(digits) > 1 and digits[0] == "0")
    )
