"""
Stopping a running task: its child gets TERM, and KILL a second later.

What is to be stopped comes from the worker's own list in the store, which a cancel writes to
(:class:`Inbox`), and from the lease, which has lost the task.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from typing import Any

import redis

from ..store import connect
from . import aims
from .lease import KILL_AFTER_SECONDS, WORD_SECONDS, Lease

logger = logging.getLogger(__name__)


class Inbox:
    """
    Waits on the worker's own list for what to stop at once.

    A thread with a connection of its own, because the consumer's is not read
    while there is no room for more. What is lost here the next renewal finds.
    """

    def __init__(self, lease: Lease, worker: Any) -> None:
        self._lease = lease
        self._worker = worker

    def run(self) -> None:
        session = self._lease.session
        client: Any = connect(session.url, timeout=10, name="encola-inbox")
        key = session.keys.inbox(self._lease.worker_id)
        while not self._lease._stopped.is_set():
            try:
                popped = client.brpop([key], timeout=2)
            except redis.RedisError:
                # The renewals say that the store is away; here it is enough to wait.
                self._lease._stopped.wait(0.5)
                continue
            if popped:
                token, _, task_id = popped[1].decode().partition(" ")
                self._stop(task_id, int(token))

    def _stop(self, task_id: str, token: int) -> None:
        held = self._lease.held.get(task_id)
        if held is None or held.token != token:
            return
        logger.info("Task %s was cancelled; stopping it.", task_id)
        # At once, and not when the event loop comes round to it: two seconds are soon over.
        end_child(held.request)
        if self._worker.hub is not None:
            self._worker.hub.call_soon(self._lease.stop_task, task_id)
        else:
            self._lease.stop_task(task_id)


def stop_child(worker: Any, request: Any) -> None:
    """TERM to the child that runs *request*, and KILL if it is still at it a second later."""
    if request.worker_pid is None:
        # Not taken up, as far as we know: then its start will be refused. A child that was quicker
        # than the word of it is found when that word comes.
        request.when_accepted = lambda: worker.encola_lease.later(
            WORD_SECONDS, _stop_late, worker, request
        )
        return
    end_child(request)
    # Celery's own book-keeping. A second TERM would end the child in the middle of tidying up:
    # at the first, billiard gives the signal back its default.
    request.terminate(worker.pool, signal="CONT")


def _stop_late(worker: Any, request: Any) -> None:
    if _still_runs(request, request.worker_pid):
        stop_child(worker, request)


def end_child(request: Any) -> None:
    """TERM now, KILL a second later if the child is still at this task. Once a request."""
    pid = getattr(request, "worker_pid", None)
    if pid is None or request.is_ending:
        return
    request.is_ending = True
    aims.aim(pid, request.id)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)

    def kill() -> None:
        if aims.is_aimed(pid) and _still_runs(request, pid):
            logger.warning(
                "Task %s did not stop within %g s; killing its child.",
                request.id,
                KILL_AFTER_SECONDS,
            )
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return

    timer = threading.Timer(KILL_AFTER_SECONDS, kill)
    timer.daemon = True
    timer.start()


def _still_runs(request: Any, pid: int) -> bool:
    result = request._apply_result() if request._apply_result is not None else None
    if result is not None and result.ready():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
