"""
A mail, handed to a mail server, on an event loop or off it.

Knows nothing of tasks, queues or settings; :mod:`encola.tasks.email` decides what an
outcome means for a task. A connection that breaks between the mail and its 250 leaves
open whether it was taken. It is tried again, under the same Message-ID, so that two
copies can be told to be one.
"""

from __future__ import annotations

from email.message import EmailMessage

import aiosmtplib

from encola.errors import PermanentFailure
from encola.loops import of_this_loop

from .answers import explain
from .carrier import current_carrier
from .connections import ONCE, Connections, Keep, Place
from .message import as_letter
from .server import parse_smtp_url


async def deliver(
    message: EmailMessage,
    *,
    smtp_url: str,
    timeout: float,  # noqa: ASYNC109  # of each step, not of the whole
    keep: Keep = ONCE,
) -> None:
    """
    Hand *message* to the server at *smtp_url*; coming back means that it took it.

    Args:
        smtp_url: see :func:`.parse_smtp_url`.
        timeout: seconds for each step, of which there are at most ten.
        keep: how long the connection is kept open for the next mail.

    Raises:
        MailRefused: the server said no, in the error's text with its own words.
        MailDelayed: it said "later", or could not be reached.
        PermanentFailure: *smtp_url* is wrong (``mail_settings``).
    """
    try:
        server = parse_smtp_url(smtp_url)
    except ValueError as error:
        raise PermanentFailure(f"ENCOLA_SMTP_URL: {error}", "mail_settings") from None
    failure: Exception | None = None
    try:
        await of_this_loop(Connections).hand_over(as_letter(message), Place(server, timeout), keep)
    except (aiosmtplib.SMTPException, OSError) as error:
        failure = explain(error, server, timeout)
    # Raised outside of the handler: the library's error would come along as the
    # context, and it holds the server's words before the password is taken out.
    if failure is not None:
        raise failure


def deliver_sync(
    message: EmailMessage, *, smtp_url: str, timeout: float, keep: Keep = ONCE
) -> None:
    """:func:`deliver`, where there is no event loop: in a worker's child."""
    current_carrier().carry(deliver(message, smtp_url=smtp_url, timeout=timeout, keep=keep))
