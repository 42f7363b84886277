"""
Reading the stream of events, on the event loop.

One entry a change of a task, written by the scripts (``emit`` in
``lua/_record.lua``; docs/events.md has the table of its fields). The order of an
entry is its place in the stream, and the id from which a reader goes on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import redis.asyncio
from redis.exceptions import ResponseError

from ..record import STATUS, TaskRecord, TaskState, from_ms, iso, to_ms
from .callers import translate, translated
from .keys import Keys
from .plain_json import read_progress

#: (milliseconds, number): what the server makes an id of.
Order = tuple[int, int]

START: Final[Order] = (0, 0)
_ID: Final = re.compile(r"(\d{1,18})(?:-(\d{1,18}))?")


@dataclass(frozen=True, slots=True)
class Event:
    """One change of a task."""

    order: Order
    task_id: str
    type: str
    state: TaskState
    """After the change."""
    queue: str
    user_id: str | None
    attempt: int
    """The last that started; 0 before the first."""
    at_ms: int
    progress: bytes = b""
    """JSON; only with PROCESSING."""
    error: str | None = None
    """The error code, where there is one."""

    def encode(self) -> bytes:
        """The event as it is told outside: one line of JSON."""
        told: dict[str, Any] = {
            "task_id": self.task_id,
            "type": self.type,
            "state": self.state,
            "status": STATUS[self.state],
            "queue": self.queue,
            "user_id": self.user_id,
            "attempt": self.attempt,
            "at": iso(from_ms(self.at_ms)),
        }
        if self.progress.startswith(b"{"):
            told["progress"] = orjson.Fragment(self.progress)
        elif self.progress:
            told["progress"] = read_progress(self.progress)
        if self.error:
            told["error"] = self.error
        return orjson.dumps(told)


@dataclass(frozen=True, slots=True)
class Read:
    """What came after an order."""

    events: list[Event]
    is_complete: bool
    """False: some of what came after it is no longer kept, or this is another store."""
    end: Order
    """The last event there is."""


@dataclass(slots=True)
class Waited:
    """What came while waiting."""

    events: list[Event] = field(default_factory=list[Event])
    wrote: set[str] = field(default_factory=set[str])
    """Ids of tasks whose log has grown."""
    logged: Order = START


def write_order(order: Order) -> str:
    return f"{order[0]}-{order[1]}"


def read_order(text: str) -> Order:
    """
    Raises:
        ValueError: not the id of an event.
    """
    found = _ID.fullmatch(text)
    if found is None:
        raise ValueError("expected the id of an event, such as 1763800000000-0")
    return int(found[1]), int(found[2] or 0)


def as_it_stands(record: TaskRecord, order: Order) -> Event:
    """A record told as an event: for who comes late."""
    at = record.completed_at or record.started_at or record.created_at
    running = record.state is TaskState.PROCESSING
    return Event(
        order=order,
        task_id=record.id,
        type=record.type,
        state=record.state,
        queue=record.queue,
        user_id=record.user_id,
        attempt=record.attempts[-1].number if record.attempts else 0,
        at_ms=to_ms(at),
        progress=orjson.dumps(record.progress) if running and record.progress else b"",
        error=record.error_code,
    )


class EventStream:
    """The events of one installation."""

    def __init__(self, client: redis.asyncio.Redis, keys: Keys) -> None:
        self._client: Any = client
        self._key = keys.named("events")
        self._logged_key = keys.named("logged")

    async def end(self) -> Order:
        """The order of the last event; :data:`START` where there was none yet."""
        info = await self._info()
        return _order(info["last-generated-id"]) if info else START

    async def after(self, order: Order, count: int) -> Read:
        """Up to *count* events after *order*, and whether none is missing before them."""
        # Without MULTI, in which a full Redis 7.0 refuses even to read. What is written between the two only
        # makes `end` a later one.
        pipeline = self._client.pipeline(transaction=False)
        # With its own: an event that is still there has all that came after it behind it. One that is
        # not was dropped, or is of a store that has lost it, whatever was written there since.
        pipeline.xrange(self._key, min=write_order(order), max="+", count=count + 1)
        pipeline.xinfo_stream(self._key)
        with translated():
            entries, info = await pipeline.execute(raise_on_error=False)
        if isinstance(info, ResponseError):
            # There is no stream yet.
            return Read([], order == START, START)
        for reply in (entries, info):
            if isinstance(reply, BaseException):
                raise translate(reply) from reply
        found = [decode_event(*entry) for entry in entries]
        end = _order(info["last-generated-id"])
        if found and found[0].order == order:
            return Read(found[1:], is_complete=True, end=end)
        is_whole = order == START and info["entries-added"] == info["length"]
        return Read(found[:count], is_whole or order == end, end)

    async def wait(self, order: Order, logged: Order, count: int, wait_ms: int) -> Waited:
        """
        What came after, waiting for the first up to *wait_ms*; empty when nothing came.

        Args:
            logged: the last word of a log that was heard.
        """
        keys = {self._key: write_order(order), self._logged_key: write_order(logged)}
        with translated():
            reply = await self._client.xread(keys, count=count, block=wait_ms)
        found = Waited(logged=logged)
        for key, entries in reply or ():
            if key.decode() == self._key:
                found.events += [decode_event(*entry) for entry in entries]
            else:
                found.logged = _order(entries[-1][0])
                found.wrote |= {fields[b"t"].decode() for _, fields in entries}
        return found

    async def logged_end(self) -> Order:
        """The last word of a log there is."""
        with translated():
            last = await self._client.xrevrange(self._logged_key, count=1)
        return _order(last[0][0]) if last else START

    async def _info(self) -> dict[str, Any] | None:
        with translated():
            try:
                found: dict[str, Any] = await self._client.xinfo_stream(self._key)
            except ResponseError as error:
                if "no such key" in str(error):
                    return None
                raise
        return found


def decode_event(entry_id: bytes, fields: dict[bytes, bytes]) -> Event:
    """One entry of the stream."""
    return Event(
        order=_order(entry_id),
        task_id=fields[b"t"].decode(),
        type=fields[b"y"].decode(),
        state=TaskState(fields[b"s"].decode()),
        queue=fields[b"q"].decode(),
        user_id=fields[b"u"].decode() or None,
        attempt=int(fields[b"a"]),
        at_ms=int(float(fields[b"m"])),
        progress=fields.get(b"p", b""),
        error=fields[b"e"].decode() if b"e" in fields else None,
    )


def _order(entry_id: bytes) -> Order:
    ms, _, number = entry_id.partition(b"-")
    return int(ms), int(number)
