"""
Results of ids that have no record: what a program stores by the backend's own ``store_result``.

To everybody else such an id stays unknown, for no task was ever accepted under it. Only
``AsyncResult`` reads it back, as a Celery user expects, and for as long as ``result_expires`` says.
"""

from __future__ import annotations

from typing import Any, Final

import orjson
from celery import states

from .outcome import revoked
from .session import current_session

#: Kept so long where ``result_expires`` is never.
SECONDS: Final = 86_400


def keep(task_id: str, state: str, value: bytes, seconds: int) -> None:
    """*value*: the result as JSON."""
    session = current_session()
    stored = orjson.dumps({"status": state, "value": value.decode()})
    session.client.set(session.keys.stray(task_id), stored, ex=seconds)


def read(task_id: str) -> tuple[str, Any] | None:
    """(state, result as JSON); for a revoked one the error in its place. None: nothing was stored."""
    session = current_session()
    stored = session.client.get(session.keys.stray(task_id))
    if stored is None:
        return None
    kept = orjson.loads(stored)
    if kept["status"] == states.REVOKED:
        return states.REVOKED, revoked(None)
    return kept["status"], kept["value"]


def forget(task_id: str) -> None:
    session = current_session()
    session.client.delete(session.keys.stray(task_id))
