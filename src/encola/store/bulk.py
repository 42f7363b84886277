"""
Many tasks at once: which of them a filter means, and the script that acts on them.

The index only proposes ids, oldest first; ``bulk.lua`` looks at each record and acts on it
in the same step. So a batch of ids that is asked about twice, or by an attempt that was cut
off, changes nothing twice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import redis.asyncio

from ..errors import StoreFull
from ..record import ACTIVE, FINISHED, TaskState
from .callers import run_async
from .indexes import Entry, Filter, Indexes
from .scripts import NO_LIMIT, Argument, Call, Verbs, refused

Action = Literal["cancel", "retry"]
#: The task types whose work this is.
BULK_TYPES: Final = frozenset({"bulk_cancel", "bulk_retry"})
#: Tasks of one script call: some milliseconds, for which the server answers nobody else.
BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class Choice:
    """What is to be done, and with which tasks."""

    action: Action
    wanted: Filter
    ids: tuple[str, ...] | None = None
    """Only these; None: any."""

    @property
    def states(self) -> frozenset[TaskState]:
        """In which states a task can be acted on: those without an outcome are cancelled, the others run again."""
        possible = ACTIVE if self.action == "cancel" else FINISHED
        return possible & {self.wanted.state} if self.wanted.state else possible

    @property
    def takes_bulk(self) -> bool:
        """Whether tasks that do such work themselves are meant too: only where they are named."""
        return self.wanted.type is not None or self.ids is not None


@dataclass(frozen=True, slots=True)
class Work:
    """The attempt of a task whose work this is."""

    id: str
    token: int
    asked_ms: int
    """When it was accepted; what came or ended later is not its business."""
    seq: int


@dataclass(frozen=True, slots=True)
class Done:
    fitting: int
    """Of the tasks that were looked at."""
    changed: int
    """By this work in all its attempts."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some tasks that may fit."""

    ids: list[str]
    looked: int
    """Entries of an index that were looked at for them."""


def act(
    verbs: Verbs, choice: Choice, work: Work, ids: Sequence[str], max_waiting: int = NO_LIMIT
) -> Call[Done | None]:
    """
    Acts on those of *ids* that fit; None: *work* is not the current attempt, and nothing was done.

    Raises, on decoding:
        StoreFull: with one more than *max_waiting* would wait; those before it were run again.
    """
    arguments = [choice.action, work.id, work.token, *_filter(choice, work), max_waiting, *ids]

    def decode(reply: list[Any]) -> Done | None:
        fitting, changed, *reason = reply
        if reason and reason[0] == b"full":
            raise StoreFull(
                f"{reason[1]} tasks wait; ENCOLA_MAX_WAITING allows {max_waiting}. "
                f"{changed} were run again; start more workers, or retry this task later for the rest."
            )
        refused(reason, max_waiting)
        return None if fitting < 0 else Done(fitting, changed)

    return verbs.call("bulk", arguments, decode)


def count(verbs: Verbs, choice: Choice, work: Work | None, ids: Sequence[str]) -> Call[int]:
    """How many of *ids* fit, or would be acted on by *work*."""
    arguments = [choice.action, "", 0, *_filter(choice, work), NO_LIMIT, *ids]
    return verbs.call("bulk", arguments, lambda reply: int(reply[0]))


class Bulk:
    """The tasks of one installation, on the event loop."""

    def __init__(self, client: redis.asyncio.Redis, verbs: Verbs) -> None:
        self._client = client
        self._verbs = verbs
        self._indexes = Indexes(client, verbs.keys)

    async def act(
        self, choice: Choice, work: Work, ids: Sequence[str], max_waiting: int
    ) -> Done | None:
        """
        :func:`act`, now.

        Raises:
            StoreError
        """
        return await run_async(self._client, act(self._verbs, choice, work, ids, max_waiting))

    async def count(
        self, choice: Choice, work: Work | None = None, most: int = NO_LIMIT
    ) -> tuple[int, bool]:
        """
        How many tasks fit, and whether that is all of them.

        Args:
            most: about so many entries are looked at.

        Raises:
            StoreError
        """
        found = looked = 0
        async for batch in self.batches(choice, work):
            if looked >= most:
                return found, False
            if batch.ids:
                call = count(self._verbs, choice, work, batch.ids)
                found += await run_async(self._client, call)
            looked += batch.looked
        return found, True

    async def batches(self, choice: Choice, work: Work | None = None) -> AsyncIterator[Batch]:
        """
        All that may fit, oldest first.

        Raises:
            StoreError
        """
        if not choice.states:
            return
        if choice.ids is not None:
            for start in range(0, len(choice.ids), BATCH):
                ids = list(choice.ids[start : start + BATCH])
                yield Batch(ids, len(ids))
            return
        wanted, beginning = _before(choice.wanted, work), choice.wanted.search or ""
        walk = await self._indexes.walk(wanted, choice.states)
        after: Entry | None = None
        while entries := await walk.newer(after, BATCH):
            ids = [entry.id for entry in entries if entry.id.startswith(beginning)]
            yield Batch(ids, len(entries))
            after = entries[-1]


def _before(wanted: Filter, work: Work | None) -> Filter:
    """Without what came after the work was asked for."""
    if work is None:
        return wanted
    until = work.asked_ms + 1
    return replace(
        wanted, until_ms=until if wanted.until_ms is None else min(until, wanted.until_ms)
    )


def _filter(choice: Choice, work: Work | None) -> list[Argument]:
    """The arguments of the script from ``asked_ms`` on to the ids."""
    wanted = choice.wanted
    return [
        NO_LIMIT if work is None else work.asked_ms,
        NO_LIMIT if work is None else work.seq,
        int(choice.takes_bulk),
        wanted.state or "",
        wanted.type or "",
        wanted.user_id or "",
        wanted.queue or "",
        wanted.since_ms or 0,
        NO_LIMIT if wanted.until_ms is None else wanted.until_ms,
        wanted.search or "",
    ]
