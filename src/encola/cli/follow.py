"""
Follows a task to its end: a progress bar on a terminal, a line a change elsewhere.

Everything goes to standard error; standard output belongs to ids and JSON.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any, Protocol, cast

import typer

from encola.logs import one_line

from .client import FINISHED_STATES, Api, NoAnswer
from .exits import NOTHING_RUNS, TIMED_OUT, CommandError

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0
AWAY_LIMIT = 30.0
"""Seconds that the API may be away, as in a restart, before following ends."""


class Display(Protocol):
    """Where changes are shown."""

    def show(self, task: dict[str, Any]) -> None:
        """Show *task* as it is now."""
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
    pause = FIRST_PAUSE
    try:
        while True:
            task = _ask(api, task_id, deadline)
            display.show(task)
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


def outcome(task: dict[str, Any]) -> str:
    """How a finished task ended, in a line for a person."""
    state = str(task.get("state"))
    if state == "FAILURE":
        code = f" [{task['error_code']}]" if task.get("error_code") else ""
        return one_line(f"FAILURE{code}: {task.get('error') or 'no reason was kept'}")
    result = task.get("result")
    return one_line(state if result is None else f"{state}: {_short(result)}")


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

        self._progress = Progress(
            SpinnerColumn(),
            # No markup: the words come from a task.
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[numbers]}", markup=False),
            console=Console(stderr=True),
            transient=True,
        )
        self._row = self._progress.add_task("", total=None, numbers="")
        self._progress.start()

    def show(self, task: dict[str, Any]) -> None:
        """Move the bar."""
        progress = _progress(task)
        self._progress.update(
            self._row,
            description=_words(task),
            completed=float(progress.get("current") or 0),
            total=progress.get("total") or None,
            numbers=_numbers(progress),
        )

    def close(self) -> None:
        """Give the terminal back."""
        self._progress.stop()


class _Lines:
    """One line whenever something has changed."""

    def __init__(self) -> None:
        self._last = ""

    def show(self, task: dict[str, Any]) -> None:
        """Print the line if it is a new one; the end is told by the command."""
        line = f"{_words(task)} {_numbers(_progress(task))}".strip()
        if line != self._last and task.get("state") not in FINISHED_STATES:
            typer.echo(line, err=True)
        self._last = line

    def close(self) -> None:
        """Nothing to tidy."""


def _progress(task: dict[str, Any]) -> dict[str, Any]:
    found: object = task.get("progress")
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _words(task: dict[str, Any]) -> str:
    words = str(_progress(task).get("status") or _progress(task).get("message") or "")
    return one_line(f"{task.get('state')} {words}".strip())


def _numbers(progress: dict[str, Any]) -> str:
    current, total = progress.get("current"), progress.get("total")
    if current is None:
        return ""
    return f"{current}/{total}" if total else f"{current}"


def _short(value: object, limit: int = 500) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else f"{text[:limit]}…"
