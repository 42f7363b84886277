"""One e-mail, to real servers on this machine: ours, and others that refuse, delay and hang."""

from __future__ import annotations

import asyncio
import base64
import pickle
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from encola.embedded.mailbox import Mailbox
from encola.embedded.maildir import list_mail, read_mail
from encola.mail import conversation
from encola.mail.answers import MailDelayed, MailRefused
from encola.mail.delivery import deliver, deliver_sync
from mail_box import raw_mail
from mail_servers import (
    CLOSE,
    HANG,
    ScriptedServer,
    Taker,
    a_mail,
    everything,
    real_server,
    server_tls,
)

PASSWORD = "s3cret/word"
ENCODED_PASSWORD = "s3cret%2Fword"


def _deliver_to(
    answers: Mapping[str, str], login: str = "", options: str = "", timeout: float = 5.0
) -> ScriptedServer:
    """Deliver one mail to a scripted server, which comes back; errors pass through."""
    server = ScriptedServer(answers)

    async def run() -> None:
        async with server.running() as port:
            url = f"smtp://{login}127.0.0.1:{port}{options}"
            await deliver(a_mail(), smtp_url=url, timeout=timeout)

    asyncio.run(run())
    return server


def _through(handler: Taker, url: Callable[[int], str], **options: Any) -> None:
    async def run() -> None:
        async with real_server(handler, **options) as port:
            await deliver(a_mail(), smtp_url=url(port), timeout=5)

    asyncio.run(run())


def test_a_mail_goes_all_the_way_into_the_mailbox(tmp_path: Path) -> None:
    """The whole road: built, sent by SMTP, kept, listed, read."""

    async def run() -> None:
        mailbox = Mailbox(tmp_path)
        port = await mailbox.start()
        message = a_mail(subject="Año nuevo", body="¡Feliz año!\n.\n..\nFrom here")
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
            await deliver(a_mail(to), smtp_url=f"smtp://127.0.0.1:{port}", timeout=5)
        await mailbox.stop()

    asyncio.run(run())
    items, _ = list_mail(tmp_path, 10)

    assert [["用户@xn--r8jz45g.jp"], ["ana@xn--strae-oqa.de"]] == [item["to"] for item in items]


def test_a_server_without_smtputf8_refuses_an_address_that_needs_it() -> None:
    """Nothing is sent to an address that the server could only garble."""

    async def run() -> None:
        async with ScriptedServer({}).running() as port:
            await deliver(a_mail("josé@b.c"), smtp_url=f"smtp://127.0.0.1:{port}", timeout=5)

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
    with pytest.raises(MailDelayed) as caught:
        _deliver_to({command: HANG, "HELO": HANG}, login="user:word@", timeout=0.2)

    assert str(caught.value).endswith(" did not answer within 0.2 s.")
    assert "mail_unreachable" == caught.value.error_code


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
            deliver_sync(a_mail(), smtp_url=f"smtp://127.0.0.1:{port}", timeout=2)

    sentence = f"The mail server 127.0.0.1:{port} cannot be reached: Connection refused."
    assert sentence == str(caught.value)
    assert "mail_unreachable" == caught.value.error_code


def test_a_name_that_nobody_knows_is_a_delay() -> None:
    """The DNS may be away for a moment. ``.invalid`` never exists (RFC 2606)."""
    with pytest.raises(MailDelayed) as caught:
        deliver_sync(a_mail(), smtp_url="smtp://mx.invalid", timeout=10)

    assert "mail_unreachable" == caught.value.error_code


def test_too_large_a_mail_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    """The size is announced with the sender, so the server can say no at once."""

    async def run() -> None:
        mailbox = Mailbox(tmp_path, size_limit=1000)
        port = await mailbox.start()
        try:
            message = a_mail(body="x" * 2000)
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
    assert "wr0ng-word" not in everything(caught.value)


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
    shown = everything(caught.value).lower()
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
        tls_context=server_tls(certificate),
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
        tls_context=server_tls(certificate),
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
        wrap=server_tls(certificate),
    )

    assert [True] == taker.over_tls


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_certificate_that_nobody_signed_is_not_trusted_even_on_loopback(
    certificate: Path, scheme: str
) -> None:
    """The error names the two ways out; the mail stays here and can be tried again."""
    tls = server_tls(certificate)
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
            wrap=server_tls(certificate),
        )

    assert "is not trusted (" in str(caught.value)


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_verification_can_be_turned_off_in_so_many_words(certificate: Path, scheme: str) -> None:
    """``?verify=no``, and only that, takes any certificate."""
    tls = server_tls(certificate)
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
        tls_context=server_tls(certificate),
    )

    assert [False] == taker.over_tls


@pytest.mark.parametrize("answer", [HANG, CLOSE])
def test_a_handshake_that_never_ends_is_a_delay(answer: str) -> None:
    """The time limit holds inside TLS too."""
    scripted = {"(connect)": answer}

    async def run() -> None:
        async with ScriptedServer(scripted).running() as port:
            await deliver(a_mail(), smtp_url=f"smtps://127.0.0.1:{port}", timeout=0.3)

    with pytest.raises(MailDelayed) as caught:
        asyncio.run(run())

    assert "mail_unreachable" == caught.value.error_code


def test_a_server_that_speaks_no_tls_is_a_delay() -> None:
    """Plain text where TLS was expected is said in words, not in OpenSSL's codes alone."""

    async def run() -> None:
        async with ScriptedServer({}).running() as port:
            await deliver(a_mail(), smtp_url=f"smtps://127.0.0.1:{port}", timeout=2)

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
