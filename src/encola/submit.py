"""
From a task type and its input to the message that is stored.

The road of the API and of :func:`encola.enqueue`: it writes the envelope
itself, which costs a tenth of what Celery's ``.delay()`` takes. What it writes
is what Celery would have written, less the headers that say nothing.
"""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Mapping
from typing import Any

import orjson
import uuid_utils

from .errors import InvalidInput, TooLarge
from .record import MAX_DEPTH, iso, to_ms
from .store import Message, NewTask
from .store.message import USUAL_SOURCE
from .task import Options, Seconds, TaskType


def new_task_id() -> str:
    """A UUIDv7: ids made later sort later, which keeps indexes compact."""
    return str(uuid_utils.uuid7())


def prepare(
    task_type: TaskType, values: Mapping[str, Any], options: Options, *, max_input: int
) -> NewTask:
    """
    Validates *values* and makes the task that enqueue takes.

    Args:
        max_input: most bytes of the encoded input.

    Raises:
        InvalidInput, TooLarge
    """
    model = task_type.validate(values)
    return prepare_valid(task_type, task_type.wire_arguments(model), options, max_input=max_input)


def prepare_valid(
    task_type: TaskType, arguments: list[Any], options: Options, *, max_input: int
) -> NewTask:
    """:func:`prepare` for arguments that were validated before."""
    try:
        # orjson writes NaN and infinities as null; as an input that is a lie.
        refuse_unspeakable(arguments)
        body = orjson.dumps([arguments, {}, {}])
    except (TypeError, ValueError, RecursionError) as error:
        message = f"cannot be written as JSON: {error}"
        raise InvalidInput(task_type.name, [{"loc": [], "msg": message, "type": "json"}]) from None
    if len(body) > max_input:
        raise TooLarge("input", len(body), max_input)
    user_id = options.user_id
    if user_id is None and "user_id" in task_type.fields:
        user_id = str(arguments[task_type.fields.index("user_id")])
    headers: dict[str, Any] = {"encola": _ours(options)}
    if options.expires is not None:
        headers["expires"] = iso(_moment(options.expires))
    stored = Message(task_type.wire_name, body.decode(), headers)
    return NewTask(
        id=options.task_id or new_task_id(),
        message=stored.encode(),
        queue=options.queue or task_type.queue,
        type=task_type.name,
        priority=max(0, min(9, options.priority)),
        user_id=user_id or "",
        due_ms=_due_ms(options),
        idempotency_key=options.idempotency_key or "",
    )


def refuse_unspeakable(value: Any, depth: int = 0) -> None:
    """
    Raises:
        ValueError: NaN, an infinity, or deeper than :data:`MAX_DEPTH`.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is no JSON number")
    elif isinstance(value, dict):
        for item in value.values():
            refuse_unspeakable(item, depth + 1)
    elif isinstance(value, (list, tuple)):
        for item in value:
            refuse_unspeakable(item, depth + 1)


def _ours(options: Options) -> dict[str, Any]:
    """Our own part of the headers: what is not as usual."""
    ours = {
        "source": None if options.source == USUAL_SOURCE else options.source,
        "labels": dict(options.labels),
        "traceparent": options.traceparent,
        "retried_from": options.retried_from,
        "schedule_id": options.schedule_id,
        "idempotency_key": options.idempotency_key,
    }
    return {name: value for name, value in ours.items() if value}


def _due_ms(options: Options) -> int | None:
    if options.eta is not None:
        return to_ms(options.eta)
    if options.countdown is not None:
        return round(time.time() * 1000 + _in_seconds(options.countdown) * 1000)
    return None


def _moment(value: Seconds | dt.datetime) -> dt.datetime:
    if isinstance(value, dt.datetime):
        return value if value.tzinfo else value.replace(tzinfo=dt.UTC)
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=_in_seconds(value))


def _in_seconds(value: Seconds) -> float:
    return value.total_seconds() if isinstance(value, dt.timedelta) else float(value)
