"""The Python programs of docs/live.md and docs/acting.md, as the pages have them; tests/browser has those of JavaScript."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from examples import acting, example
from live_service import Api, enqueue
from wire import wire_to

from encola.store import run
from harness import Bench
from support import wait_until


@pytest.mark.parametrize("kind", ["Server-sent events", "WebSocket"])
def test_a_program_of_the_page_tells_every_change_once(bench: Bench, api: Api, kind: str) -> None:
    """Also of what happens while its line is cut; not what its filter leaves out."""
    with wire_to(api.address) as wire:
        port = api.address.rpartition(":")[2]
        assert port != "8000"
        program = example("Python", kind).replace("127.0.0.1:8000", f"127.0.0.1:{wire.port}")
        assert str(wire.port) in program
        output = bench.folder / "output"
        with output.open("wb") as written:
            process = subprocess.Popen(
                [sys.executable, "-u", "-W", "error", "-c", program],
                stdout=written,
                stderr=subprocess.STDOUT,
                env={**os.environ, "no_proxy": "127.0.0.1"},
            )
        try:
            expected = _tell(bench, output)
            wire.cut()
            enqueue(bench, 3, type_="other")
            late = enqueue(bench, 3, type_="email")
            expected += [f"{task_id} PENDING" for task_id in late]
            wire.mend()
            wait_until(
                lambda: len(_lines(output)) >= len(expected),
                description="it has come back",
                timeout=20,
            )
            run(bench.client, bench.verbs.cancel(late[0]))
            expected.append(f"{late[0]} REVOKED")
            wait_until(lambda: len(_lines(output)) >= len(expected), description="it goes on")
            assert expected == _lines(output)
        finally:
            process.kill()
            process.wait(10)


def _tell(bench: Bench, output: Path) -> list[str]:
    """Tasks until the program tells one; from then on it listens, and has an id."""
    ids: list[str] = []

    def is_told() -> bool:
        ids.extend(enqueue(bench, 1, type_="email"))
        return bool(_lines(output))

    wait_until(is_told, description="it listens", timeout=20)
    wait_until(
        lambda: _lines(output)[-1] == f"{ids[-1]} PENDING", description="it has told the last"
    )
    first = _lines(output)[0].partition(" ")[0]
    return [f"{task_id} PENDING" for task_id in ids[ids.index(first) :]]


def _lines(output: Path) -> list[str]:
    return output.read_text().splitlines()


def test_the_program_that_acts_says_what_it_did(bench: Bench, api: Api) -> None:
    """It runs one again with another input, and cancels this and all others that wait."""
    mail = {"email": "ana@example.com", "subject": "Once", "body": "…"}
    old, *others = (api.call("POST", "/tasks/email/celery", mail)["task_id"] for _ in range(4))
    api.call("DELETE", f"/tasks/cancel/{old}")
    program = acting("Python").replace("127.0.0.1:8000", api.address.removeprefix("http://"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, old],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "no_proxy": "127.0.0.1"},
    )
    [new] = (task for task in api.get("/tasks?type=email")["items"] if task["retried_from"])

    assert (done.stderr, done.returncode) == ("", 0)
    assert done.stdout.splitlines() == [
        old,
        "4",
        "{'matched': 4, 'changed': 4, 'skipped': 0}",
        "Queue encola paused",
        "Queue encola resumed",
    ]
    assert (new["retried_from"], new["input"]) == (old, mail | {"subject": "Once more"})
    assert {api.get(f"/tasks/{task_id}")["state"] for task_id in others} == {"REVOKED"}
