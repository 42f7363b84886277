"""An API process that dies right after its answer has kept its word."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import closing, suppress

import httpx2

from encola.record import TaskState
from harness import Bench
from support import wait_until

EMAIL = {"email": "a@example.com", "subject": "s", "body": "b"}


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_api(bench: Bench, **settings: str) -> tuple[subprocess.Popen[bytes], str]:
    port = free_port()
    env = {**bench.env(), "ENCOLA_PORT": str(port), "ENCOLA_TASK_MODULES": "", **settings}
    with (bench.folder / "api.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "encola", "api"],
            env=env,
            cwd=bench.folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        with suppress(httpx2.TransportError):
            return httpx2.get(f"{url}/health").status_code == 200
        return False

    wait_until(answers, description="the API answers", timeout=20)
    return process, url


def test_every_answered_task_is_there_after_a_kill(bench: Bench) -> None:
    """SIGKILL in the middle of submits: each id that a client was given has its record and its place."""
    process, url = start_api(bench)
    answered: list[str] = []
    with suppress(httpx2.TransportError), httpx2.Client() as client:
        for number in range(500):
            answered.append(client.post(f"{url}/tasks/email/celery", json=EMAIL).json()["task_id"])
            if number == 200:
                os.kill(process.pid, 9)
    process.wait(10)

    assert len(answered) >= 200
    assert {"PENDING": len(answered)} == dict(bench.states(answered))
    on_the_list = {entry.decode() for entry in bench.client.lrange("encola", 0, -1)}  # type: ignore[union-attr]
    assert set(answered) <= on_the_list


def test_a_task_that_ran_inside_a_killed_api_goes_to_its_queue(bench: Bench) -> None:
    """Its lease runs out, the crash is counted, and a worker may take it up."""
    with closing(socket.socket()) as silent:
        # A mail server that takes the connection and never says a word.
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        smtp = f"smtp://127.0.0.1:{silent.getsockname()[1]}"
        process, url = start_api(bench, ENCOLA_SMTP_URL=smtp)
        task_id = httpx2.post(f"{url}/tasks/email/simple", json=EMAIL).json()["task_id"]
        wait_until(
            lambda: getattr(bench.record(task_id), "state", None) is TaskState.STARTED,
            description="it runs in the API process",
        )
        process.kill()
        process.wait(10)
    other, _ = start_api(bench)
    try:
        wait_until(
            lambda: getattr(bench.record(task_id), "place", None) == "ready",
            description="it waits on its queue",
            timeout=20,
        )
        record = bench.record(task_id)
        assert record is not None
        assert (TaskState.PENDING, 1, ["crashed"]) == (
            record.state,
            record.crashes,
            [attempt.outcome for attempt in record.attempts],
        )
    finally:
        other.kill()
        other.wait(10)
