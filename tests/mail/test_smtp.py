"""One e-mail, to real servers on this machine: ours, and others that refuse, delay and hang."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import pickle
import re
import shutil
import socket
import ssl
import subprocess
import time
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from hypothesis import given, settings
from hypothesis import strategies as st

from encola.embedded.mailbox import Mailbox
from encola.embedded.maildir import list_mail, raw_mail, read_mail
from encola.errors import PermanentFailure
from encola.mail import conversation
from encola.mail.address import check_address
from encola.mail.answers import MailDelayed, MailRefused
from encola.mail.conversation import deliver, deliver_sync
from encola.mail.message import build_message, check_subject
from encola.mail.server import parse_smtp_url

PASSWORD = "s3cret/word"
ENCODED_PASSWORD = "s3cret%2Fword"

#: What a server that takes everything answers, by the first word of a command.
AGREEABLE = {
    "(connect)": "220 mx.example ready",
    "EHLO": "250-mx.example\r\n250 AUTH PLAIN LOGIN",
    "AUTH": "235 2.7.0 welcome",
    "MAIL": "250 2.1.0 sender ok",
    "RCPT": "250 2.1.5 recipient ok",
    "DATA": "354 go on",
    "(mail)": "250 2.0.0 queued",
    "QUIT": "221 bye",
}
HANG = "(hang)"
CLOSE = "(close)"


def _message(to: str = "ana@example.com", **changes: Any) -> EmailMessage:
    given = {
        "sender": "encola@localhost",
        "to": to,
        "subject": "Hola",
        "body": "Hola, Ana.",
        "message_id_seed": "0199a0b1-0000-7000-8000-000000000001",
    }
    return build_message(**(given | changes))


class ScriptedServer:
    """A server that answers each command from a table, and remembers what it was told."""

    def __init__(self, answers: Mapping[str, str]) -> None:
        self.answers = AGREEABLE | dict(answers)
        self.commands: list[str] = []
        self.mails: list[bytes] = []

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._talk, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(
            ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError
        ):
            goes_on = await self._answer("(connect)", reader, writer)
            while goes_on and (line := (await reader.readline()).decode().strip()):
                self.commands.append(line)
                goes_on = await self._answer(line.split()[0].upper(), reader, writer)
        writer.close()

    async def _answer(
        self, command: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        answer = self.answers.get(command, "500 what?")
        if answer == HANG:
            await reader.read()  # until the client hangs up
        if answer in (HANG, CLOSE):
            return False
        writer.write(answer.removesuffix(CLOSE).encode() + b"\r\n")
        await writer.drain()
        if command == "DATA" and answer.startswith("354"):
            self.mails.append(await reader.readuntil(b"\r\n.\r\n"))
            return await self._answer("(mail)", reader, writer)
        return not answer.endswith(CLOSE)


def _deliver_to(
    answers: Mapping[str, str], login: str = "", options: str = "", timeout: float = 5.0
) -> ScriptedServer:
    """Deliver one mail to a scripted server, which comes back; errors pass through."""
    server = ScriptedServer(answers)

    async def run() -> None:
        async with server.running() as port:
            url = f"smtp://{login}127.0.0.1:{port}{options}"
            await deliver(_message(), smtp_url=url, timeout=timeout)

    asyncio.run(run())
    return server


class Taker:
    """An aiosmtpd handler that takes every mail."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.over_tls: list[bool] = []

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:
        self.mails.append(envelope.original_content)
        is_tls = server.transport is not None and server.transport.get_extra_info("sslcontext")
        self.over_tls.append(bool(is_tls))
        return "250 OK"


@contextlib.asynccontextmanager
async def _real_server(
    handler: Taker, *, wrap: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    sessions: list[SMTP] = []

    def session() -> SMTP:
        sessions.append(SMTP(handler, hostname="localhost", loop=loop, **options))
        return sessions[-1]

    server = await loop.create_server(session, "127.0.0.1", 0, ssl=wrap)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for one in sessions:
            if one.transport is not None:
                one.transport.close()


def _through(handler: Taker, url: Callable[[int], str], **options: Any) -> None:
    async def run() -> None:
        async with _real_server(handler, **options) as port:
            await deliver(_message(), smtp_url=url(port), timeout=5)

    asyncio.run(run())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for ``localhost`` that signed itself, and its key in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost"),
            *("-addext", "keyUsage=critical,digitalSignature,keyCertSign"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    return folder


def _server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    return context


# Addresses


@pytest.mark.parametrize(
    "address",
    [
        "ana@example.com",
        "encola@localhost",
        "ana.maria+tag@sub.example.co.uk",
        "o'brien!#$%&*/=?^_`{|}~-@example.com",
        "josé@example.com",
        "用户@例え.jp",
        "ana@straße.de",
        "ana@xn--strae-oqa.de",
        "a" * 64 + "@example.com",
    ],
)
def test_one_plain_address_is_taken_as_it_is(address: str) -> None:
    """Ordinary, local, tagged and international addresses come back unchanged."""

    assert address == check_address(address)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("", "expected an e-mail address, got nothing"),
        ("a@b.c,d@e.f", "expected one e-mail address, got a list"),
        ("a@b.c;d@e.f", "expected one e-mail address, got a list"),
        ("a@b.c\nd@e.f", "an e-mail address has no line breaks or control characters"),
        ("a@b.c\r\nBcc: d@e.f", "an e-mail address has no line breaks or control characters"),
        ("a@b.c\x00", "an e-mail address has no line breaks or control characters"),
        ("a@b.c\u2028", "an e-mail address has no line breaks or control characters"),
        ("Ana <a@b.c>", "expected an address alone, such as ana@example.com, without name"),
        ("<a@b.c>", "expected an address alone, such as ana@example.com, without name"),
        (" a@b.c", "expected an address alone, such as ana@example.com, without name"),
        ('"a b"@c.d', "expected an address alone, such as ana@example.com, without name"),
        ("a@b@c.d", "expected one @ with a name before and a domain after it"),
        ("ana", "expected one @ with a name before and a domain after it"),
        ("@b.c", "expected one @ with a name before and a domain after it"),
        ("a@", "expected one @ with a name before and a domain after it"),
        (".a@b.c", "the part before the @ has a character or a dot where none may be"),
        ("a..b@b.c", "the part before the @ has a character or a dot where none may be"),
        ("a\u200b@b.c", "the part before the @ has a character or a dot where none may be"),
        ("a\ud800@b.c", "the part before the @ has a character or a dot where none may be"),
        ("a:b@b.c", "the part before the @ has a character or a dot where none may be"),
        ("a@[127.0.0.1]", "the part after the @ is not a domain name"),
        ("a@127.0.0.1", "the part after the @ is not a domain name"),
        ("a@b..c", "the part after the @ is not a domain name"),
        ("a@-b.c", "the part after the @ is not a domain name"),
        ("a@b\uff0cc.d", "the part after the @ is not a domain name"),  # a wide comma
        ("a@b_c.d", "the part after the @ is not a domain name"),
        ("a" * 65 + "@b.c", "the part before the @ has more than 64 bytes"),
        (f"{'a' * 60}@{'.'.join(['b' * 60] * 4)}", "an e-mail address has at most 254 bytes"),
    ],
)
def test_anything_but_one_plain_address_is_refused(address: str, sentence: str) -> None:
    """No list, line break, display name or malformed part gets through, and the error says why."""
    with pytest.raises(ValueError) as caught:
        check_address(address)

    assert sentence == str(caught.value)


# The message


def test_a_message_has_text_and_html_and_an_id_from_the_task() -> None:
    """Text first and HTML second, as readers prefer the last; the id is the task's."""
    message = _message(body="Hola <b>Ana</b> & co.\nAdiós.\n\nP. D.")
    text, page = message.iter_parts()

    assert "multipart/alternative" == message.get_content_type()
    assert "text/plain" == text.get_content_type()
    assert "Hola <b>Ana</b> & co.\nAdiós.\n\nP. D.\n" == text.get_content()
    assert "text/html" == page.get_content_type()
    assert "<p>Hola &lt;b&gt;Ana&lt;/b&gt; &amp; co.<br>\nAdiós.</p>" in page.get_content()
    assert "<0199a0b1-0000-7000-8000-000000000001@localhost>" == message["Message-ID"]
    assert message["Date"].datetime.tzinfo is not None


def test_html_of_ones_own_is_sent_as_it_is() -> None:
    """A task that has its own HTML is not second-guessed."""
    _, page = _message(html="<h1>Hola</h1>").iter_parts()

    assert "<h1>Hola</h1>\n" == page.get_content()


def test_a_sender_may_have_a_name() -> None:
    """ENCOLA_MAIL_FROM can be written as people write it; the domain of the id is its own."""
    message = _message(sender='"Peña, S. A." <no-reply@peña.example>')

    assert "Peña, S. A." == message["From"].addresses[0].display_name
    assert "no-reply@xn--pea-8ma.example" == message["From"].addresses[0].addr_spec
    assert message["Message-ID"].endswith("@xn--pea-8ma.example>")


@pytest.mark.parametrize(
    "subject", ["a\nb", "a\r\nBcc: x@y.z", "a\n", "a\x00", "a\x85b", "a\u2028b", "a\x0bb"]
)
def test_a_subject_with_a_line_break_is_refused(subject: str) -> None:
    """No subject can add a header, whichever of Unicode's line breaks it uses."""
    for refuse in (check_subject, lambda text: _message(subject=text)):
        with pytest.raises(ValueError) as caught:
            refuse(subject)

        assert "expected a subject of one line without control characters" == str(caught.value)


def test_half_a_surrogate_pair_is_refused_where_it_is() -> None:
    """What no mail can carry is a clear error, not a failure in the middle of sending."""
    for name, changes in (
        ("subject", {"subject": "\ud800"}),
        ("body", {"body": "\ud800"}),
        ("HTML", {"html": "\ud800"}),
    ):
        with pytest.raises(ValueError) as caught:
            _message(**changes)

        assert f"the {name} has half of a surrogate pair" == str(caught.value)


@pytest.mark.parametrize("seed", ["a\r\nBcc: x@y.z", "<a@b>", "", "ñ", "x" * 255, "a b", "\ud800"])
def test_any_task_id_makes_a_sound_message_id(seed: str) -> None:
    """A Celery client's id may hold anything; it stays one id on one line, and distinct."""
    message_id = str(_message(message_id_seed=seed)["Message-ID"])
    raw = _message(message_id_seed=seed).as_bytes()

    assert message_id == message_from_bytes(raw)["Message-ID"].strip()
    assert re.fullmatch(r"<[A-Za-z0-9_-]{1,48}@localhost>", message_id)
    assert b"\r\nBcc:" not in raw
    assert message_id != _message(message_id_seed=f"{seed}/")["Message-ID"]
    assert message_id == _message(message_id_seed=seed)["Message-ID"]


_ONE_LINE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=200)
_WORDS = st.lists(
    st.sampled_from(
        ["hola", "ñandú", "é" * 60, "a" * 90, "=?utf-8?q?x?=", "<x@y>", ",", "  ", "😀"]
    )
).map(" ".join)


@settings(max_examples=200, deadline=None)
@given(subject=_ONE_LINE | _WORDS, body=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_arrives_as_it_was(subject: str, body: str) -> None:
    """Subject and body of any script come out unchanged, through lines of plain short ASCII."""
    raw = _message(subject=subject, body=body).as_bytes()
    message = message_from_bytes(raw, policy=policy.default)
    text = message.get_body(("plain",))

    assert text is not None
    assert subject.strip(" ") == message["Subject"].strip(" ")
    assert _lines(body) == _lines(text.get_content())
    assert raw.isascii()
    assert 998 >= max(len(line) for line in raw.split(b"\r\n"))
    assert b"" == raw.replace(b"\r\n", b"").translate(None, bytes(set(range(256)) - {10, 13}))


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")


# Addresses of servers


def test_the_address_of_a_server_says_everything() -> None:
    """Scheme, default ports, percent-encoding, IPv6 and options are read."""
    plain = parse_smtp_url("smtp://mx.example")
    full = parse_smtp_url("smtps://ana%40x:p%2Fw%3A@[::1]:2465/?ca=/etc/ca.pem")
    options = parse_smtp_url("smtp://localhost:2525?starttls=required&verify=no")

    assert ("mx.example", 25, False, "offered") == (
        plain.host,
        plain.port,
        plain.is_tls,
        plain.starttls,
    )
    assert (None, True, None) == (plain.user, plain.is_verified, plain.ca)
    assert ("::1", 2465, True) == (full.host, full.port, full.is_tls)
    assert ("ana@x", "p/w:", "/etc/ca.pem") == (full.user, full.password, full.ca)
    assert ("required", False) == (options.starttls, options.is_verified)
    assert 465 == parse_smtp_url("smtps://mx.example").port


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mx.example",
        "http://mx.example",
        "smtp://",
        "smtp://user:s3c/ret@mx.example",
        "smtp://user:s3c#ret@mx.example",
        "smtp://user:s3c?ret@mx.example",
        "smtp://:s3cret@mx.example",
        "smtp://user:s3cret@mx.example:0",
        "smtp://user:s3cret@mx.example:99999",
        "smtp://user:s3cret@mx.example/inbox",
        "smtp://user:s3cret@mx..example",
        "smtp://user:s3cret@[::1",
        "smtp://user:s3cret@mx.example?retries=3",
        "smtp://user:s3cret@mx.example?verify=maybe",
        "smtp://user:s3cret@mx.example?verify=no&verify=yes",
        "smtp://user:s3cret@mx.example?starttls=yes",
        "smtps://user:s3cret@mx.example?starttls=required",
        "smtp://user:s3cret@mx.example?verify=no&ca=/etc/ca.pem",
        "smtp://user:s3cret@mx.example?ca=/no/such/file.pem",
    ],
)
def test_a_wrong_server_address_fails_for_good_and_is_not_shown(url: str) -> None:
    """No retry can mend a setting; its password is nowhere in the error, nor in what caused it."""
    with pytest.raises(PermanentFailure) as caught:
        asyncio.run(deliver(_message(), smtp_url=url, timeout=1))

    assert "mail_settings" == caught.value.error_code
    assert str(caught.value).startswith("ENCOLA_SMTP_URL: ")
    assert "s3c" not in _everything(caught.value)


def _everything(error: BaseException | None) -> str:
    """All that could be printed of an error, its hidden contexts too."""
    found = ""
    while error is not None:
        found += "".join(traceback.format_exception_only(error)) + repr(error)
        error = error.__cause__ or error.__context__
    return found


# Delivery


def test_a_mail_goes_all_the_way_into_the_mailbox(tmp_path: Path) -> None:
    """The whole road: built, sent by SMTP, kept, listed, read."""

    async def run() -> None:
        mailbox = Mailbox(tmp_path)
        port = await mailbox.start()
        message = _message(subject="Año nuevo", body="¡Feliz año!\n.\n..\nFrom here")
        await deliver(message, smtp_url=f"smtp://127.0.0.1:{port}", timeout=5)
        await mailbox.stop()

    asyncio.run(run())
    (item,), cursor = list_mail(tmp_path, 10)
    mail = read_mail(tmp_path, item["id"])
    raw = raw_mail(tmp_path, item["id"]) or b""

    assert cursor is None
    assert ("encola@localhost", ["ana@example.com"], "Año nuevo") == (
        item["from"],
        item["to"],
        item["subject"],
    )
    assert mail is not None
    assert "¡Feliz año!\n.\n..\nFrom here\n" == mail["text"]
    assert mail["html"] is not None
    assert "<p>¡Feliz año!<br>" in mail["html"]
    assert b"Message-ID: <0199a0b1-0000-7000-8000-000000000001@localhost>\r\n" in raw


def test_addresses_of_any_script_are_delivered(tmp_path: Path) -> None:
    """A domain travels in ASCII; a name before the @ needs SMTPUTF8, which the mailbox has."""

    async def run() -> None:
        mailbox = Mailbox(tmp_path)
        port = await mailbox.start()
        for to in ("ana@straße.de", "用户@例え.jp"):
            await deliver(_message(to), smtp_url=f"smtp://127.0.0.1:{port}", timeout=5)
        await mailbox.stop()

    asyncio.run(run())
    items, _ = list_mail(tmp_path, 10)

    assert [["用户@xn--r8jz45g.jp"], ["ana@xn--strae-oqa.de"]] == [item["to"] for item in items]


def test_a_server_without_smtputf8_refuses_an_address_that_needs_it() -> None:
    """Nothing is sent to an address that the server could only garble."""

    async def run() -> None:
        async with ScriptedServer({}).running() as port:
            await deliver(_message("josé@b.c"), smtp_url=f"smtp://127.0.0.1:{port}", timeout=5)

    with pytest.raises(MailRefused) as caught:
        asyncio.run(run())

    assert "takes no address with characters such as those in josé@b.c." in str(caught.value)


_STEPS = [
    ("(connect)", "the connection"),
    ("EHLO", "our greeting"),
    ("AUTH", "the login"),
    ("MAIL", "the sender"),
    ("RCPT", "the recipient"),
    ("DATA", "the mail"),
    ("(mail)", "the mail"),
]


@pytest.mark.parametrize(("command", "words"), _STEPS)
def test_a_5xx_at_any_step_is_a_refusal_with_the_servers_words(command: str, words: str) -> None:
    """The caller learns that it is over, at which step, and what the server said."""
    answers = {command: "550-5.1.1 No such\r\n550 person here"}
    answers |= {"HELO": "550 5.1.1 No such person here"} if command == "EHLO" else {}
    with pytest.raises(MailRefused) as caught:
        _deliver_to(answers, login="user:word@")

    sentence = f"refused {words}: 550 5.1.1 No such person here"
    assert str(caught.value).endswith(sentence)
    assert "mail_refused" == caught.value.error_code


@pytest.mark.parametrize(("command", "words"), _STEPS)
def test_a_4xx_at_any_step_is_a_delay_with_the_servers_words(command: str, words: str) -> None:
    """The caller learns that it may try again."""
    with pytest.raises(MailDelayed) as caught:
        _deliver_to({command: "451 4.3.0 Come back later"}, login="user:word@")

    assert str(caught.value).endswith(f"put off {words}: 451 4.3.0 Come back later")
    assert "mail_delayed" == caught.value.error_code


@pytest.mark.parametrize("command", [step for step, _ in _STEPS])
def test_a_server_that_stops_answering_at_any_step_is_a_delay(command: str) -> None:
    """Each step has its own time limit; none waits for ever."""
    started = time.monotonic()
    with pytest.raises(MailDelayed) as caught:
        _deliver_to({command: HANG, "HELO": HANG}, login="user:word@", timeout=0.2)

    assert str(caught.value).endswith(" did not answer within 0.2 s.")
    assert "mail_unreachable" == caught.value.error_code
    assert 3 > time.monotonic() - started


@pytest.mark.parametrize("command", [step for step, _ in _STEPS])
def test_a_connection_that_breaks_at_any_step_is_a_delay(command: str) -> None:
    """Also after the mail was sent and before it was acknowledged: it may not have been taken."""
    with pytest.raises(MailDelayed) as caught:
        _deliver_to({command: CLOSE, "HELO": CLOSE}, login="user:word@")

    assert "mail_unreachable" == caught.value.error_code


def test_a_server_that_speaks_nonsense_is_a_delay() -> None:
    """Something else listens there, perhaps for a moment; it has refused nothing."""
    with pytest.raises(MailDelayed):
        _deliver_to({"MAIL": "HTTP/1.1 400 Bad Request"})


@pytest.mark.parametrize("goodbye", ["500 no", "421 no", HANG, CLOSE])
def test_what_follows_the_acknowledgement_changes_nothing(goodbye: str) -> None:
    """A mail that was taken is sent, however rude the goodbye: a retry would send it twice."""
    server = _deliver_to({"QUIT": goodbye}, timeout=0.3)

    assert 1 == len(server.mails)


def test_a_refusal_stands_when_the_server_hangs_afterwards() -> None:
    """The answer to the recipient counts, not the silence after it."""
    with pytest.raises(MailRefused):
        _deliver_to({"RCPT": "550 no", "RSET": HANG, "QUIT": HANG}, timeout=0.3)


def test_a_server_older_than_ehlo_is_greeted_again() -> None:
    """EHLO refused, HELO taken: the mail goes out."""
    server = _deliver_to({"EHLO": "502 what?", "HELO": "250 good day"})

    assert ["EHLO", "HELO", "MAIL", "RCPT", "DATA", "QUIT"] == [
        command.split()[0] for command in server.commands
    ]


def test_a_port_where_nobody_listens_is_a_delay() -> None:
    """A mail server that is being restarted is worth another attempt."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with pytest.raises(MailDelayed) as caught:
            deliver_sync(_message(), smtp_url=f"smtp://127.0.0.1:{port}", timeout=2)

    sentence = f"The mail server 127.0.0.1:{port} cannot be reached: Connection refused."
    assert sentence == str(caught.value)
    assert "mail_unreachable" == caught.value.error_code


def test_a_name_that_nobody_knows_is_a_delay() -> None:
    """The DNS may be away for a moment. ``.invalid`` never exists (RFC 2606)."""
    with pytest.raises(MailDelayed) as caught:
        deliver_sync(_message(), smtp_url="smtp://mx.invalid", timeout=10)

    assert "mail_unreachable" == caught.value.error_code


def test_too_large_a_mail_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    """The size is announced with the sender, so the server can say no at once."""

    async def run() -> None:
        mailbox = Mailbox(tmp_path, size_limit=1000)
        port = await mailbox.start()
        try:
            message = _message(body="x" * 2000)
            await deliver(message, smtp_url=f"smtp://127.0.0.1:{port}", timeout=5)
        finally:
            await mailbox.stop()

    with pytest.raises(MailRefused) as caught:
        asyncio.run(run())

    assert "refused the sender: 552 " in str(caught.value)


# Login


def _authenticator(
    server: SMTP, session: Any, envelope: Any, mechanism: str, data: Any
) -> AuthResult:
    expected = LoginPassword(b"ana@x", PASSWORD.encode())
    return AuthResult(success=data == expected, handled=False)


def test_a_login_with_credentials_from_the_address_is_taken() -> None:
    """User and password are decoded from the address and reach the server as they are."""
    taker = Taker()
    _through(
        taker,
        lambda port: f"smtp://ana%40x:{ENCODED_PASSWORD}@127.0.0.1:{port}",
        authenticator=_authenticator,
        auth_require_tls=False,
    )

    assert 1 == len(taker.mails)


def test_a_wrong_password_is_a_refusal() -> None:
    """535: another attempt with the same password would lock the account."""
    with pytest.raises(MailRefused) as caught:
        _through(
            Taker(),
            lambda port: f"smtp://ana%40x:wr0ng-word@127.0.0.1:{port}",
            authenticator=_authenticator,
            auth_require_tls=False,
        )

    assert "refused the login: 535 " in str(caught.value)
    assert "wr0ng-word" not in _everything(caught.value)


def test_a_refused_login_stands_when_the_server_hangs_up_after_it() -> None:
    """It was said once; the closed connection does not make it a delay."""
    with pytest.raises(MailRefused):
        _deliver_to({"AUTH": f"535 5.7.8 no{CLOSE}"}, login="user:word@")


def test_a_server_without_a_login_we_know_is_a_refusal() -> None:
    """Credentials in the address mean that the mail must not go out without them."""
    with pytest.raises(MailRefused) as caught:
        _deliver_to({"EHLO": "250-mx.example\r\n250 AUTH GSSAPI"}, login="user:word@")

    assert str(caught.value).endswith("offers no way to log in that we know.")


def test_a_server_that_repeats_the_password_does_not_put_it_into_the_error() -> None:
    """In clear, in Base64 or in another case: what we sent is taken out of its words."""
    both = base64.b64encode(f"\0user\0{PASSWORD}".encode()).decode()
    alone = base64.b64encode(PASSWORD.encode()).decode()
    answer = f"535 bad {PASSWORD} {PASSWORD.upper()} {both} {alone}"
    with pytest.raises(MailRefused) as caught:
        _deliver_to({"AUTH": answer}, login=f"user:{ENCODED_PASSWORD}@")

    assert str(caught.value).endswith("refused the login: 535 bad *** *** *** ***")
    shown = _everything(caught.value).lower()
    assert not any(secret.lower() in shown for secret in (PASSWORD, both, alone))


def test_a_server_cannot_forge_lines_or_flood_the_record() -> None:
    """Its words are one line of at most 500 characters, without control characters."""
    with pytest.raises(MailRefused) as caught:
        _deliver_to({"RCPT": f"550-a\x1b[31m\r\n550 {'x' * 5000}"})

    assert str(caught.value).isprintable()
    assert 600 > len(str(caught.value))


def test_a_password_is_not_sent_in_the_clear_to_another_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without STARTTLS there is no login, unless it is asked for; to this machine there is."""
    monkeypatch.setattr(conversation, "is_loopback", lambda host: False)
    with pytest.raises(MailDelayed) as caught:
        _deliver_to({}, login="user:word@")
    allowed = _deliver_to({}, login="user:word@", options="?starttls=never")

    assert "a password is not sent in the clear" in str(caught.value)
    assert 1 == len(allowed.mails)


# TLS


def test_starttls_is_used_when_it_is_offered(certificate: Path) -> None:
    """The mail goes encrypted, to a server whose certificate was checked."""
    taker = Taker()
    _through(
        taker,
        lambda port: f"smtp://localhost:{port}?ca={certificate / 'cert.pem'}",
        tls_context=_server_tls(certificate),
        require_starttls=True,
    )

    assert [True] == taker.over_tls


def test_a_login_goes_through_starttls(certificate: Path) -> None:
    """The server offers its login only inside TLS, and gets it there."""
    taker = Taker()
    login = f"ana%40x:{ENCODED_PASSWORD}"
    _through(
        taker,
        lambda port: f"smtp://{login}@localhost:{port}?ca={certificate / 'cert.pem'}",
        tls_context=_server_tls(certificate),
        authenticator=_authenticator,
        auth_required=True,
    )

    assert [True] == taker.over_tls


def test_tls_from_the_start(certificate: Path) -> None:
    """``smtps://`` speaks TLS before the first word."""
    taker = Taker()
    _through(
        taker,
        lambda port: f"smtps://localhost:{port}?ca={certificate / 'cert.pem'}",
        wrap=_server_tls(certificate),
    )

    assert [True] == taker.over_tls


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_certificate_that_nobody_signed_is_not_trusted_even_on_loopback(
    certificate: Path, scheme: str
) -> None:
    """The error names the two ways out; the mail stays here and can be tried again."""
    tls = _server_tls(certificate)
    options: dict[str, Any] = {"wrap": tls} if scheme == "smtps" else {"tls_context": tls}
    taker = Taker()
    with pytest.raises(MailDelayed) as caught:
        _through(taker, lambda port: f"{scheme}://localhost:{port}", **options)

    assert "is not trusted (self-signed certificate). Name its authority" in str(caught.value)
    assert "mail_unreachable" == caught.value.error_code
    assert [] == taker.mails


def test_a_certificate_of_another_name_is_not_trusted(certificate: Path) -> None:
    """A known authority is not enough: it has to be the server we asked for."""
    with pytest.raises(MailDelayed) as caught:
        _through(
            Taker(),
            lambda port: f"smtps://127.0.0.1:{port}?ca={certificate / 'cert.pem'}",
            wrap=_server_tls(certificate),
        )

    assert "is not trusted (" in str(caught.value)


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_verification_can_be_turned_off_in_so_many_words(certificate: Path, scheme: str) -> None:
    """``?verify=no``, and only that, takes any certificate."""
    tls = _server_tls(certificate)
    options: dict[str, Any] = {"wrap": tls} if scheme == "smtps" else {"tls_context": tls}
    taker = Taker()
    _through(taker, lambda port: f"{scheme}://127.0.0.1:{port}?verify=no", **options)

    assert [True] == taker.over_tls


def test_required_starttls_is_not_given_up() -> None:
    """A server, or somebody in between, that hides the offer does not get the mail in clear."""
    with pytest.raises(MailDelayed) as caught:
        _deliver_to({}, options="?starttls=required")

    assert str(caught.value).endswith("offers no STARTTLS, and ENCOLA_SMTP_URL requires it.")


def test_starttls_never_does_not_ask(certificate: Path) -> None:
    """For a server whose offer does not work."""
    taker = Taker()
    _through(
        taker,
        lambda port: f"smtp://127.0.0.1:{port}?starttls=never",
        tls_context=_server_tls(certificate),
    )

    assert [False] == taker.over_tls


@pytest.mark.parametrize("answer", [HANG, CLOSE])
def test_a_handshake_that_never_ends_is_a_delay(answer: str) -> None:
    """The time limit holds inside TLS too."""
    scripted = {"(connect)": answer}

    async def run() -> None:
        async with ScriptedServer(scripted).running() as port:
            await deliver(_message(), smtp_url=f"smtps://127.0.0.1:{port}", timeout=0.3)

    with pytest.raises(MailDelayed) as caught:
        asyncio.run(run())

    assert "mail_unreachable" == caught.value.error_code


def test_a_server_that_speaks_no_tls_is_a_delay() -> None:
    """Plain text where TLS was expected is said in words, not in OpenSSL's codes alone."""

    async def run() -> None:
        async with ScriptedServer({}).running() as port:
            await deliver(_message(), smtp_url=f"smtps://127.0.0.1:{port}", timeout=2)

    with pytest.raises(MailDelayed) as caught:
        asyncio.run(run())

    assert str(caught.value).startswith("No TLS with the mail server 127.0.0.1:")


# Errors between processes


def test_the_errors_travel_between_processes() -> None:
    """A worker's child hands them to its parent: kind, text and code survive."""
    for error in (
        MailRefused("550 no"),
        MailDelayed("451 later"),
        MailDelayed("away", "mail_unreachable"),
    ):
        back = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own

        assert (type(error), str(error), error.error_code) == (
            type(back),
            str(back),
            back.error_code,
        )
