"""
Which sending of a frozen signature a message is of.

A frozen signature, as each part of a canvas is, has its id before it is sent, so a second sending has the id
of the first. By its mark the store tells a later sending, which runs again what has ended, from one that a
lost reply or a lost worker repeats, which does nothing:

    1. Somebody sends a frozen signature from outside of any attempt: a new mark.
    2. What an attempt sends on has the mark of its own message, so a repeated attempt sends the same again.
    3. A chord's body has the mark of the chord and its round, for any of the parts may be the last to end.

An id given by hand (``apply_async(task_id=…)``) has no mark: where it is known, it is a duplicate.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from celery._state import _task_stack

from .envelope import TOKEN_HEADER

_given: ContextVar[str | None] = ContextVar("encola_sending", default=None)


@contextlib.contextmanager
def sending(mark: str) -> Iterator[None]:
    """What is sent in here has *mark*."""
    before = _given.set(mark)
    try:
        yield
    finally:
        _given.reset(before)


def mark_of(request: Any) -> str:
    """The mark of an attempt's own message; '' where it has none."""
    ours = request.get("encola")
    return str((ours.get("send") if isinstance(ours, dict) else None) or "")


def marked(options: dict[str, Any]) -> dict[str, Any]:
    """The options of ``send_task``, with a mark where they are a frozen signature's."""
    # Only Signature.freeze() gives both.
    if not (options.get("task_id") and options.get("reply_to")):
        return options
    mark = _given.get() or _new_or_inherited()
    if not mark:
        return options
    headers = options.get("headers") or {}
    ours = headers.get("encola") or {"source": "celery"}
    return {**options, "headers": {**headers, "encola": {**ours, "send": mark}}}


def _new_or_inherited() -> str:
    for task in reversed(_task_stack.stack or ()):
        # A task that is called inside of another has no token: the attempt is further down.
        for request in reversed(task.request_stack.stack or ()):
            if request.get(TOKEN_HEADER):
                return mark_of(request)
    return os.urandom(6).hex()
