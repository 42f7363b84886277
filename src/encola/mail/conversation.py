"""
A mail, handed to a mail server.

Knows nothing of tasks, queues or settings; :mod:`encola.tasks.email` decides what an
outcome means for a task. A delivery goes like this:

1. Read the server's address. A wrong one fails before anything is sent.
2. Connect (``smtps://``: with TLS from the start) and greet.
3. ``smtp://``: go over to TLS when the server offers it, and greet again.
4. Log in, where the address has credentials; never in the clear to another machine.
5. Sender, recipient, mail. The server's 250 to the last one means that it is sent;
   what happens after that can no longer make it fail.

A connection that breaks between the mail and its 250 leaves open whether it was
taken. It is tried again, under the same Message-ID, so that two copies can be told
to be one.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from contextlib import suppress
from email.message import EmailMessage

import aiosmtplib

from encola.errors import PermanentFailure

from .answers import MailDelayed, MailRefused, explain
from .message import POLICY
from .server import SmtpServer, is_loopback, parse_smtp_url

GOODBYE_SECONDS = 2.0
"""How long we wait for the answer to QUIT, which changes nothing any more."""


async def deliver(
    message: EmailMessage,
    *,
    smtp_url: str,
    timeout: float,  # noqa: ASYNC109  # of each step, not of the whole
) -> None:
    """
    Hand *message* to the server at *smtp_url*; coming back means that it took it.

    Args:
        smtp_url: see :func:`parse_smtp_url`.
        timeout: seconds for each step, of which there are at most ten.

    Raises:
        MailRefused: the server said no, in the error's text with its own words.
        MailDelayed: it said "later", or could not be reached.
        PermanentFailure: *smtp_url* is wrong (``mail_settings``).
    """
    try:
        server = parse_smtp_url(smtp_url)
        trusted = await asyncio.to_thread(own_trust, server) if server.ca else None
    except ValueError as error:
        raise PermanentFailure(f"ENCOLA_SMTP_URL: {error}", "mail_settings") from None
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        local_hostname=_own_name(),
        timeout=timeout,
        use_tls=server.is_tls,
        start_tls=False,  # ours to decide, below
        validate_certs=server.is_verified,
        tls_context=trusted,
    )
    failure: Exception | None = None
    try:
        await _converse(client, server, message)
    except (aiosmtplib.SMTPException, OSError) as error:
        failure = explain(error, server, timeout)
    finally:
        await _leave(client, timeout)
    # Raised outside of the handler: the library's error would come along as the
    # context, and it holds the server's words before the password is taken out.
    if failure is not None:
        raise failure


def deliver_sync(message: EmailMessage, *, smtp_url: str, timeout: float) -> None:
    """
    :func:`deliver`, where there is no event loop: in a worker's child.

    A loop of its own for each mail. One kept for the life of the process would have to
    survive forks and a time limit that breaks out of its middle; a new one costs well
    under a millisecond.
    """
    asyncio.run(deliver(message, smtp_url=smtp_url, timeout=timeout))


async def _converse(client: aiosmtplib.SMTP, server: SmtpServer, message: EmailMessage) -> None:
    sender, to = (str(message[name].addresses[0].addr_spec) for name in ("From", "To"))
    is_unicode = not (sender + to).isascii()
    encoding = "utf-8" if is_unicode else "ascii"
    mail = message.as_bytes(policy=POLICY.clone(utf8=is_unicode))

    await client.connect()
    await _greet(client)
    if not server.is_tls and server.starttls != "never":
        await _start_tls(client, server)
    if server.user is not None:
        await _log_in(client, server, server.user)
    if is_unicode and not client.supports_extension("smtputf8"):
        raise MailRefused(
            f"The mail server {server} takes no address with characters such as those in {to}."
        )
    options = ["SMTPUTF8", "BODY=8BITMIME"] if is_unicode else []
    if client.supports_extension("size"):
        options.append(f"SIZE={len(mail)}")  # too large a mail is refused before it is sent
    await client.mail(sender, options=options, encoding=encoding)
    await client.rcpt(to, encoding=encoding)
    await client.data(mail)


async def _greet(client: aiosmtplib.SMTP) -> None:
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError as error:
        if error.code < 500 or not client.is_connected:
            raise
        await client.helo()  # a server older than EHLO


async def _start_tls(client: aiosmtplib.SMTP, server: SmtpServer) -> None:
    if client.supports_extension("starttls"):
        await client.starttls()
        await _greet(client)
    elif server.starttls == "required":
        raise MailDelayed(
            f"The mail server {server} offers no STARTTLS, and ENCOLA_SMTP_URL requires it.",
            "mail_unreachable",
        )
    elif server.user is not None and not is_loopback(server.host):
        # Somebody in between can take the offer out of the server's answer.
        raise MailDelayed(
            f"The mail server {server} offers no STARTTLS, and a password is not sent in the "
            "clear. Use smtps://, or allow it with ?starttls=never in ENCOLA_SMTP_URL.",
            "mail_unreachable",
        )


async def _log_in(client: aiosmtplib.SMTP, server: SmtpServer, user: str) -> None:
    """
    Try the server's methods until one is taken.

    Not the library's ``login``: where a server says 535 and hangs up, that one tells of
    the lost connection, and trying again would lock the account.
    """
    refusal: aiosmtplib.SMTPAuthenticationError | None = None
    for method in client.supported_auth_methods:
        call = {
            "cram-md5": client.auth_crammd5,
            "plain": client.auth_plain,
            "login": client.auth_login,
        }[method]
        try:
            await call(user, server.password)
        except aiosmtplib.SMTPAuthenticationError as error:
            refusal = error
        except aiosmtplib.SMTPServerDisconnected:
            if refusal is None:
                raise
            break
        else:
            return
    raise refusal or MailRefused(f"The mail server {server} offers no way to log in that we know.")


async def _leave(client: aiosmtplib.SMTP, limit: float) -> None:
    transport = client.transport
    if client.is_connected:
        # The outcome is known; a server that is slow to say goodbye must not change it.
        with suppress(aiosmtplib.SMTPException, OSError):
            await client.quit(timeout=min(limit, GOODBYE_SECONDS))
    client.close()
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()  # else TLS waits for the server's farewell, beyond the loop's end
        await asyncio.sleep(0)


def own_trust(server: SmtpServer) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=server.ca)
    except OSError as error:  # ssl.SSLError is one
        raise ValueError(f"the file in ca cannot be used: {error.strerror or error}") from None


def _own_name() -> str:
    # Not getfqdn(), which asks the DNS and has no time limit. RFC 5321, 4.1.4:
    # a machine without a full name gives an address instead.
    name = socket.gethostname()
    return name if "." in name and re.fullmatch(r"[A-Za-z0-9.-]+", name) else "[127.0.0.1]"
