"""
Who waits for a task hears of its end also where no worker has written it.

What a child or its parent settles they tell themselves: the chord of which it was a part, the later links
of its chain, its errbacks. A task that is cancelled while it waits, or parked when its third worker was lost,
ends inside a script. It is noted there, and told by a worker that sweeps. Twice, where that one dies
in between: a part of a chord that comes again replaces itself, and an errback has its id.
"""

from __future__ import annotations

import base64
import logging
from typing import Any, Final

from celery.app.task import Context
from kombu import serialization
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from ..errors import StoreError
from ..record import TaskRecord, TaskState
from ..store import Message, decode_record
from ..store.callers import translated
from .outcome import restore, revoked
from .sending import mark_of, sending
from .session import Session
from .task import name_links

logger = logging.getLogger(__name__)

#: So many are told a sweep.
PORTION: Final = 20


def tell(app: Any, session: Session) -> None:
    """Tells of the ends that are noted as untold; a store that does not answer leaves them noted."""
    key = session.keys.untold()
    try:
        with translated():
            for task_id in session.client.lrange(key, 0, PORTION - 1):
                _tell_of(app, session, task_id.decode())
                session.client.lrem(key, 1, task_id)
    except (StoreError, OperationalError) as error:
        logger.warning("The end of a task could not be told yet: %s", error)


def _tell_of(app: Any, session: Session, task_id: str) -> None:
    stored = session.client.hgetall(session.keys.record(task_id))
    if not stored:
        return
    try:
        request = _request_of(task_id, Message.decode(stored[b"m"]))
        task = app.tasks.get(request.task)
        backend = app.backend if task is None else task.backend
        # Whoever tells it sends the same: told twice, it is sent once.
        with sending(mark_of(request) or task_id):
            _tell(backend, decode_record(task_id, stored), request)
    except (StoreError, OperationalError, RedisError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever a stranger's message holds
        logger.warning("The end of %s cannot be told: %s", task_id, error)


def _tell(backend: Any, record: TaskRecord, request: Any) -> None:
    if record.state is TaskState.REVOKED and request.chord:
        backend.on_chord_part_return(request, record.state.value, revoked(record.error_code))
    elif record.state is TaskState.FAILURE and record.error:
        name_links(record.id, request)
        backend.mark_as_failure(record.id, restore(record.error), request=request)


def _request_of(task_id: str, message: Message) -> Any:
    """What a worker would have had of it."""
    is_wrapped = message.body_encoding == "base64"
    body = base64.b64decode(message.body) if is_wrapped else message.body
    args, kwargs, embed = serialization.loads(
        body, message.content_type, message.content_encoding, accept={"application/json"}
    )
    headers = {**message.headers, "id": task_id, "task": message.task}
    return Context({**headers, **embed}, args=args, kwargs=kwargs, delivery_info={})
