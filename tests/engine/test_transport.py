"""Kombu's own messages on our transport, beside the tasks, on each server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from kombu import Connection, Consumer, Exchange, Producer, Queue
from kombu.exceptions import OperationalError

from encola.engine import transport
from encola.settings import get_settings
from encola.store import Keys, NewTask, Verbs, run
from support import Server, Store

MESSAGE = b'{"task":"tasks.add"}\n[[1,2],{},{}]'


@pytest.fixture
def namespace(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The settings of an installation that shares its server."""
    monkeypatch.setenv("ENCOLA_NAMESPACE", "other")
    get_settings.cache_clear()
    yield "other"
    monkeypatch.undo()
    get_settings.cache_clear()


def connection(server: Server, **options: Any) -> Connection:
    transport.install()
    return Connection(f"encola+{server.url}", transport_options=options)


def task_message(task_id: str) -> dict[str, Any]:
    return {"headers": {"id": task_id, "task": "tasks.add"}, "serializer": "json"}


def test_a_task_published_in_a_namespace_counts_with_those_of_the_api(
    namespace: str, server: Server, store: Store
) -> None:
    """Kombu's own prefix of keys must not reach a script's: the order would be counted twice."""
    verbs = Verbs(Keys("other:", "other:"))
    with connection(server, global_keyprefix="other:") as published:
        for task_id in ("a", "b"):
            Producer(published).publish([[1, 2], {}, {}], routing_key="q", **task_message(task_id))
        run(store.client, verbs.enqueue([NewTask("c", MESSAGE, "q", "t")], 100))

    assert store.client.hget("other:meta", "n") == b"3"
    assert store.client.lrange("other:q", 0, -1) == [b"c", b"b", b"a"]
    assert store.client.keys("other:other:*") == []


def test_a_plain_message_that_comes_after_its_consumer_is_put_back(
    server: Server, store: Store
) -> None:
    """It was asked for while there was one, and the server has taken it off the list."""
    queue = Queue("plain", durable=False)
    with connection(server) as made:
        consumer = Consumer(made, [queue], callbacks=[lambda *_: None])
        consumer.consume()
        channel = consumer.channel
        made.transport.cycle.on_poll_start()
        with connection(server) as sender:
            Producer(sender).publish("late", routing_key="plain", declare=[queue])
        consumer.cancel()
        with suppress(Exception):
            channel._brpop_read()
        found = queue(made.channel()).get(no_ack=True)

    assert found is not None
    assert "late" == found.payload


def test_plain_messages_come_by_priority(server: Server, store: Store) -> None:
    """0 is first, as in Kombu's own transport; what was requeued comes again, after its equals."""
    queue = Queue("plain")
    with connection(server) as conn, conn.channel() as channel:
        for body, priority in (("c", 6), ("a", 3), ("b", 3)):
            Producer(channel).publish(body, routing_key="plain", declare=[queue], priority=priority)
        first = queue(channel).get()
        first.requeue()
        received = []
        for _ in range(3):
            message = queue(channel).get()
            received.append(message.payload)
            message.ack()

    assert ["b", "a", "c"] == received


@pytest.mark.parametrize("kind", ["direct", "topic", "fanout"])
def test_every_type_of_exchange_delivers_to_those_that_are_bound(
    kind: str, server: Server, store: Store
) -> None:
    """A consumer of ours is a consumer of Kombu's for everything that is no task."""
    exchange = Exchange(f"{kind}-exchange", type=kind)
    queue = Queue(f"{kind}-queue", exchange, routing_key="some.key")
    received: list[Any] = []
    with connection(server) as conn:
        consumer = Consumer(conn, [queue], callbacks=[lambda body, _: received.append(body)])
        with consumer:
            if kind == "fanout":
                # The subscription is made by the first look.
                with suppress(TimeoutError):
                    conn.drain_events(timeout=0.5)
            Producer(conn, exchange).publish({"n": 1}, routing_key="some.key")
            while not received:
                conn.drain_events(timeout=5)

    assert [{"n": 1}] == received


def test_a_batch_holds_messages_back_and_sends_tasks_at_once(server: Server, store: Store) -> None:
    """A task is a script of its own: it is in the store when publish returns, batch or not."""
    queue = Queue("batched")
    with connection(server) as conn, conn.channel() as channel:
        producer = Producer(channel, serializer="json")
        with producer.batch() as batch:
            producer.publish("plain", routing_key="batched", declare=[queue])
            producer.publish([[], {}, {}], routing_key="tasks", **task_message("t"))
            assert store.client.llen("batched") == 0
            assert store.client.lrange("tasks", 0, -1) == [b"t"]
            batch.flush()
            assert store.client.llen("batched") == 1


def test_whoever_is_no_worker_of_ours_cannot_take_a_task_off_its_queue(
    server: Server, store: Store
) -> None:
    """Taken by Kombu's own reading it would be in no place; it is put back, and the reader told."""
    run(store.client, store.verbs.enqueue([NewTask("t", MESSAGE, "q", "t")], 100))
    with connection(server) as conn:
        with pytest.raises(OperationalError, match="Queue 'q' holds tasks of encola: only"):
            Queue("q")(conn.channel()).get()
        with (
            Consumer(conn, [Queue("q")], callbacks=[lambda *_: None]),
            pytest.raises(OperationalError, match="Queue 'q' holds tasks of encola: only"),
        ):
            conn.drain_events(timeout=5)

    assert store.client.lrange("q", 0, -1) == [b"t"]
