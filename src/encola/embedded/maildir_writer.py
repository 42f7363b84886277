"""
Writing the mailbox: each mail whole or not at all, and never more of them than are kept.

The oldest go first. They are counted when the folder is taken up, and from then on with
every mail; others may remove mails too, so before any goes the folder is counted anew.
"""

from __future__ import annotations

import logging
import os
import secrets
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Final, NamedTuple

STALE_SECONDS: Final = 36 * 3600
"""Age at which a file in ``tmp`` is a crash's leftover. Source: the Maildir convention."""
FOLDERS: Final = ("tmp", "new", "cur")
SLACK: Final = 20
"""When it is full, a twentieth goes at once: counting all for each mail would take too long."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a mailbox keeps."""

    mails: int = 10_000
    bytes: int = 1024**3
    """Of all of them."""


class _File(NamedTuple):
    name: str
    """Begins with the time."""
    path: Path
    size: int


class MaildirWriter:
    """Writes mails into one Maildir. Usable from several threads."""

    def __init__(self, folder: Path, limits: Limits = Limits()) -> None:  # immutable
        self.folder = folder
        self.limits = limits
        self._lock = threading.Lock()
        self._last_us = 0
        self._count = 0
        self._size = 0

    def prepare(self) -> None:
        """
        Make the folders, readable by their owner alone, sweep out what a crash left, and count.

        Raises:
            OSError: they cannot be made or written to.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in FOLDERS:
            (self.folder / name).mkdir(mode=0o700, exist_ok=True)
        probe = self.folder / "tmp" / self._new_name()
        probe.touch(mode=0o600)
        probe.unlink()
        for left in (self.folder / "tmp").iterdir():
            with suppress(FileNotFoundError):
                if time.time() - left.lstat().st_mtime > STALE_SECONDS:
                    left.unlink()
        files = list(self._files())
        self._count, self._size = len(files), sum(file.size for file in files)

    def keep(self, mail: bytes, *, sender: str, recipients: Sequence[str]) -> str:
        """
        Write *mail* to the disk, with its envelope in front; its id comes back.

        Raises:
            OSError: it could not be written, and nothing is left of it.
        """
        name = self._new_name()
        whole = _envelope(name, sender, recipients) + mail
        self._make_room(len(whole))
        temporary = self.folder / "tmp" / name
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(whole)
                file.flush()
                os.fsync(file.fileno())
            temporary.rename(self.folder / "new" / name)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        _flush_folder(self.folder / "new")
        return name

    def _make_room(self, size: int) -> None:
        """Count one more mail, and let the oldest go where that is one too many."""
        with self._lock:
            self._count, self._size = self._count + 1, self._size + size
            if self._count > self.limits.mails or self._size > self.limits.bytes:
                self._let_the_oldest_go(size)

    def _let_the_oldest_go(self, size: int) -> None:
        files = sorted(self._files())
        # With the one to come, which may be larger than a twentieth, and is kept whatever its size.
        count, total = len(files) + 1, sum(file.size for file in files) + size
        if count > self.limits.mails or total > self.limits.bytes:
            gone = 0
            for file in files:
                if count <= _most(self.limits.mails) and total <= _most(self.limits.bytes):
                    break
                file.path.unlink(missing_ok=True)
                count, total, gone = count - 1, total - file.size, gone + 1
            logger.warning(
                "The mailbox is full (%d mails, %d bytes): removed the %d oldest.",
                self.limits.mails,
                self.limits.bytes,
                gone,
            )
        self._count, self._size = count, total

    def _files(self) -> Iterator[_File]:
        for subfolder in ("new", "cur"):
            with os.scandir(self.folder / subfolder) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):  # moved or removed while we look
                        status = entry.stat(follow_symlinks=False)
                        if stat.S_ISREG(status.st_mode):
                            yield _File(entry.name, Path(entry.path), status.st_size)

    def _new_name(self) -> str:
        """
        A name that sorts by time: ``1795338000.M123456P812Rdeadbeef``.

        Seconds, microseconds, process, chance. Never the same microsecond twice from one
        writer, so that mails stay in the order in which they came.
        """
        with self._lock:
            now_us = self._last_us = max(time.time_ns() // 1000, self._last_us + 1)
        seconds, micros = divmod(now_us, 1_000_000)
        return f"{seconds:010d}.M{micros:06d}P{os.getpid()}R{secrets.token_hex(4)}"


def _most(limit: int) -> int:
    return limit - limit // SLACK


def _envelope(name: str, sender: str, recipients: Sequence[str]) -> bytes:
    r"""
    The lines put before a mail: who it came from, whom it was for, when.

    ``Received`` is the last of them, so a reader can tell our lines from the sender's own
    of the same name. Addresses are what stood on one command line and hold no line break.
    """
    when = format_datetime(datetime.fromtimestamp(int(name.partition(".")[0]), UTC))
    lines = [
        f"Return-Path: <{sender}>",
        *(f"X-RcptTo: {recipient}" for recipient in recipients),
        f"Received: by localhost (encola mailbox) with SMTP id {name}; {when}",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape")


def _flush_folder(folder: Path) -> None:
    # The rename is on the disk only when the folder is.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
