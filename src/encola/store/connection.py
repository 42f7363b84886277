"""
Connections to the server, with the time limits and the retries we can answer for.

redis-py repeats a command three times by default when a connection breaks. A
publish or a claim repeated blindly can happen twice, so nothing is repeated
here: whoever makes a call knows whether it may be made again.
"""

from __future__ import annotations

import contextlib
import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool, SentinelManagedConnection

from ..errors import StoreRefused

#: No socket waits longer than this for a reply or a connection, in seconds.
SOCKET_TIMEOUT: Final = 5.0


def connect(url: str, *, timeout: float = SOCKET_TIMEOUT, name: str = "encola") -> redis.Redis:
    """A client for *url*: redis, rediss, unix, redis+socket or sentinel."""
    options = _options(timeout, name) | {"retry": Retry(NoBackoff(), 0)}
    if url.startswith("sentinel://"):
        return redis.Redis.from_pool(sentinel_pool(url, options))
    with _options_read():
        client = redis.Redis.from_url(plain_url(url), **_fit(url, options))
    check_options(client.connection_pool)
    return client


def connect_async(url: str, *, timeout: float = SOCKET_TIMEOUT) -> redis.asyncio.Redis:
    """:func:`connect` for the running event loop, to which its connections belong."""
    options = _options(timeout, "encola-api") | {"retry": AsyncRetry(NoBackoff(), 0)}
    if url.startswith("sentinel://"):
        named = read_sentinels(url)
        manager = AsyncSentinel(
            named.addresses, sentinel_kwargs=named.for_sentinels(options), **named.login, **options
        )
        found: redis.asyncio.Redis = manager.master_for(named.service)
        return found
    with _options_read():
        client = redis.asyncio.Redis.from_url(plain_url(url), **_fit(url, options))
    check_options(client.connection_pool)
    return client


@contextlib.contextmanager
def _options_read() -> Iterator[None]:
    """
    Raises:
        StoreRefused: what REDIS_URL says after its ``?`` has a value that redis-py cannot read.
    """
    try:
        yield
    except ValueError as error:
        name = re.search(r"'(\w+)'", str(error))
        raise StoreRefused(
            f"REDIS_URL has an option {name[0] if name else ''} after its `?` whose value cannot be read."
        ) from None


def check_options(pool: Any) -> None:
    """
    What an address says after its ``?`` is read when the first connection is made; look now.

    Raises:
        StoreRefused: redis-py knows no such option.
    """
    try:
        pool.connection_class(**pool.connection_kwargs)
    except TypeError as error:
        name = str(error).rpartition(" ")[2]
        raise StoreRefused(
            f"REDIS_URL has an option {name} after its `?`; redis-py knows none of that name."
        ) from None


def sentinel_pool(
    url: str, options: dict[str, Any], connection_class: type = SentinelManagedConnection
) -> SentinelConnectionPool:
    """Connections to the primary that the Sentinels of *url* name at the time."""
    named = read_sentinels(url)
    manager = Sentinel(
        named.addresses, sentinel_kwargs=named.for_sentinels(options), **named.login, **options
    )
    return SentinelConnectionPool(
        named.service, manager, connection_class=connection_class, **named.login, **options
    )


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


@dataclass(frozen=True, slots=True)
class Sentinels:
    """What a ``sentinel://`` address names."""

    addresses: list[tuple[str, int]]
    service: str
    """The primary's name among the Sentinels (``master_name``)."""
    login: dict[str, Any] = field(repr=False)
    """``db``, and ``username`` and ``password`` of the primary where there are any."""
    own_login: dict[str, str] = field(repr=False)
    """``username`` and ``password`` of the Sentinels themselves; mostly they have none."""

    def for_sentinels(self, options: dict[str, Any]) -> dict[str, Any]:
        """What a connection to a Sentinel takes of the *options* of one to the primary."""
        # With no retry either: where one Sentinel is away, the next is asked at once.
        taken = {k: v for k, v in options.items() if k.startswith("socket_") or k == "retry"}
        return taken | self.own_login


def read_sentinels(url: str) -> Sentinels:
    """
    Of ``sentinel://[user:password@]host:port[;sentinel://host:port…][/db]?master_name=…``.

    Further Sentinels may also stand in the query, as :func:`one_address` puts them there. User and
    password are the primary's; ``sentinel_username`` and ``sentinel_password`` the Sentinels' own.
    """
    parts = [urllib.parse.urlsplit(part) for part in url.split(";")]
    query = {k: v for part in parts for k, v in urllib.parse.parse_qs(part.query).items()}
    parts += [urllib.parse.urlsplit(f"sentinel://{more}") for more in query.get("sentinel", ())]
    path = next((part.path.strip("/") for part in parts if part.path.strip("/")), "0")
    login: dict[str, Any] = {"db": int(path)}
    login |= {
        name: urllib.parse.unquote(value)
        for name, value in (("username", parts[0].username), ("password", parts[0].password))
        if value
    }
    own = {
        k: query[f"sentinel_{k}"][0] for k in ("username", "password") if f"sentinel_{k}" in query
    }
    return Sentinels(
        [(part.hostname or "127.0.0.1", part.port or 26379) for part in parts],
        query.get("master_name", ["mymaster"])[0],
        login,
        own,
    )


def one_address(url: str) -> str:
    """*url* without ``;``, at which Kombu would part it and lose our transport at the first failure."""
    first, *others = url.split(";")
    if not others:
        return url
    named = read_sentinels(url)
    query = {
        k: v
        for part in url.split(";")
        for k, v in urllib.parse.parse_qs(urllib.parse.urlsplit(part).query).items()
    }
    query["sentinel"] = [
        f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        for host, port in named.addresses[1:]
    ]
    netloc = urllib.parse.urlsplit(first).netloc
    return f"sentinel://{netloc}/{named.login['db']}?{urllib.parse.urlencode(query, doseq=True)}"
