"""
Reading records: one, a page of them, and how many there are.

Pages are newest first by ``(created_at_ms, seq)``. One filter reads one index
and costs the same with a thousand records as with a million, and so does a time. Several
filters read the narrowest of their indexes and look at no more than
:data:`SCAN_BOUND` records a page, the beginning of an id at :data:`SEARCH_BOUND` ids: a page
may then be short and still have a cursor to go on from.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import redis.asyncio

from ..record import (
    Attempt,
    TaskError,
    TaskRecord,
    TaskState,
    from_ms,
)
from .callers import translated
from .coordinates import decode_coordinates
from .events import START, Order, decode_event
from .indexes import LAST_MS, Entry, Filter, Indexes, order_of
from .keys import Keys
from .message import USUAL_SOURCE, Message
from .plain_json import read_plain, read_progress

#: Records looked at for one page when several filters are given.
SCAN_BOUND: Final = 5_000
#: Ids looked at for one page when the beginning of one is given, and at a time.
SEARCH_BOUND: Final = 50_000
SEARCH_BATCH: Final = 1_000
PAGE_LIMIT: Final = 200


@dataclass(frozen=True, slots=True)
class Page:
    items: list[TaskRecord]
    next_cursor: str | None
    """None: there is nothing older."""


def decode_record(task_id: str, stored: dict[bytes, bytes]) -> TaskRecord:
    """The stored hash as a record. *stored* must not be empty."""
    x = decode_coordinates(stored[b"x"])
    message = _message(stored[b"m"])
    args, kwargs = message.arguments()
    ours = message.ours
    attempts = _attempts(stored)
    return TaskRecord(
        id=task_id,
        type=x.type,
        name=message.task,
        queue=x.queue,
        priority=x.priority,
        state=TaskState(stored[b"st"].decode()),
        created_at=from_ms(x.created_ms),
        order=(x.created_ms, x.seq),
        args=args,
        kwargs=kwargs,
        user_id=x.user or None,
        tenant=x.tenant,
        source=ours.get("source", USUAL_SOURCE),
        schedule_id=ours.get("schedule_id"),
        retried_from=ours.get("retried_from"),
        root_id=message.headers.get("root_id") or task_id,
        parent_id=message.headers.get("parent_id"),
        group_id=message.headers.get("group"),
        traceparent=ours.get("traceparent"),
        idempotency_key=ours.get("idempotency_key"),
        labels=ours.get("labels") or {},
        started_at=attempts[-1].started_at if attempts else None,
        completed_at=_time(stored.get(b"f")),
        due_at=_time(stored.get(b"du")),
        worker=stored[b"w"].decode() if b"w" in stored else None,
        token=int(stored.get(b"dl", 0)),
        place=stored[b"pl"].decode() if b"pl" in stored else None,
        attempts=attempts,
        retries=int(stored.get(b"rn", 0)),
        crashes=int(stored.get(b"c", 0)),
        progress=read_progress(stored[b"p"]) if b"p" in stored else None,
        phase=stored[b"ph"].decode() if b"ph" in stored else None,
        result=_json(stored.get(b"r")),
        error=_error(stored.get(b"e")),
        error_code=stored[b"ec"].decode() if stored.get(b"ec") else None,
        changed=int(stored.get(b"bc", 0)),
    )


def encode_error(error: TaskError, *, ignored: bool = False) -> bytes:
    """
    The stored form of an error (field ``e``).

    *ignored*: ``AsyncResult`` is not to show it, for the task ignores its results. People see it all the same.
    """
    fields = {
        "ignored": ignored,
        "type": error.type,
        "module": error.module,
        "message": error.message,
        "traceback": error.traceback,
        "args": error.args,
    }
    return orjson.dumps({key: value for key, value in fields.items() if value})


def decode_error(fields: Any) -> TaskError:
    """An error from what :func:`encode_error` made of it, as JSON has it."""
    return TaskError(
        type=fields.get("type", ""),
        module=fields.get("module", ""),
        message=fields.get("message", ""),
        traceback=fields.get("traceback", ""),
        args=fields.get("args") or [],
    )


def is_ignored(stored: dict[bytes, bytes]) -> bool:
    """Whether the task of this hash has ended, or asked for another run, and nobody is to hear by its result."""
    match TaskState(stored[b"st"].decode()):
        case TaskState.SUCCESS:
            # One that returns None has "null".
            return b"r" not in stored
        case TaskState.FAILURE | TaskState.RETRY:
            return bool(stored.get(b"e")) and bool(orjson.loads(stored[b"e"]).get("ignored"))
        case _:
            return False


def _message(stored: bytes) -> Message:
    try:
        return Message.decode(stored)
    except (ValueError, KeyError, TypeError):
        # A parked message that nobody can read still has a record.
        return Message(task="", body="")


def _time(value: bytes | None) -> Any:
    return None if value is None else from_ms(min(int(float(value)), LAST_MS))


def _json(value: bytes | None) -> Any:
    return None if value is None else read_plain(value)


def _error(value: bytes | None) -> TaskError | None:
    return decode_error(orjson.loads(value)) if value else None


def _attempts(stored: dict[bytes, bytes]) -> list[Attempt]:
    ended = orjson.loads(b"[" + stored[b"at"] + b"]") if b"at" in stored else []
    attempts = [
        Attempt(int(n), worker, from_ms(start), from_ms(end), outcome, int(token))
        for n, worker, start, end, outcome, token in ended
    ]
    if b"sa" in stored and b"w" in stored:
        attempts.append(
            Attempt(
                int(stored.get(b"an", 0)),
                stored[b"w"].decode(),
                from_ms(int(stored[b"sa"])),
                None,
                "",
                int(stored.get(b"dl", 0)),
            )
        )
    return attempts


# --- cursors ----------------------------------------------------------------


def encode_cursor(order: tuple[int, int]) -> str:
    return base64.urlsafe_b64encode(f"{order[0]}-{order[1]}".encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[int, int]:
    """
    Raises:
        ValueError: it is not one of ours.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        created, _, seq = base64.urlsafe_b64decode(padded).decode("ascii").partition("-")
        order = int(created), int(seq)
        # Beyond these the server would refuse it as the id of a stream entry.
        if not (0 <= order[0] < 2**63 and 0 < order[1] < 2**63):
            raise ValueError(cursor)
        return order
    except (ValueError, binascii.Error, UnicodeError) as error:
        raise ValueError(
            "not a cursor of this list: take next_cursor of an earlier page"
        ) from error


# --- queries ----------------------------------------------------------------


class Records:
    """The records of one installation, read on the event loop."""

    def __init__(self, client: redis.asyncio.Redis, keys: Keys) -> None:
        # redis-py types the replies of both its clients as one union.
        self._client: Any = client
        self._keys = keys
        self._indexes = Indexes(client, keys)

    async def get(self, task_id: str) -> TaskRecord | None:
        """The record, or None for an id that was never accepted or has been pruned."""
        with translated():
            stored = await self._client.hgetall(self._keys.record(task_id))
        return decode_record(task_id, stored) if stored else None

    async def get_with_end(self, task_id: str) -> tuple[TaskRecord | None, Order]:
        """
        The record, and the last event there was just before: what comes in between is told again, and not missed.

        Without MULTI, in which a full Redis 7.0 refuses even to read.
        """
        pipeline = self._client.pipeline(transaction=False)
        pipeline.xrevrange(self._keys.named("events"), count=1)
        pipeline.hgetall(self._keys.record(task_id))
        with translated():
            last, stored = await pipeline.execute()
        end = decode_event(*last[0]).order if last else START
        return (decode_record(task_id, stored) if stored else None), end

    async def get_many(self, task_ids: Sequence[str]) -> list[TaskRecord]:
        """Those of *task_ids* that have a record, in that order."""
        if not task_ids:
            return []
        pipeline = self._client.pipeline(transaction=False)
        for task_id in task_ids:
            pipeline.hgetall(self._keys.record(task_id))
        with translated():
            replies = await pipeline.execute()
        return [
            decode_record(task_id, stored)
            for task_id, stored in zip(task_ids, replies, strict=True)
            if stored
        ]

    async def page(self, wanted: Filter, limit: int, cursor: str | None = None) -> Page:
        """
        Up to *limit* (1 to :data:`PAGE_LIMIT`) records, newest first.

        Raises:
            ValueError: a cursor that is not ours.
        """
        before = decode_cursor(cursor) if cursor else None
        beginning = wanted.search or ""
        if beginning and (whole := await self.get(beginning)):
            return Page([whole] if wanted.admits(whole) else [], None)
        batch, bound = (SEARCH_BATCH, SEARCH_BOUND) if beginning else (limit + 1, SCAN_BOUND)
        walk = await self._indexes.walk(wanted)
        items: list[TaskRecord] = []
        looked = 0
        while True:
            entries = await walk.older(before, batch)
            likely = [entry.id for entry in entries if entry.id.startswith(beginning)]
            if await self._fill(items, likely, wanted, limit):
                return Page(items, encode_cursor(items[-1].order))
            if len(entries) < batch:
                return Page(items, None)
            before = await self._last_order(entries)
            looked += len(entries)
            if before is None or looked >= bound:
                return Page(items, encode_cursor(before) if before else None)

    async def _fill(
        self, items: list[TaskRecord], ids: Sequence[str], wanted: Filter, limit: int
    ) -> bool:
        """Adds to *items* what *wanted* admits, up to *limit*; True: there is more."""
        for start in range(0, len(ids), limit + 1):
            for record in await self.get_many(ids[start : start + limit + 1]):
                if not wanted.admits(record):
                    continue
                if len(items) == limit:
                    return True
                items.append(record)
        return False

    async def _last_order(self, entries: Sequence[Entry]) -> Order | None:
        """From where to go on; None: nothing of them is left."""
        for entry in reversed(entries):
            order = await order_of(self._client, self._keys, entry)
            if order is not None:
                return order
        return None

    async def count_by_state(self) -> dict[TaskState, int]:
        """How many records there are in each state."""
        pipeline = self._client.pipeline(transaction=False)
        for state in TaskState:
            pipeline.zcard(self._keys.index("state", state))
        with translated():
            counts = await pipeline.execute()
        return dict(zip(TaskState, counts, strict=True))
