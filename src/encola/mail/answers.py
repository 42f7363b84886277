"""
What a mail server's answer, or its silence, means for a mail.

"No" (5xx) is believed. "Later" (4xx), a connection that breaks and one that cannot
be made safely are delays. The server's own words are kept, without what is secret.
"""

from __future__ import annotations

import base64
import os
import re
import socket
import ssl

import aiosmtplib

from encola.errors import EncolaError, PermanentFailure

from .server import SmtpServer
from .text import CONTROL

WORDS_LIMIT = 500
"""Characters that are kept of what a server says."""


class TlsRefused(aiosmtplib.SMTPResponseException):
    """The server offered STARTTLS, and answered no to it."""


_STEPS: tuple[tuple[type[aiosmtplib.SMTPResponseException], str], ...] = (
    (aiosmtplib.SMTPConnectResponseError, "the connection"),
    (aiosmtplib.SMTPHeloError, "our greeting"),
    (TlsRefused, "STARTTLS"),
    (aiosmtplib.SMTPAuthenticationError, "the login"),
    (aiosmtplib.SMTPSenderRefused, "the sender"),
    (aiosmtplib.SMTPRecipientRefused, "the recipient"),
    (aiosmtplib.SMTPDataError, "the mail"),
)


class MailRefused(PermanentFailure):
    """The mail server said no (5xx). Asking again would get the same answer."""

    code = "mail_refused"

    def __init__(self, message: str, error_code: str = "mail_refused") -> None:
        super().__init__(message, error_code)


class MailDelayed(EncolaError):  # named for what happened, as its sister
    """
    The mail may be taken later.

    ``error_code``: ``mail_delayed`` where the server said so (4xx),
    ``mail_unreachable`` where there was no answer or no safe way to it.
    """

    code = "mail_delayed"

    def __init__(self, message: str, error_code: str = "mail_delayed") -> None:
        self.error_code = error_code
        super().__init__(message)

    def __reduce__(self) -> tuple[type[MailDelayed], tuple[str, str]]:
        return (type(self), (str(self), self.error_code))


def explain(error: Exception, server: SmtpServer, timeout: float) -> Exception:
    """The error for a person and for the record, of one by the library or the system."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return _answered(error, server)
    cause = error if isinstance(error, OSError) and error.errno else error.__cause__ or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        text = (
            f"The certificate of the mail server {server} is not trusted "
            f"({cause.verify_message}). Name its authority with ?ca=/path/ca.pem in "
            "ENCOLA_SMTP_URL, or trust anybody with ?verify=no."
        )
    elif isinstance(cause, ssl.SSLError):
        text = f"No TLS with the mail server {server}: {cause.reason or cause}."
    elif isinstance(error, TimeoutError):
        text = f"The mail server {server} did not answer within {timeout:g} s."
    elif isinstance(error, aiosmtplib.SMTPServerDisconnected):
        text = f"The mail server {server} closed the connection."
    elif isinstance(cause, socket.gaierror) or not isinstance(cause, OSError) or not cause.errno:
        text = f"The mail server {server} cannot be reached: {_words(str(cause), server)}."
    else:
        text = f"The mail server {server} cannot be reached: {os.strerror(cause.errno)}."
    return MailDelayed(text, "mail_unreachable")


def _answered(error: aiosmtplib.SMTPResponseException, server: SmtpServer) -> Exception:
    step = next((words for kind, words in _STEPS if isinstance(error, kind)), "a command")
    said = f"{error.code} {_words(error.message, server)}".rstrip()
    if 500 <= error.code <= 599:
        return MailRefused(f"The mail server {server} refused {step}: {said}")
    return MailDelayed(f"The mail server {server} put off {step}: {said}")


def _words(text: str, server: SmtpServer) -> str:
    """What the server said, in one line; some repeat what we sent, and that may be a password."""
    secrets = [server.password, f"\0{server.user}\0{server.password}"] if server.password else []
    encoded = [base64.b64encode(secret.encode()).decode() for secret in secrets]
    for secret in sorted([*encoded, *secrets[:1]], key=len, reverse=True):
        text = re.sub(re.escape(secret), "***", text, flags=re.IGNORECASE)
    text = text.encode("utf-8", "replace").decode()
    return " ".join(CONTROL.sub(" ", text).split())[:WORDS_LIMIT]
