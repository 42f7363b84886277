"""``encola worker``: one worker with its children."""

from __future__ import annotations

from typing import Annotated

import typer

from encola.logs import configure_logging
from encola.settings import load_settings

from .modules import look_in_this_folder


def worker(
    concurrency: Annotated[
        int | None,
        typer.Option(
            min=1, max=1000, metavar="N", help="Child processes; default: ENCOLA_CONCURRENCY."
        ),
    ] = None,
    queues: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES", help="Queues to listen to, comma-separated; default: ENCOLA_QUEUES."
        ),
    ] = None,
    hostname: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of this worker; default: made from the machine's."),
    ] = None,
) -> None:
    """
    Start a worker that runs tasks.

    It finds its server in REDIS_URL, or in what `encola up` started on this folder.
    SIGTERM or Ctrl-C lets the running tasks end first.

    \b
    Examples:
        encola worker
        encola worker --concurrency 4 --queues encola,reports
        ENCOLA_TASK_MODULES=shop.tasks encola worker
    """
    names = [name.strip() for name in queues.split(",") if name.strip()] if queues else None
    if queues is not None and not names:
        raise typer.BadParameter("expected at least one queue name", param_hint="--queues")
    look_in_this_folder()
    # First, so that what the engine says while it is loaded is logged our way.
    settings = load_settings()
    configure_logging("worker", settings)

    from encola.engine.worker import run_worker  # see the package

    raise typer.Exit(run_worker(settings, concurrency=concurrency, queues=names, hostname=hostname))
