"""
One file from its bytes to its dataset: what the reading process does.

1. Look at the beginning: packing, encoding, separator, header, what each column holds.
2. Go through the text block by block: cut it into records (:mod:`.lines`), read the columns
   (:mod:`.parsing`), put aside what does not fit, take note of the rest (:mod:`.profile`), and
   hand it to Polars, which writes it while the next is worked on. The next block is read and cut beside
   that, in a thread of its own, and so is the profile.
3. Where a column turns out to hold something else than its beginning promised, begin anew with
   a wider kind: a text is never lost because it came late.

Memory does not depend on the file's size: a few blocks, the row group that is being written, and the
hashes of the profile.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import polars as pl
from polars.io.plugins import register_io_source

from .batches import Batches, Widen
from .dialect import Dialect, find_dialect
from .encoding import Decoder
from .failures import FileFailed
from .kinds import Kind, find_kinds
from .lines import LINE_END, MOST_LINE, Cut, line_too_long
from .parsing import type_of
from .profile import key
from .rejected import RejectedFile
from .sample import SAMPLE, beginning_of, has_records, rows_of, rows_of_windows, text_of
from .unpacking import Blocks, check_head

#: The file is begun anew at most so often for single columns; after that every column that
#: does not fit becomes text at once.
MOST_RESTARTS: Final = 6
#: Rows of a row group, and bytes of its text (32 MiB) that it has at most.
GROUP_ROWS: Final = 122_880
GROUP_BYTES: Final = 2**25
LEAST_GROUP: Final = 16

Tell = Callable[[int, int, int], None]
"""Called with (bytes read, records, rejected)."""


@dataclass(frozen=True, slots=True)
class Table:
    """How a file turned out to be written."""

    encoding: str
    packing: str
    dialect: Dialect
    kinds: tuple[Kind, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a file."""

    table: Table
    records: int
    rejected: int
    columns: list[dict[str, Any]]


def read_table(
    file: io.FileIO,
    size: int,
    out: BinaryIO,
    rejected: RejectedFile,
    most_unpacked: int,
    tell: Tell,
) -> Outcome:
    """
    Writes the clean rows of *file* to *out* as Parquet, the others to *rejected*.

    Raises:
        FileFailed: there is nothing to be had from it.
    """
    csv.field_size_limit(SAMPLE)
    blocks = Blocks(file, size, most_unpacked)
    head = beginning_of(blocks)
    if not head:
        raise FileFailed("The file is empty.", "file_empty")
    check_head(head)
    sample = text_of(head)
    dialect = find_dialect(sample)
    rows = rows_of(sample, dialect)
    if not rows and len(head) < SAMPLE and not has_records(sample, dialect):
        raise FileFailed("The file has a header and no rows.", "file_header_only")
    if blocks.packing == "none":
        rows += rows_of_windows(file, size, Decoder(head).name, dialect)
    kinds = find_kinds(dialect.columns, rows, dialect.separator)
    reader = _Reader(blocks, head, dialect, rejected, tell)
    return reader.read(kinds, out)


class _Reader:
    """Reads the file with these kinds, and again with wider ones until they fit."""

    def __init__(
        self, blocks: Blocks, head: bytes, dialect: Dialect, rejected: RejectedFile, tell: Tell
    ) -> None:
        self._blocks = blocks
        self._head = head
        self._dialect = dialect
        self._rejected = rejected
        self._tell = tell

    def read(self, kinds: list[Kind], out: BinaryIO) -> Outcome:
        restarts = 0
        while True:
            run = Batches(self._dialect, kinds, self._rejected, is_patient=restarts < MOST_RESTARTS)
            try:
                return self._once(run, out)
            except Widen as wider:
                for number, kind in wider.kinds.items():
                    kinds[number] = kind
                restarts += 1

    def _once(self, run: Batches, out: BinaryIO) -> Outcome:
        # Past the buffer, which does not know what Polars has written.
        os.lseek(out.fileno(), 0, os.SEEK_SET)
        os.ftruncate(out.fileno(), 0)
        self._rejected.clear()
        decoder = Decoder(self._head)
        schema = {
            name: type_of(kind) for name, kind in zip(self._dialect.columns, run.kinds, strict=True)
        }
        names = {key(number): name for number, name in enumerate(schema)}
        stopped: list[Exception] = []

        def batches(*_: object) -> Iterator[pl.DataFrame]:
            try:
                for batch in self._batches(run, decoder):
                    # A frame of its own: the profile still looks at the other by its own names.
                    yield batch.rename(names)
            except Exception as error:  # noqa: BLE001 - raised below
                # Not through Polars: it would go on writing behind our back, and the error
                # that comes out of it has lost its class.
                stopped.append(error)

        table = register_io_source(batches, schema=schema)
        table.sink_parquet(out, compression="snappy", row_group_size=self._group_rows())
        if stopped:
            raise stopped[0]
        found = Table(decoder.name, self._blocks.packing, self._dialect, tuple(run.kinds))
        return Outcome(found, run.profile.height, self._rejected.count, run.profile.columns())

    def _batches(self, run: Batches, decoder: Decoder) -> Iterator[pl.DataFrame]:
        text = _without_lines(decoder.utf8(self._blocks), self._dialect.skipped)
        # Closed here, and not whenever it is forgotten: the file is then nobody's but the next pass's.
        with closing(_ahead(run.cut(text))) as cuts:
            for cut in cuts:
                yield from run.records_of(cut)
                self._tell(self._blocks.read, run.profile.height, self._rejected.count)
        run.check_strays(is_last=True)
        self._check_some(run)

    def _check_some(self, run: Batches) -> None:
        if run.profile.height:
            return
        if self._rejected.count:
            raise FileFailed(
                f"None of the {self._rejected.count} rows could be read as one of "
                f"{self._dialect.width} columns. The first: {run.first_rejected}.",
                "file_all_rejected",
            )
        raise FileFailed("The file has a header and no rows.", "file_header_only")

    def _group_rows(self) -> int:
        length = max(1, len(self._head) // max(1, self._head.count(LINE_END)))
        return max(LEAST_GROUP, min(GROUP_ROWS, GROUP_BYTES // length))


def _ahead(cuts: Iterator[Cut]) -> Generator[Cut]:
    """The same, in turn; the next is read and looked at while one is worked on."""
    with ThreadPoolExecutor(1, thread_name_prefix="reading") as beside:
        coming = beside.submit(next, cuts, None)
        while (cut := coming.result()) is not None:
            coming = beside.submit(next, cuts, None)
            yield cut


def _without_lines(blocks: Iterator[bytes], skipped: int) -> Iterator[bytes]:
    """
    The text below its first lines.

    Raises:
        FileFailed: one of these lines has no end in sight.
    """
    line, length = 1, 0
    for block in blocks:
        rest = block
        while line <= skipped and rest:
            part, end, rest = rest.partition(LINE_END)
            length += len(part)
            if length > MOST_LINE:
                raise line_too_long(line)
            if end:
                line, length = line + 1, 0
        if rest:
            yield rest
