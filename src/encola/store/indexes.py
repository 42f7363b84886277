"""
The indexes: ids of tasks, in the order in which they were accepted.

A filter chooses what is walked: the narrowest of the streams that fit it (all, type, user, queue),
or the sorted sets of its states, several of them side by side as one. What a stream or a set
does not know by its name, :meth:`Filter.admits` asks the record.

Streams have ``(created_at_ms, seq)`` as the id of an entry, the sets only ``seq``; both grow
together, so a moment is turned into a ``seq`` by looking it up in the stream of all.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import redis.asyncio

from ..record import TaskRecord, TaskState
from .callers import translated
from .coordinates import decode_coordinates
from .keys import Keys

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MILLISECOND: Final = dt.timedelta(milliseconds=1)
#: The last moment that a datetime can hold; a due time may lie beyond it.
LAST_MS: Final = 253_402_300_799_999


def first_ms(moment: dt.datetime) -> int:
    """The first whole millisecond that is not before *moment*, within what a record may hold."""
    return max(0, min(LAST_MS, -((_EPOCH - moment) // _MILLISECOND)))


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records to list; None: any. Several are joined by "and"."""

    state: TaskState | None = None
    type: str | None = None
    user_id: str | None = None
    queue: str | None = None
    search: str | None = None
    """An id, or its beginning."""
    since_ms: int | None = None
    """Created at this time or later."""
    until_ms: int | None = None
    """Created before this time."""

    def admits(self, record: TaskRecord) -> bool:
        return (
            (self.state is None or record.state == self.state)
            and (self.type is None or record.type == self.type)
            and (self.user_id is None or record.user_id == self.user_id)
            and (self.queue is None or record.queue == self.queue)
            and (self.search is None or record.id.startswith(self.search))
            and (self.since_ms is None or record.order[0] >= self.since_ms)
            and (self.until_ms is None or record.order[0] < self.until_ms)
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """A task in an index."""

    id: str
    created_ms: int | None
    """None: the index does not say."""
    seq: int


class Walk(Protocol):
    """A way through the tasks that a filter may admit."""

    async def older(self, before: tuple[int, int] | None, count: int) -> list[Entry]:
        """Up to *count* entries before an order (None: the end), newest first."""
        ...

    async def newer(self, after: Entry | None, count: int) -> list[Entry]:
        """Up to *count* entries after one of this walk (None: the beginning), oldest first."""
        ...


class Indexes:
    """The indexes of one installation, read on the event loop."""

    def __init__(self, client: redis.asyncio.Redis, keys: Keys) -> None:
        self._client: Any = client
        self._keys = keys

    async def walk(self, wanted: Filter, states: Iterable[TaskState] = ()) -> Walk:
        """
        The shortest way through all that *wanted* may admit.

        Args:
            states: where more than the one that *wanted* names will do, all that will; none: any.
        """
        streams = [
            self._keys.index(kind, value)
            for kind, value in (
                ("type", wanted.type),
                ("user", wanted.user_id),
                ("queue", wanted.queue),
            )
            if value is not None
        ]
        names = [wanted.state] if wanted.state else sorted(states)
        sets = [self._keys.index("state", name) for name in names]
        if not streams and not sets:
            streams = [self._keys.index("all")]
        narrowest = await self._narrowest(streams, sets)
        since, until = wanted.since_ms or 0, wanted.until_ms
        if narrowest is not None:
            return StreamWalk(self._client, narrowest, since, until)
        low, high = await self._seqs(since, until)
        return StateWalk(self._client, sets, low, high)

    async def _narrowest(self, streams: list[str], sets: list[str]) -> str | None:
        """The shortest of *streams*; None: all of *sets* together are shorter."""
        if not sets and len(streams) == 1:
            return streams[0]
        pipeline = self._client.pipeline(transaction=False)
        for key in streams:
            pipeline.xlen(key)
        for key in sets:
            pipeline.zcard(key)
        with translated():
            sizes = await pipeline.execute()
        size, stream = min(zip(sizes, streams, strict=False), default=(0, None))
        if sets and (stream is None or sum(sizes[len(streams) :]) < size):
            return None
        return stream

    async def _seqs(self, since_ms: int, until_ms: int | None) -> tuple[int, int | None]:
        """A time as order numbers: the first in it, and the last (None: no end)."""
        everything, low, high = self._keys.index("all"), 0, None
        with translated():
            if since_ms:
                first = await self._client.xrange(everything, min=since_ms, count=1)
                # Where nothing is so new, nothing is in it.
                low = _entry(*first[0]).seq if first else 2**53
            if until_ms is not None:
                newest = max(0, until_ms - 1)
                last = await self._client.xrevrange(everything, max=newest, count=1)
                high = _entry(*last[0]).seq if last else 0
        return low, high


class StreamWalk:
    """Through one stream."""

    def __init__(self, client: Any, key: str, since_ms: int, until_ms: int | None) -> None:
        self._client = client
        self._key = key
        self._since = since_ms
        self._until = until_ms

    async def older(self, before: tuple[int, int] | None, count: int) -> list[Entry]:
        top = "+" if before is None else f"({before[0]}-{before[1]}"
        if self._until is not None and (before is None or before[0] >= self._until):
            top = str(max(0, self._until - 1))
        with translated():
            found = await self._client.xrevrange(self._key, max=top, min=self._since, count=count)
        return [_entry(*one) for one in found]

    async def newer(self, after: Entry | None, count: int) -> list[Entry]:
        bottom = str(self._since) if after is None else f"({after.created_ms}-{after.seq}"
        top = "+" if self._until is None else str(max(0, self._until - 1))
        with translated():
            found = await self._client.xrange(self._key, min=bottom, max=top, count=count)
        return [_entry(*one) for one in found]


class StateWalk:
    """Through the tasks that are in one of several states at the moment of the look."""

    def __init__(self, client: Any, keys: Iterable[str], low: int, high: int | None) -> None:
        self._client = client
        self._keys = list(keys)
        self._low = low
        self._high = high

    async def older(self, before: tuple[int, int] | None, count: int) -> list[Entry]:
        top = "+inf" if self._high is None else str(self._high)
        if before is not None and (self._high is None or before[1] <= self._high):
            top = f"({before[1]}"
        found = await self._look(top, self._low, count, desc=True)
        return sorted(found, key=lambda entry: entry.seq, reverse=True)[:count]

    async def newer(self, after: Entry | None, count: int) -> list[Entry]:
        bottom = str(self._low) if after is None else f"({after.seq}"
        top = "+inf" if self._high is None else str(self._high)
        found = await self._look(bottom, top, count, desc=False)
        return sorted(found, key=lambda entry: entry.seq)[:count]

    async def _look(self, first: object, last: object, count: int, *, desc: bool) -> list[Entry]:
        # In one step: a task that changes its state in between is in one of the sets all the same.
        # Not for one set alone: inside of MULTI a full Redis 7.0 refuses even to read.
        pipeline = self._client.pipeline(transaction=len(self._keys) > 1)
        for key in self._keys:
            pipeline.zrange(
                key, first, last, desc=desc, byscore=True, offset=0, num=count, withscores=True
            )
        with translated():
            replies = await pipeline.execute()
        return [Entry(i.decode(), None, int(seq)) for reply in replies for i, seq in reply]


def _entry(order: bytes, fields: dict[bytes, bytes]) -> Entry:
    created, _, seq = order.decode().partition("-")
    return Entry(fields[b"i"].decode(), int(created), int(seq))


async def order_of(client: Any, keys: Keys, entry: Entry) -> tuple[int, int] | None:
    """``(created_at_ms, seq)`` of an entry; None: it has been pruned in the meantime."""
    if entry.created_ms is not None:
        return entry.created_ms, entry.seq
    with translated():
        x = await client.hget(keys.record(entry.id), "x")
    return None if x is None else (decode_coordinates(x).created_ms, entry.seq)
