"""
The Kombu transport: claims under a lease instead of BRPOP.

It is Kombu's Redis transport but for the task queues. There, publishing is the
script ``enqueue`` and consuming is the script ``claim``:

    1. There is room in the lease: ``FCALL claim`` goes out on the consumer's
       connection, and the event loop goes on.
    2. The reply is read when the socket is readable, and each message delivered.
    3. It was empty: block (BRPOP) on the queues' wake-up tokens, at most one
       second or until the next delayed task is due, then claim again.

Never the key that holds work is blocked on: a reply lost on the way costs
nothing but a resync. Everything that is no task (remote control, replies, a
user's SimpleQueue) and fanout stay Kombu's.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from queue import Empty
from typing import Any, Final

import redis
from celery.app.amqp import _callback_publish_retry
from kombu.exceptions import OperationalError
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis
from kombu.utils.url import maybe_sanitize_url
from redis.exceptions import OutOfMemoryError, ResponseError

from .. import __version__
from ..errors import StoreError
from ..settings import get_settings
from ..store import Keys, NewTask, Verbs, run
from ..store.callers import again, is_unknown, load
from ..store.durable import run_to_disk
from ..store.scripts import NO_LIMIT, decode_claim
from ..store.shapes import Claimed, NextDelivery
from .adding_once import AddingOnce
from .addressed import AddressedChannel
from .delivered import Delivered
from .envelope import delivery, make_tag, new_task, token_of_running
from .lease import Lease
from .qos import QoS

logger = logging.getLogger(__name__)

#: Name of the transport: addresses are ``encola+`` and the plain Redis address.
SCHEME: Final = "encola"
#: Seconds to block for a wake-up token. A lost one costs this much, never a task.
POLL_SECONDS: Final = 1.0
#: Of a claim so many messages are delivered at once…
PORTION: Final = 8
#: …and the next ones at least so many seconds later.
PORTION_PAUSE: Final = 0.0005
#: SADD that a full server takes.
ADD_WHEN_FULL: Final = """#!lua flags=allow-oom
return redis.call('SADD', KEYS[1], ARGV[1])
"""


class Channel(AddressedChannel):
    """A channel of the transport."""

    QoS = QoS
    Message = Delivered

    #: Bodies are JSON text: Base64 would make them a third longer for nothing.
    body_encoding = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        settings = get_settings()
        self.verbs = Verbs(Keys(settings.key_prefix, settings.list_prefix))
        self.lease: Lease | None = None
        # What the consumer's connection waits for: "claim", "wake", or None for Kombu's BRPOP.
        self._awaited: str | None = None
        self._claim_next = True
        self._is_library_lost = False
        self._poll_seconds = POLL_SECONDS
        self._undelivered: deque[Claimed] = deque()
        self.unheard_since: float | None = None
        """``time.monotonic()`` from which on no event of a task had a listener; None: the last one had."""
        super().__init__(*args, **kwargs)

    def run(self, call: Any, how: Callable[[redis.Redis, Any], Any] = run) -> Any:
        """Runs a script on a connection of the pool. Errors are Kombu's connection errors."""
        # The channel's own client would put Kombu's global_keyprefix before a script's first key.
        client = redis.Redis(connection_pool=self.pool)
        try:
            return how(client, call)
        except StoreError as error:
            raise OperationalError(str(error)) from error

    # --- publishing -----------------------------------------------------------

    def encode_body(self, body: Any, encoding: str | None = None) -> tuple[Any, str | None]:
        if isinstance(body, bytes):
            try:
                return body.decode("utf-8"), None
            except UnicodeDecodeError:
                # A compressed body: JSON cannot hold it as it is.
                encoding = "base64"
        encoded, used = super().encode_body(body, encoding)
        return (encoded.decode() if isinstance(encoded, bytes) else encoded), used

    @property
    def supports_batch_publish(self) -> bool:
        """Of messages that are no tasks: each task is a script of its own, at once."""
        return not self.retry_on_timeout

    def _put(self, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
        headers = message.get("headers") or {}
        if "task" not in headers or "id" not in headers:
            super()._put(queue, message, **kwargs)
            return
        new = new_task(queue, message)
        token = token_of_running(new.id)
        # What is left to an unknown one is to be accepted like any other.
        if token is None or self.run(self.verbs.next_delivery(new, token)) is NextDelivery.UNKNOWN:
            self._accept(new)

    def _accept(self, new: NewTask) -> None:
        settings = get_settings()
        # Celery says so of a link, a chord's body and an errback. They were accepted with the task that
        # they follow: a full server would otherwise break a chain whose step has done its work.
        follows = _callback_publish_retry.get()
        most = NO_LIMIT if follows else settings.max_waiting
        call = self.verbs.enqueue([new], most, even_when_full=follows)
        self.run(call, run_to_disk if settings.durability == "disk" else run)

    def _put_fanout(
        self, exchange: str, message: dict[str, Any], routing_key: str | None, **kwargs: Any
    ) -> None:
        if not (routing_key or "").startswith("task.") or kwargs.get("_publish_batch"):
            super()._put_fanout(exchange, message, routing_key, **kwargs)
            return
        topics = self._get_publish_topics(exchange, routing_key)
        payload = kombu_redis.dumps(message)
        with self.conn_or_acquire() as client:
            is_heard = sum(client.publish(topic, payload) for topic in topics) > 0
        self.unheard_since = None if is_heard else self.unheard_since or time.monotonic()

    def _size(self, queue: str) -> int:
        # Without MULTI, in which a full Redis 7.0 refuses even to count: a worker asks as it starts.
        with self.conn_or_acquire() as client:
            pipeline = client.pipeline(transaction=False)
            for priority in self.priority_steps:
                pipeline.llen(self._q_for_pri(queue, priority))
            return sum(pipeline.execute())

    def _purge(self, queue: str) -> int:
        purged = 0
        while taken := self.run(self.verbs.purge(queue)):
            purged += taken
        return purged

    def _delete(self, queue: str, *args: Any, **kwargs: Any) -> None:
        # Lists hold ids: what stands in them must be cancelled, not forgotten.
        try:
            self._purge(queue)
        except OperationalError as error:
            # Kombu deletes queues as it closes a channel, and then expects a lost connection's error.
            raise redis.ConnectionError(str(error)) from error
        super()._delete(queue, *args, **kwargs)

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        try:
            super()._queue_bind(exchange, routing_key, pattern, queue)
        except OutOfMemoryError:
            # A worker must be able to start, and so to drain, when the server is full.
            member = self.sep.join([routing_key or "", pattern or "", queue or ""])
            with self.conn_or_acquire() as client:
                key = self.keyprefix_queue % (exchange,)
                client.eval(ADD_WHEN_FULL, 1, self.verbs.keys.list_prefix + key, member)

    # --- consuming ------------------------------------------------------------

    def consume_under(self, lease: Lease) -> None:
        """From now on the task queues of this channel are claimed under *lease*."""
        self.lease = lease

    def _claimed_queues(self) -> list[str]:
        wanted = self.lease.queues if self.lease else []
        return [queue for queue in self.active_queues if queue in wanted]

    def _brpop_start(self, timeout: float | None = None) -> None:
        queues = self._claimed_queues()
        if self.lease is None or not queues:
            self._awaited = None
            super()._brpop_start(timeout)
            return
        connection = self.client.connection
        if self._claim_next:
            command = self._claim_command(self.lease, queues)
            self._awaited = "claim"
        else:
            command = self._wait_command(queues)
            self._awaited = "wake"
        self._in_poll = connection
        self._brpop_sent_at = time.monotonic()
        self.lease.is_claiming = self._claim_next
        connection.send_command(*command)

    def _claim_command(self, lease: Lease, queues: list[str]) -> Iterable[Any]:
        # A different queue comes first each time: none starves behind a busy one.
        queues = self._queue_cycle.consume(len(queues))
        call = self.verbs.claim(
            lease.worker_id, max(1, lease.room), [q for q in queues if q in lease.queues]
        )
        if not self._is_library_lost:
            return call.command
        self._is_library_lost = False
        client = redis.Redis(connection_pool=self.pool)
        return again(call, is_loaded=load(client, call.script.library))

    def _wait_command(self, queues: list[str]) -> Iterable[Any]:
        keys = [self.verbs.keys.wake(queue) for queue in queues]
        # Queues of this channel that hold no tasks are read in the same call.
        plain = [q for q in self.active_queues if q not in queues]
        keys += [self.verbs.keys.list_prefix + self._q_for_pri(q, 0) for q in plain]
        return ("BRPOP", *keys, self._poll_seconds)

    def _brpop_read(self, **options: Any) -> bool:
        awaited, self._awaited = self._awaited, None
        if awaited is None:
            return self._read_plain(**options)
        connection = self.client.connection
        try:
            reply = connection.read_response()
        except ResponseError as error:
            if not is_unknown(error):
                raise
            self._is_library_lost = True
            raise Empty from None
        except self.connection_errors:
            connection.disconnect()
            raise
        finally:
            self._in_poll = None
            if self.lease is not None:
                self.lease.is_claiming = False
        if awaited == "wake":
            self._claim_next = True
            return self._deliver_plain(reply)
        return self._deliver_claim(decode_claim(reply))

    def _deliver_claim(self, claim: Any) -> bool:
        assert self.lease is not None
        if not claim.known:
            # The lease ran out while nothing was running: come back under it.
            self.lease.renew()
            raise Empty
        if claim.drains:
            self.lease.drain()
            raise Empty
        # All are noted before the first is delivered: an error on the way must
        # not leave one that nobody renews.
        for message in claim.messages:
            self.lease.hold(message.id, message.token)
        self._claim_next = bool(claim.messages)
        self._poll_seconds = POLL_SECONDS
        if 0 <= claim.next_due_ms < POLL_SECONDS * 1000:
            self._poll_seconds = max(0.001, claim.next_due_ms / 1000)
        if not claim.messages:
            raise Empty
        is_under_way = bool(self._undelivered)
        self._undelivered.extend(claim.messages)
        if not is_under_way:
            self._deliver_portion()
        return True

    def _deliver_portion(self) -> None:
        """
        Some of what was claimed, and the rest a moment later.

        In between the event loop gives the children what they are to run: of a large claim
        they would otherwise wait until its last message is read.
        """
        assert self.lease is not None
        consumed = self.active_queues
        unwanted: list[tuple[str, int]] = []
        try:
            for _ in range(min(PORTION, len(self._undelivered))):
                message = self._undelivered.popleft()
                # What was given back since it came is another's; what nobody listens for any more goes back.
                if not self.lease.holds(message.id, message.token):
                    continue
                if message.queue in consumed:
                    self._deliver(message)
                else:
                    unwanted.append((message.id, message.token))
        finally:
            if unwanted:
                self.lease.release(unwanted)
            if self._undelivered:
                self.lease.later(PORTION_PAUSE, self._deliver_portion)

    def _deliver(self, message: Claimed) -> None:
        self._queue_cycle.rotate(message.queue)
        try:
            readable = delivery(message)
        except (ValueError, TypeError, AttributeError) as error:
            self._park(message, error)
            return
        try:
            self.connection._deliver(readable, message.queue)
        except (*self.connection_errors, OperationalError, StoreError):
            if self.lease is not None:
                self.lease.leave_behind([(message.id, message.token)])
            raise
        except Exception as error:  # noqa: BLE001 - whatever Celery makes of a stranger's headers
            # Also what is nested deeper than this process can read. It would end every worker.
            self._park(message, error)

    def _park(self, message: Claimed, error: Exception) -> None:
        """A stock producer can send anything; what is no message must not be claimed for ever."""
        logger.error("The message of %s cannot be read and is parked: %s", message.id, error)
        self.qos.end(make_tag(message.id, message.token), "unreadable")

    def _read_plain(self, **options: Any) -> bool:
        """Kombu's own reading of queues without tasks."""
        try:
            reply = self.client.parse_response(self.client.connection, "BRPOP", **options)
        except self.connection_errors:
            self.client.connection.disconnect()
            raise
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()
        return self._deliver_plain(reply)

    def _deliver_plain(self, reply: Any) -> bool:
        if not reply:
            raise Empty
        key, item = reply
        name = key.decode()
        if name.startswith(self.verbs.keys.wake("")):
            raise Empty
        list_name = name.removeprefix(self.verbs.keys.list_prefix)
        queue = list_name.partition(self.sep)[0]
        if queue in self._claimed_queues():
            # Asked for before the lease was bound: to be claimed.
            with self.conn_or_acquire() as client:
                client.rpush(list_name, item)
            raise Empty
        # Where the consumer has been cancelled since, Kombu puts the message back.
        self._check_plain(list_name, item)
        self._queue_cycle.rotate(queue)
        self.connection._deliver(kombu_redis.loads(item.decode()), queue)
        return True

    def _get(self, queue: str) -> Any:
        with self.conn_or_acquire() as client:
            for step in self.priority_steps:
                list_name = self._q_for_pri(queue, step)
                item = client.rpop(list_name)
                if item:
                    break
            self._maybe_update_queues_expire(client, queue)
        if not item:
            raise Empty
        self._check_plain(list_name, item)
        return kombu_redis.loads(item.decode())

    def _check_plain(self, list_name: str, item: bytes) -> None:
        """
        Puts back the id of a task, which is not for whoever reads here.

        Raises:
            OperationalError
        """
        if item.startswith(b"{"):
            return
        with self.conn_or_acquire() as client:
            client.rpush(list_name, item)
        raise OperationalError(
            f"Queue {list_name.partition(self.sep)[0]!r} holds tasks of encola: only `encola worker` "
            "or `celery -A encola.engine worker` reads them."
        )


class Transport(kombu_redis.Transport):
    """Kombu's Redis transport with a queue that cannot lose."""

    Channel = Channel
    can_parse_url = True
    driver_type = "redis"
    driver_name = "encola"
    # Nothing is repeated, whatever the address says.
    supports_batch_publish = True

    def driver_version(self) -> str:
        return __version__

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        super().register_with_event_loop(connection, AddingOnce(loop))

    def as_uri(self, uri: str, include_password: bool = False, mask: str = "**") -> str:
        """The plain Redis address, as Celery's tools write it: they connect to it."""
        if uri.startswith("unix://"):
            uri = "redis+socket://" + uri.removeprefix("unix://").replace("db=", "virtual_host=")
        return uri if include_password else str(maybe_sanitize_url(uri, mask))


def install() -> None:
    """Makes ``encola+redis://…`` known to Kombu in this process."""
    TRANSPORT_ALIASES[SCHEME] = "encola.engine.transport:Transport"


__all__ = ["Channel", "Transport", "install"]
