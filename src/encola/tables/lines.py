"""
Which lines of a text are records.

Two ways to the same answer. The quick one looks at a whole block at once: what is left of it when
everything but separators, quotes and line ends is taken away must be the same few signs over and over.
Where it is not, the careful one goes through the block line by line, keeps the records, and says of each
other line why it is none:

- blank: left out;
- not UTF-8, or not as many fields as there are columns: rejected;
- a quote that is opened and not closed where a field ends: that one line is rejected, and the next
  begins anew, so that a stray quote never swallows the rows behind it.

Source of what a quote means: RFC 4180, 2 (5 to 7); a quote in the middle of a field is itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from .dialect import Dialect
from .failures import FileFailed

#: A line of more bytes (16 MiB) is none.
MOST_LINE: Final = 2**24
#: A field with line ends in it is looked for within so many bytes (1 MiB).
MOST_RECORD: Final = 2**20

#: Bytes that are gone through line by line at once: each line is an object of its own.
CAREFUL: Final = 2**20

QUOTE: Final = b'"'
LINE_END: Final = b"\n"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a line was rejected: a key of :mod:`.wording`, and its values."""

    key: str
    values: dict[str, str | int] = field(default_factory=dict[str, "str | int"])


@dataclass(frozen=True, slots=True)
class Line:
    """A record, or a line that is none."""

    number: int
    """Of its first line, counted from 1."""
    raw: bytes


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line and why it was left out."""

    line: Line
    reason: Reason


@dataclass(frozen=True, slots=True)
class Block:
    """Records that were looked at all at once."""

    text: bytes
    """Every record has as many fields as there are columns."""
    height: int
    """Records in it."""
    ends: int
    """Line ends in it."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Whole lines of the text, as they come."""

    text: bytes
    block: Block | None
    """The same as records, where they were in order at the first look."""
    is_last: bool


@dataclass(slots=True)
class Piece:
    """Records that were looked at one by one."""

    text: bytes
    """As that of a block, in quotes that every reader understands alike."""
    lines: list[Line]
    """One for each record."""
    rejected: list[Rejected]


class Lines:
    """Cuts a text into records, block by block."""

    def __init__(self, dialect: Dialect) -> None:
        separator = dialect.separator.encode()
        self._separator = separator
        self._width = dialect.width
        self._bones = separator * (dialect.width - 1) + LINE_END
        kept = set(separator + QUOTE + LINE_END)
        self._flesh = bytes(n for n in range(256) if n not in kept)
        self._has_backslash = dialect.has_backslash
        s = re.escape(separator)
        # The quick look at quotes: each two have the end of a field, or another quote, on both sides.
        pair = rb'"(?<![^"\n' + s + rb']")[^"]*+"(?![^"\r\n' + s + rb"])"
        self._in_pairs = re.compile(rb'[^"]*+(?:' + pair + rb'[^"]*+)*+')
        quoted = rb'"(?:[^"]++|"")*+"'
        plain = rb'(?:[^"\n' + s + rb"][^\n" + s + rb"]*+)?"
        one = rb"(?:" + quoted + rb"|" + plain + rb")"
        more = rb"(?:" + s + one + rb"){%d}" % (dialect.width - 1)
        self._record = re.compile(one + more + rb"\r?\n?")
        self._records = re.compile(rb"(?:" + one + more + rb"\r?\n)*+")
        self._field = re.compile(rb"(" + quoted + rb"|" + plain + rb")(?:" + s + rb"|\r?\n?$)")
        self.number = dialect.skipped + 1
        """Of the next line."""
        self.rest = b""
        """What has been taken and is not cut yet: the beginning of a line or of a record."""
        self.carried = b""
        """Lines that the careful way has seen, and whose record may go on."""
        self._before = dialect.skipped

    def cut(self, blocks: Iterable[bytes]) -> Iterator[Cut]:
        """
        The text in whole lines; may run ahead of :meth:`accept` and :meth:`careful`, in another thread:
        ``rest`` and ``_before`` are its own, ``number`` and ``carried`` are theirs.

        Raises:
            FileFailed: a line is longer than :data:`MOST_LINE`.
        """
        for block in blocks:
            text = self.take(block)
            if text:
                yield self._looked_at(text, is_last=False)
        yield self._looked_at(self.take(b"", is_last=True), is_last=True)

    def _looked_at(self, text: bytes, *, is_last: bool) -> Cut:
        block = self.quick(text)
        self._before += block.ends if block else text.count(LINE_END)
        return Cut(block.text if block else text, block, is_last)

    def take(self, block: bytes, *, is_last: bool = False) -> bytes:
        """
        The whole lines that there are with *block*; what begins a next one is kept.

        Raises:
            FileFailed: a line is longer than :data:`MOST_LINE`.
        """
        if self._has_backslash:
            block = block.replace(b'\\"', b'""')
        if is_last:
            text, self.rest = self.rest + block, b""
            return text if text.endswith(LINE_END) or not text else text + LINE_END
        end = block.rfind(LINE_END) + 1
        if not end and len(self.rest) + len(block) > MOST_LINE:
            raise line_too_long(self._before + self.rest.count(LINE_END) + 1)
        text = b"".join((self.rest, memoryview(block)[:end])) if end else b""
        self.rest = block[end:] if end else self.rest + block
        return text

    def quick(self, text: bytes) -> Block | None:
        """All lines of *text* as records; None: that needs a closer look."""
        found = self._all_alike(text)
        if found is None and text.count(QUOTE) % 2:
            # Most likely it was cut inside of a field; then the last quote is the one that opens it.
            end = text.rfind(LINE_END, 0, text.rfind(QUOTE)) + 1
            found = self._all_alike(text[:end]) if end else None
            if found is not None:
                self.rest = text[end:] + self.rest
        return found

    def accept(self, block: Block) -> None:
        """Goes on behind the records of *block*."""
        self.number += block.ends

    def _all_alike(self, text: bytes) -> Block | None:
        bones = text.translate(None, self._flesh)
        ends = bones.count(LINE_END)
        is_quoted = QUOTE in bones
        if is_quoted:
            # What stands between two quotes is left out; a quote within, written twice, ends and begins.
            parts = bones.split(QUOTE)
            if len(parts) % 2 == 0:
                return None
            bones = b"".join(parts[::2])
        height, odd = divmod(len(bones), len(self._bones))
        if odd or bones != self._bones * height:
            return None
        # A quote where none belongs is dropped by some readers without a word.
        if is_quoted and not (self._in_pairs.fullmatch(text) or self._records.fullmatch(text)):
            return None
        if self._width == 1 and (text.startswith((b"\n", b"\r\n")) or _BLANK.search(text)):
            return None
        return Block(text, height, ends)

    def careful(self, text: bytes, *, is_last: bool = False) -> Iterator[Piece]:
        """The records of *text*, one by one; one that may go on behind it is carried to the next."""
        text, left, at = self.carried + text, b"", 0
        while at < len(text):
            end = text.find(LINE_END, at + CAREFUL) + 1 or len(text)
            part = left + text[at:end]
            at = end
            piece, left = self._one_by_one(_split(part), is_last=is_last and at == len(text))
            yield piece
        self.carried = left

    def _one_by_one(self, lines: list[bytes], *, is_last: bool) -> tuple[Piece, bytes]:
        """(the records, what may go on)"""
        kept: list[Line] = []
        rejected: list[Rejected] = []
        at, left = 0, b""
        while at < len(lines):
            taken, reason = self._look(lines, at, is_last=is_last)
            if taken is None:
                left = b"".join(lines[at:])
                break
            line = Line(self.number, lines[at] if taken == 1 else b"".join(lines[at : at + taken]))
            self.number += taken
            at += taken
            if reason is None:
                kept.append(line)
            elif reason is not BLANK:
                rejected.append(Rejected(line, reason))
        return Piece(self._written_out(kept), kept, rejected), left

    def _look(
        self, lines: list[bytes], at: int, *, is_last: bool
    ) -> tuple[int | None, Reason | None]:
        """(lines of the record that begins here, why it is none); None lines: it may go on."""
        line = lines[at]
        if not line.strip():
            return 1, BLANK
        if not _is_utf8(line):
            return 1, Reason("encoding")
        if QUOTE not in line:
            found = line.count(self._separator) + 1
            return 1, None if found == self._width else self._ragged(found)
        if self._record.fullmatch(line):
            return 1, None
        if self._is_open(line):
            return self._look_further(lines, at, is_last=is_last)
        return 1, self._misfit(line)

    def _look_further(
        self, lines: list[bytes], at: int, *, is_last: bool
    ) -> tuple[int | None, Reason | None]:
        """The quote that is open at the end of a line: closed in one of the next, or a stray one."""
        size = len(lines[at])
        for further in range(at + 1, len(lines)):
            size += len(lines[further])
            if size > MOST_RECORD:
                return 1, Reason("open_quote")
            if lines[further].count(QUOTE) % 2:
                record = b"".join(lines[at : further + 1])
                if self._record.fullmatch(record) and _is_utf8(record):
                    return further - at + 1, None
                return 1, Reason("open_quote")
        return (1, Reason("open_quote")) if is_last else (None, None)

    def _is_open(self, record: bytes) -> bool:
        """Whether a field that begins with a quote has no end in *record*."""
        at = 0
        while at < len(record):
            found = self._field.match(record, at)
            if found is None:
                inside = record[at:].replace(b'""', b"")
                return inside.startswith(QUOTE) and inside.count(QUOTE) == 1
            if found.end() == at:
                return False
            at = found.end()
        return False

    def _misfit(self, line: bytes) -> Reason:
        """Why a line with quotes in it is no record."""
        at = fields = 0
        while at < len(line):
            found = self._field.match(line, at)
            if found is None:
                return Reason("bad_quote")
            fields += 1
            if found.end() == at:
                break
            at = found.end()
        # A separator at the very end has an empty field behind it.
        if line.rstrip(b"\r\n").endswith(self._separator):
            fields += 1
        return self._ragged(fields)

    def _ragged(self, found: int) -> Reason:
        return Reason("ragged", {"expected": self._width, "found": found})

    def _written_out(self, kept: list[Line]) -> bytes:
        """The records as a text in which a quote means the same to every reader."""
        parts = [self._plainly(line.raw) if QUOTE in line.raw else line.raw for line in kept]
        if parts and not parts[-1].endswith(LINE_END):
            parts.append(LINE_END)
        return b"".join(parts)

    def _plainly(self, record: bytes) -> bytes:
        """A field with a quote in its middle is put into quotes."""
        fields: list[bytes] = []
        at = 0
        while len(fields) < self._width:
            found = self._field.match(record, at)
            if found is None:  # never: it was matched as a whole before
                return record
            one = found[1].rstrip(b"\r") if len(fields) == self._width - 1 else found[1]
            if QUOTE in one and not one.startswith(QUOTE):
                one = b'"' + one.replace(b'"', b'""') + b'"'
            fields.append(one)
            at = found.end()
        return self._separator.join(fields) + LINE_END


BLANK: Final = Reason("blank")
#: A blank line, where the table has but one column.
_BLANK: Final = re.compile(rb"\n\r?\n")


def _split(text: bytes) -> list[bytes]:
    """The lines of *text* with their ends: LF, and not what else Python takes for one."""
    lines = [line + LINE_END for line in text.split(LINE_END)]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _is_utf8(line: bytes) -> bool:
    if line.isascii():
        return True
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def line_too_long(number: int) -> FileFailed:
    """What is wrong with a file whose line *number*, counted from 1, has no end in sight."""
    return FileFailed(
        f"Line {number} is longer than {MOST_LINE // 2**20} MiB, which no row of a table is. Expected "
        "rows that end with a line feed.",
        "file_line_too_long",
    )
