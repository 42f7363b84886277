"""Mail from a real worker: its children keep connections, and whatever stops a task hangs up."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from encola.record import TaskState
from encola.store import run
from harness import Server
from mail_servers import HANG, ScriptedServer
from mailing import Mailing
from running import Running
from support import wait_until

ONE_MAIL = ["MAIL", "RCPT", "DATA"]


@pytest.fixture
def mailing(tmp_path: Path) -> Iterator[Callable[..., Mailing]]:
    """Makes a bench with one worker of one child, for a mail server's address."""
    made: list[Mailing] = []

    def make(url: str, **env: str) -> Mailing:
        folder = tmp_path / "valkey"
        folder.mkdir()
        server = Server(folder, durable=False)
        server.start()
        bench = Mailing(server, tmp_path, extra_env={"ENCOLA_SMTP_URL": url, **env})
        made.append(bench)
        bench.worker(concurrency=1).wait_ready()
        return bench

    yield make
    for bench in made:
        bench.close()


def test_a_child_sends_all_its_mails_over_one_connection(
    mailing: Callable[..., Mailing],
) -> None:
    """And says goodbye when the worker stops: a child runs no exit handlers of Python's."""
    server = ScriptedServer({})
    with server.beside() as url:
        bench = mailing(url)
        bench.mail(*(f"ana{number}@example.com" for number in range(5)))
        bench.wait_finished(20)

        assert {"SUCCESS": 5} == dict(bench.states())
        assert 0 == bench.workers[0].stop()

    assert [["EHLO", *ONE_MAIL * 5, "QUIT"]] == [session.verbs for session in server.sessions]


def test_a_child_that_is_replaced_says_goodbye(mailing: Callable[..., Mailing]) -> None:
    """After its last task; the next child opens a connection of its own."""
    server = ScriptedServer({})
    with server.beside() as url:
        bench = mailing(url, ENCOLA_MAX_TASKS_PER_CHILD="2")
        bench.mail(*(f"ana{number}@example.com" for number in range(4)))
        bench.wait_finished(20)
        wait_until(
            lambda: all(session.is_over for session in server.sessions),
            description="both children have left",
        )

    assert [["EHLO", *ONE_MAIL * 2, "QUIT"]] * 2 == [session.verbs for session in server.sessions]


def test_a_cancelled_mail_hangs_up(mailing: Callable[..., Mailing]) -> None:
    """TERM in the middle of a conversation: the server is not left with half a mail to wait for."""
    server = ScriptedServer({}, {"(mail)": HANG})
    with server.beside() as url:
        bench = mailing(url)
        bench.mail("first@example.com")
        bench.wait_finished(20)
        (stuck,) = bench.mail("second@example.com")
        wait_until(lambda: len(server.mails) == 2, description="its content is sent")
        run(bench.client, bench.verbs.cancel(stuck))
        wait_until(
            lambda: server.sessions[0].is_over, description="the connection is closed", timeout=5
        )
        server.later = server.answers
        (after,) = bench.mail("third@example.com")

        assert TaskState.SUCCESS is bench.ended(after).state
        assert TaskState.REVOKED is bench.ended(stuck).state

    assert "QUIT" not in server.sessions[0].verbs
    assert "EHLO" == server.sessions[1].verbs[0]


def test_a_soft_time_limit_hangs_up_and_the_child_goes_on(
    mailing: Callable[..., Mailing],
) -> None:
    """The task fails as late, the same child sends the next mail over a new connection."""
    server = ScriptedServer({}, {"(mail)": HANG})
    with server.beside() as url:
        bench = mailing(url, ENCOLA_TASK_SOFT_TIME_LIMIT="1", ENCOLA_TASK_MAX_RETRIES="0")
        bench.mail("first@example.com")
        bench.wait_finished(20)
        children = bench.workers[0].children()
        (late,) = bench.mail("second@example.com")
        record = bench.ended(late)
        wait_until(lambda: server.sessions[0].is_over, description="the connection is closed")
        server.later = server.answers
        (after,) = bench.mail("third@example.com")

        assert TaskState.SUCCESS is bench.ended(after).state
        assert (TaskState.FAILURE, "time_limit") == (record.state, record.error_code)
        assert children == bench.workers[0].children()

    assert "QUIT" not in server.sessions[0].verbs
    assert "EHLO" == server.sessions[1].verbs[0]


def test_a_killed_child_leaves_one_mail_in_doubt(
    mailing: Callable[..., Mailing],
) -> None:
    """The mail that it had on the way may come twice, under one Message-ID; those before it not."""
    server = ScriptedServer({}, {"(mail)": HANG})
    with server.beside() as url:
        bench = mailing(url)
        bench.mail("first@example.com")
        bench.wait_finished(20)
        (cut,) = bench.mail("second@example.com")
        wait_until(lambda: len(server.mails) == 2, description="its content is sent")
        server.later = server.answers
        for child in bench.workers[0].children():
            os.kill(child, signal.SIGKILL)
        record = bench.ended(cut)

    ids = [
        line
        for mail in server.mails
        for line in mail.splitlines()
        if line.lower().startswith(b"message-id:")
    ]

    assert TaskState.SUCCESS is record.state
    assert ["crashed", "SUCCESS"] == [attempt.outcome for attempt in record.attempts]
    assert (3, 2) == (len(ids), len(set(ids)))
    assert ids[1] == ids[2]


def test_a_service_that_stops_has_said_goodbye_everywhere() -> None:
    """The API process too, whose server ends it by a signal."""
    server = ScriptedServer({})
    with server.beside() as url:
        service = Running({"ENCOLA_SMTP_URL": url})
        try:
            service.start()
            for route in ("simple", "celery"):
                body = {"email": f"{route}@example.com", "subject": "Hola", "body": "Hola."}
                httpx.post(f"{service.api_url}/tasks/email/{route}", json=body).raise_for_status()
            wait_until(lambda: len(server.mails) == 2, description="both mails have come")
        finally:
            service.close()

    assert [["EHLO", *ONE_MAIL, "QUIT"]] * 2 == [session.verbs for session in server.sessions]
