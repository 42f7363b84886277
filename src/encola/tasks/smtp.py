"""
One e-mail: checking its address, writing it, and handing it to a mail server.

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
import base64
import datetime as dt
import hashlib
import html as html_text
import ipaddress
import os
import re
import socket
import ssl
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Literal, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import aiosmtplib
import idna

from encola.errors import EncolaError, PermanentFailure

ADDRESS_LIMIT = 254
"""Bytes of an address. Source: RFC 3696 erratum 1690."""
LOCAL_PART_LIMIT = 64
"""Bytes before the @. Source: RFC 5321, 4.5.3.1.1."""
WORDS_LIMIT = 500
"""Characters that are kept of what a server says."""
GOODBYE_SECONDS = 2.0
"""How long we wait for the answer to QUIT, which changes nothing any more."""

# Without 8-bit parts a mail arrives unchanged through servers of any age.
POLICY = policy.SMTP.clone(cte_type="7bit")

_ATOM_SIGNS = frozenset("!#$%&'*+-/=?^_`{|}~")  # RFC 5322, 3.2.3
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NAMED_SENDER = re.compile(r'\s*"?([^"<>]*?)"?\s*<([^<>]*)>\s*')
_STEPS: tuple[tuple[type[aiosmtplib.SMTPResponseException], str], ...] = (
    (aiosmtplib.SMTPConnectResponseError, "the connection"),
    (aiosmtplib.SMTPHeloError, "our greeting"),
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


def check_address(text: str) -> str:
    """
    *text*, when it is exactly one e-mail address and nothing else.

    Plain addresses only: no display name, no quoted part, no ``[127.0.0.1]``. Letters
    of any script are taken on both sides of the @. No name is looked up.

    Raises:
        ValueError: it is not; the sentence says what was expected.
    """
    _split_address(text)
    return text


def check_subject(text: str) -> str:
    """
    *text*, when it can stand in one header line.

    Raises:
        ValueError: it has a line break (U+2028 is one too), a control character, or
            half of a surrogate pair.
    """
    if _CONTROL.search(text):
        raise ValueError("expected a subject of one line without control characters")
    return _whole(text, "subject")


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
    name, address = _split_sender(sender)
    local, domain = _split_address(address)
    message = EmailMessage(policy=POLICY)
    message["Message-ID"] = f"<{_id_part(message_id_seed)}@{domain}>"
    message["Date"] = format_datetime(dt.datetime.now(dt.UTC))
    message["From"] = Address(name, local, domain)
    message["To"] = Address("", *_split_address(to))
    message["Subject"] = _Subject(check_subject(subject))
    message.set_content(_whole(body, "body"), cte=_encoding(body))
    page = _page(body) if html is None else _whole(html, "HTML")
    message.add_alternative(page, subtype="html", cte=_encoding(page))
    return message


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
        trusted = await asyncio.to_thread(_own_trust, server) if server.ca else None
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
        failure = _explain(error, server, timeout)
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
    elif server.user is not None and not _is_loopback(server.host):
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


def _explain(error: Exception, server: SmtpServer, timeout: float) -> Exception:
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
    return " ".join(_CONTROL.sub(" ", text).split())[:WORDS_LIMIT]


def _split_sender(text: str) -> tuple[str, str]:
    named = _NAMED_SENDER.fullmatch(text)
    name, address = (named[1], named[2]) if named else ("", text)
    if _CONTROL.search(name):
        raise ValueError("expected a sender's name without control characters")
    return _whole(name, "sender"), address


def _split_address(text: str) -> tuple[str, str]:
    """The part before the @, and the domain in ASCII (``xn--…`` for other scripts)."""
    if not text:
        raise ValueError("expected an e-mail address, got nothing")
    if _CONTROL.search(text):
        raise ValueError("an e-mail address has no line breaks or control characters")
    if "," in text or ";" in text:
        raise ValueError("expected one e-mail address, got a list")
    if any(sign in '<>()" ' or sign.isspace() for sign in text):
        raise ValueError("expected an address alone, such as ana@example.com, without name")
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain or "@" in local:
        raise ValueError("expected one @ with a name before and a domain after it")
    if not all(local.split(".")) or not all(_is_in_atom(sign) for sign in local if sign != "."):
        raise ValueError("the part before the @ has a character or a dot where none may be")
    ascii_domain = _ascii_domain(domain)
    if len(local.encode()) > LOCAL_PART_LIMIT:
        raise ValueError(f"the part before the @ has more than {LOCAL_PART_LIMIT} bytes")
    if max(len(text.encode()), len(local.encode()) + 1 + len(ascii_domain)) > ADDRESS_LIMIT:
        raise ValueError(f"an e-mail address has at most {ADDRESS_LIMIT} bytes")
    return local, ascii_domain


def _is_in_atom(sign: str) -> bool:
    if sign.isascii():
        return sign.isalnum() or sign in _ATOM_SIGNS
    return unicodedata.category(sign)[0] in "LMN"  # RFC 6531 allows more; nobody has it


def _ascii_domain(domain: str) -> str:
    try:
        encoded = idna.encode(domain, uts46=True, std3_rules=True).decode()
    except (idna.IDNAError, UnicodeError):
        encoded = ""
    if not encoded or encoded.endswith(".") or encoded.rpartition(".")[2].isdigit():
        raise ValueError("the part after the @ is not a domain name")
    return encoded


def _whole(text: str, what: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the {what} has half of a surrogate pair") from None
    return text


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


def _own_trust(server: SmtpServer) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=server.ca)
    except OSError as error:  # ssl.SSLError is one
        raise ValueError(f"the file in ca cannot be used: {error.strerror or error}") from None


def _own_name() -> str:
    # Not getfqdn(), which asks the DNS and has no time limit. RFC 5321, 4.1.4:
    # a machine without a full name gives an address instead.
    name = socket.gethostname()
    return name if "." in name and re.fullmatch(r"[A-Za-z0-9.-]+", name) else "[127.0.0.1]"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
