"""
Where mail is handed over, as ``ENCOLA_SMTP_URL`` names it.

Reads the address and opens nothing: a wrong one is found before a mail is sent.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Literal, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit


@dataclass(frozen=True)
class SmtpServer:
    """Where mail is handed over, read from its address by :func:`parse_smtp_url`."""

    host: str
    port: int
    is_tls: bool
    """TLS from the first byte (``smtps://``)."""
    starttls: Literal["offered", "required", "never"]
    user: str | None
    """None: no login."""
    password: str = field(repr=False)
    ca: str | None
    """PEM file with the only authorities to trust; None: the system's."""
    is_verified: bool

    def __str__(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def parse_smtp_url(url: str) -> SmtpServer:
    """
    The server that an address names.

    ``smtp://[user:password@]host[:25]`` goes over to TLS when the server offers it;
    ``?starttls=required`` insists, ``?starttls=never`` does not ask.
    ``smtps://[user:password@]host[:465]`` is TLS from the start. Both:
    ``?ca=/path/ca.pem`` trusts those authorities alone, ``?verify=no`` trusts anybody.

    Raises:
        ValueError: it is wrong; the sentence never shows the address, which may hold a password.
    """
    expected = ValueError(
        "expected smtp://[user:password@]host[:port] or smtps://…; "
        "characters such as / ? # @ in user or password are written as %2F %3F %23 %40"
    )
    parts = _url_parts(url)
    if parts is None:
        raise expected
    is_tls = parts.scheme == "smtps"
    given = parse_qsl(parts.query, keep_blank_values=True)
    options = dict(given)
    starttls = options.pop("starttls", "offered")
    verify = options.pop("verify", "yes")
    ca = options.pop("ca", None)
    if options or len(given) != len(dict(given)):
        raise ValueError("the options of the address are starttls, ca and verify, each once")
    if starttls not in ("offered", "required", "never") or (is_tls and starttls != "offered"):
        raise ValueError("starttls is required or never, and belongs to smtp:// only")
    if verify not in ("yes", "no") or ca == "" or (ca and verify == "no"):
        raise ValueError("verify is yes or no, ca a PEM file; verify=no makes ca useless")
    return SmtpServer(
        host=parts.hostname or "",
        port=parts.port or (465 if is_tls else 25),
        is_tls=is_tls,
        starttls=cast('Literal["offered", "required", "never"]', starttls),
        user=None if parts.username is None else unquote(parts.username),
        password=unquote(parts.password or ""),
        ca=ca,
        is_verified=verify == "yes",
    )


def _url_parts(url: str) -> SplitResult | None:
    """The address in parts; None where it is malformed. The library's error would show some of it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        (host or "").encode("idna")
    except ValueError:
        return None
    is_ours = parts.scheme in ("smtp", "smtps") and parts.path in ("", "/") and not parts.fragment
    return parts if is_ours and host and port != 0 and parts.username != "" else None


def is_loopback(host: str) -> bool:
    """Whether *host* is this machine, so that nobody is in between."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
