"""The beginning of a file, from which everything about how it is written is found out."""

from __future__ import annotations

import io
from typing import Final

from .dialect import Dialect, read_rows
from .encoding import Decoder
from .lines import LINE_END
from .unpacking import Blocks

#: Bytes of the beginning that are looked at.
SAMPLE: Final = 2**20
#: Further places of a large plain file that are looked at, and bytes of each.
WINDOWS: Final = 8
WINDOW: Final = 2**16


def beginning_of(blocks: Blocks) -> bytes:
    head = b""
    for block in blocks:
        head += block
        if len(head) >= SAMPLE:
            break
    return head


def text_of(head: bytes) -> str:
    """The beginning as text; cut at the end of a line, unless it is all there is."""
    text = b"".join(Decoder(head).utf8([head]))
    if len(head) >= SAMPLE:
        text = text[: text.rfind(LINE_END, 0, SAMPLE) + 1] or text[:SAMPLE]
    return text.decode("utf-8", "replace")


def rows_of(text: str, dialect: Dialect) -> list[list[str]]:
    """The rows of a sample that have all columns, without the header."""
    below = text.split("\n", dialect.skipped)[dialect.skipped :]
    if not below:
        return []
    below_text = below[0].replace('\\"', '""') if dialect.has_backslash else below[0]
    return [row for row in read_rows(below_text, dialect.separator) if len(row) == dialect.width]


def has_records(text: str, dialect: Dialect) -> bool:
    below = text.split("\n", dialect.skipped)[dialect.skipped :]
    return bool(below and below[0].strip())


def rows_of_windows(file: io.FileIO, size: int, encoding: str, dialect: Dialect) -> list[list[str]]:
    """Rows from further places of a large plain file: its beginning may not stand for all of it."""
    if size < 2 * SAMPLE or encoding != "utf-8":
        return []
    rows: list[list[str]] = []
    for number in range(1, WINDOWS + 1):
        file.seek(SAMPLE + (size - SAMPLE - WINDOW) * number // WINDOWS)
        lines = file.read(WINDOW).split(LINE_END)[1:-1]
        text = LINE_END.join(lines).decode("utf-8", "replace")
        found = read_rows(text, dialect.separator)
        rows += [row for row in found if len(row) == dialect.width]
    return rows
