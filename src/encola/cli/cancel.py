"""``encola cancel``: cancel one task."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from encola.logs import one_line

from .client import connect
from .completion import offer_unfinished_ids


def cancel(
    task_id: Annotated[
        str,
        typer.Argument(metavar="ID", help="The task's id.", autocompletion=offer_unfinished_ids),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """
    Cancel a task; a running one is stopped.

    Exit code 0 where it is cancelled now, 3 where the id is unknown, 5 where it had ended.

    \b
    Examples:
        encola cancel 01939e5c-7f3a-7cc0-a1b2-3c4d5e6f7a8b
    """
    with connect() as api:
        answer = api.cancel(task_id)
    typer.echo(json.dumps(answer) if as_json else str(answer.get("task_id", task_id)))
    if not as_json:
        typer.echo(one_line(str(answer.get("message", "Cancelled."))), err=True)
