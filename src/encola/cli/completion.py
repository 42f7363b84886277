"""
Completion in the shell: commands and options by Typer; task types, fields, values and ids from the API.

The shell runs ``encola`` for each press of the tabulator key. What the API knows is offered where it answers within a second;
else there is nothing to offer, and no error. Only plain words are: some shells evaluate what they
are given, and an id or a task's name may be any text.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, cast

import typer
from typer.core import TyperCommand

from encola.errors import EncolaError

from .client import FINISHED_STATES, Api, connect

TIMEOUT: Final = 1.0
"""Seconds for one call: somebody is waiting with a finger on the key."""
IDS_OFFERED: Final = 20
VARIABLE: Final = "_ENCOLA_COMPLETE"
#: Nothing that a shell could take for more than a word.
PLAIN: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*")

Offer = tuple[str, str]
"""A word, and what it means."""


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> None:
    """
    Print the completion script of a shell.

    With it the tabulator key completes commands, options, task types, their fields and ids.
    `encola --install-completion` puts it where the shell that you use looks for it.

    \b
    Examples:
        source <(encola completion bash)
        encola completion zsh > ~/.zfunc/_encola
        encola completion fish > ~/.config/fish/completions/encola.fish
    """
    from typer._completion_shared import get_completion_script  # only --show-completion has it

    typer.echo(get_completion_script(prog_name="encola", complete_var=VARIABLE, shell=shell))


def offer_types() -> list[Offer]:
    """Task types of the running API."""
    types = _from_api(lambda api: api.types())
    return _plain((str(one.get("name")), f"queue {one.get('queue')}") for one in types)


def offer_ids() -> list[Offer]:
    """Ids of the newest tasks."""
    return _ids()


def offer_unfinished_ids() -> list[Offer]:
    """Ids of the newest tasks that can still be cancelled."""
    return _ids(but_not=FINISHED_STATES)


def _ids(but_not: frozenset[str] = frozenset()) -> list[Offer]:
    tasks = _from_api(lambda api: api.newest(IDS_OFFERED))
    return _plain(
        (str(task["task_id"]), f"{task.get('type')} {task.get('state')}")
        for task in tasks
        if task.get("state") not in but_not
    )


@dataclass(frozen=True, slots=True)
class Item:
    """What the shells' classes in Typer read of an offer."""

    value: str
    help: str | None = None
    type: str = "plain"


class SubmitCommand(TyperCommand):
    """Completes the fields of the task type that was named, and the values of those that have a few."""

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        properties = _properties(str(ctx.params.get("type_name") or ""))
        if incomplete.startswith("-"):
            return [*super().shell_complete(ctx, incomplete), *_fields(properties, incomplete)]
        last = str(ctx.args[-1]) if ctx.args else ""
        return list(_values(properties, last, incomplete))


def _properties(type_name: str) -> dict[str, Any]:
    for one in _from_api(lambda api: api.types()):
        if one.get("name") == type_name:
            schema = cast("dict[str, Any]", one.get("input_schema") or {})
            definitions = cast("dict[str, Any]", schema.get("$defs") or {})
            found = cast("dict[str, Any]", schema.get("properties") or {})
            return {name: _resolved(field, definitions) for name, field in found.items()}
    return {}


def _resolved(field: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    name = str(field.get("$ref", "")).removeprefix("#/$defs/")
    return cast("dict[str, Any]", definitions.get(name, field))


def _fields(properties: dict[str, Any], incomplete: str) -> Iterator[Item]:
    for name, field in properties.items():
        option = f"--{name.replace('_', '-')}"
        if PLAIN.fullmatch(name) and option.startswith(incomplete):
            yield Item(option, str(field.get("type") or "") or None)


def _values(properties: dict[str, Any], option: str, incomplete: str) -> Iterator[Item]:
    field = properties.get(option.removeprefix("--").replace("-", "_"), {})
    for value in field.get("enum") or ():
        if PLAIN.fullmatch(str(value)) and str(value).startswith(incomplete):
            yield Item(str(value))


def _from_api(ask: Callable[[Api], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    with contextlib.suppress(EncolaError), connect(timeout=TIMEOUT) as api:
        return ask(api)
    return []


def _plain(offers: Iterator[Offer]) -> list[Offer]:
    return [
        (word, meaning if PLAIN.fullmatch(meaning.replace(" ", "")) else "")
        for word, meaning in offers
        if PLAIN.fullmatch(word)
    ]
