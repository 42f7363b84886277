"""``encola up``: everything on this machine."""

from __future__ import annotations

import typer

from encola.settings import load_settings


def up() -> None:
    """
    Start everything on this machine.

    Valkey, a mailbox, a worker, a scheduler, and the API with the dashboard.
    With REDIS_URL set that server is used; with ENCOLA_SMTP_URL set mail goes there.
    Data lies in ./.encola, or where ENCOLA_DATA_DIR says, and survives restarts.

    Ctrl-C stops it: running tasks get ENCOLA_GRACE_SECONDS (30) to end. What has not
    ended by then, or at a second Ctrl-C, runs again at the next start.

    \b
    Examples:
        encola up
        ENCOLA_PORT=9000 encola up
        REDIS_URL=redis://localhost:6379/0 encola up
    """
    from encola.embedded.supervisor import run_up  # see the package

    raise typer.Exit(run_up(load_settings()))
