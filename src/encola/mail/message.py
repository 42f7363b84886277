"""
The mail as it is written: headers, the text, and the same as HTML.

A subject and a body of any script arrive as they were given, through servers of
any age; a repeated attempt at the same task is the same mail, by its Message-ID.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import html as html_text
import re
import secrets
from collections.abc import Iterator
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import NamedTuple

from .address import split_address, split_sender
from .text import CONTROL, whole

# Without 8-bit parts a mail arrives unchanged through servers of any age.
POLICY = policy.SMTP.clone(cte_type="7bit")


class Letter(NamedTuple):
    """A mail as a server is given it: whom it is from and for, and its bytes."""

    sender: str
    to: str
    content: bytes
    is_unicode: bool
    """An address has characters beyond ASCII before its @; only some servers take it."""


def check_subject(text: str) -> str:
    """
    *text*, when it can stand in one header line.

    Raises:
        ValueError: it has a line break (U+2028 is one too), a control character, or
            half of a surrogate pair.
    """
    if CONTROL.search(text):
        raise ValueError("expected a subject of one line without control characters")
    return whole(text, "subject")


def build_message(
    *,
    sender: str,
    to: str,
    subject: str,
    body: str,
    html: str | None = None,
    message_id_seed: str,
) -> EmailMessage:
    """
    The mail as it will be sent: text, and the same as HTML for those who read that.

    Args:
        sender: an address, alone or as ``Name <address>``.
        html: None: made from *body*, every character of it escaped.
        message_id_seed: the task's id, so that a repeated attempt is the same mail.

    Raises:
        ValueError: an address, the subject or a text cannot be sent.
    """
    name, address = split_sender(sender)
    local, domain = split_address(address)
    message = EmailMessage(policy=POLICY)
    message["Message-ID"] = f"<{_id_part(message_id_seed)}@{domain}>"
    message["Date"] = format_datetime(dt.datetime.now(dt.UTC))
    message["From"] = Address(name, local, domain)
    message["To"] = Address("", *split_address(to))
    message["Subject"] = _Subject(check_subject(subject))
    message.set_content(whole(body, "body"), cte=_encoding(body))
    # One of our own, which nobody can guess: the library would look for it in the whole mail.
    message.make_alternative(f"=_{secrets.token_hex(16)}")
    page = _page(body) if html is None else whole(html, "HTML")
    message.add_alternative(page, subtype="html", cte=_encoding(page))
    return message


def as_letter(message: EmailMessage) -> Letter:
    """*message*, of :func:`build_message`, in bytes."""
    sender, to = (str(message[name].addresses[0].addr_spec) for name in ("From", "To"))
    is_unicode = not (sender + to).isascii()
    content = message.as_bytes(policy=POLICY.clone(utf8=is_unicode))
    return Letter(sender, to, content, is_unicode)


class _Subject(str):
    """
    A subject that arrives as it was given.

    The standard library's own folding loses spaces beside long words of other scripts,
    and takes a text that looks like an encoded word for one. The policy lets a header
    with ``name`` and ``fold`` write itself.
    """

    __slots__ = ()
    name = "Subject"

    def fold(self, *, policy: policy.EmailPolicy) -> str:
        """Its lines, as RFC 5322 and RFC 2047 have them."""
        plain = self.isascii() and len(self) <= 65 and self == self.strip() and "=?" not in self
        words = [str(self)] if plain else [_encoded_word(part) for part in _parts(self)]
        return f"Subject: {f'{policy.linesep} '.join(words)}{policy.linesep}"


def _parts(text: str) -> Iterator[str]:
    """*text* in pieces of at most 42 bytes, none ending within a character (RFC 2047, 5)."""
    part, size = "", 0
    for sign in text:
        size += len(sign.encode())
        if size > 42:
            yield part
            part, size = "", len(sign.encode())
        part += sign
    yield part


def _encoded_word(part: str) -> str:
    return f"=?utf-8?b?{base64.b64encode(part.encode()).decode()}?="


def _id_part(seed: str) -> str:
    kept = re.sub(r"[^A-Za-z0-9_-]+", "-", seed)[:48].strip("-")
    if kept == seed and kept:
        return kept
    # Two ids that differ only in what was taken out stay two.
    digest = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{kept[:31]}-{digest}".lstrip("-")


def _encoding(text: str) -> str | None:
    # The library would send a NUL or an escape as it is; None: its choice is right.
    return "base64" if re.search("[\x00-\x08\x0b-\x1f\x7f]", text.replace("\r\n", "\n")) else None


def _page(body: str) -> str:
    paragraphs = re.split(r"\n[ \t]*\n\s*?", body.replace("\r\n", "\n").strip("\n"))
    shown = (html_text.escape(paragraph).replace("\n", "<br>\n") for paragraph in paragraphs)
    content = "\n".join(f"<p>{paragraph}</p>" for paragraph in shown)
    head = '<!doctype html>\n<html><head><meta charset="utf-8"></head><body>'
    return f"{head}\n{content}\n</body></html>\n"
