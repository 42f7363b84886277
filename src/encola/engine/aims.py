"""
A signal to a child is meant for one task, and must not hit the one that came after it.

A child has ended a task a moment before its parent knows, and may have begun the next. A TERM (cancel, hard
limit) or USR1 (soft limit) that was meant for the first would end the second, which then runs twice, or fails.

    1. Before it sends one, the parent writes into memory shared with its children for which task it is.
    2. The child looks there when the signal has come. It runs another one, or none: it takes the aim away and goes on.
    3. The parent sends no KILL after it where the aim is gone.

A signal without an aim (somebody else's ``kill``, the pool's own end) does what it always did.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import signal
import struct
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from celery._state import _task_stack

#: A slot holds a child's pid and a short digest of the task's id. Two children of one worker that share one
#: (4,096 process numbers apart) only lose the aim, not the signal.
_SLOT: Final = struct.Struct("=q8s")
_SLOTS: Final = 4096
#: Anonymous memory, shared with every process that is forked from here on.
_memory = mmap.mmap(-1, _SLOT.size * _SLOTS)


def _digest(task_id: str) -> bytes:
    return hashlib.blake2b(task_id.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def aim(pid: int, task_id: str) -> None:
    """The next signal to the child *pid* is meant for this task alone."""
    _SLOT.pack_into(_memory, pid % _SLOTS * _SLOT.size, pid, _digest(task_id))


def is_aimed(pid: int) -> bool:
    """Whether the child has not waved the last aim away."""
    return _SLOT.unpack_from(_memory, pid % _SLOTS * _SLOT.size)[0] == pid


def forget(pid: int) -> None:
    """No signal to *pid* has an aim."""
    if is_aimed(pid):
        _SLOT.pack_into(_memory, pid % _SLOTS * _SLOT.size, 0, b"")


def listen(number: signal.Signals) -> None:
    """In a child: from here on the signal does what it did only where it is for what runs."""
    before: Any = signal.getsignal(number)
    if not callable(before):
        return
    usual: Callable[[int, FrameType | None], Any] = before

    def heard(received: int, frame: FrameType | None) -> None:
        if not _is_for_another():
            usual(received, frame)

    signal.signal(number, heard)


def _is_for_another() -> bool:
    pid = os.getpid()
    aimed_at, digest = _SLOT.unpack_from(_memory, pid % _SLOTS * _SLOT.size)
    if aimed_at != pid or digest in {_digest(task_id) for task_id in _running()}:
        return False
    forget(pid)
    return True


def _running() -> list[str]:
    """The task that runs, and what it has called inside of itself."""
    tasks: list[Any] = list(_task_stack.stack or ())
    contexts = [context for task in tasks for context in task.request_stack.stack or ()]
    return [str(context.id) for context in contexts if context.id]
