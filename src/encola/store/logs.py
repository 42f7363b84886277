"""Reading what tasks wrote while they ran, on the event loop; ``lua/log.lua`` writes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
import redis.asyncio

from ..record import FINISHED, TaskState
from .callers import translated
from .keys import Keys


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a task's log."""

    number: int
    """Counts the task's lines from 1, those that are no longer kept included."""
    attempt: int
    at_ms: int
    level: str
    """debug, info, warning, error, critical."""
    source: str
    """The logger, ``stdout`` or ``stderr``."""
    message: str


class Logs:
    """The logs of one installation."""

    def __init__(self, client: redis.asyncio.Redis, keys: Keys) -> None:
        self._client: Any = client
        self._keys = keys

    async def read(self, task_id: str, after: int = 0) -> list[Line]:
        """All that is kept after line *after*, oldest first."""
        key = self._keys.log(task_id)
        with translated():
            first = await self._client.lindex(key, 0) if after else None
            start = max(0, after + 1 - decode_line(first).number) if first else 0
            entries = await self._client.lrange(key, start, -1)
        lines = [decode_line(entry) for entry in entries]
        # The front may have gone in between.
        return [line for line in lines if line.number > after]

    async def state(self, task_id: str) -> TaskState | None:
        """How the task stands; None: there is none."""
        with translated():
            stored = await self._client.hget(self._keys.record(task_id), "st")
        return TaskState(stored.decode()) if stored else None


def decode_line(entry: bytes) -> Line:
    """One entry of a log."""
    number, _, attempt, line = entry.split(b"\x1f", 3)
    said: dict[str, Any] = orjson.loads(line)
    return Line(
        number=int(number),
        attempt=int(attempt),
        at_ms=int(said["at"]),
        level=str(said["level"]),
        source=str(said["source"]),
        message=str(said["message"]),
    )


def has_ended(state: TaskState | None) -> bool:
    return state is None or state in FINISHED
