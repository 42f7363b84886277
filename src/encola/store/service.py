"""
How the service stands, read on the event loop: workers, queues, and how many tasks there are of what.

Nothing here grows with the number of records: counters and lengths, of each queue the
few tasks that are next, and of the statistics one small hash a minute.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import redis.asyncio

from ..record import RUNNING, TaskState
from .callers import server_ms, translated
from .coordinates import decode_coordinates
from .keys import PRIORITY_STEPS, Keys
from .statistics import decode_minute

#: Entries at the head of a ready list that are asked how long they wait: a few may be cancelled ones.
HEAD: Final = 10
#: Minutes that are remembered once they are over: six days, or six views of one.
REMEMBERED: Final = 8_640
#: Minutes whose statistics are fetched in one round trip.
_PORTION: Final = 120


@dataclass(frozen=True, slots=True)
class WorkerView:
    """A worker with a lease, or an API process that runs tasks itself."""

    id: str
    hostname: str
    pid: int
    queues: tuple[str, ...]
    slots: int
    held: int
    """Tasks under its lease."""
    started_ms: int | None
    lease_ms: int
    """Until its lease ends."""
    is_draining: bool

    @property
    def is_in_process(self) -> bool:
        return self.id.startswith("api@")


@dataclass(frozen=True, slots=True)
class QueueView:
    name: str
    is_paused: bool
    ready: Mapping[int, int]
    """By priority step."""
    held: int
    delayed: int
    running: int
    oldest_ms: int | None
    """How long the longest of those that are next has waited."""
    workers: int


@dataclass
class Counts:
    """How many records there are, by (type, queue) and word: a state, or ``delayed``."""

    by_kind: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)

    def of(self, type_name: str | None = None, queue: str | None = None) -> Counter[str]:
        """All words, of one type, one queue, or both; None: any."""
        total: Counter[str] = Counter()
        for (its_type, its_queue), counts in self.by_kind.items():
            if type_name in (None, its_type) and queue in (None, its_queue):
                total.update(counts)
        return total

    @property
    def queues(self) -> set[str]:
        return {queue for (_, queue), counts in self.by_kind.items() if +counts}

    @property
    def types(self) -> set[str]:
        return {type_name for (type_name, _), counts in self.by_kind.items() if +counts}


class Service:
    """The service of one installation."""

    def __init__(self, client: redis.asyncio.Redis, keys: Keys) -> None:
        self._client: Any = client
        self._keys = keys
        self._over: OrderedDict[tuple[int, str | None, str | None], Counter[str]] = OrderedDict()

    async def now_ms(self) -> int:
        """The server's clock."""
        return await server_ms(self._client)

    async def paused(self) -> set[str]:
        """``queue:<name>``, ``type:<name>``, ``worker:<id>``."""
        with translated():
            return {name.decode() for name in await self._client.smembers(self._named("paused"))}

    async def counts(self) -> Counts:
        with translated():
            stored = await self._client.hgetall(self._named("counts"))
        counts = Counts()
        for kind, number in stored.items():
            type_name, queue, word = kind.decode().split("\x1f")
            counts.by_kind.setdefault((type_name, queue), Counter())[word] = max(0, int(number))
        return counts

    async def counts_of_user(
        self, user_id: str, most: int
    ) -> tuple[list[tuple[str, str, str]], bool]:
        """(type, queue, state) of a user's newest tasks, up to *most*, and whether that is all of them."""
        with translated():
            entries = await self._client.xrevrange(
                self._keys.index("user", user_id), count=most + 1
            )
            found: list[tuple[str, str, str]] = []
            for start in range(0, min(len(entries), most), _PORTION):
                pipeline = self._client.pipeline(transaction=False)
                for _, fields in entries[start : min(start + _PORTION, most)]:
                    pipeline.hmget(self._keys.record(fields[b"i"].decode()), "x", "st")
                for x, state in await pipeline.execute():
                    if x is not None:
                        where = decode_coordinates(x)
                        found.append((where.type, where.queue, state.decode()))
        return found, len(entries) <= most

    # --- workers ---------------------------------------------------------------------

    async def workers(self) -> list[WorkerView]:
        """Whose lease runs, by id."""
        now_ms = await self.now_ms()
        with translated():
            alive = await self._client.zrange(
                self._named("workers"), now_ms, "+inf", byscore=True, withscores=True
            )
            pipeline = self._client.pipeline(transaction=False)
            pipeline.smembers(self._named("paused"))
            for worker, _ in alive:
                pipeline.get(self._keys.worker(worker.decode()))
                pipeline.scard(self._keys.leased(worker.decode()))
            paused, *replies = await pipeline.execute()
        views = [
            _worker(worker.decode(), round(until - now_ms), info, held, paused)
            for (worker, until), info, held in zip(alive, replies[::2], replies[1::2], strict=True)
        ]
        return sorted(views, key=lambda view: view.id)

    # --- queues ----------------------------------------------------------------------

    async def queues(
        self, names: Iterable[str], workers: Sequence[WorkerView], counts: Counts
    ) -> list[QueueView]:
        """*names*, and those that workers listen to, that are paused or that have records; by name."""
        paused = await self.paused()
        heard = Counter(
            queue for w in workers if not (w.is_draining or w.is_in_process) for queue in w.queues
        )
        listed = {*names, *heard, *counts.queues, *_named_after("queue:", paused)}
        return await self._look_at(sorted(listed), paused, heard, counts)

    async def _look_at(
        self, names: Sequence[str], paused: set[str], heard: Counter[str], counts: Counts
    ) -> list[QueueView]:
        now_ms = await self.now_ms()
        with translated():
            holds = [m.decode() for m in await self._client.smembers(self._named("held"))]
            pipeline = self._client.pipeline(transaction=False)
            for member in holds:
                pipeline.zcard(self._keys.held(*member.split("\x1f")))
            for name in names:
                for list_key in self._keys.ready_lists(name):
                    pipeline.llen(list_key)
                    pipeline.lrange(list_key, -HEAD, -1)
            replies = await pipeline.execute()
            held: Counter[str] = Counter()
            for member, number in zip(holds, replies, strict=False):
                held[member.split("\x1f")[1]] += number
            lists = replies[len(holds) :]
            per = 2 * len(PRIORITY_STEPS)
            heads = [
                [entry for part in lists[at * per + 1 : (at + 1) * per : 2] for entry in part]
                for at in range(len(names))
            ]
            oldest = await self._oldest(heads, now_ms)
        return [
            QueueView(
                name=name,
                is_paused=f"queue:{name}" in paused,
                ready=dict(zip(PRIORITY_STEPS, lists[at * per : (at + 1) * per : 2], strict=True)),
                held=held[name],
                delayed=counts.of(queue=name)["delayed"],
                running=sum(counts.of(queue=name)[state] for state in RUNNING),
                oldest_ms=oldest[at],
                workers=heard[name],
            )
            for at, name in enumerate(names)
        ]

    async def _oldest(self, heads: list[list[bytes]], now_ms: int) -> list[int | None]:
        """Of each list of ids, how long the one that has waited longest waits."""
        pipeline = self._client.pipeline(transaction=False)
        for ids in heads:
            for entry in ids:
                pipeline.hmget(self._keys.record(entry.decode(errors="replace")), "pl", "rd")
        replies = iter(await pipeline.execute())
        oldest: list[int | None] = []
        for ids in heads:
            since = [
                int(ready)
                for place, ready in (next(replies) for _ in ids)
                if place == b"ready" and ready
            ]
            oldest.append(max(0, now_ms - min(since)) if since else None)
        return oldest

    # --- statistics ------------------------------------------------------------------

    async def minutes(
        self, first: int, last: int, type_name: str | None = None, queue: str | None = None
    ) -> list[Counter[str]]:
        """What was counted in each minute (since 1970) from *first* to *last*, the one that runs."""
        wanted = range(first, last + 1)
        missing = [m for m in wanted if (m, type_name, queue) not in self._over]
        fresh: dict[int, Counter[str]] = {}
        for start in range(0, len(missing), _PORTION):
            part = missing[start : start + _PORTION]
            pipeline = self._client.pipeline(transaction=False)
            for minute in part:
                pipeline.hgetall(self._keys.statistics(minute))
            with translated():
                replies = await pipeline.execute()
            for minute, stored in zip(part, replies, strict=True):
                fresh[minute] = _merged(stored, minute, type_name, queue)
        found = [fresh[m] if m in fresh else self._over[m, type_name, queue] for m in wanted]
        for minute, counter in fresh.items():
            # The last two may still be added to.
            if minute < last - 1:
                self._over[minute, type_name, queue] = counter
        while len(self._over) > REMEMBERED:
            self._over.popitem(last=False)
        return found

    def _named(self, name: str) -> str:
        return self._keys.named(name)


def _merged(
    stored: Mapping[bytes, bytes], minute: int, type_name: str | None, queue: str | None
) -> Counter[str]:
    """A minute's counters of the type and queue; causes of failure with their type."""
    total: Counter[str] = Counter()
    for (its_type, its_queue), counts in decode_minute(minute, stored).counts.items():
        if type_name in (None, its_type) and queue in (None, its_queue):
            for name, number in counts.items():
                is_cause = name.startswith("error:")
                total[f"{name}\x1f{its_type}" if is_cause else name] += number
    return total


def _worker(
    worker: str, lease_ms: int, info: bytes | None, held: int, paused: set[bytes]
) -> WorkerView:
    said: dict[str, Any] = orjson.loads(info) if info else {}
    return WorkerView(
        id=worker,
        hostname=str(said.get("hostname") or worker.partition("/")[0]),
        pid=int(said.get("pid") or 0),
        queues=tuple(said.get("queues") or ()),
        slots=int(said.get("slots") or 0),
        held=held,
        started_ms=said.get("started_ms"),
        lease_ms=lease_ms,
        is_draining=f"worker:{worker}".encode() in paused,
    )


def _named_after(prefix: str, names: Iterable[str]) -> list[str]:
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]


def states_of(counts: Mapping[str, int]) -> dict[str, int]:
    """All eight states."""
    return {state.value: counts.get(state.value, 0) for state in TaskState}
