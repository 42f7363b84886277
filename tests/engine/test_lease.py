"""What a worker holds and gives back."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from encola.engine import lease as lease_module
from encola.engine.envelope import make_tag
from encola.engine.lease import Lease
from encola.engine.qos import QoS
from encola.engine.session import Session, forget_session
from encola.engine.transport import PORTION, Channel
from encola.errors import StoreUnavailable
from encola.settings import get_settings
from encola.store import run
from encola.store.shapes import Claimed
from harness import Bench, Server


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A server without a worker; this process is one."""
    (tmp_path / "valkey").mkdir()
    server = Server(tmp_path / "valkey", durable=False)
    server.start()
    bench = Bench(server, tmp_path)
    monkeypatch.setenv("REDIS_URL", server.url)
    get_settings.cache_clear()
    forget_session()
    yield bench
    get_settings.cache_clear()
    forget_session()
    bench.close()


def test_a_task_that_a_child_has_just_taken_up_is_not_given_back(
    alone: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child's word of it is still on its way: given back, the task would run twice."""
    lease = Lease(Session(), get_settings(), "encola@here", slots=1)
    lease.register()
    begun, waiting = alone.send("quick", count=2)
    claim = run(alone.client, alone.verbs.claim(lease.worker_id, 2, ["encola"]))
    for message in claim.messages:
        lease.hold(message.id, message.token)
    run(alone.client, alone.verbs.start(begun, 1))
    monkeypatch.setattr(lease_module, "STALE_SECONDS", -1.0)
    lease.tick()

    assert [begun] == list(lease.held)
    assert [waiting.encode()] == alone.client.lrange("encola", 0, -1)


def test_what_a_claim_brings_is_not_given_back_before_it_arrives(alone: Bench) -> None:
    """A renewal comes between the claim and the reading of its answer; a lost answer is missed later."""
    lease = Lease(Session(), get_settings(), "encola@here", slots=1)
    lease.register()
    (task_id,) = alone.send("quick")
    run(alone.client, alone.verbs.claim(lease.worker_id, 1, ["encola"]))
    lease.is_claiming = True
    lease.renew()
    assert "leased" == getattr(alone.record(task_id), "place", None)
    lease.is_claiming = False
    lease.renew()

    assert "ready" == getattr(alone.record(task_id), "place", None)


def test_what_could_not_be_given_back_is_given_back_when_the_store_answers(
    alone: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection broke, and the store with it: a slot would be taken for ever by what nobody runs."""
    lease = Lease(Session(), get_settings(), "encola@here", slots=1)
    lease.register()
    (task_id,) = alone.send("quick")
    [message] = run(alone.client, alone.verbs.claim(lease.worker_id, 1, ["encola"])).messages
    lease.hold(message.id, message.token)

    def away(call: object) -> None:
        raise StoreUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(lease.session, "run", away)
        lease.release_unstarted()
    assert [task_id] == list(lease.held)
    lease.renew()

    assert {} == lease.held
    assert "ready" == getattr(alone.record(task_id), "place", None)


def test_of_a_large_claim_the_children_get_the_first_before_the_last_is_read() -> None:
    """A few at a time; what was given back in between is not delivered any more, and one that fails stops no other."""
    lease = Lease(SimpleNamespace(), get_settings(), "encola@here", slots=1)  # type: ignore[arg-type]
    turns: list[Callable[[], None]] = []
    lease.later = lambda seconds, call: turns.append(call)
    claimed = [Claimed(str(n), 1, "encola", 0, 0, b"") for n in range(2 * PORTION + 1)]
    delivered: list[str] = []

    def deliver(message: Claimed) -> None:
        if message.id == "1":
            raise StoreUnavailable
        delivered.append(message.id)

    channel = SimpleNamespace(lease=lease, _undelivered=deque(claimed), _deliver=deliver)
    channel.active_queues = {"encola"}
    channel._deliver_portion = lambda: Channel._deliver_portion(channel)  # type: ignore[arg-type]
    for message in claimed:
        lease.hold(message.id, message.token)
    with pytest.raises(StoreUnavailable):
        channel._deliver_portion()
    assert ["0"] == delivered
    lease.drop("2", 1)
    lease.hold("3", 2)
    turns.pop()()
    assert [str(n) for n in (0, *range(4, PORTION + 2))] == delivered
    while turns:
        turns.pop()()

    assert [str(n) for n in (0, *range(4, 2 * PORTION + 1))] == delivered


@pytest.mark.parametrize(
    ("ended_a_second", "held", "claims"),
    [(0, 3, True), (0, 4, False), (500, 40, True), (500, 80, False), (500, 3, True)],
)
def test_a_worker_claims_where_a_slot_is_free_or_half_of_what_it_may_hold(
    alone: Bench, ended_a_second: int, held: int, claims: bool
) -> None:
    """While tasks are long a free slot waits for no other; while they are short one claim brings many."""
    lease = Lease(Session(), get_settings(), "encola@here", slots=4)
    lease.rate = ended_a_second
    for number in range(held):
        lease.hold(str(number), 1)

    assert claims is lease.is_hungry


def test_a_worker_that_was_forgotten_drains_on(alone: Bench) -> None:
    """It stood still beyond its lease: what it was told holds when it is back."""
    lease = Lease(Session(), get_settings(), "encola@here", slots=1)
    lease.register()
    run(alone.client, alone.verbs.drain(lease.worker_id, on=True))
    lease.renew()
    run(alone.client, alone.verbs.leave(lease.worker_id))
    lease.renew()
    lease.renew()

    assert lease.is_draining
    assert run(alone.client, alone.verbs.claim(lease.worker_id, 1, ["encola"])).drains


def test_a_channel_that_has_lost_its_connection_gives_back_without_one() -> None:
    """It is closed once more after a failed reconnection: the worker ended there."""

    def ask(client: Any) -> Any:
        raise AssertionError("there is no connection")

    given_back: list[bool] = []
    lease = SimpleNamespace(release_unstarted=lambda: given_back.append(True))
    qos = QoS(SimpleNamespace(lease=lease, conn_or_acquire=ask))
    qos._on_collect.cancel()
    qos._delivered[make_tag("a", 1)] = None
    qos.restore_unacked()

    assert [True] == given_back
    assert {} == dict(qos._delivered)
