"""
Mail for whoever has no event loop: a thread with one, which keeps the connections.

A worker's child runs one task after another, and has no loop of its own. The thread goes
on between them, so that a connection is left when it has idled for long enough, and its
end is noticed when the server ends it.

What breaks out of the waiting (a time limit, TERM) is raised by a signal, anywhere in the
main thread, and so never in the middle of the loop. The mail is cancelled then, which
hangs up, and only after that the exception goes on. A fork has the thread's memory and
not the thread: it makes one of its own.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import os
import threading
from collections.abc import Coroutine
from typing import Any

HANG_UP_SECONDS = 1.0
"""How long an interrupted mail is waited for; hanging up takes no answer."""
GOODBYE_SECONDS = 3.0
"""How long the thread is waited for at the end: longer than a conversation takes to leave."""


class Carrier:
    """A daemon thread with an event loop."""

    def __init__(self) -> None:
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="encola-mail", daemon=True)
        self._thread.start()
        self._is_ready.wait()

    def carry(self, work: Coroutine[Any, Any, None]) -> None:
        """Run *work* on the loop and wait for it. Interrupted, it is cancelled first."""
        errand = _Errand(work)
        context = contextvars.copy_context()
        try:
            self._loop.call_soon_threadsafe(errand.start, context=context)
            errand.has_ended.wait()
        finally:
            if not errand.has_ended.is_set():
                self._loop.call_soon_threadsafe(errand.cancel)
                errand.has_ended.wait(HANG_UP_SECONDS)
        if errand.error is not None:
            raise errand.error

    def stop(self) -> None:
        """Leave the conversations and end the thread."""
        self._loop.call_soon_threadsafe(self._is_stopped.set)
        self._thread.join(GOODBYE_SECONDS)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=_Loop) as runner:
            runner.run(self._until_stopped())

    async def _until_stopped(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._is_stopped = asyncio.Event()
        self._is_ready.set()
        await self._is_stopped.wait()


class _Loop(asyncio.SelectorEventLoop):
    """One that can be closed while the interpreter shuts down."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109  # asyncio's own
        """
        Leaves it to :meth:`close`, which waits for nobody.

        Waiting takes a thread more, and from 3.12 on Python makes none any more by the time that exit handlers run.
        """


class _Errand:
    """A coroutine on its way: started and cancelled on the loop, waited for elsewhere."""

    def __init__(self, work: Coroutine[Any, Any, None]) -> None:
        self._work = work
        self._task: asyncio.Task[None] | None = None
        self.has_ended = threading.Event()
        self.error: BaseException | None = None

    def start(self) -> None:
        self._task = asyncio.ensure_future(self._work)
        self._task.add_done_callback(self._end)

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _end(self, task: asyncio.Task[None]) -> None:
        self.error = asyncio.CancelledError() if task.cancelled() else task.exception()
        self.has_ended.set()


_carrier: Carrier | None = None
_lock = threading.Lock()
#: Of processes that we were forked from. Kept: to let go of a loop is to close it.
_inherited: list[Carrier | None] = []


def current_carrier() -> Carrier:
    """This process's carrier."""
    global _carrier
    with _lock:
        if _carrier is None:
            _carrier = Carrier()
        return _carrier


def stop_carrier() -> None:
    """Ends this process's carrier, where there is one; the next mail makes another."""
    global _carrier
    with _lock:
        carrier, _carrier = _carrier, None
    if carrier is not None:
        carrier.stop()


def _after_fork() -> None:
    global _carrier, _lock
    _inherited.append(_carrier)
    _carrier, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(stop_carrier)
