"""
Room on the disk of the data folder.

Whatever fills it at a stranger's word, an upload or the dataset made of one, leaves some free: the
store's own file grows there too, and a server that cannot write takes no more tasks.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .errors import EncolaError

#: Bytes of the disk that are left free (64 MiB).
LEFT_FREE: Final = 2**26
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


class DiskFull(EncolaError):
    """The disk of the data folder is full."""

    code = "disk_full"
    error_code = code
    """Of a task that meets it."""


def check_room(place: Path | int, size: int = 0) -> None:
    """
    Args:
        place: a folder, which is made where it is not there, or the descriptor of an open file.
        size: bytes that are to be written.

    Raises:
        DiskFull: they have no room.
    """
    if isinstance(place, Path):
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
    disk = os.statvfs(place)
    if disk.f_bavail * disk.f_frsize < size + LEFT_FREE:
        raise DiskFull


@contextlib.contextmanager
def telling_of_a_full_disk() -> Iterator[None]:
    """
    Raises:
        DiskFull: in place of what the system or a library calls it.
    """
    try:
        yield
    except Exception as error:
        if _is_full(error):
            raise DiskFull from None
        raise


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in _FULL
    # Polars has an error of its own for it, with the system's words in its text.
    return any(os.strerror(number) in str(error) for number in _FULL)
