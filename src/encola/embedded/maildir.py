"""
Reading the mailbox: a page of it, one mail, or a mail as it was received.

Reads what :mod:`.mailbox` writes, while it writes, and marks nothing as read. Names
come from the network, so a name is a file of this folder or it is nothing. A mail is a
stranger's text: what cannot be decoded is shown as well as it can be, and never raises.
"""

from __future__ import annotations

import datetime as dt
import heapq
import os
import re
import stat
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import Message
from pathlib import Path
from typing import Any, TypeAlias, TypedDict

from encola.record import iso

HEAD_BYTES = 64 * 1024
"""Read of each mail in a list: enough for its headers."""
SUBFOLDERS = ("new", "cur")
"""``cur`` too: a mail program that was pointed at the folder moves there what it has shown."""

MailPart: TypeAlias = "Message[str, str]"

_ID = re.compile(r"(\d{10})\.M(\d{6})P\d{1,10}R[0-9a-f]{8}")
_FOLD = re.compile(r"\r?\n(?=[ \t])|[\r\n]")


# By call, because "from" is a keyword.
MailSummary = TypedDict(
    "MailSummary",
    {
        "id": str,
        "from": str,
        "to": list[str],
        "subject": str,
        "received_at": str,
        "size": int,
    },
)
"""``to``: the recipients that the server was given, whatever the mail says. ``size``: bytes."""


class Mail(MailSummary):
    """A mail with its content."""

    text: str | None
    """None: it has no such part."""
    html: str | None


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
    found = (name for name in _ids(folder) if cursor is None or name < cursor)
    names = heapq.nlargest(limit + 1, found)
    page = [_summary_of(folder, name) for name in names[:limit]]
    items = [item for item in page if item is not None]  # removed since we looked
    return items, names[limit - 1] if len(names) > limit else None


def read_mail(folder: Path, mail_id: str) -> Mail | None:
    """The mail with its text and HTML; None where there is no such mail."""
    raw = raw_mail(folder, mail_id)
    if raw is None:
        return None
    message = message_from_bytes(raw, policy=policy.compat32)
    return {
        **_summary(mail_id, message, len(raw)),
        "text": _body(message, "text/plain"),
        "html": _body(message, "text/html"),
    }


def raw_mail(folder: Path, mail_id: str) -> bytes | None:
    """The mail as it lies on the disk; None where there is no such mail."""
    found = _read(folder, mail_id, None)
    return found[0] if found else None


def _ids(folder: Path) -> Iterator[str]:
    for subfolder in SUBFOLDERS:
        for name in _names(folder / subfolder):
            mail_id = name.partition(":")[0]  # "name:2,S" is a mail that was seen
            if _ID.fullmatch(mail_id):
                yield mail_id


def _names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _summary_of(folder: Path, mail_id: str) -> MailSummary | None:
    found = _read(folder, mail_id, HEAD_BYTES)
    if found is None:
        return None
    head, size = found
    return _summary(mail_id, message_from_bytes(head, policy=policy.compat32), size)


def _read(folder: Path, mail_id: str, limit: int | None) -> tuple[bytes, int] | None:
    """At most *limit* bytes of the mail, and its size."""
    if not _ID.fullmatch(mail_id):
        return None
    # Twice: a mail program may move it from new to cur while we look.
    for _ in range(2):
        for path in _places(folder, mail_id):
            found = _read_file(path, limit)
            if found is not None:
                return found
    return None


def _places(folder: Path, mail_id: str) -> Iterator[Path]:
    yield folder / "new" / mail_id
    for name in _names(folder / "cur"):
        if name.partition(":")[0] == mail_id:
            yield folder / "cur" / name


def _read_file(path: Path, limit: int | None) -> tuple[bytes, int] | None:
    try:
        # Neither a link to elsewhere nor a pipe that would never end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            return None
        return file.read() if limit is None else file.read(limit), status.st_size


def _summary(mail_id: str, message: MailPart, size: int) -> MailSummary:
    sender = _header(message, "From")
    return {
        "id": mail_id,
        "from": sender or _plain(_raw(message, "Return-Path")).strip("<>"),
        "to": _recipients(message),
        "subject": _header(message, "Subject"),
        "received_at": _received_at(mail_id),
        "size": size,
    }


def _received_at(mail_id: str) -> str:
    seconds, micros = mail_id[:10], mail_id[12:18]  # as _ID has them
    moment = dt.datetime.fromtimestamp(int(seconds), dt.UTC)
    return iso(moment.replace(microsecond=int(micros)))


def _recipients(message: MailPart) -> list[str]:
    """What the server wrote: its own lines end with ``Received``; the sender's come after."""
    found: list[str] = []
    for name, value in message.raw_items():
        if name == "Received":
            break
        if name == "X-RcptTo":
            found.append(_plain(value))
    return found


def _raw(message: MailPart, name: str) -> str:
    return next((str(v) for key, v in message.raw_items() if key.lower() == name.lower()), "")


def _header(message: MailPart, name: str) -> str:
    value: str = _plain(_raw(message, name))
    try:
        return _clean(str(policy.default.header_factory(name, value)))
    except Exception:  # noqa: BLE001  # the library trips over some malformed headers
        return value


def _plain(value: Any) -> str:
    """A header as it came, in one line; bytes that are no UTF-8 become question marks."""
    raw = str(value).encode("utf-8", "surrogateescape")
    return _FOLD.sub("", raw.decode("utf-8", "replace")).strip(" \t")


def _body(message: MailPart, content_type: str) -> str | None:
    for part in message.walk():
        if part.get_content_type() != content_type or part.is_multipart():
            continue
        if (part.get_content_disposition() or "inline") == "inline":
            return _decoded(part)
    return None


def _decoded(part: MailPart) -> str:
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    try:
        text = content.decode(part.get_content_charset() or "utf-8", "replace")
    except (LookupError, ValueError):  # a character set that nobody knows
        text = content.decode("utf-8", "replace")
    return _clean(text.replace("\r\n", "\n"))


def _clean(text: str) -> str:
    # Half a surrogate pair could not be written as JSON.
    return text.encode("utf-8", "replace").decode()
