"""Whether records and places agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import redis

from encola.errors import StoreError
from encola.logs import one_line
from encola.readable import count, number
from encola.settings import Settings
from encola.store import Keys
from encola.store.consistency import Comparison, Say, compare

from .findings import Finding, fault, ok, warning

SHOWN: Final = 10
REMEDY: Final = (
    "This is a mistake of encola's, or somebody else writes to its keys. Keep the output of "
    "`encola doctor --json` and a copy of the server's files, and report it."
)


def check_places(
    client: redis.Redis, keys: Keys, settings: Settings, say: Say | None
) -> Iterator[Finding]:
    """Every unfinished task is in the one place that its record names. Reads only."""
    try:
        found = compare(client, keys, settings.queues, say)
    except StoreError as error:
        yield fault("records", "They could not be compared with the places.", one_line(str(error)))
        return
    for wrong in found.disagreements[:SHOWN]:
        yield fault("records", one_line(f"Task {wrong.task_id} {wrong.reason}."), REMEDY)
    more = len(found.disagreements) - SHOWN
    if more > 0:
        yield fault("records", f"{count(more, 'more task')} not where they should be.", REMEDY)
    for miscount in found.miscounts:
        yield fault("records", f"A counter is wrong: {miscount}.", REMEDY)
    if found.unchecked:
        yield warning(
            "records",
            f"{count(found.unchecked, 'task')} moved too fast to be looked at.",
            "Run it again when there is less to do.",
        )
    if not (found.disagreements or found.miscounts):
        yield ok("records", _summary(found))


def _summary(found: Comparison) -> str:
    left = (
        f"; {number(found.leftovers)} entries are left of cancelled tasks"
        if found.leftovers
        else ""
    )
    return (
        f"{number(found.records)} unfinished tasks and {number(found.entries)} entries of places "
        f"agree{left}."
    )
