"""
What a received mail says: its headers for a list, its text and its HTML.

A mail is a stranger's text, of any size and any form. What cannot be decoded is shown as
well as it can be, and nothing raises; what would cost too much is left out, and said.
"""

from __future__ import annotations

import datetime as dt
import re
from email import policy
from email.feedparser import BytesFeedParser
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Any, Final, TypeAlias, TypedDict

from encola.record import iso

MOST_BYTES: Final = 2 * 1024 * 1024
"""Of a mail that are looked at for its text: several times what a task of ours sends."""
MOST_TEXT: Final = 1024 * 1024
"""Characters of a mail's text, and of its HTML, that are shown."""
MOST_PARTS: Final = 100
"""Parts of a mail that are looked at: each takes more memory than the bytes it is made of."""
MOST_HEADERS: Final = 1000
"""Of a part; and recipients of a mail that are shown."""
HEADER_LIMIT: Final = 2000
"""Characters of one header that are shown."""
PIECE: Final = 64 * 1024
"""Bytes that the parser is given at a time, so that it can stop in between."""

MailPart: TypeAlias = "Message[str, str]"

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
    truncated: bool
    """It has more than is shown: the mail, its text or its HTML is too long, or has too many parts."""


def summarize(mail_id: str, head: bytes, size: int) -> MailSummary:
    """
    What a list shows of a mail.

    Args:
        mail_id: begins with the time, as :class:`.MaildirWriter` names mails.
        head: its first bytes, all of its headers if they are of a usual length.
        size: bytes of the whole.
    """
    # The headers alone: parts within parts could make the parser recurse without end.
    message = BytesHeaderParser(policy=policy.compat32).parsebytes(head)
    sender = _header(message, "From")
    return {
        "id": mail_id,
        "from": sender or _plain(_raw(message, "Return-Path")).strip("<>"),
        "to": _recipients(message),
        "subject": _header(message, "Subject"),
        "received_at": _received_at(mail_id),
        "size": size,
    }


def read_content(mail_id: str, raw: bytes, size: int) -> Mail:
    """
    The whole of a mail.

    Args:
        raw: at most its first :data:`MOST_BYTES` bytes.
        size: bytes of the whole.
    """
    parts, are_all = _parts(raw)
    text, html = (_body(parts, kind) for kind in ("text/plain", "text/html"))
    is_cut = any(content is not None and len(content) > MOST_TEXT for content in (text, html))
    return {
        **summarize(mail_id, raw, size),
        "text": text and text[:MOST_TEXT],
        "html": html and html[:MOST_TEXT],
        "truncated": is_cut or not are_all or size > len(raw),
    }


def _parts(raw: bytes) -> tuple[list[MailPart], bool]:
    """The parts in the order in which they stand, and whether they are all."""
    parts: list[MailPart] = []

    def new_part(policy: Any = policy.compat32) -> MailPart:
        if len(parts) == MOST_PARTS:
            raise _TooMuch
        parts.append(_Part(policy))
        return parts[-1]

    parser = BytesFeedParser(new_part, policy=policy.compat32)
    parts.clear()  # it has tried how to call the function
    try:
        for start in range(0, len(raw), PIECE):
            parser.feed(raw[start : start + PIECE])
        parser.close()
    except _TooMuch:
        return parts, False
    return parts, True


class _TooMuch(Exception):
    pass


class _Part(Message):
    def set_raw(self, name: str, value: str) -> None:
        if len(self) == MOST_HEADERS:
            raise _TooMuch
        super().set_raw(name, value)


def _body(parts: list[MailPart], content_type: str) -> str | None:
    for part in parts:
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


def _received_at(mail_id: str) -> str:
    seconds, micros = mail_id[:10], mail_id[12:18]
    moment = dt.datetime.fromtimestamp(int(seconds), dt.UTC)
    return iso(moment.replace(microsecond=int(micros)))


def _recipients(message: MailPart) -> list[str]:
    """What the server wrote: its own lines end with ``Received``; the sender's come after."""
    found: list[str] = []
    for name, value in message.raw_items():
        if name == "Received" or len(found) == MOST_HEADERS:
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
    raw = str(value)[:HEADER_LIMIT].encode("utf-8", "surrogateescape")
    return _FOLD.sub("", raw.decode("utf-8", "replace")).strip(" \t")


def _clean(text: str) -> str:
    # Half a surrogate pair could not be written as JSON.
    return text.encode("utf-8", "replace").decode()
