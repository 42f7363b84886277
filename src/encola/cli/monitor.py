"""
``encola monitor``: workers, queues and tasks, live in a terminal.

Reads the store itself, so that it also shows what goes on where the API is down. Three ways
of showing it:

    on a terminal     a screen that is drawn anew (:mod:`.screen`), until q or Ctrl-C
    ``--plain``       the lesson's lines every thirty seconds; also where nobody looks at a terminal
    ``--flower-url``  the same lines, read from Flower's API
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from encola.embedded import runfile
from encola.errors import EncolaError
from encola.logs import one_line, redact
from encola.settings import Settings, load_settings

from .exits import INTERRUPTED

if TYPE_CHECKING:
    from encola.store.overview import Overview

LIVE_SECONDS = 1.0
PLAIN_SECONDS = 30.0

#: The lesson's words, and the same in English.
WORDS = {
    "es": ("Workers activos", "Error en monitoreo"),
    "en": ("Active workers", "Error while monitoring"),
}

Workers = dict[str, bool]
"""Worker -> whether it is there."""


def monitor(
    plain: Annotated[
        bool, typer.Option("--plain", help="Print a line a worker, again every interval.")
    ] = False,
    interval: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            max=3600,
            metavar="SECONDS",
            help="Between two looks; default: 1 on a screen, 30 for lines.",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Look once, print, and end.")] = False,
    flower_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Lines from Flower's API at this address instead."),
    ] = None,
) -> None:
    """
    Watch workers, queues and tasks, live.

    On a terminal it draws a screen with them, throughput and the last failures; q or Ctrl-C ends it. Elsewhere, and with --plain, it prints
    a line a worker. It reads the server in REDIS_URL, or what `encola up` started on this folder.

    \b
    Examples:
        encola monitor
        encola monitor --plain --interval 5
        encola monitor --once | less
        encola monitor --flower-url http://localhost:5555
    """
    settings = load_settings()

    def in_lines(look: Callable[[], Workers]) -> None:
        _or_interrupted(lambda: _lines(look, interval, WORDS[settings.language], once=once))

    with ExitStack() as stack:
        if flower_url is not None:
            from .flower_api import connect, workers_of  # see the package

            flower = stack.enter_context(connect(flower_url))
            in_lines(lambda: workers_of(flower))
            return
        look = stack.enter_context(_store(settings))
        if plain or not (once or _is_screen()):
            in_lines(lambda: _names(look()))
        else:
            _or_interrupted(lambda: _screen(look, settings, interval, once=once))


def _or_interrupted(show: Callable[[], None]) -> None:
    try:
        show()
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


# --- what there is to see -----------------------------------------------------


@contextmanager
def _store(settings: Settings) -> Generator[Callable[[], Overview]]:
    """
    A look at the store, as often as it is called.

    Raises:
        NothingRuns: there is no address to try.
    """
    from encola.store import Keys, connect  # see the package
    from encola.store.overview import read_overview

    keys = Keys(settings.key_prefix, settings.list_prefix)
    with connect(runfile.resolve_redis_url(settings), name="encola-monitor") as client:
        yield lambda: read_overview(client, keys, settings.queues)


def _names(overview: Overview) -> Workers:
    return {w.hostname: w.is_alive for w in overview.workers if not w.is_in_process}


def _is_screen() -> bool:
    from rich.console import Console  # see the package

    console = Console()
    return console.is_terminal and not console.is_dumb_terminal


# --- the lesson's lines ---------------------------------------------------------


def _lines(
    look: Callable[[], Workers], interval: float | None, words: tuple[str, str], *, once: bool
) -> None:
    active, wrong = words
    workers = look()  # where there is nothing to look at, the first look ends the command
    while True:
        now = datetime.now()  # noqa: DTZ005 - the lesson's line has the time of this place
        typer.echo(f"[{now}] {active}: {sum(workers.values())}")
        for name, is_there in workers.items():
            typer.echo(one_line(f"  - {name}: {'online' if is_there else 'offline'}"))
        if once:
            return
        workers = _next(look, interval or PLAIN_SECONDS, wrong)


def _next(look: Callable[[], Workers], interval: float, wrong: str) -> Workers:
    while True:
        time.sleep(interval)
        try:
            return look()
        except EncolaError as error:
            typer.echo(f"{wrong}: {one_line(str(error))}")


# --- the screen -------------------------------------------------------------------


def _screen(
    look: Callable[[], Overview], settings: Settings, interval: float | None, *, once: bool
) -> None:
    from .screen import Screen  # see the package

    screen = Screen(_where(settings))
    if once:
        screen.print(look())
    else:
        screen.watch(look, interval or LIVE_SECONDS)


def _where(settings: Settings) -> str:
    """The server in REDIS_URL, or the folder of what `encola up` started."""
    if settings.redis_url:
        return redact(settings.redis_url)
    return runfile.shown(settings.data_dir)
