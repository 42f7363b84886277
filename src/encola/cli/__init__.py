"""
The command ``encola``: one module a command, put together here.

``submit``, ``status`` and ``cancel`` know only the HTTP API (:mod:`.client`); ``up``, ``api``,
``worker`` and ``flower`` become the process that they are named for.

What a command needs is imported when it runs. Everywhere else in encola imports stand
at the top; here they would make ``encola --help`` load Celery, FastAPI and a Redis
client, a second or more, to print a page of text.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from encola import __version__
from encola.errors import EncolaError

from . import (
    api,
    beat,
    cancel,
    completion,
    doctor,
    flower,
    logs,
    monitor,
    status,
    submit,
    up,
    worker,
)
from .exits import EXIT_CODES, exit_code_of

app = typer.Typer(
    name="encola",
    help=(
        "Background tasks that cannot be lost.\n\n"
        "Start everything on this machine, send a task, wait for its end, look around:\n\n"
        "\b\n"
        "    encola up\n"
        "    encola submit email --email ana@example.com --subject Hola --body Hola --wait\n"
        "    encola status\n"
    ),
    epilog=f"Exit codes: {EXIT_CODES}. Settings are environment variables: ENCOLA_DATA_DIR, "
    "ENCOLA_PORT, REDIS_URL and others; docs/settings.md lists them.",
    no_args_is_help=True,
    # A stranger's traceback with the values of local variables could show a password.
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.command("up")(up.up)
app.command("api")(api.api)
app.command("worker")(worker.worker)
app.command("beat")(beat.beat)
app.command("submit", cls=completion.SubmitCommand, context_settings=submit.CONTEXT)(submit.submit)
app.command("status")(status.status)
app.command("cancel")(cancel.cancel)
app.command("doctor")(doctor.doctor)
app.command("logs")(logs.logs)
app.command("monitor")(monitor.monitor)
app.command("flower", context_settings=flower.CONTEXT)(flower.flower)
app.command("completion")(completion.completion)


def main() -> None:
    """Run the command line; ends the process with one of the documented exit codes."""
    try:
        app(prog_name="encola")
    except EncolaError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(exit_code_of(error))


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    typer.echo(f"encola {__version__}")
    raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Show the version.",
        ),
    ] = False,
) -> None:
    del version  # its callback has done all
