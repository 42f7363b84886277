"""
Tasks that run inside the API process, under the same record and the same guarantees.

    1. A place is noted, then the task is accepted straight under this loop's own
       lease: no worker sees it.
    2. It makes one attempt after the answer has gone out.
    3. Its outcome is settled; what can be tried again goes to the queue, under its id.

The lease is renewed while anything is held, and each renewal does three more things:
what was cancelled is stopped, what was accepted and never ran here (its client went
away in the middle of the answer) is let go, and what the store has under this lease
and we do not hold (a reply was lost) is given back to its queue. An API process
that dies leaves its lease to run out, and the next sweep gives its tasks back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import socket
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from .. import tasklog
from ..client import LoopClient, current_loop_client
from ..engine.outcome import describe, error_code
from ..errors import EncolaError, StoreError
from ..logs import current_task_id
from ..loops import end_task
from ..record import TaskState
from ..settings import get_settings
from ..store import Enqueued, NewTask, Settled, Start
from ..store.callers import server_ms
from ..store.records import encode_error
from ..task import RetryPolicy, next_delay

logger = logging.getLogger(__name__)

Runner = Callable[[], Awaitable[Mapping[str, Any]]]
#: Token of the attempt that is made here: the first, from the moment of acceptance.
TOKEN: Final = 1
#: Tasks of one process that run at the same time: each has a connection open.
MOST_AT_ONCE: Final = 100
#: A cancel reaches a running task within this time (s).
BEAT_SECONDS: Final = 1.0


@dataclass(slots=True)
class Held:
    """A task under our lease."""

    since: float
    """``time.monotonic()``"""
    is_taken_up: bool = False
    """Its attempt has begun, or waits for its turn here."""
    is_lost: bool = False
    """No longer ours: cancelled, or rescued from us."""
    work: asyncio.Future[Any] | None = None
    """What runs; None before its turn."""


class InProcess:
    """What one event loop runs itself."""

    def __init__(self) -> None:
        self.client: LoopClient = current_loop_client()
        self.settings = get_settings()
        self.worker_id = new_worker_id()
        self.held: dict[str, Held] = {}
        self.turns = asyncio.Semaphore(MOST_AT_ONCE)
        tasklog.install(streams=False)
        self._beating: asyncio.Task[None] | None = None
        self._begun: set[asyncio.Task[None]] = set()

    def hold(self, task_id: str) -> str:
        """
        Notes a task that is about to be accepted, and says under whose lease it goes.

        Before, not after: a renewal in between would give back what it does not find here.
        """
        self.held[task_id] = Held(time.monotonic())
        if self._beating is None:
            self._beating = asyncio.ensure_future(self._beat())
        return self.worker_id

    def let_go(self, task_id: str) -> None:
        """It ended, or was never accepted. If the store sees that otherwise, it gets the task back."""
        self.held.pop(task_id, None)

    async def accept(self, new: NewTask) -> Enqueued:
        """
        Accepts a task under our lease. One whose idempotency key is known is another request's, and not ours.

        Raises:
            StoreUnavailable, StoreFull
        """
        leased = replace(new, lease_to=self.hold(new.id))
        try:
            accepted = await self.client.enqueue(leased)
        except BaseException:
            self.let_go(new.id)
            raise
        if accepted.id != new.id:
            self.let_go(new.id)
        return accepted

    def begin(self, task_id: str, policy: RetryPolicy, runner: Runner) -> None:
        """:meth:`run` beside whatever else goes on, for a task that may take long; :meth:`close` stops it."""
        work = asyncio.ensure_future(self.run(task_id, policy, runner))
        self._begun.add(work)
        work.add_done_callback(self._begun.discard)

    async def close(self) -> None:
        """The process stops: what is still held goes to its queue now, and not when the lease has run out."""
        for work in list(self._begun):
            await end_task(work)
        if self._beating is not None:
            await end_task(self._beating)

    async def run(self, task_id: str, policy: RetryPolicy, runner: Runner) -> None:
        """Makes the one attempt. Never raises: the record says how it went."""
        held = self.held.get(task_id)
        if held is None:
            return
        held.is_taken_up = True
        reset = current_task_id.set(task_id)
        try:
            async with self.turns:
                await self._attempt(task_id, held, policy, runner)
        except StoreError as error:
            logger.warning("Task %s goes to its queue; the store was away: %s", task_id, error)
        except Exception:
            logger.exception("Task %s goes to its queue; its outcome cannot be written.", task_id)
        finally:
            self.let_go(task_id)
            current_task_id.reset(reset)

    async def _attempt(self, task_id: str, held: Held, policy: RetryPolicy, runner: Runner) -> None:
        started = await self.client.run(self.client.verbs.start(task_id, TOKEN))
        if started is not Start.STARTED:
            return
        held.work = asyncio.ensure_future(_logged(task_id, runner))
        try:
            result = await held.work
        except asyncio.CancelledError:
            if not held.is_lost:
                # The process is stopping, and its sign-off gives the task back.
                raise
            logger.info("Task %s was stopped.", task_id)
        except Exception as error:  # noqa: BLE001 - any error is an outcome
            await self._settle_error(task_id, policy, error)
        else:
            await self._settle(task_id, TaskState.SUCCESS, orjson.dumps(result))

    async def _settle_error(self, task_id: str, policy: RetryPolicy, error: Exception) -> None:
        text = encode_error(describe(error, "".join(traceback.format_exception(error))))
        code = error_code(error)
        most = policy.max_retries
        most = self.settings.task_max_retries if most is None else most
        if most == 0 or not policy.admits(error):
            await self._settle(task_id, TaskState.FAILURE, text, code)
            return
        first = policy.first_delay or self.settings.task_first_delay
        due_ms = await server_ms(self.client.redis)
        due_ms += round(next_delay(1, first, policy.max_delay) * 1000)
        await self._settle(task_id, TaskState.RETRY, text, code, due_ms)

    async def _settle(
        self,
        task_id: str,
        state: TaskState,
        value: bytes,
        code: str = "",
        due_ms: int | None = None,
    ) -> None:
        verbs = self.client.verbs
        settled = await self.client.run(
            verbs.settle(task_id, TOKEN, state, value, error_code=code, due_ms=due_ms)
        )
        if settled is Settled.FENCED:
            logger.warning("Task %s: its outcome %s was fenced.", task_id, state)

    # --- the lease ------------------------------------------------------------------

    async def _beat(self) -> None:
        """Renews while anything is held, then signs off; also when the loop ends before that."""
        try:
            while self.held:
                try:
                    await self._renew()
                except StoreError as error:
                    logger.warning("The lease could not be renewed: %s", error)
                await asyncio.sleep(min(BEAT_SECONDS, self.settings.heartbeat_seconds))
        finally:
            self._beating = None
            # Under another name from here on, so that the sign-off takes nothing that is new.
            gone, self.worker_id = self.worker_id, new_worker_id()
            with contextlib.suppress(StoreError):  # then the lease runs out
                await self.client.run(self.client.verbs.leave(gone))

    async def _renew(self) -> None:
        verbs, lease_ms = self.client.verbs, self.settings.lease_ms
        self._drop_what_never_ran()
        info = orjson.dumps({"hostname": self.worker_id.partition("/")[0], "pid": os.getpid()})
        asked_about = [(task_id, TOKEN) for task_id in self.held]
        renewal = await self.client.run(
            verbs.heartbeat(
                self.worker_id, lease_ms, asked_about, info=info.decode(), register=True
            )
        )
        for task_id in renewal.lost:
            held = self.held.get(task_id)
            # One that is only about to be accepted has no record yet, and nothing to stop.
            if held is not None and held.work is not None:
                held.is_lost = True
                held.work.cancel()
        if renewal.leased > len(self.held):
            given = await self.client.run(verbs.resync(self.worker_id, list(self.held)))
            if given:
                logger.warning("Gave back %d tasks that could not be run or settled here.", given)

    def _drop_what_never_ran(self) -> None:
        """The answer never went out, so what should follow it was not called."""
        limit = time.monotonic() - self.settings.lease_seconds
        for task_id, held in list(self.held.items()):
            if not held.is_taken_up and held.since < limit:
                self.let_go(task_id)


async def _logged(task_id: str, runner: Runner) -> Mapping[str, Any]:
    """Runs it; what it logs is in the store before its outcome is."""
    if not get_settings().log_lines:
        return await runner()
    log = tasklog.current_task_log()
    run = log.begin(task_id, TOKEN)
    try:
        return await runner()
    finally:
        if run.has_written:
            await asyncio.to_thread(log.end, run)


def new_worker_id() -> str:
    """Shown as ``api@host``; the rest tells one lease from the next."""
    return f"api@{socket.gethostname()}/{secrets.token_hex(4)}"


async def close_in_process() -> None:
    """What the running event loop's own still holds is given back; where there is none, nothing happens."""
    with contextlib.suppress(EncolaError):
        here = current_loop_client().kept.get(InProcess)
        if here is not None:
            await here.close()


def current_in_process() -> InProcess:
    """
    The running event loop's own.

    Raises:
        NothingRuns
    """
    kept = current_loop_client().kept
    if InProcess not in kept:
        kept[InProcess] = InProcess()
    found: InProcess = kept[InProcess]
    return found
