"""``encola flower``: Celery's own dashboard, on our engine."""

from __future__ import annotations

import importlib.util
from typing import Annotated, Any

import typer

from encola.embedded.runfile import resolve_redis_url
from encola.logs import configure_logging
from encola.settings import load_settings

from .exits import USAGE, CommandError
from .modules import look_in_this_folder

#: Flower's own options are handed on to it.
CONTEXT: dict[str, Any] = {"ignore_unknown_options": True, "allow_extra_args": True}


def flower(
    context: typer.Context,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, metavar="PORT", help="Port to listen on; default: 5555."),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on; default: 127.0.0.1. Others need --basic-auth.",
        ),
    ] = None,
    basic_auth: Annotated[
        str | None,
        typer.Option(
            metavar="USER:PASSWORD",
            help="Ask for these. FLOWER_BASIC_AUTH does the same and is not shown by `ps`.",
        ),
    ] = None,
) -> None:
    """
    Start Flower, Celery's own dashboard, on this installation.

    It shows workers, tasks and queue lengths, and can revoke, limit and resize. It
    finds its server in REDIS_URL, or in what `encola up` started on this folder.
    Without --basic-auth it listens on the loopback address only, with its HTTP API open.
    Flower's own options follow as --name=value: --persistent=true, --url-prefix=flower.

    \b
    Examples:
        encola flower
        encola flower --port 5566 --max-tasks=5000
        FLOWER_BASIC_AUTH=ana:secret encola flower --address 0.0.0.0
    """
    if importlib.util.find_spec("flower") is None:
        raise CommandError("Flower is not installed. Run: pip install 'encola[flower]'", USAGE)
    look_in_this_folder()
    settings = load_settings()
    resolve_redis_url(settings)  # where nothing runs, say so before Flower is loaded
    configure_logging("flower", settings)

    from encola.engine import celery_app  # see the package
    from encola.engine.flower import run_flower

    given = {"port": port, "address": address, "basic_auth": basic_auth}
    arguments = [f"--{name}={value}" for name, value in given.items() if value is not None]
    try:
        run_flower(celery_app, [*arguments, *context.args], say=_announce)
    except ValueError as error:
        raise CommandError(str(error), USAGE) from None


def _announce(address: str) -> None:
    typer.echo(f"Flower runs at {address}. Ctrl-C stops it.")
