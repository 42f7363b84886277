"""
Whether records and places agree: every unfinished task in exactly the place that its record names.

Reads only, and may be used while everything runs:

    1. What stands in ready lists is noted; where an id stands there, its record is looked at.
    2. Every unfinished record is looked at, and whether its place has it.
    3. Every entry of the delayed and dead sets, of what is held and of the leases is looked at, and whether
       its record says so.
    4. Tasks move meanwhile, so what did not fit is only suspected. Each suspect is looked at once more in one
       step of the server (``place.lua``); what does not fit then is a fault.
    5. The counters by state are compared with the sizes of the indexes.

Work and memory grow with what is unfinished, not with what is kept: some 100 bytes a waiting task.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import redis

from ..record import ACTIVE, FINISHED, RUNNING, TaskState
from .callers import run, translated
from .coordinates import decode_coordinates
from .keys import Keys
from .scripts import Verbs
from .shapes import Whereabouts

_PORTION: Final = 1_000
#: Suspects that are looked at again; of more, the first.
MOST_SUSPECTS: Final = 5_000

Say = Callable[[int, int], None]
"""Told how many entries of how many have been looked at; the second is an estimate."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    task_id: str
    reason: str


@dataclass
class Comparison:
    """What was found."""

    records: int = 0
    """Unfinished records looked at."""
    entries: int = 0
    """Entries of places looked at."""
    leftovers: int = 0
    """Entries of ready lists whose task is elsewhere: cancelled in a very long list. Claims skip them."""
    disagreements: list[Disagreement] = field(default_factory=list[Disagreement])
    miscounts: list[str] = field(default_factory=list[str])
    """States whose counters do not add up to what the index has, in words."""
    unchecked: int = 0
    """Suspects beyond :data:`MOST_SUSPECTS`."""


def compare(
    client: redis.Redis, keys: Keys, queues: Iterable[str], say: Say | None = None
) -> Comparison:
    """
    *queues*: those whose ready lists are looked through, besides those that records name.

    Raises:
        StoreError
    """
    with translated():
        return _Comparing(client, keys, say).compare(set(queues))


class _Comparing:
    def __init__(self, client: redis.Redis, keys: Keys, say: Say | None) -> None:
        self._client: Any = client
        self._keys = keys
        self._verbs = Verbs(keys)
        self._say = say
        self._found = Comparison()
        self._suspects: dict[str, str] = {}
        """id -> the worker under whose lease it was found, or empty."""
        self._in_lists: dict[str, set[int]] = {}
        """Queue -> hashes of the ids that stand in its ready lists."""
        self._workers: set[str] = set()
        self._total = 0

    def compare(self, queues: set[str]) -> Comparison:
        workers = [worker.decode() for worker in self._client.zrange(self._named("workers"), 0, -1)]
        self._workers = set(workers)
        self._total = self._size(queues, workers)
        for queue in sorted(queues):
            self._look_through_lists(queue)
        self._look_at_records()
        self._look_at_places(workers)
        self._look_again()
        self._compare_counts()
        return self._found

    def _named(self, name: str) -> str:
        return self._keys.named(name)

    # --- 1. ready lists -----------------------------------------------------

    def _look_through_lists(self, queue: str) -> set[int]:
        seen = self._in_lists[queue] = set()
        for key in self._keys.ready_lists(queue):
            for ids in self._list(key):
                seen.update(map(hash, ids))
                self._count_leftovers(ids)
                self._progress(entries=len(ids))
        return seen

    def _is_ready(self, task_id: bytes, queue: str) -> bool:
        # A queue that no setting names is found by what waits on it.
        in_lists = self._in_lists.get(queue)
        if in_lists is None:
            in_lists = self._look_through_lists(queue)
        return hash(task_id) in in_lists

    def _list(self, key: str) -> Iterator[list[bytes]]:
        # From the left, where new ones come in: what moves on meanwhile is seen twice, never missed.
        start = 0
        while portion := self._client.lrange(key, start, start + _PORTION - 1):
            # Envelopes of stock producers are no ids yet.
            yield [entry for entry in portion if entry and not entry.startswith(b"{")]
            start += _PORTION

    def _count_leftovers(self, ids: Sequence[bytes]) -> None:
        places = self._fields(ids, "pl")
        self._found.leftovers += sum(place != b"ready" for (place,) in places)

    # --- 2. records -----------------------------------------------------------

    def _look_at_records(self) -> None:
        for state in sorted(ACTIVE):
            ids = self._scan("zscan_iter", self._keys.index("state", state))
            for portion in _portions(ids):
                self._look_at(state, portion)
                self._progress(records=len(portion))

    def _look_at(self, state: TaskState, ids: Sequence[bytes]) -> None:
        found = self._fields(ids, "st", "pl", "w", "x", "sa")
        pipeline = self._client.pipeline(transaction=False)
        for task_id, (_, _, worker, x, _) in zip(ids, found, strict=True):
            queue, type_name = _coordinates(x)
            pipeline.zscore(self._named("delayed"), task_id)
            pipeline.zscore(self._keys.held(type_name, queue), task_id)
            pipeline.sismember(self._keys.leased((worker or b"").decode()), task_id)
        replies = iter(pipeline.execute())
        for task_id, (stored, place, worker, x, since) in zip(ids, found, strict=True):
            is_in = {
                b"delayed": next(replies) is not None,
                b"held": next(replies) is not None,
                b"leased": bool(next(replies)) and (worker or b"").decode() in self._workers,
            }
            if place == b"ready":
                is_in[place] = self._is_ready(task_id, _coordinates(x)[0])
            runs_when_it_should = (state in RUNNING) == (since is not None)
            is_as_indexed = stored == state.encode() and runs_when_it_should
            if not is_as_indexed or not is_in.get(place or b"", False):
                self._suspect(task_id)

    # --- 3. places --------------------------------------------------------------

    def _look_at_places(self, workers: Iterable[str]) -> None:
        for key, name in self._sets().items():
            for ids in _portions(self._scan("zscan_iter", key)):
                for task_id, (place,) in zip(ids, self._fields(ids, "pl"), strict=True):
                    if place != name.encode():
                        self._suspect(task_id)
                self._progress(entries=len(ids))
        for worker in workers:
            for ids in _portions(self._scan("sscan_iter", self._keys.leased(worker))):
                for task_id, (holder,) in zip(ids, self._fields(ids, "w"), strict=True):
                    if holder != worker.encode():
                        self._suspect(task_id, worker)
                self._progress(entries=len(ids))

    def _sets(self) -> dict[str, str]:
        """Key -> place, of every place that is one sorted set."""
        held = [member.decode() for member in self._client.smembers(self._named("held"))]
        return {
            self._named("delayed"): "delayed",
            self._named("dead"): "dead",
            **{self._keys.held(*member.split("\x1f")): "held" for member in held},
        }

    # --- 4. suspects --------------------------------------------------------------

    def _look_again(self) -> None:
        self._found.unchecked = max(0, len(self._suspects) - MOST_SUSPECTS)
        for task_id, worker in islice(self._suspects.items(), MOST_SUSPECTS):
            reason = judge(run(self._client, self._verbs.place(task_id, worker)), worker)
            if reason:
                self._found.disagreements.append(Disagreement(task_id, reason))

    def _suspect(self, task_id: bytes, worker: str = "") -> None:
        self._suspects.setdefault(task_id.decode(errors="replace"), worker)

    # --- 5. counts ------------------------------------------------------------------

    def _compare_counts(self) -> None:
        """The counters by type and queue add up to the sizes of the indexes; read in one step."""
        pipeline = self._client.pipeline(transaction=True)
        pipeline.hgetall(self._named("counts"))
        for state in TaskState:
            pipeline.zcard(self._keys.index("state", state))
        pipeline.zcard(self._named("delayed"))
        counts, *sizes = pipeline.execute()
        counted: Counter[str] = Counter()
        for name, number in counts.items():
            counted[name.decode().split("\x1f")[2]] += int(number)
        for what, size in zip([*TaskState, "delayed"], sizes, strict=True):
            if counted[what] != size:
                self._found.miscounts.append(
                    f"{what}: {counted[what]} are counted, {size} are there"
                )

    # --- reading --------------------------------------------------------------------

    def _fields(self, ids: Sequence[bytes], *names: str) -> list[list[bytes | None]]:
        pipeline = self._client.pipeline(transaction=False)
        for task_id in ids:
            pipeline.hmget(self._keys.record(task_id.decode(errors="replace")), names)
        found: list[list[bytes | None]] = pipeline.execute()
        return found

    def _scan(self, how: str, key: str) -> Iterator[bytes]:
        for member in getattr(self._client, how)(key, count=_PORTION):
            yield member[0] if isinstance(member, tuple) else member

    def _size(self, queues: Iterable[str], workers: Iterable[str]) -> int:
        pipeline = self._client.pipeline(transaction=False)
        for state in ACTIVE:
            pipeline.zcard(self._keys.index("state", state))
        for key in self._sets():
            pipeline.zcard(key)
        for worker in workers:
            pipeline.scard(self._keys.leased(worker))
        for queue in queues:
            for key in self._keys.ready_lists(queue):
                pipeline.llen(key)
        return sum(pipeline.execute())

    def _progress(self, *, records: int = 0, entries: int = 0) -> None:
        self._found.records += records
        self._found.entries += entries
        if self._say:
            self._say(self._found.records + self._found.entries, self._total)


def _coordinates(x: bytes | None) -> tuple[str, str]:
    """Queue and task type of a record; empty where there is none."""
    if x is None:
        return "", ""
    where = decode_coordinates(x)
    return where.queue, where.type


def _portions(ids: Iterable[bytes]) -> Iterator[list[bytes]]:
    iterator = iter(ids)
    while portion := list(islice(iterator, _PORTION)):
        yield portion


# --- what is right ------------------------------------------------------------------


def judge(seen: Whereabouts, worker: str = "") -> str:
    """
    What does not fit, in a sentence without its subject; empty where all is well.

    *worker*: under whose lease the id was found, where that is why it was looked at.
    """
    if not seen.has_record:
        held = [n for n, is_in in (("delayed", seen.in_delayed), ("dead", seen.in_dead)) if is_in]
        held += [f"leased to {worker}"] if seen.in_leased and worker else []
        return f"is {held[0]}, and has no record" if held else ""
    if worker and seen.in_leased and seen.worker != worker:
        return f"is leased to {worker}, and its record says {seen.worker or 'nobody'}"
    return _wrong_place(seen) or _wrong_state(seen)


def _wrong_place(seen: Whereabouts) -> str:
    # What stays behind in a very long ready list is allowed to.
    elsewhere = {"delayed": seen.in_delayed, "dead": seen.in_dead, "held": seen.in_held}
    extra = [name for name, is_in in elsewhere.items() if is_in and name != seen.place]
    if extra:
        return f"is {extra[0]}, and its record says {seen.place or 'in no place'}"
    places = {**elsewhere, "ready": seen.in_ready, "leased": seen.in_leased}
    if seen.place and not places.get(seen.place, False):
        return f"should be {seen.place}, and is not there"
    if seen.place == "leased" and not seen.is_worker_known:
        return f"is leased to {seen.worker}, which the store does not know"
    return ""


def _wrong_state(seen: Whereabouts) -> str:
    if not seen.in_index:
        return f"is {seen.state}, and the index of that state does not have it"
    allowed = {
        "ready": {TaskState.PENDING, TaskState.RETRY},
        "held": {TaskState.PENDING, TaskState.RETRY},
        "delayed": {TaskState.SCHEDULED, TaskState.RETRY},
        "leased": RUNNING if seen.has_started else {TaskState.PENDING, TaskState.RETRY},
        "dead": {TaskState.FAILURE},
        "": FINISHED,
    }.get(seen.place, frozenset[TaskState]())
    if seen.state not in allowed:
        return f"is {seen.state}, which a task that is {seen.place or 'in no place'} cannot be"
    return ""
