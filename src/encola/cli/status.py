"""``encola status``: one task, or whether anything runs."""

from __future__ import annotations

import json
from typing import Annotated, Any, cast

import typer

from encola.embedded import runfile
from encola.logs import one_line, redact
from encola.settings import load_settings

from .client import FINISHED_STATES, api_url, connect
from .completion import offer_ids
from .exits import NOTHING_RUNS, exit_code_of_state
from .follow import address
from .follow import follow as follow_task

SHOWN_FIELDS = (
    ("task_id", "Id"),
    ("state", "State"),
    ("type", "Type"),
    ("queue", "Queue"),
    ("created_at", "Created"),
    ("started_at", "Started"),
    ("completed_at", "Ended"),
    ("due_at", "Due"),
    ("progress", "Progress"),
    ("result", "Result"),
    ("error", "Error"),
    ("error_code", "Error code"),
)


def status(
    task_id: Annotated[
        str | None,
        typer.Argument(
            metavar="ID",
            help="A task's id; without: is it running?",
            autocompletion=offer_ids,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Wait until the task ends.")] = False,
) -> None:
    """
    Show a task, or, without an id, what runs and where.

    The exit code tells how the task ended: 0 done or still under way, 1 failed,
    5 cancelled; 3 where the id is unknown, 4 where nothing runs.

    \b
    Examples:
        encola status
        encola status 01939e5c-7f3a-7cc0-a1b2-3c4d5e6f7a8b --follow
        encola status 01939e5c-7f3a-7cc0-a1b2-3c4d5e6f7a8b --json | jq .result
    """
    if task_id is None:
        if follow:
            raise typer.BadParameter("needs the id of a task", param_hint="--follow")
        raise typer.Exit(_show_service(as_json=as_json))
    with connect() as api:
        task = follow_task(api, task_id) if follow else api.task(task_id)
        place = address(api, task)
    typer.echo(json.dumps(task) if as_json else _as_text(task, place))
    raise typer.Exit(exit_code_of_state(str(task.get("state"))))


def _show_service(*, as_json: bool) -> int:
    settings = load_settings()
    with connect(settings) as api:
        ready = api.ready()
    url = api_url(settings)
    run = runfile.read(settings.data_dir)
    is_ready = _is_ready(ready)
    if as_json:
        typer.echo(json.dumps({"api_url": redact(url), "ready": is_ready, **ready}))
        return 0 if is_ready else NOTHING_RUNS
    lines = ["encola runs." if is_ready else "encola runs, but is not ready."]
    lines += _rows(
        {
            "API": f"{redact(url)}/",
            "Server": redact(run.redis_url) if run else None,
            "Mail": redact(run.smtp_url).split("?", 1)[0] if run else None,
            "Data": runfile.shown(settings.data_dir) if run else None,
            "Since": run.started_at if run else None,
            **{name.capitalize(): _in_words(name, value) for name, value in ready.items()},
        }
    )
    typer.echo("\n".join(lines))
    return 0 if is_ready else NOTHING_RUNS


def _in_words(name: str, value: Any) -> Any:
    """A part of the answer of ``/ready``, for a person."""
    if name == "store" and isinstance(value, dict):
        store = cast("dict[str, Any]", value)
        return "ok" if store.get("ok") else store.get("error") or "not ok"
    if name == "states" and isinstance(value, dict):
        states = cast("dict[str, int]", value)
        return (
            ", ".join(f"{count} {state}" for state, count in states.items() if count) or "no tasks"
        )
    return value


def _is_ready(ready: dict[str, Any]) -> bool:
    # A problem has a numeric status; the answer of a ready API has none.
    http_status = ready.get("status")
    return bool(ready) and not (isinstance(http_status, int) and http_status >= 400)


def _as_text(task: dict[str, Any], place: str | None) -> str:
    rows = {label: task.get(name) for name, label in SHOWN_FIELDS}
    rows["File"] = place
    if task.get("state") in FINISHED_STATES:
        rows["Progress"] = None
    return "\n".join(_rows(rows))


def _rows(values: dict[str, Any]) -> list[str]:
    kept = {label: value for label, value in values.items() if value not in (None, "", {}, [])}
    width = max((len(label) for label in kept), default=0)
    return [f"  {label:<{width}}  {_shown(value)}" for label, value in kept.items()]


def _shown(value: object) -> str:
    if isinstance(value, dict) and "current" in value:
        progress = cast("dict[str, Any]", value)
        said = progress.get("status")
        words = f" {said}" if said else ""
        return one_line(f"{progress['current']}/{progress.get('total') or '?'}{words}")
    return one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
