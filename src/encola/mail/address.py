"""
One e-mail address: checked, and split at its @.

Plain addresses only, as people have them. No name is looked up.
"""

from __future__ import annotations

import functools
import re
import unicodedata

import idna

from .text import CONTROL, whole

ADDRESS_LIMIT = 254
"""Bytes of an address. Source: RFC 3696 erratum 1690."""
LOCAL_PART_LIMIT = 64
"""Bytes before the @. Source: RFC 5321, 4.5.3.1.1."""

_NOT_ALONE = re.compile(r'[<>()"\s]')
_ASCII_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~.]*")  # RFC 5322, 3.2.3
_NAMED_SENDER = re.compile(r'\s*"?([^"<>]*?)"?\s*<([^<>]*)>\s*')


def check_address(text: str) -> str:
    """
    *text*, when it is exactly one e-mail address and nothing else.

    Plain addresses only: no display name, no quoted part, no ``[127.0.0.1]``. Letters
    of any script are taken on both sides of the @. No name is looked up.

    Raises:
        ValueError: it is not; the sentence says what was expected.
    """
    split_address(text)
    return text


def check_sender(text: str) -> str:
    """
    *text*, when it is an address alone or ``Name <address>``.

    Raises:
        ValueError: it is not; the sentence says what was expected.
    """
    _, address = split_sender(text)
    check_address(address)
    return text


def split_sender(text: str) -> tuple[str, str]:
    """Name (empty where there is none) and address of ``Name <address>``; the address is not checked."""
    named = _NAMED_SENDER.fullmatch(text)
    name, address = (named[1], named[2]) if named else ("", text)
    if CONTROL.search(name):
        raise ValueError("expected a sender's name without control characters")
    return whole(name, "sender"), address


def split_address(text: str) -> tuple[str, str]:
    """The part before the @, and the domain in ASCII (``xn--…`` for other scripts)."""
    if not text:
        raise ValueError("expected an e-mail address, got nothing")
    if CONTROL.search(text):
        raise ValueError("an e-mail address has no line breaks or control characters")
    if "," in text or ";" in text:
        raise ValueError("expected one e-mail address, got a list")
    if _NOT_ALONE.search(text):
        raise ValueError("expected an address alone, such as ana@example.com, without name")
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain or "@" in local:
        raise ValueError("expected one @ with a name before and a domain after it")
    if not all(local.split(".")) or not _is_in_atoms(local):
        raise ValueError("the part before the @ has a character or a dot where none may be")
    if len(local.encode()) > LOCAL_PART_LIMIT:
        raise ValueError(f"the part before the @ has more than {LOCAL_PART_LIMIT} bytes")
    # Before the domain is looked at: what is kept of it is short.
    _refuse_long(len(text.encode()))
    ascii_domain = _ascii_domain(domain)
    _refuse_long(len(local.encode()) + 1 + len(ascii_domain))
    return local, ascii_domain


def _refuse_long(size: int) -> None:
    if size > ADDRESS_LIMIT:
        raise ValueError(f"an e-mail address has at most {ADDRESS_LIMIT} bytes")


def _is_in_atoms(local: str) -> bool:
    """Whether each sign is one of an atom, or a dot between two."""
    others = _ASCII_ATOMS.sub("", local)
    # RFC 6531 allows more; nobody has it.
    return all(not sign.isascii() and unicodedata.category(sign)[0] in "LMN" for sign in others)


# Most mail goes to a few domains, and each look takes as long as all the rest of a submit's checks.
@functools.lru_cache(maxsize=1024)
def _ascii_domain(domain: str) -> str:
    try:
        encoded = idna.encode(domain, uts46=True, std3_rules=True).decode()
    except (idna.IDNAError, UnicodeError):
        encoded = ""
    if not encoded or encoded.endswith(".") or encoded.rpartition(".")[2].isdigit():
        raise ValueError("the part after the @ is not a domain name")
    return encoded
