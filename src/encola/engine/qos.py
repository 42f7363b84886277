"""What the transport does with the end of a message."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from kombu.transport import redis as kombu_redis
from kombu.transport import virtual
from redis.exceptions import OutOfMemoryError

from .envelope import read_tag

if TYPE_CHECKING:
    from .transport import Channel


class QoS(kombu_redis.QoS):
    """Counts what was delivered. The store knows what is unacknowledged: nothing is written here."""

    channel: Channel

    def can_consume(self) -> bool:
        if self.channel.lease is not None:
            return self.channel.lease.is_hungry
        return bool(super().can_consume())

    def append(self, message: Any, delivery_tag: str) -> None:
        if read_tag(delivery_tag):
            virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        # Whoever acknowledges here has no outcome to show: Request.acknowledge
        # drops what was settled without coming this way.
        self._end(delivery_tag, "ignored", super().ack)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        how = "requeued" if requeue else "rejected"
        self._end(delivery_tag, how, lambda tag: super(QoS, self).reject(tag, requeue=requeue))

    def end(self, delivery_tag: str, how: str) -> None:
        """Says how an attempt without an outcome of its own ended."""
        self._end(delivery_tag, how, super().ack)

    def drop(self, delivery_tag: str) -> None:
        """The message's end is settled."""
        claim = read_tag(delivery_tag)
        virtual.QoS.ack(self, delivery_tag)
        if claim and self.channel.lease:
            self.channel.lease.drop(*claim)

    def restore_unacked(self, client: Any = None) -> None:
        for tag in [tag for tag in self._delivered if read_tag(tag)]:
            del self._delivered[tag]
        if self.channel.lease is not None:
            self.channel.lease.release_unstarted()
        if self._delivered:
            # Else nothing asks for a connection, which a channel may have lost for good by then.
            super().restore_unacked(client)

    def restore_visible(self, *args: Any, **kwargs: Any) -> None:
        """Kombu's own, for messages that are no tasks; none of ours ever times out."""
        # It takes a lock, which a full server refuses; a worker must start all the same.
        with contextlib.suppress(OutOfMemoryError):
            super().restore_visible(*args, **kwargs)

    def _end(self, delivery_tag: str, how: str, otherwise: Any) -> None:
        claim = read_tag(delivery_tag)
        if claim is None:
            otherwise(delivery_tag)
            return
        try:
            self.channel.run(self.channel.verbs.confirm([(*claim, how)]))
        finally:
            self.drop(delivery_tag)
