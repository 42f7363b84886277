"""A record as ``AsyncResult`` shows it: Celery's words, from what the store keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from celery import states

from ..record import TaskRecord, TaskState, iso
from ..store.records import decode_error, is_ignored
from .outcome import restore, revoked
from .result_files import take_from_file


def meta_of(
    record: TaskRecord,
    stored: dict[bytes, bytes],
    decode: Callable[[str], Any],
    *,
    shows_started: bool,
) -> dict[str, Any]:
    """
    Args:
        stored: the record's hash.
        decode: reads a result.
        shows_started: whether the application asked for ``STARTED``; to others it is ``PENDING`` until it says more.
    """
    if is_ignored(stored):
        return nothing(record.id)
    state, result = _state_and_result(record)
    if state == states.STARTED and not shows_started:
        state, result = states.PENDING, None
    if state == states.SUCCESS and stored.get(b"r"):
        result = decode(take_from_file(stored[b"r"]).decode())
    elif record.state is TaskState.PROCESSING and state != states.FAILURE and b"p" in stored:
        # As the task said it: the record shows what is no object as one.
        result = decode(stored[b"p"].decode())
    return {
        "task_id": record.id,
        "status": state,
        "result": result,
        "traceback": record.error.traceback or None if record.error else None,
        "children": orjson.loads(stored[b"ch"]) if b"ch" in stored else [],
        "date_done": iso(record.completed_at) if record.completed_at else None,
        "name": record.name,
        "args": record.args,
        "kwargs": record.kwargs,
        "worker": record.attempts[-1].worker.partition("/")[0] if record.attempts else None,
        "retries": record.retries,
        "queue": record.queue,
        "group_id": record.group_id,
        "parent_id": record.parent_id,
    }


def nothing(task_id: str) -> dict[str, Any]:
    """What is shown of an id that nobody knows, and of a task whose result is ignored."""
    return {"status": states.PENDING, "result": None, "task_id": task_id}


def _state_and_result(record: TaskRecord) -> tuple[str, Any]:
    match record.state:
        case TaskState.SCHEDULED:
            return states.PENDING, None
        case TaskState.STARTED:
            worker = record.attempts[-1].worker if record.attempts else ""
            return states.STARTED, {"hostname": worker.partition("/")[0]}
        case TaskState.PROCESSING if record.phase == states.FAILURE:
            # Its errbacks run; see Backend.mark_as_failure.
            return states.FAILURE, restore(decode_error(record.progress))
        case TaskState.PROCESSING:
            return record.phase or TaskState.PROCESSING.value, record.progress
        case TaskState.FAILURE | TaskState.RETRY:
            error = restore(record.error) if record.error else Exception(record.error_code or "")
            return record.state.value, error
        case TaskState.REVOKED:
            return states.REVOKED, revoked(record.error_code)
        case _:
            return record.state.value, record.result
