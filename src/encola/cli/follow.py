"""
Follows a task to its end: a progress bar on a terminal, a line a change elsewhere.

Everything goes to standard error; standard output belongs to ids and JSON.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
import time
from datetime import datetime
from typing import Any, Protocol, cast

import typer

from encola.logs import one_line
from encola.readable import duration, number

from .client import FINISHED_STATES, Api, NoAnswer
from .exits import NOTHING_RUNS, TIMED_OUT, CommandError

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0
LINE_SECONDS = 5.0
"""Between two lines that differ only in how far the task is."""
ONE_LINE = 100
"""A result of so many characters stands in one line."""
NO_WORKER_SECONDS = 3.0
"""After this time of waiting it is asked whether any worker runs."""
AWAY_LIMIT = 30.0
"""Seconds that the API may be away, as in a restart, before following ends."""


class Display(Protocol):
    """Where changes are shown."""

    def show(self, task: dict[str, Any]) -> None:
        """Show *task* as it is now."""
        ...

    def say(self, line: str) -> None:
        """Say something beside it."""
        ...

    def close(self) -> None:
        """Tidy up."""
        ...


def follow(api: Api, task_id: str, *, timeout: float | None = None) -> dict[str, Any]:
    """
    The task's record once it is finished.

    Raises:
        CommandError: *timeout* seconds are over, or the API stays away; the task goes on.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    display: Display = _Bar() if sys.stderr.isatty() else _Lines()
    pause, ask_who_runs_at = FIRST_PAUSE, time.monotonic() + NO_WORKER_SECONDS
    try:
        while True:
            task = _ask(api, task_id, deadline)
            display.show(task)
            if task.get("state") == "PENDING" and time.monotonic() > ask_who_runs_at:
                ask_who_runs_at = math.inf
                _say_when_nobody_works(api, display, str(task.get("queue")))
            if task.get("state") in FINISHED_STATES:
                return task
            if deadline is not None and time.monotonic() + pause > deadline:
                raise CommandError(
                    f"Task {task_id} has not finished within {timeout:g} s; it goes on.",
                    TIMED_OUT,
                )
            time.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 1.5)
    except KeyboardInterrupt:
        display.close()
        typer.echo(
            f"The task goes on. `encola status {task_id} --follow` follows it.",
            err=True,
        )
        raise
    finally:
        display.close()


def _say_when_nobody_works(api: Api, display: Display, queue: str) -> None:
    with contextlib.suppress(CommandError):
        if api.ready().get("workers") == 0:
            display.say("No worker runs; the task waits until `encola worker` is started.")
            return
        # A worker leaves a queue to others when it lacks the libraries for its tasks.
        if any(one.get("name") == queue and one.get("workers") == 0 for one in api.queues()):
            display.say(
                f"No worker listens to the queue {queue}; the task waits until one does "
                "(see ENCOLA_QUEUES, and what the workers log at their start)."
            )


def outcome(task: dict[str, Any]) -> str:
    """How a finished task ended, for a person: a line, and one more for each field of a large result."""
    took = _took(task)
    state = f"{task.get('state')}{f' in {duration(took)}' if took is not None else ''}"
    if task.get("state") == "FAILURE":
        code = f" [{task['error_code']}]" if task.get("error_code") else ""
        return one_line(f"{state}{code}: {task.get('error') or 'no reason was kept'}")
    result = task.get("result")
    if result is None:
        return state
    if isinstance(result, dict) and len(json.dumps(result)) > ONE_LINE:
        fields = cast("dict[str, object]", result)
        rows = [one_line(f"  {name}: {_short(value)}") for name, value in fields.items()]
        return "\n".join([state, *rows])
    return one_line(f"{state}: {_short(result)}")


def address(api: Api, task: dict[str, Any]) -> str | None:
    """Where the file lies that a task has made, such as a report's PDF; None: it has made none."""
    result: object = task.get("result")
    url = cast("dict[str, Any]", result).get("file_url") if isinstance(result, dict) else None
    return one_line(f"{api.url}{url}") if isinstance(url, str) and url.startswith("/") else None


def _ask(api: Api, task_id: str, deadline: float | None) -> dict[str, Any]:
    away_since: float | None = None
    while True:
        try:
            return api.task(task_id)
        except CommandError as error:
            now = time.monotonic()
            away_since = away_since or now
            over = now - away_since > AWAY_LIMIT or (deadline is not None and now > deadline)
            if over or not (isinstance(error, NoAnswer) or error.exit_code == NOTHING_RUNS):
                raise
            time.sleep(LONGEST_PAUSE)


class _Bar:
    """A progress bar, made only where a person looks."""

    def __init__(self) -> None:
        from rich.console import Console  # see the package
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
        from rich.table import Column

        words = Column(ratio=1, no_wrap=True, overflow="ellipsis")
        self._progress = Progress(
            SpinnerColumn(),
            # No markup: the words come from a task.
            TextColumn("{task.description}", markup=False, table_column=words),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[numbers]}", markup=False, table_column=Column(no_wrap=True)),
            console=Console(stderr=True),
            transient=True,
            expand=True,
        )
        self._row = self._progress.add_task("", total=None, numbers="")
        self._progress.start()

    def show(self, task: dict[str, Any]) -> None:
        """Move the bar."""
        current, total = _amounts(task)
        self._progress.update(
            self._row,
            description=_words(task),
            completed=current,
            total=total or None,
        )
        row = self._progress.tasks[0]
        numbers = [_share(task), *self._pace(task, row.speed, row.time_remaining)]
        if not total:
            numbers.append(duration(row.elapsed or 0))
        self._progress.update(self._row, numbers="  ".join(part for part in numbers if part))

    @staticmethod
    def _pace(task: dict[str, Any], speed: float | None, left: float | None) -> list[str]:
        """What the task says of its pace; of one that says nothing, what can be seen of it."""
        values: object = _progress(task).get("values")
        told = values.get("seconds_left") if isinstance(values, dict) else None
        if isinstance(told, (int, float)):
            return [f"{duration(told)} left"]
        if speed and left is not None:
            return [f"{number(speed)}/s", f"{duration(left)} left"]
        return []

    def say(self, line: str) -> None:
        """A line above the bar."""
        self._progress.console.print(line, markup=False, highlight=False)

    def close(self) -> None:
        """Give the terminal back."""
        self._progress.stop()


class _Lines:
    """A line when the state changes, and every few seconds while only the progress does."""

    def __init__(self) -> None:
        self._last = ""
        self._state = ""
        self._said_at = 0.0

    def show(self, task: dict[str, Any]) -> None:
        """Print the line if it is worth one; the end is told by the command."""
        state = str(task.get("state"))
        line = f"{_words(task)} {_share(task)}".strip()
        is_due = state != self._state or time.monotonic() - self._said_at > LINE_SECONDS
        if state in FINISHED_STATES or line == self._last or not is_due:
            return
        self.say(line)
        self._last, self._state, self._said_at = line, state, time.monotonic()

    def say(self, line: str) -> None:
        """The line."""
        typer.echo(line, err=True)

    def close(self) -> None:
        """Nothing to tidy."""


def _words(task: dict[str, Any]) -> str:
    """The task's own sentence, else its state; ``RETRY at 10:05:03: connection refused``."""
    state = str(task.get("state"))
    if state in ("RETRY", "SCHEDULED"):
        due = _moment(task.get("due_at"))
        at = f" at {due.astimezone():%H:%M:%S}" if due else ""
        why = f": {task['error']}" if task.get("error") else ""
        return one_line(f"{state}{at}{why}")
    return one_line(str(_progress(task).get("status") or "") or state)


def _share(task: dict[str, Any]) -> str:
    """``25% 1 234/5 000``; ``25%`` of a task that counts in percent; without a total the number alone."""
    current, total = _amounts(task)
    if total and _progress(task).get("unit") == "percent":
        return f"{current / total:.0%}"
    if total:
        return f"{current / total:.0%} {number(current)}/{number(total)}"
    return number(current) if current else ""


def _amounts(task: dict[str, Any]) -> tuple[float, float]:
    """Current and total; 0 for what the task did not say, or not as a number."""
    progress = _progress(task)
    return _amount(progress.get("current")), _amount(progress.get("total"))


def _amount(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) and value > 0 else 0.0


def _progress(task: dict[str, Any]) -> dict[str, Any]:
    found: object = task.get("progress")
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _took(task: dict[str, Any]) -> float | None:
    """Seconds that the last attempt ran; None where there was none."""
    start, end = _moment(task.get("started_at")), _moment(task.get("completed_at"))
    return max(0.0, (end - start).total_seconds()) if start and end else None


def _moment(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _short(value: object, limit: int = 500) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else f"{text[:limit]}…"
