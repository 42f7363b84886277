"""From the queue to a mailbox through Debian's Exim, with STARTTLS and a login, and its refusals."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from encola.mail.connections import Keep
from encola.mail.delivery import deliver, deliver_sync
from encola.record import TaskState
from encola.settings import get_settings
from encola.tasks.email import send_email_task
from exim import BINARY, PASSWORD, STEPS, Exim, running_exim
from harness import Server
from mail_servers import a_mail
from mailing import Mailing
from support import wait_until

FIRST_DELAY = 2.0


@pytest.fixture(scope="module")
def exim() -> Iterator[Exim]:
    if not Path(BINARY).exists():
        reason = "Exim is not installed (Debian: apt install exim4-daemon-light)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with running_exim() as server:
        yield server


@pytest.fixture(scope="module")
def bench(exim: Exim, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailing]:
    """A worker that opens a connection for each mail, so that each step is met anew."""
    folder = tmp_path_factory.mktemp("exim")
    (folder / "valkey").mkdir()
    server = Server(folder / "valkey", durable=False)
    server.start()
    env = {
        "ENCOLA_SMTP_URL": exim.url(),
        "ENCOLA_SMTP_IDLE_SECONDS": "0",
        "ENCOLA_TASK_FIRST_DELAY": str(FIRST_DELAY),
        "ENCOLA_TASK_MAX_RETRIES": "10",
    }
    made = Mailing(server, folder, extra_env=env)
    made.worker(concurrency=1).wait_ready()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _kind(exim: Exim) -> Iterator[None]:
    yield
    exim.be_kind()


@pytest.fixture
def to() -> str:
    """An address of this test's own, so that it finds its own mails."""
    return f"ana-{uuid.uuid4().hex[:12]}@example.com"


def delivered(exim: Exim, to: str, count: int = 1) -> list[str]:
    """Subjects of the mails to *to*, once there are *count*; Exim delivers after its 250."""
    wait_until(lambda: len(exim.mails(to)) >= count, description="Exim has delivered it")
    return [mail["Subject"] for mail in exim.mails(to)]


def test_a_mail_goes_from_the_queue_into_a_mailbox(exim: Exim, bench: Mailing, to: str) -> None:
    """Encrypted and logged in, unchanged, with the task's id in its Message-ID."""
    (task_id,) = bench.mail(to)
    record = bench.ended(task_id)
    (subject,) = delivered(exim, to)
    (mail,) = exim.mails(to)
    (taken,) = [line for line in exim.log() if f"for {to}" in line or f"id={task_id}@" in line]

    assert TaskState.SUCCESS is record.state
    assert ("Hola", f"<{task_id}@localhost>") == (subject, mail["Message-ID"])
    assert "P=esmtpsa X=TLS1." in taken
    assert "A=plain" in taken


@pytest.mark.parametrize("step", STEPS)
def test_what_is_put_off_at_any_step_is_tried_again_and_arrives_once(
    exim: Exim, bench: Mailing, to: str, step: str
) -> None:
    """RETRY with the server's words and a delay; when the server has changed its mind, SUCCESS."""
    exim.refuse(step, "450 4.3.2 Not now, come back")
    (task_id,) = bench.mail(to)
    wait_until(
        lambda: bench.state(task_id) is TaskState.RETRY, description="it waits to be tried again"
    )
    waiting = bench.record(task_id)
    exim.be_kind()
    record = bench.ended(task_id)

    assert waiting is not None
    assert waiting.error is not None
    assert "mail_delayed" == waiting.error_code
    assert waiting.error.message.endswith(f"put off {STEPS[step]}: 450 4.3.2 Not now, come back")
    assert TaskState.SUCCESS is record.state
    assert {"RETRY"} == {attempt.outcome for attempt in record.attempts[:-1]}
    for number, pause in enumerate(bench.pauses(record)):
        assert 0 <= pause <= FIRST_DELAY * 2**number + 2  # and up to two seconds to be picked up
    assert ["Hola"] == delivered(exim, to)


@pytest.mark.parametrize("step", STEPS)
def test_what_is_refused_at_any_step_fails_with_the_servers_words(
    exim: Exim, bench: Mailing, to: str, step: str
) -> None:
    """FAILURE at the first attempt, and nothing arrives."""
    exim.refuse(step, "554 5.7.1 Never from you")
    (task_id,) = bench.mail(to)
    record = bench.ended(task_id)

    assert TaskState.FAILURE is record.state
    assert record.error is not None
    assert "mail_refused" == record.error_code
    assert record.error.message.endswith(f"refused {STEPS[step]}: 554 5.7.1 Never from you")
    assert 1 == len(record.attempts)
    assert [] == exim.mails(to)


def test_a_wrong_password_is_believed_and_shown_nowhere(exim: Exim, to: str) -> None:
    """Exim's own 535: trying again would lock the account."""
    with pytest.raises(
        Exception, match="refused the login: 535 Incorrect authentication data"
    ) as e:
        deliver_sync(a_mail(to), smtp_url=exim.url("ana%40shop:wr0ng"), timeout=10)

    assert "mail_refused" == getattr(e.value, "error_code", "")
    assert "wr0ng" not in repr(e.value)
    assert [] == exim.mails(to)


def test_kept_connections_are_one_to_a_real_server_too(exim: Exim, to: str) -> None:
    """Five mails, one connection, one login; a refused one among them changes nothing."""

    async def send() -> None:
        for number in range(5):
            if number == 2:
                exim.refuse("rcpt", "550 5.1.1 Nobody here")
                with pytest.raises(Exception, match="550 5.1.1 Nobody here"):  # noqa: RUF043
                    await deliver(a_mail(to), smtp_url=exim.url(), timeout=10, keep=Keep(30, 100))
                exim.be_kind()
            message = a_mail(to, subject=f"Mail {number}", message_id_seed=f"{to}-{number}")
            await deliver(message, smtp_url=exim.url(), timeout=10, keep=Keep(30, 100))

    before = len(
        [line for line in exim.log() if "SMTP connection from" in line and "count" in line]
    )
    asyncio.run(send())
    after = len([line for line in exim.log() if "SMTP connection from" in line and "count" in line])

    assert {f"Mail {number}" for number in range(5)} == set(delivered(exim, to, 5))
    assert 1 == after - before


def test_the_lessons_coroutine_sends_through_it(
    exim: Exim, to: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``await send_email_task(…)`` in a program of one's own."""
    monkeypatch.setenv("ENCOLA_SMTP_URL", exim.url())
    get_settings.cache_clear()
    try:
        sent = asyncio.run(send_email_task(to, "Año nuevo", "¡Feliz año!"))
    finally:
        get_settings.cache_clear()

    assert ("sent", to) == (sent["status"], sent["email"])
    assert ["Año nuevo"] == delivered(exim, to)
    assert PASSWORD not in repr(sent)
