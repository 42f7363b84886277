"""
A few facts of many records, newest first: for reports, where whole records would be too much.

Reads an index in portions and of each record only the fields that are named here, so that a hundred
thousand take seconds and no more memory than what is made of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import redis

from ..record import ACTIVE, TaskState
from .callers import translated
from .coordinates import decode_coordinates
from .keys import Keys
from .message import Message

_PORTION: Final = 1_000
_FIELDS: Final = ("x", "st", "f", "ec", "at")


@dataclass(frozen=True, slots=True)
class Fact:
    """What is asked of a record here."""

    task_id: str
    type: str
    queue: str
    user_id: str
    """Empty: none."""
    state: TaskState
    created_ms: int
    finished_ms: int | None
    error_code: str
    ran_ms: int | None
    """How long the last attempt that has ended took; None: none has."""


def facts_of(client: redis.Redis, keys: Keys, since_ms: int) -> Iterator[Fact]:
    """Of all records accepted at or after *since_ms*, newest first."""
    index, top = keys.index("all"), "+"
    while True:
        with translated():
            entries: Any = client.xrevrange(index, max=top, min=f"{since_ms}-0", count=_PORTION)
        if not entries:
            return
        yield from _read(client, keys, [fields[b"i"].decode() for _, fields in entries])
        top = f"({entries[-1][0].decode()}"


def failure_facts(client: redis.Redis, keys: Keys, limit: int) -> Iterator[Fact]:
    """Of the *limit* newest records that have failed."""
    index, top = keys.index("state", TaskState.FAILURE), "+inf"
    while limit > 0:
        with translated():
            found: Any = client.zrange(
                *(index, top, "-inf"),
                desc=True,
                byscore=True,
                offset=0,
                num=min(limit, _PORTION),
                withscores=True,
            )
        if not found:
            return
        yield from _read(client, keys, [task_id.decode() for task_id, _ in found])
        limit -= len(found)
        top = f"({int(found[-1][1])}"


def last_words(client: redis.Redis, keys: Keys, task_id: str) -> str:
    """The message of a task's error; empty where there is none."""
    with translated():
        stored: Any = client.hget(keys.record(task_id), "e")
    return str(orjson.loads(stored).get("message", "")) if stored else ""


def _read(client: redis.Redis, keys: Keys, task_ids: Sequence[str]) -> Iterator[Fact]:
    pipeline = client.pipeline(transaction=False)
    for task_id in task_ids:
        pipeline.hmget(keys.record(task_id), _FIELDS)
    with translated():
        replies: list[Any] = pipeline.execute()
    for task_id, (x, state, finished, code, attempts) in zip(task_ids, replies, strict=True):
        if x is None:  # pruned since the index was read
            continue
        where = decode_coordinates(x)
        yield Fact(
            task_id=task_id,
            type=where.type,
            queue=where.queue,
            user_id=where.user,
            state=TaskState(state.decode()),
            created_ms=where.created_ms,
            finished_ms=int(finished) if finished else None,
            error_code=code.decode() if code else "",
            ran_ms=_ran(attempts),
        )


def _ran(attempts: bytes | None) -> int | None:
    if not attempts:
        return None
    _, _, start, end, _, _ = orjson.loads(b"[" + attempts + b"]")[-1]
    return max(0, int(end) - int(start))


def active_inputs(client: redis.Redis, keys: Keys) -> Iterator[Any]:
    """The arguments of every task that has no outcome yet: what it may still read."""
    for state in sorted(ACTIVE):
        bottom = "-inf"
        while True:
            with translated():
                found: Any = client.zrange(
                    *(keys.index("state", state), bottom, "+inf"),
                    byscore=True,
                    offset=0,
                    num=_PORTION,
                    withscores=True,
                )
            if not found:
                break
            yield from _arguments(client, keys, [task_id.decode() for task_id, _ in found])
            bottom = f"({int(found[-1][1])}"


def _arguments(client: redis.Redis, keys: Keys, task_ids: Sequence[str]) -> Iterator[Any]:
    pipeline = client.pipeline(transaction=False)
    for task_id in task_ids:
        pipeline.hget(keys.record(task_id), "m")
    with translated():
        replies: list[Any] = pipeline.execute()
    for stored in replies:
        if stored is not None:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                yield Message.decode(stored).arguments()
