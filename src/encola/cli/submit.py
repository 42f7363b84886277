"""``encola submit``: send one task."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from encola.errors import TaskTypeNotFound
from encola.logs import one_line
from encola.settings import load_settings

from .client import Api, connect
from .completion import offer_types
from .exits import USAGE, CommandError, exit_code_of_state
from .fields import parse
from .follow import address, follow, outcome
from .uploading import send_file

#: The task type that takes uploads.
FILE_TYPE = "file"
#: Fields of the task's model are options that only the API knows.
CONTEXT: dict[str, Any] = {"ignore_unknown_options": True, "allow_extra_args": True}


def submit(
    context: typer.Context,
    type_name: Annotated[
        str,
        typer.Argument(
            metavar="TYPE",
            help="Task type, such as email, file, report, cleanup.",
            autocompletion=offer_types,
        ),
    ],
    input_json: Annotated[
        str | None,
        typer.Option("--input", metavar="JSON", help="The whole input as JSON."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the task ends.")] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the answer, or with --wait the record, as JSON."),
    ] = False,
    timeout: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="With --wait: at most so long.")
    ] = None,
) -> None:
    """
    Send a task: encola submit TYPE [FILE] --FIELD VALUE …

    Fields are those of the task type's model; --user is short for --user-id, and a
    FILE is its field file_path. The file of a task `file` is sent along, unless it lies
    in ENCOLA_FILE_ROOTS or is a data:// URI. Standard output holds the task's id alone (or JSON),
    everything else goes to standard error.

    With --wait the exit code tells how the task ended: 0 done, 1 failed, 5 cancelled.

    \b
    Examples:
        encola submit email --email ana@example.com --subject Hola --body "Hola"
        encola submit file ventas.csv --user 7 --wait
        encola submit report --input '{"user_id": 7, "report_type": "sales"}' --json
        id=$(encola submit cleanup) && encola status "$id" --follow
    """
    if type_name.startswith("-"):
        raise typer.BadParameter("the task type comes first", param_hint="TYPE")
    if timeout is not None and not wait:
        raise typer.BadParameter("works only together with --wait", param_hint="--timeout")
    given = _given(input_json, context.args)
    with connect() as api:
        task_input: object = given
        if given is None:
            schema = _schema(api, type_name)
            task_input = parse(context.args, schema)
            # A type of the user's own would not know what to do with an upload's address. Where a
            # field is missing nothing is sent: the API says which, and a large file takes its time.
            if type_name == FILE_TYPE and task_input.keys() >= set(schema.get("required", ())):
                task_input = send_file(api, task_input, load_settings())
        answer = api.submit(type_name, task_input)
        task_id = str(answer["task_id"])
        if not as_json:
            typer.echo(task_id)
            typer.echo(one_line(str(answer.get("message", ""))), err=True)
        elif not wait:
            typer.echo(json.dumps(answer))
        if not wait:
            return
        task = follow(api, task_id, timeout=timeout)
        place = address(api, task)
    if as_json:
        typer.echo(json.dumps(task))
    typer.echo(outcome(task), err=True)
    if place:
        typer.echo(place, err=True)
    raise typer.Exit(exit_code_of_state(str(task.get("state"))))


def _given(input_json: str | None, words: list[str]) -> object:
    """The input from ``--input``; None where it is described field by field."""
    if input_json is None:
        return None
    if words:
        raise CommandError(
            f"--input is the whole input; {words[0]!r} has no place beside it.", USAGE
        )
    try:
        value: object = json.loads(input_json)
    except ValueError as error:
        raise CommandError(f"--input is no JSON: {error}.", USAGE) from None
    if not isinstance(value, dict):
        raise CommandError("--input: expected a JSON object such as '{\"user_id\": 7}'.", USAGE)
    return value


def _schema(api: Api, type_name: str) -> dict[str, Any]:
    types = {str(one.get("name")): one for one in api.types()}
    if type_name not in types:
        raise TaskTypeNotFound(type_name, list(types))
    schema: dict[str, Any] = types[type_name].get("input_schema") or {}
    return schema
