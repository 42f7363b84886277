"""Connections that are kept between mails: used again, given up in time, and never a mail twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from encola.mail.answers import MailDelayed, MailRefused
from encola.mail.carrier import stop_carrier
from encola.mail.connections import MOST_OPEN, Keep
from encola.mail.delivery import deliver, deliver_sync
from mail_servers import CLOSE, HANG, ScriptedServer, Taker, a_mail, real_server, server_tls
from support import wait_until

KEEP = Keep(60, 100)
ONE_MAIL = ["MAIL", "RCPT", "DATA"]


async def until(predicate: Callable[[], object], description: str) -> None:
    """``wait_until`` for what happens on this very loop."""
    async with asyncio.timeout(5):
        while not predicate():  # what is waited for sets no event
            await asyncio.sleep(0.01)


def play(
    server: ScriptedServer,
    story: Callable[[Callable[..., Awaitable[None]]], Awaitable[None]],
    keep: Keep = KEEP,
) -> list[list[str]]:
    """Run *story*, which is given a way to send; the verbs of each connection come back."""

    with server.beside() as url:

        async def send(to: str = "ana@example.com", **options: Any) -> None:
            await deliver(a_mail(to), **({"smtp_url": url, "timeout": 5, "keep": keep} | options))

        async def run() -> None:
            await story(send)

        asyncio.run(run())
        wait_until(
            lambda: all(session.is_over for session in server.sessions),
            description="every connection is closed",
        )
    return [session.verbs for session in server.sessions]


def send_twice(
    later: Mapping[str, str], answers: Mapping[str, str] | None = None
) -> tuple[ScriptedServer, BaseException | None]:
    """Two mails to a server that answers as *later* says after the first; the second's error."""
    server = ScriptedServer(answers or {}, later)
    caught: list[BaseException] = []

    async def story(send: Callable[..., Awaitable[None]]) -> None:
        await send("first@example.com", timeout=1)
        try:
            await send("second@example.com", timeout=1)
        except (MailDelayed, MailRefused) as error:
            caught.append(error)

    play(server, story)
    return server, caught[0] if caught else None


def recipients(server: ScriptedServer) -> list[str]:
    return [
        line.decode().partition(": ")[2].partition("@")[0]
        for mail in server.mails
        for line in mail.splitlines()
        if line.startswith(b"To:")
    ]


# Kept


def test_mails_share_a_connection_and_the_end_of_the_loop_says_goodbye() -> None:
    """One greeting and one login for all of them; nothing is sent between two mails."""

    async def story(send: Callable[..., Awaitable[None]]) -> None:
        for _ in range(3):
            await send()

    (verbs,) = play(ScriptedServer({}), story)

    assert ["EHLO", *ONE_MAIL, *ONE_MAIL, *ONE_MAIL, "QUIT"] == verbs


def test_a_login_over_tls_is_made_once(certificate: Path) -> None:
    """What costs most, the handshake, is shared too."""
    taker = Taker()

    async def run() -> None:
        async with real_server(taker, tls_context=server_tls(certificate)) as port:
            url = f"smtp://localhost:{port}?ca={certificate / 'cert.pem'}"
            for _ in range(3):
                await deliver(a_mail(), smtp_url=url, timeout=5, keep=KEEP)

    asyncio.run(run())

    assert ([True] * 3, 1) == (taker.over_tls, len(taker.sessions))


def test_a_connection_is_replaced_after_so_many_mails() -> None:
    """With a goodbye; the next mail opens another."""

    async def story(send: Callable[..., Awaitable[None]]) -> None:
        for _ in range(5):
            await send()

    first, second, third = play(ScriptedServer({}), story, Keep(60, 2))

    assert ["EHLO", *ONE_MAIL, *ONE_MAIL, "QUIT"] == first == second
    assert ["EHLO", *ONE_MAIL, "QUIT"] == third


def test_an_idle_connection_is_left_in_time() -> None:
    """Nobody has to send a mail for it to be closed."""
    server = ScriptedServer({})

    async def story(send: Callable[..., Awaitable[None]]) -> None:
        await send()
        await until(lambda: server.sessions[0].is_over, "the idle connection is closed")

        assert "QUIT" == server.sessions[0].verbs[-1]
        await send()

    verbs = play(server, story, Keep(0.05, 100))

    assert [["EHLO", *ONE_MAIL, "QUIT"]] * 2 == verbs


def test_zero_seconds_is_a_connection_for_each_mail() -> None:
    """As it was, for servers that want it so."""

    async def story(send: Callable[..., Awaitable[None]]) -> None:
        await send()
        await send()

    verbs = play(ScriptedServer({}), story, Keep(0, 100))

    assert [["EHLO", *ONE_MAIL, "QUIT"]] * 2 == verbs


def test_another_address_is_another_connection() -> None:
    """Settings that change take hold with the next mail."""
    servers = [ScriptedServer({}), ScriptedServer({})]

    async def run(one: str, other: str) -> None:
        for url, login in ((one, "a:b@"), (other, "a:b@"), (one, "a:c@"), (one, "a:b@")):
            known = url.replace("//", f"//{login}")
            await deliver(a_mail(), smtp_url=known, timeout=5, keep=KEEP)

    with servers[0].beside() as one, servers[1].beside() as other:
        asyncio.run(run(one, other))
    greeted = ["EHLO", "AUTH"]

    assert [
        [*greeted, *ONE_MAIL, *ONE_MAIL, "QUIT"],
        [*greeted, *ONE_MAIL, "QUIT"],
    ] == [session.verbs for session in servers[0].sessions]
    assert [[*greeted, *ONE_MAIL, "QUIT"]] == [session.verbs for session in servers[1].sessions]


def test_mails_at_the_same_time_have_ten_connections_at_most() -> None:
    """Each its own, none more than a mail server would bear, and all of them used again."""
    server = ScriptedServer({})

    async def story(send: Callable[..., Awaitable[None]]) -> None:
        await asyncio.gather(*(send(f"ana{number}@example.com") for number in range(40)))

    play(server, story)

    assert MOST_OPEN == len(server.sessions)
    assert {f"ana{number}" for number in range(40)} == set(recipients(server))
    assert 40 == len(server.mails)


# In doubt


@pytest.mark.parametrize(
    "later",
    [
        pytest.param({"MAIL": CLOSE}, id="hung up at MAIL"),
        pytest.param({"MAIL": HANG}, id="silent at MAIL"),
        pytest.param({"MAIL": f"421 4.7.0 Enough of you{CLOSE}"}, id="421 at MAIL"),
        pytest.param({"MAIL": "452 4.5.3 Too many mails in one session"}, id="452 at MAIL"),
        pytest.param({"MAIL": "503 5.5.1 Greet me first"}, id="503 at MAIL"),
        pytest.param({"RCPT": CLOSE}, id="hung up at RCPT"),
        pytest.param({"RCPT": f"421 4.7.0 Enough of you{CLOSE}"}, id="421 at RCPT"),
    ],
)
def test_a_kept_connection_that_has_ended_costs_nothing(later: dict[str, str]) -> None:
    """Before the content was sent, another connection's word is the one that counts."""
    server, error = send_twice(later)

    assert error is None
    assert ["first", "second"] == recipients(server)
    assert [2, 1] == [session.verbs.count("MAIL") for session in server.sessions]


def test_a_new_connection_that_says_the_same_is_believed() -> None:
    """It is not asked a third time."""
    server = ScriptedServer({})

    async def story(send: Callable[..., Awaitable[None]]) -> None:
        await send()
        server.answers["MAIL"] = server.later["MAIL"] = f"421 4.7.0 Enough of you{CLOSE}"
        with pytest.raises(MailDelayed, match=r"put off the sender: 421 4\.7\.0 Enough of you"):
            await send()

    verbs = play(server, story)

    assert [["EHLO", *ONE_MAIL, "MAIL"], ["EHLO", "MAIL"]] == verbs


@pytest.mark.parametrize(
    "later",
    [
        pytest.param({"DATA": CLOSE}, id="hung up at DATA"),
        pytest.param({"(mail)": CLOSE}, id="hung up after the content"),
        pytest.param({"(mail)": HANG}, id="silent after the content"),
        pytest.param({"(mail)": f"421 4.3.0 Stopping{CLOSE}"}, id="421 after the content"),
    ],
)
def test_a_mail_whose_content_may_be_there_is_not_sent_again_from_here(
    later: dict[str, str],
) -> None:
    """Whether it was taken nobody knows; the task is told, as on a connection of its own."""
    server, error = send_twice(later)

    assert isinstance(error, MailDelayed)
    assert 1 == len(server.sessions)
    assert recipients(server) in (["first", "second"], ["first"])


@pytest.mark.parametrize(
    ("later", "sentence"),
    [
        ({"RCPT": "550 5.1.1 Nobody here"}, "refused the recipient: 550 5.1.1 Nobody here"),
        ({"RCPT": "450 4.2.1 Not now"}, "put off the recipient: 450 4.2.1 Not now"),
        ({"DATA": "554 5.7.1 Not from you"}, "refused the mail: 554 5.7.1 Not from you"),
        ({"(mail)": "552 5.2.2 Full"}, "refused the mail: 552 5.2.2 Full"),
    ],
)
def test_an_answer_counts_and_the_connection_goes_on(later: dict[str, str], sentence: str) -> None:
    """A refused mail is asked about once; the next goes over the same connection, cleared by RSET."""
    server = ScriptedServer({}, later)

    async def story(send: Callable[..., Awaitable[None]]) -> None:
        await send("first@example.com")
        with pytest.raises((MailRefused, MailDelayed)) as caught:
            await send("second@example.com")

        assert str(caught.value).endswith(sentence)
        server.later = server.answers
        await send("third@example.com")

    (verbs,) = play(server, story)

    assert ["RSET", *ONE_MAIL, "QUIT"] == verbs[-5:]
    assert ["first", "third"] == [one for one in recipients(server) if one != "second"]


def test_one_ended_connection_is_taken_for_all_of_them() -> None:
    """A server that was restarted is met once, and not once for each connection that was kept."""
    server = ScriptedServer({})

    async def story(send: Callable[..., Awaitable[None]]) -> None:
        await asyncio.gather(*(send(timeout=0.3) for _ in range(4)))
        server.later = server.answers | {"MAIL": HANG}
        await send(timeout=0.3)

    # Silence at MAIL costs the time limit, once: the other three are not tried.
    verbs = play(server, story, KEEP)

    assert 5 == len(verbs)
    assert 1 == sum(one.count("MAIL") > 1 for one in verbs)


def test_a_server_that_hung_up_meanwhile_is_noticed_before_anything_is_sent() -> None:
    """No word goes to the dead connection; the mail takes a new one."""
    server = ScriptedServer({})

    async def story(send: Callable[..., Awaitable[None]]) -> None:
        await send("first@example.com")
        server.hang_up()
        await until(lambda: server.sessions[0].is_over, "the server has hung up")
        await send("second@example.com")

    first, second = play(server, story)

    assert (["EHLO", *ONE_MAIL], ["EHLO", *ONE_MAIL, "QUIT"]) == (first, second)


@pytest.mark.parametrize("step", ["MAIL", "DATA", "(mail)"])
def test_a_cancelled_mail_hangs_up(step: str) -> None:
    """Nothing of it can be taken later, and no other mail meets a conversation in its middle."""
    server = ScriptedServer({}, {step: HANG})

    async def story(send: Callable[..., Awaitable[None]]) -> None:
        await send("first@example.com")
        sending = asyncio.ensure_future(send("second@example.com"))
        verb = "DATA" if step == "(mail)" else step
        await until(lambda: server.sessions[0].verbs.count(verb) == 2, f"it hangs at {step}")
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await until(lambda: server.sessions[0].is_over, "the connection is closed")
        await send("third@example.com")

    first, second = play(server, story)

    assert "QUIT" not in first
    assert ["EHLO", *ONE_MAIL, "QUIT"] == second


# Without an event loop


@contextmanager
def beside(server: ScriptedServer) -> Iterator[str]:
    """The address of *server*; this process's carrier is gone before it."""
    with server.beside() as url:
        try:
            yield url
        finally:
            stop_carrier()


def test_a_worker_child_keeps_its_connection_and_says_goodbye() -> None:
    """Mail after mail without an event loop, over one connection; the idle one is left by itself."""
    server = ScriptedServer({})
    with beside(server) as url:
        for _ in range(3):
            deliver_sync(a_mail(), smtp_url=url, timeout=5, keep=Keep(0.1, 100))
        wait_until(lambda: server.sessions[0].is_over, description="it is closed when idle")
        deliver_sync(a_mail(), smtp_url=url, timeout=5, keep=KEEP)
        stop_carrier()
        wait_until(lambda: server.sessions[1].is_over, description="it is closed at the end")

    assert [
        ["EHLO", *ONE_MAIL, *ONE_MAIL, *ONE_MAIL, "QUIT"],
        ["EHLO", *ONE_MAIL, "QUIT"],
    ] == [session.verbs for session in server.sessions]


def test_a_fork_has_a_connection_of_its_own() -> None:
    """Neither speaks into the other's conversation, and each goes on with its own."""
    server = ScriptedServer({})
    with beside(server) as url:

        def send(to: str) -> None:
            deliver_sync(a_mail(to), smtp_url=url, timeout=5, keep=KEEP)

        send("parent1@example.com")
        # A fork, as a worker's child is one; pytest warns of threads, which are this test's subject.
        child = _fork(lambda: [send("child1@example.com"), send("child2@example.com")])
        send("parent2@example.com")
        _, status = os.waitpid(child, 0)
        send("parent3@example.com")

    assert 0 == os.waitstatus_to_exitcode(status)
    assert {
        ("parent1", "parent2", "parent3"),
        ("child1", "child2"),
    } == {tuple(_names(session.commands)) for session in server.sessions}


def _fork(work: Callable[[], object]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
    except BaseException:
        os._exit(1)
    os._exit(0)


def _names(commands: list[str]) -> list[str]:
    return [
        command.partition("<")[2].partition("@")[0]
        for command in commands
        if command.startswith("RCPT")
    ]


class TimeIsUp(Exception):
    """What Celery's soft time limit is: an exception out of a signal handler."""


@pytest.mark.parametrize("step", ["EHLO", "MAIL", "(mail)"])
def test_a_time_limit_hangs_up_at_once_and_the_next_mail_goes(step: str) -> None:
    """The exception reaches the task when the mail has been dropped, and not before."""
    server = ScriptedServer({step: HANG})

    def ring(*_: Any) -> None:
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with beside(server) as url:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(TimeIsUp):
                deliver_sync(a_mail("late@example.com"), smtp_url=url, timeout=30, keep=KEEP)
            wait_until(
                lambda: server.sessions[0].is_over,
                description="the connection is closed",
                timeout=1,
            )
            server.answers = server.later = ScriptedServer({}).answers
            deliver_sync(a_mail("next@example.com"), smtp_url=url, timeout=5, keep=KEEP)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert "QUIT" not in server.sessions[0].verbs
    assert ["EHLO", *ONE_MAIL, "QUIT"] == server.sessions[1].verbs


#: As Python 3.12 has it, in every one: no thread is begun once exit handlers run.
NO_NEW_THREADS = """
import atexit, threading
def refuse(thread):
    raise RuntimeError("can't create new thread at interpreter shutdown")
atexit.register(setattr, threading.Thread, "start", refuse)
"""


@pytest.mark.parametrize(
    ("ending", "complaint"),
    [("pass", ""), ("raise SystemExit(0)", ""), ("1 / 0", "ZeroDivisionError")],
)
def test_a_program_that_ends_says_goodbye(ending: str, complaint: str) -> None:
    """A script that sends one mail and comes to its end, in whatever way, neither vanishes nor complains."""
    server = ScriptedServer({})
    with beside(server) as url:
        # A name, and not its number: to look it up takes a thread.
        named = url.replace("127.0.0.1", "localhost")
        program = (
            "from encola.mail.delivery import deliver_sync; from encola.mail.connections import Keep\n"
            "from mail_servers import a_mail\n"
            f"deliver_sync(a_mail(), smtp_url={named!r}, timeout=5, keep=Keep(60, 9))\n"
            f"{NO_NEW_THREADS}\n{ending}"
        )
        ended = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    assert [["EHLO", *ONE_MAIL, "QUIT"]] == [session.verbs for session in server.sessions]
    assert complaint == ended.stderr.strip().rpartition("\n")[2].partition(":")[0]
