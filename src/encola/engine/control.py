"""
Remote control: a revoke is written to the store before anybody is told.

Stock Celery broadcasts a revoke into the memory of the workers that happen to
be up. Here it is a cancel of the record, whichever road it comes by, so it
holds across restarts; the broadcast that follows is a courtesy.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from typing import Any

from celery.app.control import Control as CeleryControl
from celery.utils.functional import maybe_list
from celery.worker import control as panel
from celery.worker.control import control_command, inspect_command

from ..errors import StoreError, TaskFinished, TaskNotFound
from ..record import FINISHED, TaskRecord
from ..store import Message, decode_record
from .request import ended_in_store
from .session import current_session

logger = logging.getLogger(__name__)


def cancel(task_ids: Any, *, terminate: bool) -> list[str]:
    """
    Cancels in the store. Without *terminate*, what has started is left to run, as Celery has it.

    An id without a record is left to the broadcast: it may be on its way in a
    stock producer's envelope. Answers those that have their outcome now.
    """
    session = current_session()
    ended: list[str] = []
    for task_id in maybe_list(task_ids) or ():
        try:
            session.run(session.verbs.cancel(str(task_id), waiting_only=not terminate))
        except TaskNotFound:
            continue
        except TaskFinished as error:
            if error.state not in FINISHED:
                continue
        ended.append(task_id)
    return ended


class Control(CeleryControl):
    """``celery_app.control``."""

    def revoke(self, task_id: Any, *args: Any, **kwargs: Any) -> Any:
        terminate = bool(kwargs.get("terminate", args[1] if len(args) > 1 else False))
        cancel(task_id, terminate=terminate)
        return super().revoke(task_id, *args, **kwargs)


_revoke_in_memory = panel.revoke


@control_command(
    variadic="task_id",
    signature="[id1 [id2 [... [idN]]]]",
)
def revoke(
    state: Any, task_id: Any, terminate: bool = False, signal: Any = None, **kwargs: Any
) -> Any:
    """Revoke task by task id (or list of ids)."""
    ended: list[str] = []
    try:
        ended = cancel(task_id, terminate=terminate)
    except StoreError as error:
        logger.warning("A revoke could not be written to the store: %s", error)
    ended_in_store.update(ended)
    return _revoke_in_memory(state, task_id, terminate, signal, **kwargs)


#: So many of the tasks that are due next are shown.
SHOWN_SCHEDULED = 100
#: What Celery says of every task that waits for its time.
ETA_PRIORITY = 6

_scheduled_in_memory = panel.scheduled


@inspect_command(alias="dump_schedule")
def scheduled(state: Any, **kwargs: Any) -> list[dict[str, Any]]:
    """List of currently scheduled ETA/countdown tasks."""
    shown: list[dict[str, Any]] = _scheduled_in_memory(state, **kwargs)
    queues = set(state.consumer.controller.encola_lease.queues)
    delayed = [(record, eta) for record, eta in _delayed() if record.queue in queues]
    return shown + [_as_scheduled(record, eta) for record, eta in delayed]


def _delayed() -> list[tuple[TaskRecord, str | None]]:
    """The tasks that wait in the store for their time, for whichever worker has room then, and when that is."""
    session = current_session()
    ids = session.client.zrange(session.keys.named("delayed"), 0, SHOWN_SCHEDULED - 1)
    pipeline = session.client.pipeline(transaction=False)
    for task_id in ids:
        pipeline.hgetall(session.keys.record(task_id.decode()))
    found = zip(ids, pipeline.execute(), strict=True)
    records = [
        (decode_record(task_id.decode(), stored), stored) for task_id, stored in found if stored
    ]
    return [(record, _eta(record, stored)) for record, stored in records]


def _eta(record: TaskRecord, stored: dict[bytes, bytes]) -> str | None:
    """As it was asked for: the store's own time has no microseconds. A retry's is the store's."""
    due_at = record.due_at
    # A stock client may write anything there.
    with contextlib.suppress(ValueError, TypeError, KeyError):
        asked = None if record.retries else Message.decode(stored[b"m"]).ours["eta"]
        due_at = dt.datetime.fromisoformat(asked) if asked else due_at
    return due_at.isoformat() if due_at else None


def _as_scheduled(record: TaskRecord, eta: str | None) -> dict[str, Any]:
    """As Celery tells of a request that a worker holds back."""
    return {
        "eta": eta,
        "priority": ETA_PRIORITY,
        "request": {
            "id": record.id,
            "name": record.name,
            "args": record.args,
            "kwargs": record.kwargs,
            "type": record.name,
            "hostname": None,
            "time_start": None,
            "acknowledged": False,
            "delivery_info": {
                "exchange": "",
                "routing_key": record.queue,
                "priority": record.priority,
                "redelivered": False,
            },
            "worker_pid": None,
        },
    }
