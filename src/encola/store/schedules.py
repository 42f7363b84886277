"""
Reading schedules: how each stands, when it is due, and what its last runs came to.

On the event loop, for the API. What changes a schedule is :mod:`.schedule_verbs`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import redis.asyncio

from ..errors import ScheduleNotFound
from ..record import TaskState, from_ms
from .callers import translated
from .keys import Keys
from .plans import Plan

#: A scheduler declares about every half minute; one that has not for so long is away.
ALIVE_SECONDS: Final = 100.0
#: Schedules that are listed at most.
LISTED: Final = 1_000


@dataclass(frozen=True, slots=True)
class LastRun:
    """A task that a schedule has enqueued."""

    task_id: str
    at: dt.datetime
    """The time that it was for; of a run by hand, when it was enqueued."""
    state: TaskState | None
    """None: retention has removed the record."""


@dataclass(frozen=True, slots=True)
class StoredSchedule:
    """A schedule as it stands."""

    plan: Plan
    due_at: dt.datetime
    paused_at: dt.datetime | None
    missed: int
    """Times that passed without a run, since it was first declared."""
    last: list[LastRun]
    """Newest first, ten at most."""

    def next_times(self, now: dt.datetime, count: int) -> list[dt.datetime]:
        """When it runs next; none while it is paused."""
        if self.paused_at is not None:
            return []
        # One that is due and has not been fired yet runs as soon as a scheduler looks.
        times = [self.due_at if self.due_at > now else self.plan.timing.next_after(now)]
        while len(times) < count:
            times.append(self.plan.timing.next_after(times[-1]))
        return times


@dataclass(frozen=True, slots=True)
class Overview:
    """All schedules at one moment."""

    now: dt.datetime
    """By the server's clock."""
    is_running: bool
    """Whether a scheduler has been heard of lately."""
    schedules: list[StoredSchedule]
    """By id."""


class Schedules:
    """The schedules of one installation."""

    def __init__(self, client: redis.asyncio.Redis, keys: Keys) -> None:
        # redis-py types the replies of both its clients as one union.
        self._client: Any = client
        self._keys = keys

    async def all(self) -> Overview:
        """Every schedule that this program can read; at most :data:`LISTED`."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.time()
        pipeline.hget(self._keys.named("meta"), "beat_ms")
        pipeline.zrange(self._keys.named("schedules"), 0, LISTED - 1, withscores=True)
        with translated():
            (seconds, micros), beat_ms, due = await pipeline.execute()
        now = from_ms(seconds * 1000 + micros // 1000)
        is_running = beat_ms is not None and now - from_ms(int(beat_ms)) < dt.timedelta(
            seconds=ALIVE_SECONDS
        )
        found = await self._read([(name.decode(), int(score)) for name, score in due])
        return Overview(now, is_running, sorted(found, key=lambda one: one.plan.id))

    async def get(self, schedule_id: str) -> StoredSchedule:
        """
        Raises:
            ScheduleNotFound
        """
        with translated():
            score = await self._client.zscore(self._keys.named("schedules"), schedule_id)
        found = await self._read([(schedule_id, int(score))]) if score is not None else []
        if not found:
            raise ScheduleNotFound(schedule_id)
        return found[0]

    async def _read(self, due: Sequence[tuple[str, int]]) -> list[StoredSchedule]:
        pipeline = self._client.pipeline(transaction=False)
        for name, _ in due:
            pipeline.hmget(self._keys.schedule(name), ["d", "m", "pa", "mi"])
            pipeline.lrange(self._keys.ran(name), 0, -1)
        with translated():
            replies = await pipeline.execute()
        runs = [[_run(entry) for entry in entries] for entries in replies[1::2]]
        states = await self._states([task_id for ran in runs for task_id, _ in ran])
        found = []
        for (_, due_ms), fields, ran in zip(due, replies[::2], runs, strict=True):
            last = [LastRun(task_id, at, states[task_id]) for task_id, at in ran]
            schedule = _schedule(due_ms, fields, last)
            if schedule is not None:
                found.append(schedule)
        return found

    async def _states(self, task_ids: Sequence[str]) -> dict[str, TaskState | None]:
        pipeline = self._client.pipeline(transaction=False)
        for task_id in task_ids:
            pipeline.hget(self._keys.record(task_id), "st")
        with translated():
            states = await pipeline.execute()
        return {
            task_id: None if state is None else TaskState(state.decode())
            for task_id, state in zip(task_ids, states, strict=True)
        }


def _run(entry: bytes) -> tuple[str, dt.datetime]:
    ms, _, task_id = entry.decode().partition(" ")
    return task_id, from_ms(int(ms))


def _schedule(
    due_ms: int, fields: list[bytes | None], last: list[LastRun]
) -> StoredSchedule | None:
    """None: forgotten a moment ago, or a newer program's that this one cannot read."""
    stored, message, paused, missed = fields
    try:
        plan = Plan.decode(stored or b"", message or b"")
    except (ValueError, KeyError, TypeError):
        return None
    paused_at = None if paused is None else from_ms(int(paused))
    return StoredSchedule(plan, from_ms(due_ms), paused_at, int(missed or 0), last)
