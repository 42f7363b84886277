"""Logs: one line an event, with its task and without passwords, whole across processes."""

from __future__ import annotations

import json
import logging
import math
import multiprocessing
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from encola import logs
from encola.logs import (
    SharedFileHandler,
    configure_logging,
    current_task_id,
    one_line,
    redact,
)
from encola.settings import Settings


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers[:]:
        if handler not in handlers:
            root.removeHandler(handler)
            handler.close()
    logs._installed.clear()
    root.setLevel(level)


def _settings(data_dir: Path, **more: object) -> Settings:
    return Settings.model_validate({"data_dir": data_dir, **more})


def test_an_event_is_one_line_on_standard_error_and_in_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both have the same line: time in UTC, level, process, logger, message."""
    configure_logging("worker", _settings(tmp_path))

    logging.getLogger("encola.test").info("ready with %d children", 4)

    (line,) = (tmp_path / "logs" / "worker.log").read_text().splitlines()
    assert f"{line}\n" == capsys.readouterr().err
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z INFO worker\[\d+\] encola\.test: "
        r"ready with 4 children",
        line,
    )


def test_a_line_names_its_task(tmp_path: Path) -> None:
    """Whoever looks for a task finds all its lines by its id."""
    configure_logging("worker", _settings(tmp_path), stderr=False)
    token = current_task_id.set("task-1")
    logging.getLogger("encola.test").warning("slow")
    current_task_id.reset(token)
    logging.getLogger("encola.test").warning("idle")

    first, second = (tmp_path / "logs" / "worker.log").read_text().splitlines()

    assert first.endswith("encola.test: slow task=task-1")
    assert second.endswith("encola.test: idle")


def test_an_error_with_its_traceback_stays_in_one_line(tmp_path: Path) -> None:
    """A line break in a log would look like a second event."""
    configure_logging("api", _settings(tmp_path), stderr=False)

    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("encola.test").exception("failed")

    (line,) = (tmp_path / "logs" / "api.log").read_text().splitlines()
    assert r"encola.test: failed | Traceback (most recent call last):\n" in line
    assert line.endswith(r"ValueError: two\nlines")


def test_json_lines_have_named_fields(tmp_path: Path) -> None:
    """A log collector needs no regular expression."""
    configure_logging("api", _settings(tmp_path, log_format="json"), stderr=False)
    token = current_task_id.set("task-1")
    logging.getLogger("encola.test").info("to redis://:hunter2@db")
    current_task_id.reset(token)

    event = json.loads((tmp_path / "logs" / "api.log").read_text())

    assert list(event) == ["time", "level", "process", "pid", "logger", "message", "task_id"]
    assert (
        event["level"],
        event["process"],
        event["message"],
        event["task_id"],
    ) == ("info", "api", "to redis://:***@db", "task-1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis://user:hunter2@host:6379/0", "redis://user:***@host:6379/0"),
        ("rediss://:p@ss:w@rd@host", "rediss://:***@host"),
        (
            "encola+redis://:a@h1;smtp://b:c@h2",
            "encola+redis://:***@h1;smtp://b:***@h2",
        ),
        ("redis://host?password=hunter2&db=1", "redis://host?password=***&db=1"),
        ("http://127.0.0.1:8000/mail?to=x@y.z", "http://127.0.0.1:8000/mail?to=x@y.z"),
        ("ana@example.com at 10:30", "ana@example.com at 10:30"),
    ],
)
def test_passwords_in_addresses_are_removed(text: str, expected: str) -> None:
    """What is no password stays readable."""
    assert expected == redact(text)


def test_a_password_in_an_error_is_removed_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is the finished line that is looked through, not the message alone."""
    configure_logging("api", _settings(tmp_path))

    try:
        raise OSError("cannot reach redis://:hunter2@db")
    except OSError:
        logging.getLogger("encola.test").exception("away: %s", "smtp://ana:hunter2@mail")

    assert "hunter2" not in (tmp_path / "logs" / "api.log").read_text()
    assert "hunter2" not in capsys.readouterr().err


def test_no_level_has_the_arguments_of_every_task_in_the_log(tmp_path: Path) -> None:
    """Celery's pool writes them down at "debug"; they may hold anything."""
    configure_logging("worker", Settings(data_dir=tmp_path, log_level="debug"))

    assert logging.getLogger("celery.worker").isEnabledFor(logging.DEBUG)
    assert not logging.getLogger("celery.pool").isEnabledFor(logging.DEBUG)


def test_control_characters_are_written_out() -> None:
    """A task's text can neither forge a line nor steer a terminal."""
    assert one_line("a\nb\x1b[31mc\u2028d ñ") == r"a\nb\x1b[31mc\u2028d ñ"


def test_the_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    """Logs tell who gets mail."""
    configure_logging("api", _settings(tmp_path), stderr=False)
    logging.getLogger("encola.test").info("hello")

    assert (tmp_path / "logs" / "api.log").stat().st_mode & 0o777 == 0o600


def test_a_long_word_beside_an_address_is_no_burden() -> None:
    """A task that prints a file in Base64 must not keep its worker busy for minutes."""
    text = f"https://example.com {'a' * 300_000}"
    started = time.process_time()

    assert text == redact(text)
    assert time.process_time() - started < 5


def test_configuring_twice_does_not_double_the_lines(tmp_path: Path) -> None:
    """A worker's child configures again what it has inherited."""
    configure_logging("api", _settings(tmp_path), stderr=False)
    configure_logging("api", _settings(tmp_path), stderr=False)

    logging.getLogger("encola.test").info("once")

    assert len((tmp_path / "logs" / "api.log").read_text().splitlines()) == 1


def test_without_a_writable_folder_standard_error_has_it_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A log that cannot be written is no reason not to run."""
    (tmp_path / "logs").write_text("a file where the folder should be")

    configure_logging("api", _settings(tmp_path))
    logging.getLogger("encola.test").info("hello")

    told = capsys.readouterr().err
    assert "WARNING" in told
    assert "no log file" in told
    assert "encola.test: hello" in told


LINES = 400


def _write_lines(path: Path, name: str) -> None:
    handler = SharedFileHandler(path, max_bytes=4000, kept_files=50)
    log = logging.Logger(name)  # noqa: LOG001  # of this process alone
    log.addHandler(handler)
    for number in range(LINES):
        log.warning("%s-%04d %s", name, number, "x" * 40)
    handler.close()


def test_processes_that_share_a_file_rotate_it_without_losing_a_line(
    tmp_path: Path,
) -> None:
    """A worker and its children write to one file; every line is whole and there once."""
    path = tmp_path / "worker.log"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_lines, args=(path, name)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)

    found = sorted(
        line.split()[0]
        for file in tmp_path.glob("worker.log*")
        for line in file.read_text().splitlines()
        if line.endswith(" " + "x" * 40)
    )

    assert [f"{name}-{number:04d}" for name in "abc" for number in range(LINES)] == found
    assert len(list(tmp_path.glob("worker.log.*"))) > 5


def test_a_full_disk_is_told_once_and_lines_go_on_when_there_is_room(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = SharedFileHandler(tmp_path / "logs" / "encola.log")
    record = logging.makeLogRecord({"msg": "a line"})
    with open("/dev/full", "wb") as full:
        os.dup2(full.fileno(), handler.fileno())
    handler._look_at = math.inf
    for _ in range(3):
        handler.emit(record)

    assert (
        f"{tmp_path}/logs/encola.log lacks lines from here on; they are on standard error alone: "
        "No space left on device\n"
    ) == capsys.readouterr().err
    handler._look_at = 0.0
    handler.emit(record)
    handler.close()
    assert "a line\n" == (tmp_path / "logs" / "encola.log").read_text()
    assert "" == capsys.readouterr().err


def test_the_oldest_file_goes(tmp_path: Path) -> None:
    """Logs are bounded."""
    path = tmp_path / "api.log"
    handler = SharedFileHandler(path, max_bytes=100, kept_files=2)
    for number in range(20):
        handler.handle(logging.makeLogRecord({"msg": f"{number} {'x' * 60}"}))
    handler.close()

    assert sorted(file.name for file in tmp_path.glob("api.log*")) == [
        "api.log",
        "api.log.1",
        "api.log.2",
    ]
    assert path.read_text().startswith("19 ")
