"""
Connections to the server, with the time limits and the retries we can answer for.

redis-py repeats a command three times by default when a connection breaks. A
publish or a claim repeated blindly can happen twice, so nothing is repeated
here: whoever makes a call knows whether it may be made again.
"""

from __future__ import annotations

import urllib.parse
from typing import Any, Final

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

#: No socket waits longer than this for a reply or a connection, in seconds.
SOCKET_TIMEOUT: Final = 5.0


def connect(url: str, *, timeout: float = SOCKET_TIMEOUT, name: str = "encola") -> redis.Redis:
    """A client for *url*: redis, rediss, unix, redis+socket or sentinel."""
    options = _options(timeout, name) | {"retry": Retry(NoBackoff(), 0)}
    sentinels, service, extra = _sentinels(url)
    if sentinels:
        found: redis.Redis = Sentinel(sentinels, **extra, **options).master_for(service)
        return found
    return redis.Redis.from_url(plain_url(url), **_fit(url, options))


def connect_async(url: str, *, timeout: float = SOCKET_TIMEOUT) -> redis.asyncio.Redis:
    """:func:`connect` for the running event loop, to which its connections belong."""
    options = _options(timeout, "encola-api") | {"retry": AsyncRetry(NoBackoff(), 0)}
    sentinels, service, extra = _sentinels(url)
    if sentinels:
        found: redis.asyncio.Redis = AsyncSentinel(sentinels, **extra, **options).master_for(
            service
        )
        return found
    return redis.asyncio.Redis.from_url(plain_url(url), **_fit(url, options))


def plain_url(url: str) -> str:
    """The address as redis-py writes it: ``redis+socket://`` is Kombu's word for ``unix://``."""
    scheme, _, rest = url.partition("://")
    if scheme == "redis+socket":
        # Kombu names the database virtual_host in the query; redis-py, db.
        return "unix://" + rest.replace("virtual_host=", "db=")
    return url


def _fit(url: str, options: dict[str, Any]) -> dict[str, Any]:
    if plain_url(url).startswith("unix://"):
        # A socket file has neither a handshake to wait for nor a peer to lose.
        return {k: v for k, v in options.items() if not k.startswith("socket_keep")}
    return options


def _options(timeout: float, name: str) -> dict[str, Any]:
    return {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "socket_keepalive": True,
        "health_check_interval": 15,
        "retry_on_error": [],
        "client_name": name,
        # Replies stay bytes and keep their RESP2 shapes, whatever redis-py defaults to.
        "protocol": 2,
    }


def _sentinels(url: str) -> tuple[list[tuple[str, int]], str, dict[str, Any]]:
    """``sentinel://[:password@]host:port[;sentinel://host:port…]/db?master_name=…``."""
    if not url.startswith("sentinel://"):
        return [], "", {}
    first, *others = url.split(";")
    parts = urllib.parse.urlsplit(first if others else url)
    last = urllib.parse.urlsplit(others[-1]) if others else parts
    hosts = [urllib.parse.urlsplit(part) for part in (first, *others)]
    query = urllib.parse.parse_qs(last.query or parts.query)
    extra: dict[str, Any] = {"db": int((last.path or "/0").strip("/") or 0)}
    if parts.password:
        extra["password"] = urllib.parse.unquote(parts.password)
    if parts.username:
        extra["username"] = urllib.parse.unquote(parts.username)
    addresses = [(host.hostname or "127.0.0.1", host.port or 26379) for host in hosts]
    return addresses, query.get("master_name", ["mymaster"])[0], extra
