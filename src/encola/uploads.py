"""
Uploads: files that somebody sent, kept in ``uploads/`` of the data folder until they are too old.

``{32 digits}-{name}``: the digits are a UUIDv7, so no upload takes another's place; the name is the
sender's, in plain letters.
"""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import uuid_utils

from .disk import check_room, telling_of_a_full_disk
from .errors import TooLarge
from .files import DataFile, data_uri, list_data, writing_data
from .tables.names import UPLOADS, plain_name

#: Characters of the sender's name that are kept.
NAME_LENGTH: Final = 150


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was sent."""

    file_path: str
    """``data://uploads/…``: what a file task takes."""
    name: str
    """As its sender called it."""
    size: int
    """Bytes."""
    sha256: str
    created_at: float
    """Seconds since 1970."""


class Receiving:
    """A file that is being written; gets its name when the block of :func:`receiving` ends."""

    def __init__(self, file: BinaryIO, uri: str, name: str, most: int) -> None:
        self._file = file
        self._uri = uri
        self._name = name
        self._most = most
        self._size = 0
        self._digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """
        Raises:
            TooLarge, DiskFull
        """
        self._size += len(data)
        if self._size > self._most:
            raise TooLarge("file", self._size, self._most)
        self._digest.update(data)
        check_room(self._file.fileno(), len(data))
        with telling_of_a_full_disk():
            self._file.write(data)

    def done(self) -> Upload:
        """What was written."""
        digest = self._digest.hexdigest()
        return Upload(self._uri, self._name, self._size, digest, time.time())


@contextlib.contextmanager
def receiving(data_dir: Path, name: str, most: int) -> Iterator[Receiving]:
    """
    A new upload to write to; of a block that raises nothing is left.

    Args:
        name: the sender's, with whatever folders their program put before it.
        most: bytes that it may have.

    Raises:
        DiskFull
    """
    own = re.split(r"[/\\]", name)[-1].strip()[:255] or "file"
    number = uuid_utils.uuid7().hex
    uri = data_uri(UPLOADS, f"{number}-{plain_name(own, NAME_LENGTH)}")
    with telling_of_a_full_disk(), writing_data(data_dir, uri) as file:
        yield Receiving(file, uri, own, most)


def list_uploads(
    data_dir: Path, limit: int, cursor: str | None = None
) -> tuple[list[DataFile], str | None]:
    """
    One page, newest first, and the cursor of the next; None after the last.

    Raises:
        ValueError: a cursor that is not ours.
    """
    before = _decode(cursor) if cursor else None
    fitting = (
        one for one in list_data(data_dir, UPLOADS) if before is None or _order(one) < before
    )
    page = heapq.nlargest(limit + 1, fitting, key=_order)
    more = len(page) > limit
    last = page[limit - 1] if more else None
    return page[:limit], f"{last.modified_ns}-{last.name}" if last else None


def _order(file: DataFile) -> tuple[int, str]:
    """Newer is greater; the name decides between two of one moment."""
    return file.modified_ns, file.name


def _decode(cursor: str) -> tuple[int, str]:
    found = re.fullmatch(r"(\d{1,20})-(.{1,255})", cursor)
    if found is None:
        raise ValueError("expected the next_cursor of a page")
    return int(found[1]), found[2]
