"""
A file's bytes in blocks, unpacked where it is packed with gzip or zstd.

Bounded: a block is never larger than :data:`BLOCK`, whatever the packed bytes say, and what unpacks to
more than a limit, or a thousandfold as nothing honest does, is given up.
"""

from __future__ import annotations

import importlib
import io
import sys
import zlib
from collections.abc import Iterator
from typing import Any, Final

from .failures import FileFailed

#: Bytes of one block.
BLOCK: Final = 8 * 2**20
#: Packed bytes that are read at once: what is not unpacked yet is copied at each step.
_PACKED: Final = 2**18
#: Beyond so many bytes (1 GiB) a file that unpacks by more than :data:`MOST_RATIO` is given up.
TRUSTED: Final = 2**30
MOST_RATIO: Final = 300
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
#: What a zstd frame may ask for as its window: 128 MiB.
_WINDOW_LOG: Final = 27

#: First bytes -> what the file is, and what to do.
STRANGERS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook (.xlsx); save the table as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls); save the table as CSV"),
    (b"%PDF", "a PDF"),
    (b"PAR1", "a Parquet file already"),
    (b"BZh", "packed with bzip2; unpack it, or pack it with gzip or zstd"),
    (b"\xfd7zXZ\x00", "packed with xz; unpack it, or pack it with gzip or zstd"),
    (b"7z\xbc\xaf", "a 7-Zip archive; unpack it"),
    (b"Rar!", "a RAR archive; unpack it"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x7fELF", "a program"),
)


class Blocks:
    """
    The unpacked bytes of a file, block by block; may be begun anew.

    Args:
        size: bytes of the file that are read; what is appended meanwhile is not.
        most: bytes that it may unpack to.
    """

    def __init__(self, file: io.FileIO, size: int, most: int) -> None:
        self._file = file
        self._size = size
        self._most = most
        self.read = 0
        """Bytes of the file that have been read so far."""
        self.packing = self._find_packing()

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(0)
        self.read = 0
        if self.packing == "none":
            while block := self._read(BLOCK):
                yield block
            return
        unpacked = 0
        for block in self._gzip() if self.packing == "gzip" else self._zstd():
            unpacked += len(block)
            self._check(unpacked)
            yield block

    def _find_packing(self) -> str:
        self._file.seek(0)
        head = self._file.read(4)
        if head.startswith(_GZIP):
            return "gzip"
        return "zstd" if head == _ZSTD else "none"

    def _read(self, most: int = _PACKED) -> bytes:
        """The next bytes of the file; nothing at its end."""
        wanted = min(most, self._size - self.read)
        if wanted <= 0:
            return b""
        found = self._file.read(wanted)
        if not found:
            raise FileFailed(
                "The file became shorter while it was read. Process it when it is complete.",
                "file_changed",
            )
        self.read += len(found)
        return found

    def _check(self, unpacked: int) -> None:
        if unpacked > self._most:
            reason = f"to more than {self._most} bytes (ENCOLA_MAX_UNPACKED)"
        elif unpacked > TRUSTED and unpacked > MOST_RATIO * self.read:
            reason = f"to more than {MOST_RATIO} times its size"
        else:
            return
        raise FileFailed(
            f"The file unpacks {reason}, and was given up. Unpack it, look at it, and split it.",
            "file_unpacks_too_large",
        )

    def _gzip(self) -> Iterator[bytes]:
        packed = b""
        while packed := packed or self._read():
            if not packed.strip(b"\0"):
                packed = b""  # some tools fill up with zeros
                continue
            unpacker: Any = zlib.decompressobj(wbits=31)
            while not unpacker.eof:
                packed = packed or self._read()
                try:
                    block = unpacker.decompress(packed, BLOCK)
                except zlib.error as error:
                    raise _damaged(str(error)) from None
                # Without any more input there may still be output that it held back.
                if not packed and not block and not unpacker.eof:
                    raise _damaged("it ends in the middle")
                packed = unpacker.unconsumed_tail
                if block:
                    yield block
            packed = unpacker.unused_data

    def _zstd(self) -> Iterator[bytes]:
        zstd = _zstd_module()
        options = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}
        packed = b""
        while packed := packed or self._read():
            unpacker = zstd.ZstdDecompressor(options=options)
            while not unpacker.eof:
                if unpacker.needs_input and not packed:
                    packed = self._read()
                    if not packed:
                        raise _damaged("it ends in the middle")
                try:
                    block = unpacker.decompress(packed, BLOCK)
                except zstd.ZstdError as error:
                    raise _damaged(str(error)) from None
                packed = b""
                if block:
                    yield block
            packed = unpacker.unused_data


def check_head(head: bytes) -> None:
    """
    Raises:
        FileFailed: these first unpacked bytes are those of no text.
    """
    for start, what in STRANGERS:
        if head.startswith(start):
            raise FileFailed(f"The file is no text table: it is {what}.", "file_binary")
    if head.startswith((_GZIP, _ZSTD)):
        raise FileFailed("The file is packed twice. Unpack it once.", "file_binary")


def _zstd_module() -> Any:
    """Python's own from 3.14 on; before that, the same under another name."""
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    return importlib.import_module(name)


def _damaged(reason: str) -> FileFailed:
    return FileFailed(
        f"The packed file is damaged: {reason}. Send it again, or unpack it and look.",
        "file_damaged",
    )
