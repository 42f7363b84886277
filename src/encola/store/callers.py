"""
Carry a :class:`~encola.store.scripts.Call` to the server: one for workers, one for the API.

``EVALSHA`` first; where the server has forgotten the script (a restart,
``SCRIPT FLUSH``) it is loaded and the call made once more, which is safe
because a call answered with NOSCRIPT has done nothing.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import redis
import redis.asyncio
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.sentinel import MasterNotFoundError

from ..errors import StoreError, StoreFull, StoreRefused, StoreUnavailable
from .scripts import Call

R = TypeVar("R")


def run(client: redis.Redis, call: Call[R]) -> R:
    """
    Runs one script.

    Raises:
        StoreUnavailable, StoreFull, and what the call's decoder raises.
    """
    arguments = (len(call.keys), *call.keys, *call.argv)
    try:
        try:
            reply: Any = client.execute_command("EVALSHA", call.script.sha, *arguments)
        except NoScriptError:
            reply = client.execute_command("EVAL", call.script.source, *arguments)
    except (RedisError, OSError) as error:
        raise translate(error) from error
    return call.decode(reply)


def run_on(connection: redis.Connection, call: Call[R]) -> R:
    """:func:`run` on one connection, without a client. Raises redis-py's errors, and may not be repeated blindly."""
    arguments = (len(call.keys), *call.keys, *call.argv)
    connection.send_command("EVALSHA", call.script.sha, *arguments)
    try:
        reply = connection.read_response()
    except NoScriptError:
        connection.send_command("EVAL", call.script.source, *arguments)
        reply = connection.read_response()
    return call.decode(reply)


async def run_async(client: redis.asyncio.Redis, call: Call[R]) -> R:
    """:func:`run` on the event loop."""
    arguments = (len(call.keys), *call.keys, *call.argv)
    try:
        try:
            reply: Any = await client.execute_command("EVALSHA", call.script.sha, *arguments)
        except NoScriptError:
            reply = await client.execute_command("EVAL", call.script.source, *arguments)
    except (RedisError, OSError) as error:
        raise translate(error) from error
    return call.decode(reply)


def run_many(
    client: redis.Redis, calls: Sequence[Call[Any]], *, transaction: bool = False
) -> list[Any]:
    """Runs scripts one after another in one round trip; with *transaction*, as one step."""
    if not calls:
        return []
    try:
        for script in {call.script.name: call.script for call in calls}.values():
            if not client.script_exists(script.sha)[0]:
                client.script_load(script.source)
        pipeline = client.pipeline(transaction=transaction)
        for call in calls:
            pipeline.execute_command(
                "EVALSHA", call.script.sha, len(call.keys), *call.keys, *call.argv
            )
        replies = pipeline.execute()
    except (RedisError, OSError) as error:
        raise translate(error) from error
    return [call.decode(reply) for call, reply in zip(calls, replies, strict=True)]


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
