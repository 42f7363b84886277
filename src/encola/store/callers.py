"""
Carry a :class:`~encola.store.scripts.Call` to the server: one for workers, one for the API.

``FCALL`` first; where the server does not know the function (it is new, was flushed, or
another version of ours ran on it) the library is loaded and the call made once more, which
is safe because a call of what is unknown has done nothing.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import hiredis
import redis
import redis.asyncio
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.sentinel import MasterNotFoundError

from ..errors import StoreError, StoreFull, StoreRefused, StoreUnavailable
from .library import Library
from .scripts import Call

R = TypeVar("R")


def run(client: redis.Redis, call: Call[R]) -> R:
    """
    Runs one script.

    Raises:
        StoreUnavailable, StoreFull, and what the call's decoder raises.
    """
    with translated():
        try:
            reply: Any = client.execute_command(*call.command)
        except ResponseError as error:
            if not is_unknown(error):
                raise
            reply = client.execute_command(
                *again(call, is_loaded=load(client, call.script.library))
            )
    return call.decode(reply)


def run_on(connection: redis.Connection, call: Call[R], client: redis.Redis) -> R:
    """
    :func:`run` on one connection. Raises redis-py's errors, and may not be repeated blindly.

    Args:
        client: loads the library, should the server not know it.
    """
    # What redis-py's own packing looks for in each argument ours never are.
    packed = hiredis.pack_command(call.command)  # type: ignore[arg-type]  # typed as a tuple of one
    connection.send_packed_command([packed])
    try:
        reply = connection.read_response()
    except ResponseError as error:
        if not is_unknown(error):
            raise
        connection.send_command(*again(call, is_loaded=load(client, call.script.library)))
        reply = connection.read_response()
    return call.decode(reply)


async def run_async(client: redis.asyncio.Redis, call: Call[R]) -> R:
    """:func:`run` on the event loop."""
    with translated():
        try:
            reply: Any = await client.execute_command(*call.command)
        except ResponseError as error:
            if not is_unknown(error):
                raise
            is_loaded = await load_async(client, call.script.library)
            reply = await client.execute_command(*again(call, is_loaded=is_loaded))
    return call.decode(reply)


def run_many(
    client: redis.Redis, calls: Sequence[Call[Any]], *, transaction: bool = False
) -> list[Any]:
    """Runs scripts of one library, one after another in one round trip; with *transaction*, as one step."""
    if not calls:
        return []

    def run_all(commands: Iterable[tuple[Any, ...]]) -> list[Any]:
        pipeline = client.pipeline(transaction=transaction)
        for command in commands:
            pipeline.execute_command(*command)
        return pipeline.execute()

    with translated():
        try:
            replies = run_all(call.command for call in calls)
        except ResponseError as error:
            if not is_unknown(error):
                raise
            is_loaded = load(client, calls[0].script.library)
            replies = run_all(again(call, is_loaded=is_loaded) for call in calls)
    return [call.decode(reply) for call, reply in zip(calls, replies, strict=True)]


def is_unknown(error: object) -> bool:
    """Whether the server says that it does not know the function."""
    return isinstance(error, ResponseError) and "unction not found" in str(error)


def load(client: redis.Redis, library: Library) -> bool:
    """Gives the server the library; False where its memory is full. Raises redis-py's errors."""
    try:
        client.execute_command(*_loading(library))
    except OutOfMemoryError:
        return False
    return True


async def load_async(client: redis.asyncio.Redis, library: Library) -> bool:
    """:func:`load` on the event loop."""
    try:
        await client.execute_command(*_loading(library))
    except OutOfMemoryError:
        return False
    return True


def _loading(library: Library) -> tuple[str, ...]:
    # Another process may have been quicker, with the same text: its own name says so.
    return ("FUNCTION", "LOAD", "REPLACE", library.source)


def again(call: Call[Any], *, is_loaded: bool) -> tuple[Any, ...]:
    """The command of a call that was of what the server did not know."""
    return call.command if is_loaded else call.command_by_text


async def server_ms(client: Any) -> int:
    """
    The server's clock, in ms since 1970; *client*: the event loop's.

    Raises:
        StoreError
    """
    with translated():
        seconds, micros = await client.time()
    return int(seconds) * 1000 + int(micros) // 1000


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """redis-py's errors inside the block come out as ours."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise translate(error) from error


def translate(error: BaseException) -> StoreError:
    """redis-py's error as ours. Never repeats an address: it may carry a password."""
    if isinstance(error, OutOfMemoryError):
        return StoreFull(
            "The store is out of memory. Nothing was queued; raise maxmemory, or prune records."
        )
    if isinstance(error, AuthenticationError):
        return StoreRefused(
            "The server refused the user name or password in REDIS_URL. They stand before its `@`, parted "
            "by a colon; what is no letter or digit is percent-encoded."
        )
    if isinstance(error, NoPermissionError):
        return StoreRefused(
            f"The server does not let the user in REDIS_URL do what is needed: {error}. "
            "Give it all commands, keys and channels (`+@all ~* &*`)."
        )
    if isinstance(error, MasterNotFoundError):
        return StoreUnavailable(f"The Sentinels in REDIS_URL know no primary: {error}.")
    if words := _tls_words(error):
        return StoreRefused(words)
    if isinstance(error, BusyLoadingError):
        return StoreUnavailable("The store is loading its data. Try again in a moment.")
    if isinstance(error.__cause__ or error.__context__, TimeoutError) and "handshake" in str(
        error.__cause__ or error.__context__
    ):
        return StoreUnavailable(
            "The server in REDIS_URL does not answer in TLS. Is it its TLS port? Without TLS: redis://"
        )
    if isinstance(error, (RedisConnectionError, RedisTimeoutError, OSError)):
        return StoreUnavailable()
    if isinstance(error, ResponseError):
        return StoreError(f"The store refused a command: {error}")
    return StoreUnavailable()


def _tls_words(error: BaseException) -> str | None:
    """Why TLS failed, in words that say what to do; None where it did not."""
    seen: BaseException | None = error
    for _ in range(10):
        if isinstance(seen, ssl.SSLCertVerificationError):
            return (
                f"The certificate of the server in REDIS_URL is not trusted: {seen.verify_message}. "
                "Name the file of its authority: rediss://…?ssl_ca_certs=/path/to/ca.crt"
            )
        if isinstance(seen, ssl.SSLError):
            return f"The server in REDIS_URL and this program cannot agree on TLS: {seen.reason or seen}."
        seen = seen and (seen.__cause__ or seen.__context__)
    return None
