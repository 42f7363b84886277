"""Where the transport connects to: whatever address redis-py knows, TLS, sockets and Sentinel too."""

from __future__ import annotations

from typing import Any

import redis
from kombu.transport import redis as kombu_redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import SentinelManagedConnection

from ..store.connection import SOCKET_TIMEOUT, plain_url, read_sentinels, sentinel_pool


class AddressedChannel(kombu_redis.Channel):
    """Kombu's channel, but for its reading of the address and its connections."""

    socket_timeout = SOCKET_TIMEOUT
    socket_connect_timeout = SOCKET_TIMEOUT
    socket_keepalive = True

    def _get_pool(self, asynchronous: bool = False) -> Any:
        url = self.connection.client.hostname
        if not url.startswith("sentinel://"):
            return super()._get_pool(asynchronous)
        database = read_sentinels(url).login["db"]
        self.keyprefix_fanout: str = self.keyprefix_fanout.format(db=database)
        kind: Any = SentinelManagedConnection
        return sentinel_pool(
            url, self._over_network(), self._telling(kind) if asynchronous else kind
        )

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        """redis-py's own reading of the address, so that whatever it knows works here."""
        params: dict[str, Any] = redis.connection.parse_url(
            plain_url(self.connection.client.hostname)
        )
        connection_class = params.pop("connection_class", redis.Connection)
        is_socket = connection_class is redis.UnixDomainSocketConnection
        params |= self._options() if is_socket else self._over_network()
        params.setdefault("db", 0)
        params["connection_class"] = (
            self._telling(connection_class) if asynchronous else connection_class
        )
        return params

    def _options(self) -> dict[str, Any]:
        return {
            "socket_timeout": self.socket_timeout,
            "health_check_interval": self.health_check_interval,
            # A command repeated blindly can happen twice.
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            "client_name": self.client_name or "encola-transport",
        }

    def _over_network(self) -> dict[str, Any]:
        return self._options() | {
            "socket_connect_timeout": self.socket_connect_timeout,
            "socket_keepalive": self.socket_keepalive,
        }

    def _telling(self, connection_class: Any) -> Any:
        """*connection_class*, which tells the poller when its socket goes, as Kombu's own does."""
        channel = self

        class Connection(connection_class):
            def disconnect(self, *args: Any, **kwargs: Any) -> None:
                super().disconnect(*args, **kwargs)
                if channel._registered:
                    channel._on_connection_disconnect(self)

        return Connection
