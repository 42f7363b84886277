"""What a person sees of a task that runs: a bar on a terminal, lines elsewhere, and how it ended."""

from __future__ import annotations

import json
from typing import Any

import pytest

from encola.cli import follow
from encola.cli.exits import CommandError


class Script:
    """An API that answers a task's records one after another; the last one for ever."""

    def __init__(self, *records: dict[str, Any], workers: int = 1) -> None:
        self._records = list(records)
        self._workers = workers
        self.asked_who_runs = 0

    def task(self, task_id: str) -> dict[str, Any]:
        record = self._records.pop(0) if len(self._records) > 1 else self._records[0]
        return {"task_id": task_id, **record}

    def ready(self) -> dict[str, Any]:
        self.asked_who_runs += 1
        return {"workers": self._workers}

    def queues(self) -> list[dict[str, Any]]:
        return [{"name": "encola", "workers": 1}, {"name": "files", "workers": 0}]


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(follow, "LONGEST_PAUSE", 0.001)


def told(
    script: Script, capsys: pytest.CaptureFixture[str], timeout: float | None = None
) -> list[str]:
    """The lines on standard error; nothing may be on standard output."""
    follow.follow(script, "t-1", timeout=timeout)  # type: ignore[arg-type]
    out, err = capsys.readouterr()
    assert "" == out
    return err.splitlines()


def processing(current: float, total: float | None, words: str = "") -> dict[str, Any]:
    progress = {"current": current, "total": total, "status": words}
    return {"state": "PROCESSING", "progress": progress}


def test_a_line_is_printed_when_the_state_changes(capsys: pytest.CaptureFixture[str]) -> None:
    """And not for each step of the progress; its end is told by the command."""
    script = Script(
        {"state": "PENDING"},
        {"state": "STARTED"},
        processing(1, 4, "rows"),
        processing(2, 4, "rows"),
        processing(3, 4, "rows"),
        {"state": "SUCCESS"},
    )

    assert ["PENDING", "STARTED", "rows 25% 1/4"] == told(script, capsys)


def test_progress_alone_is_told_every_few_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a log of an hour's task stays readable."""
    monkeypatch.setattr(follow, "LINE_SECONDS", 0.0)
    script = Script(processing(1, 4), processing(2, 4), processing(2, 4), {"state": "SUCCESS"})

    assert ["PROCESSING 25% 1/4", "PROCESSING 50% 2/4"] == told(script, capsys)


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        ({"current": 12345, "total": None}, "PROCESSING 12\u202f345"),
        ({"current": "many", "total": 3}, "PROCESSING 0% 0/3"),
        ({"current": 7, "total": 100, "unit": "percent"}, "PROCESSING 7%"),
        ({"status": "a\nb\x1b[31m"}, r"a\nb\x1b[31m"),
    ],
)
def test_whatever_a_task_reports_can_be_shown(
    capsys: pytest.CaptureFixture[str], progress: dict[str, Any], expected: str
) -> None:
    """Numbers without a total, no numbers, control characters."""
    script = Script({"state": "PROCESSING", "progress": progress}, {"state": "SUCCESS"})

    assert [expected] == told(script, capsys)


def test_a_retry_says_why_and_when(capsys: pytest.CaptureFixture[str]) -> None:
    """In the time of this place."""
    due = "2026-11-22T09:00:42.000000Z"
    retry = {"state": "RETRY", "due_at": due, "error": "451 later"}
    (line,) = told(Script(retry, {"state": "SUCCESS"}), capsys)

    assert line.startswith("RETRY at ")
    assert line.endswith(":00:42: 451 later")


@pytest.mark.parametrize(("workers", "lines"), [(0, 2), (1, 1)])
def test_a_task_that_nobody_will_run_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, workers: int, lines: int
) -> None:
    """Once, after a moment; the command goes on waiting."""
    monkeypatch.setattr(follow, "NO_WORKER_SECONDS", 0.0)
    waiting = {"state": "PENDING"}
    script = Script(waiting, waiting, waiting, {"state": "SUCCESS"}, workers=workers)
    said = told(script, capsys)

    assert lines == len(said)
    assert 1 == script.asked_who_runs
    hint = "No worker runs; the task waits until `encola worker` is started."
    assert (workers == 0) == (hint in said)


@pytest.mark.parametrize(("queue", "lines"), [("encola", 1), ("files", 2)])
def test_a_queue_that_no_worker_listens_to_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, queue: str, lines: int
) -> None:
    """Workers run, and none of them has the libraries for this one's tasks."""
    monkeypatch.setattr(follow, "NO_WORKER_SECONDS", 0.0)
    waiting = {"state": "PENDING", "queue": queue}
    said = told(Script(waiting, waiting, waiting, {"state": "SUCCESS"}), capsys)

    assert lines == len(said)
    assert (queue == "files") == ("No worker listens to the queue files; " in said[-1])


def test_a_limit_is_kept_and_the_task_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    """124, as timeout(1) has it."""
    with pytest.raises(CommandError) as caught:
        told(Script({"state": "PENDING"}), capsys, timeout=0.05)

    assert 124 == caught.value.exit_code


TIMES = {"started_at": "2026-11-22T09:00:00.000000Z", "completed_at": "2026-11-22T09:00:12.340000Z"}


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ({"state": "SUCCESS"}, "SUCCESS"),
        ({"state": "SUCCESS", "result": {"rows": 3}, **TIMES}, 'SUCCESS in 12 s: {"rows": 3}'),
        ({"state": "REVOKED"}, "REVOKED"),
        (
            {"state": "FAILURE", "error": "no", "error_code": "bad", **TIMES},
            "FAILURE in 12 s [bad]: no",
        ),
        ({"state": "FAILURE"}, "FAILURE: no reason was kept"),
    ],
)
def test_the_end_is_told_in_a_line(task: dict[str, Any], expected: str) -> None:
    """With how long it took, and why it failed."""
    assert expected == follow.outcome(task)


def test_a_large_result_is_told_field_by_field() -> None:
    """Long values are cut; JSON (--json) has them whole."""
    result = {"file_path": "data://uploads/x.csv", "columns": ["a" * 30] * 40, "records": 7}
    lines = follow.outcome({"state": "SUCCESS", "result": result}).splitlines()

    assert "SUCCESS" == lines[0]
    assert "  file_path: data://uploads/x.csv" == lines[1]
    assert lines[2].startswith(f"  columns: {json.dumps(result['columns'])[:40]}")
    assert lines[2].endswith("…")
    assert "  records: 7" == lines[3]
