"""
Text in whatever encoding, as blocks of UTF-8.

A byte order mark decides; else the zeros that UTF-16 has in every Western text; else it is UTF-8, until
the first bytes that are not ASCII say otherwise: where more of them are no UTF-8 than are, it is
Windows-1252 (which has all of Latin-1's letters), else UTF-8 with single lines damaged, which are rejected.
Everything before those bytes was ASCII, the same in both, so nothing has to be read twice.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from typing import Final

from .failures import FileFailed

#: First bytes -> Python's codec. UTF-32 before UTF-16: its mark begins with the other's.
_MARKS: Final[tuple[tuple[bytes, str], ...]] = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: Bytes of the beginning that are looked at.
_LOOKED_AT: Final = 2**16
#: Of the bytes that stand for the upper half of UTF-16's units, this part is zero in Western text.
_ZEROS: Final = 0.7
#: Part of control characters at which a text is none.
_CONTROL: Final = 0.05
_NO_TEXT: Final = bytes(set(range(32)) - {7, 8, 9, 10, 11, 12, 13, 26, 27})
#: As browsers have it: what Windows-1252 leaves open is the control character of that number.
_WINDOWS_1252: Final = "".join(bytes([n]).decode("cp1252", "ignore") or chr(n) for n in range(256))


class Decoder:
    """Turns blocks into blocks of UTF-8; says which encoding it found."""

    def __init__(self, head: bytes) -> None:
        """
        Args:
            head: the first bytes, unpacked; the blocks begin with them again.

        Raises:
            FileFailed: they are no text.
        """
        self.name, self._mark = _find(head)
        # Only a CR ends a line: as in files from before Mac OS X.
        looked_at = head[: 16 * _LOOKED_AT]
        unit = 2 if self.name.startswith("utf-16") else 1
        ends = looked_at.count(b"\r" if unit == 1 else self._unit("\r"))
        self.only_cr = bool(ends) and not looked_at.count(b"\n" if unit == 1 else self._unit("\n"))

    def _unit(self, sign: str) -> bytes:
        return sign.encode(self.name)

    def utf8(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """The same text in UTF-8, without its mark, each line ended by LF or CR LF."""
        for block in self._decoded(_without(blocks, self._mark)):
            yield block.replace(b"\r", b"\n") if self.only_cr else block

    def _decoded(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        if self.name.startswith("utf-16"):
            decoder = codecs.getincrementaldecoder(self.name)("replace")
            for block in blocks:
                yield decoder.decode(block).encode("utf-8", "replace")
            yield decoder.decode(b"", final=True).encode("utf-8", "replace")
            return
        is_decided = bool(self._mark) or self.name != "utf-8"
        for block in blocks:
            if not is_decided and not block.isascii():
                self.name, is_decided = _utf8_or_windows(block), True
            yield _from_windows(block) if self.name == "windows-1252" else block


def _find(head: bytes) -> tuple[str, bytes]:
    """(codec, mark)"""
    for mark, name in _MARKS:
        if head.startswith(mark):
            if name == "utf-32":
                raise FileFailed(
                    "The file is in UTF-32, which is not read. Save it as UTF-8.", "file_encoding"
                )
            return name, mark
    looked_at = head[:_LOOKED_AT]
    for name, upper in (("utf-16-le", looked_at[1::2]), ("utf-16-be", looked_at[::2])):
        lower = looked_at[::2] if name == "utf-16-le" else looked_at[1::2]
        if upper and upper.count(0) > _ZEROS * len(upper) and lower.count(0) < 0.1 * len(lower):
            return name, b""
    _check_text(looked_at)
    return "utf-8", b""


def _check_text(looked_at: bytes) -> None:
    strange = len(looked_at) - len(looked_at.translate(None, _NO_TEXT))
    if b"\0" in looked_at or strange > _CONTROL * len(looked_at):
        raise FileFailed(
            "The file is no text table: it has bytes that no text has. Expected rows of text (CSV or "
            "TSV), plain or packed with gzip or zstd.",
            "file_binary",
        )


def _without(blocks: Iterable[bytes], mark: bytes) -> Iterator[bytes]:
    for number, block in enumerate(blocks):
        yield block[len(mark) :] if number == 0 else block


def _utf8_or_windows(block: bytes) -> str:
    """Which of the two the first block with more than ASCII in it is."""
    # Its last letter may be cut in two, which is nobody's fault.
    letters, _ = codecs.utf_8_decode(block, "replace", False)
    wrong = letters.count("\ufffd")
    right = len(letters) - len(letters.encode("ascii", "ignore")) - wrong
    return "windows-1252" if wrong > right else "utf-8"


def _from_windows(block: bytes) -> bytes:
    return codecs.charmap_decode(block, "strict", _WINDOWS_1252)[0].encode()
