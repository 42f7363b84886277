"""What tasks write is kept with them: whose it is, how much of it, and no secret."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from live_service import Api, Listener, new_bench

from encola.api.logs import portion
from harness import Bench
from support import wait_until

ENVIRONMENT = {
    "ENCOLA_TASK_MODULES": "log_tasks",
    "ENCOLA_LOG_LEVEL": "info",
    "ENCOLA_QUEUES": "encola",
    "ENCOLA_SMTP_URL": "smtp://me:hunter%21seven@127.0.0.1:9/",
    "ENCOLA_LOG_LINES": "200",
}
Submit = Callable[..., str]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    here = str(Path(__file__).parent)
    folder = tmp_path_factory.mktemp("logs")
    made = new_bench(folder, extra_env=dict(ENVIRONMENT), lease=6.0)
    made.extra_env["PYTHONPATH"] = f"{made.env()['PYTHONPATH']}:{here}"
    yield made
    made.close()


@pytest.fixture(scope="module")
def api(bench: Bench) -> Iterator[Api]:
    started = Api(bench).start()
    bench.worker(2).wait_ready()
    yield started
    started.close()


@pytest.fixture
def submit(api: Api) -> Submit:
    def send(type_: str, *, ends: bool = True, **values: object) -> str:
        body = {"type": type_, "input": values}
        task_id: str = api.call("POST", "/tasks", body)["task_id"]
        if ends:
            wait_until(
                lambda: api.get(f"/tasks/{task_id}")["completed_at"],
                description="it ends",
                timeout=30,
            )
        return task_id

    return send


def lines(api: Api, task_id: str, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get(f"/tasks/{task_id}/logs?limit=1000&{query}")["items"]
    return found


def test_all_ways_of_writing_are_kept_without_a_change_to_the_code(
    api: Api, submit: Submit
) -> None:
    """logging, print, both streams, warnings; each line once, with its level and where it came from."""
    found = lines(api, submit("everything", name="ana"))
    kept = [(line["level"], line["source"], line["message"]) for line in found]

    assert kept[0] == ("warning", "shop.bank", "careful, ana")
    assert kept[1][:2] == ("error", "shop.bank")
    assert re.fullmatch(r"it went wrong\nTraceback (.|\n)*ValueError: kaput", kept[1][2])
    assert kept[2:5] == [
        ("info", "stdout", "half a line, and the rest"),
        ("info", "stdout", "100 %"),
        ("warning", "stderr", "on the other stream"),
    ]
    assert any("a warning" in line[2] for line in kept[5:7])
    assert kept[-2:] == [
        ("error", "own", "once, though it has a handler of its own"),
        ("info", "stdout", "no end of line"),
    ]
    assert [line["n"] for line in found] == list(range(1, len(found) + 1))
    assert {line["attempt"] for line in found} == {1}
    assert all(line["at"].endswith("Z") for line in found)


def test_lines_of_tasks_that_run_together_never_mix(api: Api, submit: Submit) -> None:
    """Twelve tasks in two children, 60 lines each."""
    names = [f"task{n}" for n in range(12)]
    ids = {name: submit("says", ends=False, name=name, lines=30, pause=0.005) for name in names}
    for name, task_id in ids.items():
        wait_until(
            lambda t=task_id: api.get(f"/tasks/{t}")["completed_at"],
            description="it ends",
            timeout=60,
        )
        expected = [f"{name} {how} {n}" for n in range(30) for how in ("logs", "prints")]

        assert expected == [line["message"] for line in lines(api, task_id)]


def test_threads_of_a_task_write_to_its_log_even_after_it(api: Api, submit: Submit) -> None:
    """Of two tasks one after the other in the same children: each its own, the stragglers too."""
    ids = {name: submit("in_threads", name=name) for name in ("one", "two", "three")}
    for _ in range(6):
        submit("says", name="between", lines=1)
    for name, task_id in ids.items():
        wait_until(lambda t=task_id: len(lines(api, t)) == 5, description="the straggler is in")
        found = {line["message"] for line in lines(api, task_id)}

        assert found == {
            f"{name} straggles",
            f"{name} in a thread",
            *(f"{name} in a pool {n}" for n in range(3)),
        }


def test_each_attempt_has_its_lines(api: Api, submit: Submit) -> None:
    task_id = submit("fails_once", name="eva")

    assert [(1, "eva fails"), (2, "eva fails")] == [
        (line["attempt"], line["message"]) for line in lines(api, task_id)
    ]
    assert [2] == [line["attempt"] for line in lines(api, task_id, "attempt=2")]


def test_the_lines_before_a_crash_are_kept_with_the_attempt_that_wrote_them(
    api: Api, submit: Submit
) -> None:
    task_id = submit("dies_after", name="eva")
    found = lines(api, task_id)

    assert ["eva is about to die"] * 3 == [line["message"] for line in found]
    assert [1, 2, 3] == [line["attempt"] for line in found]


def test_secrets_of_the_settings_are_not_kept(api: Api, bench: Bench, submit: Submit) -> None:
    """Neither as they are written in the address nor as they are meant; nor in any file."""
    task_id = submit("tells_secrets", password="hunter!seven")
    text = json.dumps(lines(api, task_id))

    assert "the password is ***, and redis://me:***@host/0 too" in text
    assert "?token=***" in text
    stored = b"".join(bench.client.lrange(bench.keys.log(task_id), 0, -1))
    assert b"hunter" not in stored


def test_secrets_of_the_settings_are_not_kept_with_an_error_either(
    api: Api, bench: Bench, submit: Submit
) -> None:
    """Neither in its words nor in its traceback, which the record and the dashboard show."""
    task_id = submit("raises_secrets", password="hunter!seven")
    record = api.get(f"/tasks/{task_id}")

    assert "login *** at redis://me:***@host/0 refused" == record["error"]
    assert "RuntimeError: login *** at redis://me:***@host/0 refused" in record["traceback"]
    assert b"hunter" not in bench.client.hget(bench.keys.record(task_id), "e")


def test_the_last_lines_are_the_last_lines() -> None:
    """However many are asked for; the usual number of lines is for who does not say."""
    lines: list[Any] = list(range(900))

    assert lines[-800:] == portion(lines, 800, None)
    assert lines[:500] == portion(lines, None, None)
    assert lines[-800:-790] == portion(lines, 800, 10)


def test_a_flood_is_bounded_and_counted(api: Api, submit: Submit) -> None:
    """Of 20,000 lines the last 200 are kept, and how many there were is known."""
    task_id = submit("floods", lines=20_000)
    answer = api.get(f"/tasks/{task_id}/logs?limit=1000")
    messages = [line["message"] for line in answer["items"]]

    assert (answer["last"], answer["dropped"], len(messages)) == (20_000, 19_800, 200)
    assert [f"line {n}" for n in range(19_800, 20_000)] == messages
    assert api.get(f"/tasks/{task_id}/logs?tail=2")["items"] == answer["items"][-2:]
    assert (
        api.get(f"/tasks/{task_id}/logs?after=19990&limit=3")["items"] == answer["items"][190:193]
    )


def test_a_level_is_that_one_or_worse(api: Api, submit: Submit) -> None:
    task_id = submit("everything", name="ana")

    assert {"error"} == {line["level"] for line in lines(api, task_id, "level=error")}
    assert {"warning", "error"} == {line["level"] for line in lines(api, task_id, "level=warning")}


@pytest.mark.parametrize(
    "query", ["level=loud", "limit=0", "limit=1001", "after=-1", f"after={2**53}", "tail=x"]
)
def test_what_cannot_be_meant_is_refused(api: Api, submit: Submit, query: str) -> None:
    task_id = submit("says", name="a", lines=1)

    assert 422 == httpx.get(f"{api.address}/tasks/{task_id}/logs?{query}").status_code
    for given in ("x", "-1", str(2**53)):
        answer = httpx.get(
            f"{api.address}/tasks/{task_id}/logs/events", headers={"Last-Event-ID": given}
        )
        assert (422, ["header", "last-event-id"]) == (
            answer.status_code,
            answer.json()["errors"][0]["loc"],
        )
    assert 404 == httpx.get(f"{api.address}/tasks/nobody/logs").status_code
    assert 404 == httpx.get(f"{api.address}/tasks/nobody/logs/events").status_code


def test_a_log_is_read_along_while_it_is_written(api: Api, submit: Submit) -> None:
    """Each line soon after it was written, and the end after the last."""
    task_id = submit("says", ends=False, name="live", lines=10, pause=0.2)
    listener = Listener(api.address, f"/tasks/{task_id}/logs/events")
    late: list[float] = []
    seen = 0
    deadline = time.monotonic() + 30
    while "end" not in listener.names() and time.monotonic() < deadline:
        for _, _, line in listener.events[seen:]:
            if "at" in line:
                wrote = line["at"]
                late.append(time.time() - _seconds(wrote))
            seen += 1
        threading.Event().wait(0.01)
    listener.drop()
    wait_until(lambda: listener.connections == 2, description="it is back")
    listener.close()
    logged = [(i, data["message"]) for name, i, data in listener.events if name == "log"]

    assert [message for _, message in logged] == [
        f"live {how} {n}" for n in range(10) for how in ("logs", "prints")
    ]
    assert [i for i, _ in logged] == [str(n) for n in range(1, 21)]
    assert listener.events[20][::2] == (
        "end",
        {"task_id": task_id, "state": "SUCCESS", "status": "completed"},
    )
    # One second would be noticed; a busy machine may take its time over single ones.
    assert sorted(late)[len(late) // 2] < 0.6


def _seconds(moment: str) -> float:
    import datetime as dt

    return dt.datetime.fromisoformat(moment).timestamp()


def test_a_store_that_was_away_has_every_line_afterwards(
    api: Api, bench: Bench, submit: Submit
) -> None:
    """Nothing is lost of what was written while nobody took it."""
    task_id = submit("says", ends=False, name="away", lines=40, pause=0.1)
    wait_until(lambda: len(lines(api, task_id)) > 4, description="it writes", timeout=20)
    bench.server.kill(signal.SIGKILL)
    threading.Event().wait(1.0)
    bench.server.start()
    wait_until(lambda: _ended(api, task_id), description="it ends", timeout=40)
    messages = [line["message"] for line in lines(api, task_id)]

    assert dict.fromkeys(messages) == dict.fromkeys(
        f"away {how} {n}" for n in range(40) for how in ("logs", "prints")
    )


def _ended(api: Api, task_id: str) -> bool:
    answer = httpx.get(f"{api.address}/tasks/{task_id}", timeout=10)
    return answer.is_success and bool(answer.json()["completed_at"])


def encola(api: Api, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "encola", *arguments],
        env={**api.bench.env(), "ENCOLA_URL": api.address},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_command_follows_a_task_to_its_end(api: Api, submit: Submit) -> None:
    """What was written before and what comes, in order, once; the exit code is the task's."""
    task_id = submit("says", ends=False, name="cli", lines=8, pause=0.2)
    wait_until(lambda: len(lines(api, task_id)) > 2, description="it writes")
    followed = encola(api, "logs", task_id, "--follow")
    printed = followed.stdout.splitlines()

    assert followed.returncode == 0, followed.stderr
    assert [f"cli {how} {n}" for n in range(8) for how in ("logs", "prints")] == [
        line.rpartition(": ")[2] for line in printed
    ]
    assert re.match(r"\S+Z INFO     shop.bank: cli logs 0", printed[0])


def test_the_command_says_how_the_task_ended(api: Api, submit: Submit) -> None:
    failed = encola(api, "logs", submit("dies_after", name="eva"), "-f", "--json")
    unknown = encola(api, "logs", "nobody")
    wrong = encola(api, "logs", "nobody", "--level", "loud")

    assert (1, 3) == (failed.returncode, len(failed.stdout.splitlines()))
    assert json.loads(failed.stdout.splitlines()[2])["attempt"] == 3
    assert (3, 2) == (unknown.returncode, wrong.returncode)


def test_what_a_task_prints_cannot_pass_for_another_line(api: Api, submit: Submit) -> None:
    shown = encola(api, "logs", submit("everything", name="a\x1b[2J\nfalse"), "--tail", "100")

    assert "\x1b" not in shown.stdout
    assert "\n    false" in shown.stdout
