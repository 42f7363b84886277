"""
One conversation with a mail server: opened once, and any number of mails handed over in it.

1. Connect (``smtps://``: with TLS from the start) and greet.
2. ``smtp://``: go over to TLS when the server offers it, and greet again.
3. Log in, where the address has credentials; never in the clear to another machine.
4. For each mail: sender, recipient, content. The server's 250 to the last one means that
   it is taken; what happens after that can no longer make it fail.
5. Say goodbye, or, where nobody knows what the other side has heard, hang up.

A conversation that was used before may have ended without a word. Whatever goes wrong in
it before the first byte of a mail's content is :class:`Stale`, and the mail may go over
another one: nothing of it was sent. After that it is never sent again from here.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from contextlib import suppress

import aiosmtplib

from encola.errors import PermanentFailure

from .answers import MailDelayed, MailRefused, TlsRefused
from .message import Letter
from .server import SmtpServer, is_loopback

GOODBYE_SECONDS = 2.0
"""How long we wait for the answer to QUIT, which changes nothing any more."""
HANGS_UP = 421
"""The server closes the connection. Source: RFC 5321, 3.8."""


class Stale(Exception):  # a state of the connection, caught where it is kept
    """A conversation that was used before has ended; nothing of the mail has been sent."""


class Conversation:
    """An open connection to a mail server, greeted and logged in."""

    def __init__(self, server: SmtpServer, client: aiosmtplib.SMTP) -> None:
        self._server = server
        self._client = client
        self._transport = client.transport
        self._is_clean = True
        self.mails = 0
        """Handed over in it so far, taken or refused."""

    @property
    def goes_on(self) -> bool:
        """Whether the server is still there, as far as is known."""
        return self._client.is_connected

    async def hand_over(self, letter: Letter) -> None:
        """
        Coming back means that the server took it.

        Raises:
            Stale: not sent, and may go over another conversation.
            MailRefused: the server cannot take such an address.
            aiosmtplib.SMTPException, OSError: see :func:`.answers.explain`.
        """
        is_used, self.mails = self.mails > 0, self.mails + 1
        try:
            await self._address(letter)
        except (aiosmtplib.SMTPException, OSError) as error:
            if is_used and not _is_about_the_recipient(error):
                raise Stale from error
            raise
        await self._client.data(letter.content)
        self._is_clean = True

    async def _address(self, letter: Letter) -> None:
        client = self._client
        if letter.is_unicode and not client.supports_extension("smtputf8"):
            raise MailRefused(
                f"The mail server {self._server} takes no address with characters "
                f"such as those in {letter.to}."
            )
        if not self._is_clean:
            await client.rset()
        self._is_clean = False
        encoding = "utf-8" if letter.is_unicode else "ascii"
        options = ["SMTPUTF8", "BODY=8BITMIME"] if letter.is_unicode else []
        if client.supports_extension("size"):
            # Too large a mail is refused before it is sent.
            options.append(f"SIZE={len(letter.content)}")
        await client.mail(letter.sender, options=options, encoding=encoding)
        await client.rcpt(letter.to, encoding=encoding)

    async def leave(self) -> None:
        """Say goodbye; a server that is slow to answer changes nothing."""
        limit = min(self._client.timeout or GOODBYE_SECONDS, GOODBYE_SECONDS)
        try:
            with suppress(aiosmtplib.SMTPException, OSError):
                await self._client.quit(timeout=limit)
        finally:
            self.hang_up()
        await asyncio.sleep(0)  # the sockets close in the loop's next round

    def hang_up(self) -> None:
        """Close the connection without a word: the server drops what it has of a mail."""
        transport = self._client.transport or self._transport
        self._client.close()
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()  # else TLS waits for the server's farewell, beyond the loop's end


async def open_conversation(
    server: SmtpServer,
    timeout: float,  # noqa: ASYNC109  # of each step, not of the whole
) -> Conversation:
    """
    Connect to *server*, greet it and log in.

    Raises:
        PermanentFailure: the file that ``ca`` names cannot be used.
        MailRefused, MailDelayed: there is no safe way to go on.
        aiosmtplib.SMTPException, OSError: see :func:`.answers.explain`.
    """
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        local_hostname=_own_name(),
        timeout=timeout,
        use_tls=server.is_tls,
        start_tls=False,  # ours to decide, below
        validate_certs=server.is_verified,
        tls_context=await asyncio.to_thread(_own_trust, server) if server.ca else None,
    )
    try:
        await client.connect()
        await _greet(client)
        if not server.is_tls and server.starttls != "never":
            await _start_tls(client, server)
        if server.user is not None:
            await _log_in(client, server, server.user)
    except (aiosmtplib.SMTPException, MailRefused, MailDelayed):
        await Conversation(server, client).leave()
        raise
    except BaseException:
        Conversation(server, client).hang_up()
        raise
    return Conversation(server, client)


def _is_about_the_recipient(error: Exception) -> bool:
    """Whether the server answered to RCPT, and would say the same in another conversation."""
    return isinstance(error, aiosmtplib.SMTPRecipientRefused) and error.code != HANGS_UP


async def _greet(client: aiosmtplib.SMTP) -> None:
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError as error:
        if error.code < 500 or not client.is_connected:
            raise
        await client.helo()  # a server older than EHLO


async def _start_tls(client: aiosmtplib.SMTP, server: SmtpServer) -> None:
    if client.supports_extension("starttls"):
        try:
            await client.starttls()
        except aiosmtplib.SMTPResponseException as error:
            raise TlsRefused(error.code, error.message) from None
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


def _own_trust(server: SmtpServer) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=server.ca)
    except OSError as error:  # ssl.SSLError is one
        text = f"ENCOLA_SMTP_URL: the file in ca cannot be used: {error.strerror or error}"
        raise PermanentFailure(text, "mail_settings") from None


def _own_name() -> str:
    # Not getfqdn(), which asks the DNS and has no time limit. RFC 5321, 4.1.4:
    # a machine without a full name gives an address instead.
    name = socket.gethostname()
    return name if "." in name and re.fullmatch(r"[A-Za-z0-9.-]+", name) else "[127.0.0.1]"
