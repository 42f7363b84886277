"""``encola beat``: one scheduler."""

from __future__ import annotations

import typer

from encola.logs import configure_logging
from encola.settings import load_settings

from .modules import look_in_this_folder


def beat() -> None:
    """
    Start a scheduler, which enqueues what schedules ask for.

    Schedules are declared in code: with @task(schedule=…), or in
    celery_app.conf.beat_schedule. Any number of schedulers may run, on any machines: each
    time of a schedule is enqueued once. `encola up` starts one.

    It finds its server in REDIS_URL, or in what `encola up` started on this folder.

    \b
    Examples:
        encola beat
        ENCOLA_TASK_MODULES=shop.tasks encola beat
        ENCOLA_TIMEZONE=Europe/Madrid encola beat
    """
    look_in_this_folder()
    # First, so that what the engine says while it is loaded is logged our way.
    settings = load_settings()
    configure_logging("beat", settings)

    from encola.engine.beat import run_beat  # see the package

    raise typer.Exit(run_beat(settings, say=lambda line: print(line, flush=True)))
