"""
What the whole installation is doing now: for people who watch, not for programs that decide.

Read in a few round trips, without a script, so the parts are of almost one moment. Bounded: a
store with a million records costs as much as one with ten.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
import redis

from ..record import ACTIVE, RUNNING, TaskState, from_ms
from .callers import translated
from .coordinates import decode_coordinates
from .keys import Keys
from .plain_json import read_progress
from .statistics import Minute, decode_minute

#: Running tasks that are read; of more, the newest.
RUNNING_SHOWN: Final = 100
FAILURES_SHOWN: Final = 20
#: Failures are looked for among so many of the latest events, and among the newest records that failed.
EVENTS_LOOKED_AT: Final = 200
#: Minutes of statistics, the current one included.
MINUTES: Final = 30
#: Errors are cut to so many characters.
ERROR_CHARACTERS: Final = 500

_RUNNING_FIELDS: Final = ("x", "st", "w", "sa", "p", "ph", "an")
_FAILURE_FIELDS: Final = ("x", "st", "f", "ec", "e")


@dataclass(frozen=True, slots=True)
class WorkerNow:
    """One worker, or an API process that runs tasks itself."""

    id: str
    hostname: str
    pid: int
    queues: tuple[str, ...]
    slots: int
    """0: an API process, which has none."""
    held: int
    """Tasks under its lease, running or about to."""
    lease_seconds: float
    """Until its lease ends; negative: it has stopped renewing."""
    is_draining: bool = False
    """It takes no new task."""

    @property
    def is_alive(self) -> bool:
        return self.lease_seconds > 0

    @property
    def is_in_process(self) -> bool:
        return self.id.startswith("api@")


@dataclass(frozen=True, slots=True)
class QueueNow:
    name: str
    ready: int
    """Waiting to be claimed, of every priority."""
    waiting_seconds: float | None
    """How long the one that is next has waited; None: nothing waits."""
    is_paused: bool
    workers: int
    """Live workers that listen to it, and do not drain."""
    delayed: int = 0
    """Waiting for its time."""
    held: int = 0
    """Ready, but of a task type that is paused."""


@dataclass(frozen=True, slots=True)
class RunningNow:
    task_id: str
    type: str
    queue: str
    worker: str
    seconds: float
    """Since this attempt began."""
    attempt: int
    phase: str
    progress: Mapping[str, Any]
    """As the task reported it: ``current``, ``total``, ``status`` and more; may be empty."""


@dataclass(frozen=True, slots=True)
class FailureNow:
    task_id: str
    type: str
    queue: str
    seconds: float
    """Since it failed."""
    error_code: str
    error: str


@dataclass(frozen=True, slots=True)
class MinuteNow:
    """What ended in one minute, all task types together."""

    started_at: dt.datetime
    succeeded: int
    failed: int


@dataclass(frozen=True, slots=True)
class Overview:
    at: dt.datetime
    """By the server's clock."""
    states: Mapping[TaskState, int]
    workers: Sequence[WorkerNow]
    """By name."""
    queues: Sequence[QueueNow]
    """By name."""
    running: Sequence[RunningNow]
    """Longest first; at most :data:`RUNNING_SHOWN`."""
    failures: Sequence[FailureNow]
    """Newest first; at most :data:`FAILURES_SHOWN`."""
    minutes: Sequence[MinuteNow]
    """:data:`MINUTES` of them, oldest first; the last one is still going on."""
    delayed: int
    dead: int
    paused_types: Sequence[str] = ()

    @property
    def rate(self) -> float:
        """Tasks that ended a second: this minute and as much of the last as makes sixty seconds."""
        *_, last, now = self.minutes
        share = (self.at - now.started_at).total_seconds() / 60
        ended = now.succeeded + now.failed + (last.succeeded + last.failed) * (1 - min(share, 1.0))
        return ended / 60


def read_overview(
    client: redis.Redis, keys: Keys, queues: Iterable[str], *, running: int = RUNNING_SHOWN
) -> Overview:
    """
    *queues*: names to list besides those that workers listen to and those used of late.

    Raises:
        StoreError
    """
    with translated():
        seen = _look(client, keys, running)
        details = _look_closer(client, keys, seen, set(queues) | seen.queues)
    return _put_together(seen, details)


@dataclass
class _Seen:
    """What the first round trip gives."""

    now_ms: int
    workers: dict[str, float]
    paused: set[str]
    delayed: int
    dead: int
    states: dict[TaskState, int]
    running: list[str]
    failed: list[str]
    minutes: list[Minute]
    queues: set[str]
    """Those in which anything waits or runs, or did of late."""
    delayed_in: Counter[str]
    """Queue -> tasks that wait for their time."""
    held: list[tuple[str, str]]
    """(task type, queue) where tasks of a paused type are held."""


@dataclass
class _Details:
    """What the second gives."""

    workers: list[WorkerNow]
    queues: list[QueueNow]
    running: list[RunningNow]
    failures: list[FailureNow]


def _look(client: redis.Redis, keys: Keys, running: int) -> _Seen:
    seconds, micros = client.time()
    now_ms = seconds * 1000 + micros // 1000
    last = now_ms // 60_000
    minutes = range(last - MINUTES + 1, last + 1)
    pipeline: Any = client.pipeline(transaction=False)
    pipeline.zrange(keys.named("workers"), 0, -1, withscores=True)
    pipeline.smembers(keys.named("paused"))
    pipeline.zcard(keys.named("delayed"))
    pipeline.zcard(keys.named("dead"))
    for state in TaskState:
        pipeline.zcard(keys.index("state", state))
    for state in sorted(RUNNING):
        pipeline.zrange(keys.index("state", state), 0, running - 1, desc=True)
    pipeline.zrange(keys.index("state", TaskState.FAILURE), 0, FAILURES_SHOWN - 1, desc=True)
    pipeline.xrevrange(keys.named("events"), count=EVENTS_LOOKED_AT)
    pipeline.hgetall(keys.named("counts"))
    pipeline.smembers(keys.named("held"))
    for minute in minutes:
        pipeline.hgetall(keys.statistics(minute))
    workers, paused, delayed, dead, *rest = pipeline.execute()
    states = dict(zip(TaskState, rest, strict=False))
    lists = rest[len(states) :]
    failed, events, counts, held, *statistics = lists[len(RUNNING) :]
    queues, delayed_in = _counted(counts)
    counted = [decode_minute(m, stored) for m, stored in zip(minutes, statistics, strict=True)]
    return _Seen(
        now_ms=now_ms,
        workers={worker.decode(): until for worker, until in workers},
        paused={name.decode() for name in paused},
        delayed=delayed,
        dead=dead,
        states=states,
        running=[i.decode() for ids in lists[: len(RUNNING)] for i in ids],
        failed=_failed(failed, events),
        minutes=counted,
        queues=queues | {queue for minute in counted for _, queue in minute.counts},
        delayed_in=delayed_in,
        held=[tuple(member.decode().split("\x1f")) for member in held],
    )


def _counted(counts: Mapping[bytes, bytes]) -> tuple[set[str], Counter[str]]:
    """Queues with tasks that have not ended, and how many of each wait for their time."""
    queues: set[str] = set()
    delayed: Counter[str] = Counter()
    for name, count in counts.items():
        _, queue, what = name.decode().split("\x1f")
        if int(count) and what in ACTIVE:
            queues.add(queue)
        elif what == "delayed":
            delayed[queue] += int(count)
    return queues, delayed


def _failed(newest: Iterable[bytes], events: Iterable[Any]) -> list[str]:
    # A long task that failed just now may be older than many that failed before.
    lately = [fields[b"t"] for _, fields in events if fields[b"s"] == TaskState.FAILURE.encode()]
    return [task_id.decode() for task_id in dict.fromkeys([*lately, *newest])]


def _look_closer(client: redis.Redis, keys: Keys, seen: _Seen, queues: set[str]) -> _Details:
    pipeline: Any = client.pipeline(transaction=False)
    for worker in seen.workers:
        pipeline.get(keys.worker(worker))
        pipeline.scard(keys.leased(worker))
    for task_id in seen.running:
        pipeline.hmget(keys.record(task_id), _RUNNING_FIELDS)
    for task_id in seen.failed:
        pipeline.hmget(keys.record(task_id), _FAILURE_FIELDS)
    replies = iter(pipeline.execute())
    workers = [
        _worker(worker, until - seen.now_ms, next(replies), next(replies), seen.paused)
        for worker, until in seen.workers.items()
    ]
    running = [_running(i, next(replies), seen.now_ms) for i in seen.running]
    failures = [_failure(i, next(replies), seen.now_ms) for i in seen.failed]
    takers = [worker for worker in workers if worker.is_alive and not worker.is_draining]
    heard = Counter(queue for worker in takers for queue in worker.queues)
    names = queues | set(heard) | {n.partition(":")[2] for n in seen.paused if n[:6] == "queue:"}
    return _Details(
        workers=sorted(workers, key=lambda w: w.id),
        queues=_queues(client, keys, sorted(names), seen, heard),
        running=sorted((r for r in running if r), key=lambda r: -r.seconds),
        failures=sorted((f for f in failures if f), key=lambda f: f.seconds)[:FAILURES_SHOWN],
    )


def _queues(
    client: redis.Redis, keys: Keys, names: Sequence[str], seen: _Seen, heard: Counter[str]
) -> list[QueueNow]:
    pipeline: Any = client.pipeline(transaction=False)
    for name in names:
        for key in keys.ready_lists(name):
            pipeline.llen(key)
            pipeline.lindex(key, -1)
    for type_name, queue in seen.held:
        pipeline.zcard(keys.held(type_name, queue))
    replies = pipeline.execute()
    held: Counter[str] = Counter()
    for (_, queue), count in zip(seen.held, replies[len(replies) - len(seen.held) :], strict=True):
        held[queue] += count
    steps = 2 * len(keys.ready_lists(""))
    found: list[QueueNow] = []
    next_ids: list[str | None] = []
    for position, name in enumerate(names):
        mine = replies[position * steps : (position + 1) * steps]
        heads = [head.decode() for head in mine[1::2] if head and not head.startswith(b"{")]
        next_ids.append(heads[0] if heads else None)
        found.append(
            QueueNow(
                name=name,
                ready=sum(mine[::2]),
                waiting_seconds=None,
                is_paused=f"queue:{name}" in seen.paused,
                workers=heard[name],
                delayed=seen.delayed_in[name],
                held=held[name],
            )
        )
    return _with_waits(client, keys, found, next_ids, seen.now_ms)


def _with_waits(
    client: redis.Redis,
    keys: Keys,
    queues: list[QueueNow],
    next_ids: Sequence[str | None],
    now_ms: int,
) -> list[QueueNow]:
    pipeline: Any = client.pipeline(transaction=False)
    for task_id in next_ids:
        pipeline.hget(keys.record(task_id or ""), "rd")
    waits = [None if since is None else _ago(now_ms, since) for since in pipeline.execute()]
    return [replace(queue, waiting_seconds=wait) for queue, wait in zip(queues, waits, strict=True)]


def _worker(
    worker: str, left_ms: float, info: bytes | None, held: int, paused: set[str]
) -> WorkerNow:
    said: dict[str, Any] = orjson.loads(info) if info else {}
    return WorkerNow(
        id=worker,
        hostname=str(said.get("hostname") or worker.partition("/")[0]),
        pid=int(said.get("pid") or 0),
        queues=tuple(said.get("queues") or ()),
        slots=int(said.get("slots") or 0),
        held=held,
        lease_seconds=left_ms / 1000,
        is_draining=f"worker:{worker}" in paused,
    )


def _running(task_id: str, fields: Sequence[bytes | None], now_ms: int) -> RunningNow | None:
    x, state, worker, since, progress, phase, attempt = fields
    if x is None or since is None or TaskState((state or b"").decode()) not in RUNNING:
        return None  # it has ended since the index was read
    where = decode_coordinates(x)
    return RunningNow(
        task_id=task_id,
        type=where.type,
        queue=where.queue,
        worker=(worker or b"").decode(),
        seconds=_ago(now_ms, since),
        attempt=int(attempt or 1),
        phase=(phase or b"").decode(),
        progress=(progress and read_progress(progress)) or {},
    )


def _failure(task_id: str, fields: Sequence[bytes | None], now_ms: int) -> FailureNow | None:
    x, state, finished, code, error = fields
    if x is None or finished is None or state != TaskState.FAILURE.encode():
        return None  # it runs again, or has been pruned
    where = decode_coordinates(x)
    said: dict[str, Any] = orjson.loads(error) if error else {}
    return FailureNow(
        task_id=task_id,
        type=where.type,
        queue=where.queue,
        seconds=_ago(now_ms, finished),
        error_code=(code or b"").decode(),
        error=str(said.get("message") or said.get("type") or "")[:ERROR_CHARACTERS],
    )


def _put_together(seen: _Seen, details: _Details) -> Overview:
    return Overview(
        at=from_ms(seen.now_ms),
        states=seen.states,
        workers=details.workers,
        queues=details.queues,
        running=details.running,
        failures=details.failures,
        minutes=[_minute(minute) for minute in seen.minutes],
        delayed=seen.delayed,
        dead=seen.dead,
        paused_types=sorted(n.partition(":")[2] for n in seen.paused if n.startswith("type:")),
    )


def _minute(minute: Minute) -> MinuteNow:
    ended = {
        state: sum(counts[state] for counts in minute.counts.values())
        for state in (TaskState.SUCCESS, TaskState.FAILURE)
    }
    started_at = from_ms(minute.minute * 60_000)
    return MinuteNow(started_at, ended[TaskState.SUCCESS], ended[TaskState.FAILURE])


def _ago(now_ms: int, then_ms: bytes) -> float:
    return max(0.0, (now_ms - int(then_ms)) / 1000)
