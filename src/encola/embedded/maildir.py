"""
Reading the mailbox: a page of it, one mail, or a mail as it was received; and removing.

Reads what :mod:`.mailbox` writes, while it writes, and marks nothing as read. Names
come from the network, so a name is a file of this folder or it is nothing.
"""

from __future__ import annotations

import io
import itertools
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from .mail_content import MOST_BYTES, Mail, MailSummary, read_content, summarize

HEAD_BYTES = 64 * 1024
"""Read of each mail in a list: enough for its headers."""
SUBFOLDERS = ("new", "cur")
"""``cur`` too: a mail program that was pointed at the folder moves there what it has shown."""

_ID = re.compile(r"(\d{10})\.M(\d{6})P\d{1,10}R[0-9a-f]{8}")


def list_mail(
    folder: Path, limit: int, cursor: str | None = None
) -> tuple[list[MailSummary], str | None]:
    """
    One page, newest first, and the cursor of the next; None after the last.

    The cursor is the id of the last mail seen, so new mail shifts nothing. File names
    carry the time: all of them are read, but only the mails of the page are opened.

    Raises:
        ValueError: *cursor* was not made by us, or *limit* is below 1.
    """
    if limit < 1:
        raise ValueError("expected a limit of at least 1")
    if cursor is not None and not _ID.fullmatch(cursor):
        raise ValueError("unknown cursor; take it from next_cursor of the page before")
    found = (name for name in _newest_first(folder) if cursor is None or name < cursor)
    names = list(itertools.islice(found, limit + 1))
    page = [_summary_of(folder, name) for name in names[:limit]]
    items = [item for item in page if item is not None]  # removed since we looked
    return items, names[limit - 1] if len(names) > limit else None


def read_mail(folder: Path, mail_id: str) -> Mail | None:
    """The mail with its text and HTML; None where there is no such mail."""
    file = open_mail(folder, mail_id)
    if file is None:
        return None
    with file:
        return read_content(mail_id, file.read(MOST_BYTES), _size(file))


def open_mail(folder: Path, mail_id: str) -> BinaryIO | None:
    """The mail as it lies on the disk, open for reading; None where there is no such mail."""
    if not _ID.fullmatch(mail_id):
        return None
    # Twice: a mail program may move it from new to cur while we look.
    for _ in range(2):
        for path in _places(folder, mail_id):
            file = _open(path)
            if file is not None:
                return file
    return None


def remove_mail(folder: Path, mail_id: str) -> bool:
    """Whether there was such a mail; there is none any more."""
    if not _ID.fullmatch(mail_id):
        return False
    was_there = False
    for path in list(_places(folder, mail_id)):
        with suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()
            was_there = True
    return was_there


def remove_all(folder: Path) -> int:
    """How many mails were removed. One that comes in meanwhile stays."""
    return sum(remove_mail(folder, mail_id) for mail_id in list(_newest_first(folder)))


def _newest_first(folder: Path) -> Iterator[str]:
    # Sorted before they are looked at: of many thousand names a page needs a few.
    names = itertools.chain.from_iterable(_names(folder / each) for each in SUBFOLDERS)
    for name in sorted(names, reverse=True):
        mail_id = name.partition(":")[0]  # "name:2,S" is a mail that was seen
        if _ID.fullmatch(mail_id):
            yield mail_id


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _summary_of(folder: Path, mail_id: str) -> MailSummary | None:
    file = open_mail(folder, mail_id)
    if file is None:
        return None
    with file:
        return summarize(mail_id, file.read(HEAD_BYTES), _size(file))


def _places(folder: Path, mail_id: str) -> Iterator[Path]:
    yield folder / "new" / mail_id
    for name in _names(folder / "cur"):
        if name.partition(":")[0] == mail_id:
            yield folder / "cur" / name


def _open(path: Path) -> BinaryIO | None:
    try:
        # Neither a link to elsewhere nor a pipe that would never end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    file = io.open(descriptor, "rb")  # noqa: SIM115, UP020  # the caller's to close
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return file
    file.close()
    return None


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size
