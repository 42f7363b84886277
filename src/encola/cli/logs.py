"""``encola logs``: what a task wrote while it ran, also as it writes it."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

import typer

from encola.logs import one_line

from .client import Api, NoAnswer, connect
from .completion import offer_ids
from .exits import exit_code_of_state
from .follow import AWAY_LIMIT

PAUSE = 0.5
"""Seconds before the API is asked again after a drop."""


def logs(
    task_id: Annotated[
        str, typer.Argument(metavar="ID", help="A task's id.", autocompletion=offer_ids)
    ],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the task has ended.")
    ] = False,
    tail: Annotated[
        int | None, typer.Option(min=1, max=1000, metavar="N", help="Only the last so many lines.")
    ] = None,
    attempt: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only this attempt's.")
    ] = None,
    level: Annotated[
        str | None,
        typer.Option(
            metavar="LEVEL", help="This one or worse: debug, info, warning, error, critical."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """
    Print what a task logged and printed while it ran.

    With --follow it goes on until the task ends, and the exit code tells how: 0 done,
    1 failed, 5 cancelled. An unknown id is 3.

    \b
    Examples:
        encola logs 01939e5c-7f3a-7cc0-a1b2-3c4d5e6f7a8b --follow
        encola logs 01939e5c-7f3a-7cc0-a1b2-3c4d5e6f7a8b --level error --json
    """
    query = {"attempt": attempt, "level": level}
    with connect() as api:
        after = 0
        while True:
            answer = api.log(task_id, {**query, "after": after, "tail": tail, "limit": 1000})
            _print(answer["items"], as_json=as_json)
            if not answer["items"] or tail:
                break
            after = answer["items"][-1]["n"]
        if follow:
            state = _follow(api, task_id, query, max(after, answer["last"]), as_json=as_json)
            raise typer.Exit(exit_code_of_state(state))


def _follow(api: Api, task_id: str, query: dict[str, Any], after: int, *, as_json: bool) -> str:
    """Prints lines as they come; the state in which the task ended."""
    away_since: float | None = None
    while True:
        try:
            for event, line in api.log_events(task_id, {**query, "after": after}):
                away_since = None
                if event == "end":
                    return str(line["state"])
                if event == "log":
                    _print([line], as_json=as_json)
                    after = line["n"]
        except NoAnswer:
            away_since = away_since or time.monotonic()
            if time.monotonic() - away_since > AWAY_LIMIT:
                raise
        time.sleep(PAUSE)


def _print(lines: list[dict[str, Any]], *, as_json: bool) -> None:
    for line in lines:
        typer.echo(json.dumps(line) if as_json else _as_text(line))


def _as_text(line: dict[str, Any]) -> str:
    first, *rest = str(line["message"]).split("\n")
    head = f"{line['at']} {line['level'].upper():<8} {line['source']}: {first}"
    # Indented, so that what a task prints cannot pass for another line of the log.
    return "\n".join([one_line(head), *(f"    {one_line(more)}" for more in rest)])
