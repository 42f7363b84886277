"""
The command line: what it prints where, and with which exit code it ends.

The API here is a small stand-in that gives fixed answers, to see what a command makes
of each. That tasks really run is shown elsewhere, on the real one.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from encola import errors
from encola.cli.exits import CommandError, exit_code_of, exit_code_of_problem, exit_code_of_state
from encola.cli.fields import parse
from encola.embedded import runfile
from encola.embedded.data_folder import CannotStart
from encola.embedded.ports import free_port
from encola.embedded.runfile import RunFile
from support import wait_until
from terminal import Terminal

COMMANDS = (
    "up",
    "api",
    "worker",
    "submit",
    "status",
    "cancel",
    "monitor",
    "flower",
    "doctor",
    "beat",
)
Answer = tuple[int, dict[str, Any]]
SCHEMA = {
    "properties": {
        "file_path": {"type": "string"},
        "user_id": {"type": "integer"},
        "share": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        "html": {"type": "boolean"},
        "to": {"type": "array", "items": {"type": "string"}},
        "labels": {"type": "object"},
        "kind": {"$ref": "#/$defs/Kind"},
        "report_type": {"type": "string"},
    },
    "$defs": {"Kind": {"type": "string", "enum": ["a", "b"]}},
}


class FakeApi:
    """Answers as it is told, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {
            "GET /tasks/types": (200, {"types": [{"name": "file", "input_schema": SCHEMA}]}),
            "POST /tasks": (200, {"task_id": "t-1", "status": "pending", "message": "Queued."}),
        }
        self.asked: list[tuple[str, Any]] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                key = f"{self.command} {self.path}"
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                is_json = self.headers.get("Content-Type") == "application/json"
                api.asked.append((key, json.loads(body) if is_json else body or None))
                status, answer = api.answers[key]
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_DELETE = _answer

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def task(self, state: str, **more: Any) -> None:
        """Have the task t-1 in *state*."""
        self.answers["GET /tasks/t-1"] = (200, {"task_id": "t-1", "state": state, **more})


@pytest.fixture
def api() -> Iterator[FakeApi]:
    """A stand-in for the API."""
    fake = FakeApi()
    thread = threading.Thread(target=fake.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield fake
    fake.server.shutdown()
    fake.server.server_close()
    thread.join()


Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_help_names_every_command_and_teaches_with_examples(run: Run) -> None:
    """A newcomer can start from it."""
    done = run("--help")

    assert done.returncode == 0
    for word in COMMANDS:
        assert f"\n  {word} " in done.stdout
    assert "encola submit email --email ana@example.com" in done.stdout
    assert "4 nothing runs or the store is away" in " ".join(done.stdout.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_has_examples(run: Run, command: str) -> None:
    """Nobody has to guess how it is written."""
    done = run(command, "--help")

    assert done.returncode == 0
    assert "  Examples:\n      " in done.stdout
    assert f"encola {command}" in done.stdout.partition("Examples:")[2]


def test_help_loads_none_of_the_large_libraries(run: Run, environment: dict[str, str]) -> None:
    """It appears at once."""
    code = (
        "import sys, encola.cli\n"
        "print([name for name in ('celery', 'kombu', 'fastapi', 'redis', 'httpx', 'uvicorn')"
        " if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"


def test_version_is_one_line(run: Run) -> None:
    """For scripts and issues."""
    done = run("--version")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("encola ")
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("status", "--follow"),
        ("submit",),
        ("submit", "--user", "7"),
        ("submit", "file", "--timeout", "3"),
        ("submit", "file", "--input", "{"),
        ("submit", "file", "--input", "[]"),
        ("submit", "file", "--input", "{}", "extra.csv"),
        ("worker", "--concurrency", "0"),
        ("worker", "--concurrency", "many"),
        ("cancel",),
        ("monitor", "--interval", "0"),
        ("monitor", "--flower-url", "localhost"),
        ("monitor", "--flower-url", "http://["),
    ],
)
def test_wrong_usage_is_exit_code_2_without_a_traceback(
    run: Run, arguments: tuple[str, ...]
) -> None:
    """The reason is on standard error."""
    done = run(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "variable",
    [
        ("ENCOLA_URL", "http://["),
        ("REDIS_URL", "redis://user:s3cret@127.0.0.1:port/0"),
        ("REDIS_URL", "redis://user:s3cret@127.0.0.1:1/0?socket_timeout=abc"),
    ],
)
def test_a_malformed_address_is_said_without_a_traceback(
    run: Run, variable: tuple[str, str]
) -> None:
    """And without the password in it."""
    done = run("monitor", "--plain", **dict([variable]))

    assert (done.returncode in (2, 4), done.stdout) == (True, "")
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert "s3cret" not in done.stderr


def test_wrong_settings_are_all_named(run: Run) -> None:
    """Before anything is started."""
    done = run("up", ENCOLA_PORT="x", ENCOLA_LANGUAGE="fr")

    assert (done.returncode, done.stdout) == (2, "")
    assert "2 settings are wrong:\n  - ENCOLA_PORT=x:" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("status", "t-1"),
        ("cancel", "t-1"),
        ("submit", "file", "x.csv"),
        ("flower",),
        ("monitor",),
        ("monitor", "--plain"),
    ],
)
def test_where_nothing_runs_the_exit_code_is_4(run: Run, arguments: tuple[str, ...]) -> None:
    """With the contract's sentence."""
    done = run(*arguments)

    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "Nothing runs in ./.encola. Start `encola up`, or set REDIS_URL.\n"


def test_an_api_without_a_server_is_stopped_without_a_traceback(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """It has served 503 until then."""
    port = str(free_port("127.0.0.1"))
    with subprocess.Popen(
        [sys.executable, "-m", "encola", "api", "--port", port],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:

        def answers() -> bool:
            with suppress(OSError), socket.create_connection(("127.0.0.1", int(port)), 1):
                return True
            return False

        try:
            wait_until(answers, description="it listens", timeout=60)
            process.terminate()
            _, err = process.communicate(timeout=20)
        finally:
            process.kill()  # the block waits for its end

    assert "Nothing runs in ./.encola." in err
    assert "Traceback" not in err


def test_an_api_that_does_not_answer_is_exit_code_4(run: Run) -> None:
    """With REDIS_URL the API is looked for on this machine; its password is not shown."""
    done = run("status", REDIS_URL="redis://:hunter2@db", ENCOLA_PORT="1")

    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("No answer from http://127.0.0.1:1")
    assert "hunter2" not in done.stderr


def test_the_api_is_found_through_run_json(run: Run, api: FakeApi, tmp_path: Path) -> None:
    """As `encola up` leaves it."""
    (tmp_path / ".encola").mkdir()
    found = RunFile(os.getpid(), api.url, "unix:///x.sock", "smtp://127.0.0.1:25?x=1", "2026")
    runfile.write(tmp_path / ".encola", found)
    api.answers["GET /ready"] = (
        200,
        {"store": {"ok": True}, "workers": 2, "states": {"SUCCESS": 7, "RETRY": 0, "FAILURE": 1}},
    )

    done = run("status")

    assert (done.returncode, done.stderr) == (0, "")
    assert [
        "encola runs.",
        f"  API      {api.url}/",
        "  Server   unix:///x.sock",
        "  Mail     smtp://127.0.0.1:25",
        "  Data     ./.encola",
        "  Since    2026",
        "  Store    ok",
        "  Workers  2",
        "  States   7 SUCCESS, 1 FAILURE",
    ] == done.stdout.splitlines()


def test_submit_prints_the_id_alone(run: Run, api: FakeApi, tmp_path: Path) -> None:
    """`id=$(encola submit …)` works; the fields come from the model."""
    (tmp_path / "ventas.csv").write_text("a,b\n")
    arguments = ("submit", "file", "ventas.csv", "--user", "7", "--html")

    done = run(*arguments, ENCOLA_URL=api.url, ENCOLA_FILE_ROOTS=str(tmp_path))

    assert (done.returncode, done.stdout, done.stderr) == (0, "t-1\n", "Queued.\n")
    task_input = {"file_path": str(tmp_path / "ventas.csv"), "user_id": 7, "html": True}
    assert ("POST /tasks", {"type": "file", "input": task_input}) == api.asked[-1]


def test_submit_takes_the_input_as_json(run: Run, api: FakeApi) -> None:
    """Without asking for the schema; and answers as JSON."""
    done = run("submit", "any", "--input", '{"x": [1]}', "--json", ENCOLA_URL=api.url)

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["task_id"] == "t-1"
    assert api.asked == [("POST /tasks", {"type": "any", "input": {"x": [1]}})]


def test_an_unknown_task_type_is_exit_code_2(run: Run, api: FakeApi) -> None:
    """It says which there are."""
    done = run("submit", "fiel", "--user", "7", ENCOLA_URL=api.url)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Unknown task type 'fiel'. Known types: file.\n"


@pytest.mark.parametrize(
    ("state", "more", "code", "told"),
    [
        ("SUCCESS", {"result": {"rows": 3}}, 0, 'SUCCESS: {"rows": 3}'),
        ("FAILURE", {"error": "no\x1b[31m", "error_code": "bad"}, 1, r"FAILURE [bad]: no\x1b[31m"),
        ("REVOKED", {}, 5, "REVOKED"),
    ],
)
def test_wait_ends_as_the_task_does(
    run: Run, api: FakeApi, state: str, more: dict[str, Any], code: int, told: str
) -> None:
    """The id stays alone on standard output."""
    api.task(state, **more)

    done = run("submit", "file", "--user", "7", "--wait", ENCOLA_URL=api.url)

    assert (code, "t-1\n") == (done.returncode, done.stdout)
    assert ["Queued.", told] == done.stderr.splitlines()


def test_a_task_that_made_a_file_says_where_it_lies(run: Run, api: FakeApi) -> None:
    """The whole address, to be opened; standard output is the id's alone."""
    api.task("SUCCESS", result={"file_url": "/reports/report_7_sales_t-1.pdf"})

    done = run("submit", "file", "--user", "7", "--wait", ENCOLA_URL=api.url)
    shown = run("status", "t-1", ENCOLA_URL=api.url)

    assert "t-1\n" == done.stdout
    assert f"{api.url}/reports/report_7_sales_t-1.pdf" == done.stderr.splitlines()[-1]
    assert f"{api.url}/reports/report_7_sales_t-1.pdf" in shown.stdout


def test_wait_with_json_prints_the_record_alone(run: Run, api: FakeApi) -> None:
    """One document, for jq."""
    api.task("SUCCESS", result=1)

    done = run("submit", "file", "--user", "7", "--wait", "--json", ENCOLA_URL=api.url)

    assert done.returncode == 0
    assert json.loads(done.stdout) == {"task_id": "t-1", "state": "SUCCESS", "result": 1}


def test_following_tells_progress_on_standard_error(
    tmp_path: Path, environment: dict[str, str], api: FakeApi
) -> None:
    """One line a change where nobody looks at a terminal; it ends with the task."""
    api.task("PROCESSING", progress={"current": 1, "total": 4, "status": "rows"})
    process = subprocess.Popen(
        [sys.executable, "-m", "encola", "status", "t-1", "--follow"],
        cwd=tmp_path,
        env={**environment, "ENCOLA_URL": api.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: len(api.asked) >= 2, description="it has asked twice")
    api.task("SUCCESS")
    out, err = process.communicate(timeout=20)

    assert (process.returncode, err) == (0, "rows 25% 1/4\n")
    assert "  State  SUCCESS" in out


def test_on_a_terminal_a_bar_shows_how_far_it_is(
    tmp_path: Path, environment: dict[str, str], api: FakeApi
) -> None:
    """The sentence of the task, a bar, numbers; and at the end nothing of it but how it ended."""
    values = {"seconds_left": 84}
    progress = {"current": 250, "total": 1000, "status": "reading [b]x.csv", "values": values}
    api.task("PROCESSING", progress=progress)
    arguments = ("submit", "file", "--user", "7", "--wait")
    terminal = Terminal(80, 24, tmp_path, {**environment, "ENCOLA_URL": api.url}, *arguments)
    numbers = "25% 250/1\u202f000  1 min 24 s left"
    wait_until(lambda: terminal.shows(numbers), description="it draws", timeout=20)
    api.task("SUCCESS", result={"rows": 1000})

    assert 0 == terminal.wait()
    assert "reading [b]x.csv" in terminal.text
    assert "━" in terminal.text
    assert terminal.text.endswith('SUCCESS: {"rows": 1000}\r\n')


def test_ctrl_c_while_waiting_is_exit_code_130_and_the_task_goes_on(
    tmp_path: Path, environment: dict[str, str], api: FakeApi
) -> None:
    """It says how to follow it again."""
    api.task("PENDING")
    process = subprocess.Popen(
        [sys.executable, "-m", "encola", "submit", "file", "--user", "7", "--wait"],
        cwd=tmp_path,
        env={**environment, "ENCOLA_URL": api.url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A runner in the background has SIGINT ignored, and its children with it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    asked = ("GET /tasks/t-1", None)
    wait_until(lambda: asked in api.asked, description="it waits")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)

    assert (process.returncode, out) == (130, "t-1\n")
    assert err.endswith("The task goes on. `encola status t-1 --follow` follows it.\n")


def test_a_wait_has_a_limit(run: Run, api: FakeApi) -> None:
    """124, as timeout(1) has it."""
    api.task("PENDING")

    done = run("submit", "file", "--user", "7", "--wait", "--timeout", "0.2", ENCOLA_URL=api.url)

    assert (done.returncode, done.stdout) == (124, "t-1\n")
    assert done.stderr.endswith("Task t-1 has not finished within 0.2 s; it goes on.\n")


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (409, "task_finished", 5),
        (503, "store_unavailable", 4),
    ],
)
def test_a_problem_is_told_in_the_apis_words(
    run: Run, api: FakeApi, status: int, code: str, expected: int
) -> None:
    """With the exit code that its kind has."""
    problem = {"status": status, "code": code, "detail": "What the API says."}
    api.answers["DELETE /tasks/cancel/t-1"] = (status, problem)

    done = run("cancel", "t-1", ENCOLA_URL=api.url)

    assert (expected, "", "What the API says.\n") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("arguments", [("cancel", "t-2"), ("status", "t-2")])
def test_an_unknown_id_is_named(run: Run, api: FakeApi, arguments: tuple[str, ...]) -> None:
    """Exit code 3; it may have been mistyped."""
    problem = {"status": 404, "code": "task_not_found", "detail": "Task not found"}
    for route in ("GET /tasks/t-2", "DELETE /tasks/cancel/t-2"):
        api.answers[route] = (404, problem)
    done = run(*arguments, ENCOLA_URL=api.url)
    told = "Unknown task 't-2': it was never accepted, or retention removed it.\n"

    assert (3, "", told) == (done.returncode, done.stdout, done.stderr)


def test_an_input_that_does_not_fit_is_told_field_by_field(run: Run, api: FakeApi) -> None:
    """Once, by the names of the command line."""
    errors = [
        {"loc": ["body", "input", "user_id"], "msg": "Field required", "type": "missing"},
        {"loc": ["body", "input", "body"], "msg": "Field required", "type": "missing"},
        {"loc": ["body", "input", "to", 0], "msg": "no address", "type": "value_error"},
        {"loc": ["body", "input"], "msg": "too many", "type": "value_error"},
    ]
    detail = "Invalid input for task type 'file': body.input.user_id: Field required"
    problem = {"status": 422, "code": "validation", "detail": detail, "errors": errors}
    api.answers["POST /tasks"] = (422, problem)
    done = run("submit", "file", "--html", ENCOLA_URL=api.url)

    assert (2, "") == (done.returncode, done.stdout)
    assert [
        "Invalid input for task type 'file':",
        "  - user_id: Field required",
        "  - body: Field required",
        "  - to.0: no address",
        "  - the input: too many",
    ] == done.stderr.splitlines()


def test_cancel_prints_the_id_alone(run: Run, api: FakeApi) -> None:
    """And the sentence beside it."""
    answer = {"task_id": "t-1", "state": "REVOKED", "message": "Tarea t-1 cancelada"}
    api.answers["DELETE /tasks/cancel/t-1"] = (200, answer)

    done = run("cancel", "t-1", ENCOLA_URL=api.url)

    assert (done.returncode, done.stdout, done.stderr) == (0, "t-1\n", "Tarea t-1 cancelada\n")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--user", "7"], {"user_id": 7}),
        (["--user-id=7", "--report-type", "sales"], {"user_id": 7, "report_type": "sales"}),
        (["--share", "0.5"], {"share": 0.5}),
        (["--html", "--user", "7"], {"html": True, "user_id": 7}),
        (["--html", "no"], {"html": False}),
        (["--no-html"], {"html": False}),
        (["--to", "a", "--to", "b"], {"to": ["a", "b"]}),
        (["--to", '["a", "b"]'], {"to": ["a", "b"]}),
        (["--labels", '{"a": 1}'], {"labels": {"a": 1}}),
        (["--kind", "a"], {"kind": "a"}),
        (["data://uploads/x.csv"], {"file_path": "data://uploads/x.csv"}),
        (["--report-type", "007"], {"report_type": "007"}),
    ],
)
def test_words_become_the_models_fields(words: list[str], expected: dict[str, Any]) -> None:
    """By the schema, not by the look of the value."""
    assert expected == parse(words, SCHEMA)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--usr-id", "7"], "Unknown field --usr-id. Did you mean --user-id?"),
        (["--user"], "--user needs a value."),
        (["--user", "x"], "--user: expected a whole number, got 'x'."),
        (["--user", "1", "--user", "2"], "The field user_id is given twice."),
    ],
)
def test_words_that_fit_no_field_are_told_apart(words: list[str], told: str) -> None:
    """Exit code 2, before anything is sent."""
    with pytest.raises(CommandError) as caught:
        parse(words, SCHEMA)

    assert str(caught.value).startswith(told)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.SettingsError(["x"]), 2),
        (errors.InvalidInput("file", []), 2),
        (errors.TooLarge("input", 2, 1), 2),
        (errors.TaskTypeNotFound("x"), 2),
        (errors.TaskNotFound("x"), 3),
        (errors.NothingRuns("x"), 4),
        (errors.StoreUnavailable(), 4),
        (errors.StoreUnsafe(), 4),
        (errors.TaskFinished("x", "SUCCESS"), 5),
        (CannotStart("x", exit_code=5), 5),
        (errors.EncolaError(), 1),
    ],
)
def test_each_error_has_its_exit_code(error: errors.EncolaError, code: int) -> None:
    """As documented."""
    assert code == exit_code_of(error)


def test_problems_and_states_have_theirs() -> None:
    """Where no code decides, the HTTP status does."""
    assert [exit_code_of_problem(status, "") for status in (400, 422, 409, 500)] == [2, 2, 5, 4]
    assert [
        exit_code_of_state(state) for state in ("STARTED", "SUCCESS", "FAILURE", "REVOKED")
    ] == [0, 0, 1, 5]
