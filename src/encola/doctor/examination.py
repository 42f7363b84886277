"""All checks, in the order in which a fault of one explains those of the next."""

from __future__ import annotations

from collections.abc import Iterator

from encola.embedded import runfile
from encola.errors import NothingRuns
from encola.settings import Settings
from encola.store import Keys, connect
from encola.store.consistency import Say

from . import machine, neighbours, server, tasks
from .findings import Finding, fault


def examine(
    settings: Settings, *, api_url: str | None = None, say: Say | None = None
) -> Iterator[Finding]:
    """
    Findings, each as soon as it is known.

    *api_url*: where the API should be; None: none is looked for.
    *say*: told how far the comparison of records and places is, which may take a while.
    """
    yield from machine.check_versions()
    yield from machine.check_data_folder(settings)
    yield from machine.check_modules(settings)
    yield from machine.check_file_roots(settings)
    yield from _check_store(settings, say)
    yield from neighbours.check_mail(settings)
    if api_url:
        yield from neighbours.check_api(api_url)


def _check_store(settings: Settings, say: Say | None) -> Iterator[Finding]:
    try:
        url = runfile.resolve_redis_url(settings)
    except NothingRuns as error:
        says, _, remedy = str(error).partition(". ")
        yield fault("server", f"{says}.", remedy)
        return
    keys = Keys(settings.key_prefix, settings.list_prefix)
    with connect(url, name="encola-doctor") as client:
        reachable = True
        for finding in server.check_server(client, url, settings):
            reachable = reachable and finding.says != server.NO_ANSWER
            yield finding
        if reachable:
            yield from server.check_work(client, keys, settings)
            yield from tasks.check_places(client, keys, settings, say)
