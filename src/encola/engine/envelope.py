"""
Messages between Kombu's shape and the store's: what Celery publishes becomes a
task, and what was claimed becomes a delivery. Connects to nothing.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from celery._state import get_current_task
from celery.app.task import Context

from ..record import to_ms
from ..store import Message, NewTask
from ..store.message import USUAL_SOURCE
from ..store.shapes import Claimed

#: Header under which the fencing token travels to the child.
TOKEN_HEADER: Final = "encola_token"  # noqa: S105 - a name, not a secret

#: Of a message's properties, those that only its sender and the task know a use for.
KEPT_PROPERTIES: Final = ("app_id", "cluster_id", "message_id", "timestamp", "type", "user_id")

#: Headers that are Celery's own, and not the sender's.
_CELERY_HEADERS: Final = frozenset(
    {*Context.__dict__, "lang", "task", "argsrepr", "kwargsrepr", "compression"}
)

_TAG: Final = "encola:"


def make_tag(task_id: str, token: int) -> str:
    """The delivery tag of a claimed message."""
    return f"{_TAG}{token}:{task_id}"


def read_tag(tag: str) -> tuple[str, int] | None:
    """(id, token) of a claimed message's tag; None for one of Kombu's own."""
    if not tag.startswith(_TAG):
        return None
    token, _, task_id = tag.removeprefix(_TAG).partition(":")
    return task_id, int(token)


def delivery(claimed: Claimed) -> dict[str, Any]:
    """The Kombu message of a claimed one."""
    message = Message.decode(claimed.message)
    headers = {
        "lang": "py",
        **message.headers,
        # Said outright: what the task sends on under its own id takes it along.
        "encola": {"source": USUAL_SOURCE, **message.ours},
        "id": claimed.id,
        "task": message.task,
        "root_id": message.headers.get("root_id") or claimed.id,
        TOKEN_HEADER: claimed.token,
    }
    # A retry that the store made (not Task.retry) has not counted in the headers.
    headers["retries"] = max(int(headers.get("retries") or 0), claimed.retries)
    # What a task sees as its own headers. Where nobody says it Celery works it out in the child, at a
    # twentieth of what a short task costs.
    headers["headers"] = {k: v for k, v in headers.items() if k not in _CELERY_HEADERS}
    return {
        "body": message.body,
        "content-type": message.content_type,
        "content-encoding": message.content_encoding,
        "headers": headers,
        "properties": {
            **_kept(message.headers),
            "correlation_id": claimed.id,
            "reply_to": headers.get("reply_to"),
            "delivery_tag": make_tag(claimed.id, claimed.token),
            "body_encoding": message.body_encoding,
            "priority": message.headers.get("priority", 0),
            "delivery_info": {
                "exchange": "",
                "routing_key": claimed.queue,
                "redelivered": claimed.token > 1,
            },
        },
    }


def _kept(headers: dict[str, Any]) -> dict[str, Any]:
    ours = headers.get("encola")
    kept = ours.get("properties") if isinstance(ours, dict) else None
    return kept if isinstance(kept, dict) else {}


def new_task(queue: str, message: dict[str, Any]) -> NewTask:
    """The task of a message that Celery publishes."""
    headers = dict(message["headers"])
    properties = message.get("properties") or {}
    task_id, name = headers.pop("id"), headers.pop("task")
    eta = headers.pop("eta", None)
    if headers.get("root_id") == task_id:
        del headers["root_id"]
    headers.pop("origin", None)
    headers.pop("lang", None)
    priority = int(properties.get("priority") or 0)
    if priority:
        headers["priority"] = priority
    ours = headers["encola"] = dict(headers.get("encola") or {"source": "celery"})
    kept = {name: properties[name] for name in KEPT_PROPERTIES if properties.get(name) is not None}
    if kept:
        ours["properties"] = kept
    ours.pop("eta", None)
    if eta:
        # Only for the task to look at: a worker's Celery that saw it would wait a second time.
        ours["eta"] = eta
    stored = Message(
        task=name,
        body=message["body"],
        headers=headers,
        content_type=message.get("content-type") or "application/json",
        content_encoding=message.get("content-encoding") or "utf-8",
        body_encoding=properties.get("body_encoding"),
    )
    return NewTask(
        id=task_id,
        message=stored.encode(),
        queue=queue,
        type=type_of(name),
        priority=max(0, min(9, priority)),
        user_id=str(ours.get("user_id") or ""),
        due_ms=None if not eta else _parse_eta(eta),
        idempotency_key=str(ours.get("idempotency_key") or ""),
    )


#: Name on the wire -> task type; filled by :mod:`encola.engine.app`.
TYPES_BY_NAME: dict[str, str] = {}
#: Name on the wire -> the declared type's queue.
QUEUES_BY_NAME: dict[str, str] = {}


def type_of(name: str) -> str:
    """The task type of a Celery task's name; the name itself when it was declared without."""
    return TYPES_BY_NAME.get(name, name)


def _parse_eta(eta: str) -> int:
    return to_ms(dt.datetime.fromisoformat(eta))


def token_of_running(task_id: str) -> int | None:
    """The token of the running attempt when it publishes its own next delivery."""
    task = get_current_task()
    if task is None or task.request.id != task_id:
        return None
    token = task.request.get(TOKEN_HEADER)
    return int(token) if token else None
