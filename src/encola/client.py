"""
Enqueueing from Python: one at a time, many at once, on the event loop or off it.

    encola.enqueue("email", {"email": "a@b.c", "subject": "Hi", "body": "…"})

Connections belong to a process (the synchronous one is remade after a fork) or
to a running event loop (each loop has its own, and one that has ended leaves
nothing to close).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from .embedded.runfile import resolve_redis_url
from .errors import StoreError, StoreFull, StoreUnavailable
from .loops import forget_loops, of_this_loop
from .settings import get_settings
from .store import (
    Call,
    Enqueued,
    Keys,
    NewTask,
    Records,
    Verbs,
    connect,
    connect_async,
    run,
    run_async,
)
from .store.callers import again, is_unknown, load_async, translated
from .store.durable import WAIT_FOR_DISK, run_to_disk, taken_to_disk
from .submit import prepare
from .task import Options, TaskType, get_task_type, task_types

#: Tasks in one call of the enqueue script: long enough to save round trips, short
#: enough that nobody else waits for the server.
BATCH: Final = 500
#: And at most so many bytes of messages, unless a single one is larger.
BATCH_BYTES: Final = 1024 * 1024


def make_verbs() -> Verbs:
    """The scripts for this installation's keys."""
    settings = get_settings()
    return Verbs(Keys(settings.key_prefix, settings.list_prefix))


def in_batches(tasks: Sequence[NewTask]) -> Iterator[Sequence[NewTask]]:
    """*tasks* in the portions of one script call: by number, and by bytes."""
    start = size = 0
    for end, task in enumerate(tasks):
        size += len(task.message)
        if end > start and (end - start == BATCH or size > BATCH_BYTES):
            yield tasks[start:end]
            start, size = end, len(task.message)
    if start < len(tasks):
        yield tasks[start:]


# --- synchronous --------------------------------------------------------------


class Client:
    """This process's way to enqueue."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.verbs = make_verbs()
        self.redis: redis.Redis = connect(resolve_redis_url(get_settings()))

    def enqueue(self, tasks: list[NewTask]) -> list[Enqueued]:
        """
        Accepts *tasks*, batch by batch, each all or none.

        Raises:
            StoreUnavailable, StoreFull
        """
        settings = get_settings()
        accepted: list[Enqueued] = []
        for batch in in_batches(tasks):
            call = self.verbs.enqueue(batch, settings.max_waiting)
            try:
                if settings.durability == "disk":
                    accepted += run_to_disk(self.redis, call)
                else:
                    taken: list[Enqueued] = run(self.redis, call)
                    accepted += taken
            except StoreUnavailable as error:
                raise _honest(error) from error.__cause__
        return accepted

    def submit(self, task_type: TaskType, values: Mapping[str, Any], options: Options) -> str:
        """What a task type's ``enqueue`` calls."""
        new = prepare(task_type, values, options, max_input=get_settings().max_body)
        return self.enqueue([new])[0].id


_client: Client | None = None


def current_client() -> Client:
    """
    This process's client; a fork gets its own.

    Raises:
        NothingRuns
    """
    global _client
    if _client is None or _client.pid != os.getpid():
        _client = Client()
    return _client


def enqueue(type: str, input: Mapping[str, Any], **options: Any) -> str:  # noqa: A002 - the contract's names
    """
    Enqueues one task and returns its id.

    Args:
        type: name of a declared task type.
        input: its fields.
        **options: fields of :class:`~encola.task.Options`.

    Raises:
        TaskTypeNotFound, InvalidInput, TooLarge, StoreUnavailable, StoreFull, NothingRuns
    """
    return current_client().submit(get_task_type(type), input, Options(**options))


def enqueue_many(type: str, inputs: Iterable[Mapping[str, Any]], **options: Any) -> list[str]:  # noqa: A002
    """
    Enqueues many tasks of one type; ids in the order of the inputs.

    All inputs are checked before the first is sent. Sent in batches of
    :data:`BATCH`: where the store goes away in between, earlier batches stand.
    """
    task_type, chosen, limit = get_task_type(type), Options(**options), get_settings().max_body
    tasks = [prepare(task_type, values, chosen, max_input=limit) for values in inputs]
    return [accepted.id for accepted in current_client().enqueue(tasks)]


async def enqueue_async(type: str, input: Mapping[str, Any], **options: Any) -> str:  # noqa: A002
    """:func:`enqueue` on the event loop; calls made together share a round trip."""
    task_type = get_task_type(type)
    new = prepare(task_type, input, Options(**options), max_input=get_settings().max_body)
    return (await current_loop_client().enqueue(new)).id


# --- on the event loop ----------------------------------------------------------


class LoopClient:
    """One event loop's way to the store: reads, scripts, and submits that share round trips."""

    def __init__(self) -> None:
        self.verbs = make_verbs()
        # redis-py types each reply as the union of what every protocol may give.
        self.redis: Any = connect_async(resolve_redis_url(get_settings()))
        self.records = Records(self.redis, self.verbs.keys)
        self._waiting: list[tuple[NewTask, asyncio.Future[Enqueued]]] = []
        self._flushing = False
        self._flush: asyncio.Task[None] | None = None
        self.kept: dict[type, Any] = {}
        """What else belongs to this loop, by its class."""

    async def run(self, call: Any) -> Any:
        """
        Runs one script.

        Raises:
            StoreUnavailable, StoreFull, and what the call's decoder raises.
        """
        return await run_async(self.redis, call)

    async def enqueue(self, new: NewTask) -> Enqueued:
        """
        Accepts one task. Those that come while a round trip is under way go together in the next.

        Raises:
            StoreUnavailable, StoreFull
        """
        future: asyncio.Future[Enqueued] = asyncio.get_running_loop().create_future()
        self._waiting.append((new, future))
        if not self._flushing:
            self._flushing = True
            self._flush = asyncio.ensure_future(self._flush_all())
        return await future

    async def _flush_all(self) -> None:
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, []
                sent = 0
                for batch in in_batches([new for new, _ in waiting]):
                    await self._send(waiting[sent : sent + len(batch)])
                    sent += len(batch)
        finally:
            self._flushing = False

    async def _send(self, batch: list[tuple[NewTask, asyncio.Future[Enqueued]]]) -> None:
        settings = get_settings()
        try:
            call = self.verbs.enqueue([new for new, _ in batch], settings.max_waiting)
            accepted = await self.accept(call)
        except StoreUnavailable as error:
            _reject(batch, error)
        except StoreFull as error:
            if len(batch) == 1:
                _reject(batch, error)
                return
            # Together they do not fit; one by one those that do are taken.
            for one in batch:
                await self._send([one])
        except Exception as error:  # noqa: BLE001 - each waiter must hear of it, whatever it is
            _reject(batch, error)
        else:
            for (_, future), entry in zip(batch, accepted, strict=True):
                if not future.done():
                    future.set_result(entry)

    async def accept(self, call: Call[list[Enqueued]]) -> list[Enqueued]:
        """
        Runs a script that accepts tasks, and comes back when they are as durable as the settings ask for.

        Raises:
            StoreUnavailable, StoreFull, and what the call's decoder raises.
        """
        try:
            if get_settings().durability == "disk":
                return await self._run_to_disk(call)
            accepted: list[Enqueued] = await run_async(self.redis, call)
        except StoreUnavailable as error:
            raise _honest(error) from error.__cause__
        return accepted

    async def _run_to_disk(self, call: Call[list[Enqueued]]) -> list[Enqueued]:
        async def attempt(command: tuple[Any, ...]) -> tuple[Any, Any]:
            pipeline = self.redis.pipeline(transaction=False)
            pipeline.execute_command(*command)
            pipeline.execute_command(*WAIT_FOR_DISK)
            reply, on_disk = await pipeline.execute(raise_on_error=False)
            return reply, on_disk

        with translated():
            reply, on_disk = await attempt(call.command)
            if is_unknown(reply):
                is_loaded = await load_async(self.redis, call.script.library)
                reply, on_disk = await attempt(again(call, is_loaded=is_loaded))
        return taken_to_disk(call, reply, on_disk)

    async def close(self) -> None:
        await self.redis.aclose()


def _reject(batch: list[tuple[NewTask, asyncio.Future[Enqueued]]], error: BaseException) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)


# --- what both have in common -----------------------------------------------------


def _honest(error: StoreError) -> StoreError:
    """Where only the reply is missing, nobody knows whether the task was taken, so nobody says so."""
    cause = error.__cause__
    lost = isinstance(cause, (RedisConnectionError, RedisTimeoutError))
    if not lost or "connecting to" in str(cause).lower():
        return error
    return StoreUnavailable(
        "The store broke off before it answered: whether the task was queued is not known. "
        "Send it again with the same Idempotency-Key."
    )


def current_loop_client() -> LoopClient:
    """
    The running event loop's client.

    Raises:
        NothingRuns
    """
    return of_this_loop(LoopClient)


def forget_clients() -> None:
    """Drops every client, so that the next reads the settings anew (tests)."""
    global _client
    if _client is not None:
        _client.redis.close()
    _client = None
    forget_loops(LoopClient)


async def register_types() -> None:
    """Writes which wire name is which task type, for stock producers' envelopes."""
    names = {t.wire_name: t.name for t in task_types()}
    if names:
        client = current_loop_client()
        await client.redis.hset(client.verbs.keys.named("types"), mapping=names)
