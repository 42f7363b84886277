"""
Tasks that run inside the API process, under the same record and the same guarantees.

    1. The task is accepted straight under this process's own lease: no worker sees it.
    2. It makes one attempt after the answer has gone out.
    3. Its outcome is settled; what can be tried again goes to the queue, under its id.

The lease is renewed while anything runs. An API process that dies leaves it to
run out, and the next sweep puts its tasks on their queues.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson

from ..client import current_loop_client
from ..errors import PermanentFailure, StoreError
from ..logs import current_task_id
from ..record import TaskError, TaskState
from ..settings import get_settings
from ..store import Settled, Start
from ..store.records import encode_error
from ..task import RetryPolicy, next_delay

logger = logging.getLogger(__name__)

Runner = Callable[[], Awaitable[Mapping[str, Any]]]
#: Token of the attempt that this process makes: the first, from the moment of acceptance.
TOKEN = 1


class InProcess:
    """The in-process tasks of one API process."""

    def __init__(self) -> None:
        self.worker_id = f"api@{socket.gethostname()}/{secrets.token_hex(4)}"
        self._running: dict[str, asyncio.Task[Any]] = {}

    async def register(self) -> None:
        """
        Makes this process known to the store, so that a task may be leased to it.

        Raises:
            StoreError
        """
        client, settings = current_loop_client(), get_settings()
        info = orjson.dumps({"hostname": self.worker_id.partition("/")[0], "pid": os.getpid()})
        held = [(task_id, TOKEN) for task_id in self._running]
        renewal = await client.run(
            client.verbs.heartbeat(
                self.worker_id, settings.lease_ms, held, info=info.decode(), register=True
            )
        )
        for task_id in renewal.lost:
            # Cancelled, or rescued from us: stop it.
            self._running[task_id].cancel()

    async def run(self, task_id: str, policy: RetryPolicy, runner: Runner) -> None:
        """Makes the one attempt. Never raises: the record says how it went."""
        reset = current_task_id.set(task_id)
        try:
            await self._attempt(task_id, policy, runner)
        except StoreError as error:
            # The lease runs out, and the task goes to its queue.
            logger.warning("Task %s could not be settled: %s", task_id, error)
        except Exception:
            logger.exception("Task %s", task_id)
        finally:
            current_task_id.reset(reset)

    async def _attempt(self, task_id: str, policy: RetryPolicy, runner: Runner) -> None:
        client = current_loop_client()
        if await client.run(client.verbs.start(task_id, TOKEN)) is not Start.STARTED:
            return
        work = asyncio.ensure_future(runner())
        self._running[task_id] = work
        renewing = asyncio.ensure_future(self._renew())
        try:
            result = await work
        except asyncio.CancelledError:
            logger.info("Task %s was stopped.", task_id)
            return
        except Exception as error:  # noqa: BLE001 - any error is an outcome
            await self._settle_error(task_id, policy, error)
        else:
            value = orjson.dumps(result)
            await self._settle(task_id, TaskState.SUCCESS, value, "", None)
        finally:
            del self._running[task_id]
            renewing.cancel()

    async def _renew(self) -> None:
        """Renews while a task runs; a cancel is found by it too."""
        beat = min(1.0, get_settings().heartbeat_seconds)
        while True:
            await asyncio.sleep(beat)
            try:
                await self.register()
            except StoreError as error:
                logger.warning("The lease could not be renewed: %s", error)

    async def _settle_error(self, task_id: str, policy: RetryPolicy, error: Exception) -> None:
        settings = get_settings()
        lines = traceback.format_exception(error)
        text = encode_error(
            TaskError(type(error).__qualname__, type(error).__module__, str(error), "".join(lines))
        )
        code = str(getattr(error, "error_code", "failed"))
        most = settings.task_max_retries if policy.max_retries is None else policy.max_retries
        if policy.admits(error) and not isinstance(error, PermanentFailure) and most > 0:
            first = policy.first_delay or settings.task_first_delay
            delay = next_delay(1, first, policy.max_delay)
            await self._settle(task_id, TaskState.RETRY, text, code, delay)
        else:
            await self._settle(task_id, TaskState.FAILURE, text, code, None)

    async def _settle(
        self, task_id: str, state: TaskState, value: bytes, code: str, delay: float | None
    ) -> None:
        client = current_loop_client()
        due_ms = None
        if delay is not None:
            seconds, micros = await client.redis.time()
            due_ms = round(seconds * 1000 + micros / 1000 + delay * 1000)
        settled = await client.run(
            client.verbs.settle(task_id, TOKEN, state, value, error_code=code, due_ms=due_ms)
        )
        if settled is Settled.FENCED:
            logger.warning("Task %s: its outcome %s was fenced.", task_id, state)


in_process = InProcess()
