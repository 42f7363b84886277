"""What `encola doctor` says of records and places: nothing where all is well, and each kind of fault by name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from encola.store import Message, NewTask, connect, encode_body, run
from encola.store.consistency import Comparison, compare
from support import Server, Store

WORKER = "encola@here/1"
MESSAGE = Message("tests.work", encode_body([])).encode()


@pytest.fixture
def lively(store: Store) -> Store:
    """One task in each place, and some that have ended."""
    run(store.client, store.verbs.heartbeat(WORKER, 60_000, info="{}", register=True))
    add(store, "leased", "started", "dead", "done", "retried")
    claimed = {
        m.id: m.token for m in run(store.client, store.verbs.claim(WORKER, 9, ["q"])).messages
    }
    for task_id in ("started", "dead", "done", "retried"):
        run(store.client, store.verbs.start(task_id, claimed[task_id]))
    run(store.client, store.verbs.settle("done", claimed["done"], "SUCCESS", b"1"))
    error = b'{"type": "E"}'
    retried = store.verbs.settle("retried", claimed["retried"], "RETRY", error, due_ms=4 * 10**12)
    run(store.client, retried)
    for _ in range(3):
        run(store.client, store.verbs.release([("dead", claimed["dead"])], crashed=True))
        (message,) = run(store.client, store.verbs.claim(WORKER, 1, ["q"])).messages or [None]
        if message:
            claimed["dead"] = message.token
            run(store.client, store.verbs.start("dead", message.token))
    run(store.client, store.verbs.pause_type("other", on=True))
    tasks = [NewTask("held", MESSAGE, "q", "other")]
    run(store.client, store.verbs.enqueue(tasks, 10**6))
    run(store.client, store.verbs.claim(WORKER, 1, ["q"]))
    add(store, "ready")
    add(store, "delayed", due_ms=4 * 10**12)
    return store


def add(store: Store, *ids: str, queue: str = "q", **more: Any) -> None:
    tasks = [NewTask(task_id, MESSAGE, queue, "work", **more) for task_id in ids]
    run(store.client, store.verbs.enqueue(tasks, 10**6))


def compared(store: Store) -> Comparison:
    return compare(store.client, store.keys, ["q"])


def told(store: Store) -> dict[str, str]:
    return {found.task_id: found.reason for found in compared(store).disagreements}


def test_where_all_is_well_nothing_is_told(lively: Store) -> None:
    """Every place has something in it, and every unfinished task is counted."""
    found = compared(lively)
    places = {lively.client.hget(lively.keys.record(i), "pl") for i in ("ready", "dead", "held")}

    assert {b"ready", b"dead", b"held"} == places
    assert ([], [], 0, 0) == (
        found.disagreements,
        found.miscounts,
        found.leftovers,
        found.unchecked,
    )
    assert (6, 7) == (found.records, found.entries)


def test_an_empty_store_is_well(store: Store) -> None:
    assert Comparison() == compared(store)


def test_a_queue_that_no_setting_names_is_looked_through_too(lively: Store) -> None:
    """It is found by what waits on it."""
    add(lively, *(f"x{n}" for n in range(2500)), queue="other")

    assert {} == told(lively)
    lively.client.lrem(lively.keys.ready("other"), 1, "x77")
    assert {"x77": "should be ready, and is not there"} == told(lively)


Break = Callable[[Store], Any]


@pytest.mark.parametrize(
    ("task_id", "do", "reason"),
    [
        ("ready", lambda s: s.client.delete("q"), "should be ready, and is not there"),
        (
            "delayed",
            lambda s: s.client.zrem(s.keys.named("delayed"), "delayed"),
            "should be delayed, and is not there",
        ),
        (
            "held",
            lambda s: s.client.delete(s.keys.held("other", "q")),
            "should be held, and is not there",
        ),
        (
            "leased",
            lambda s: s.client.srem(s.keys.leased(WORKER), "leased"),
            "should be leased, and is not there",
        ),
        (
            "gone",
            lambda s: s.client.zadd(s.keys.named("delayed"), {"gone": 1}),
            "is delayed, and has no record",
        ),
        (
            "gone",
            lambda s: s.client.sadd(s.keys.leased(WORKER), "gone"),
            f"is leased to {WORKER}, and has no record",
        ),
        (
            "done",
            lambda s: s.client.zadd(s.keys.named("dead"), {"done": 1}),
            "is dead, and its record says in no place",
        ),
        (
            "ready",
            lambda s: s.client.sadd(s.keys.leased(WORKER), "ready"),
            f"is leased to {WORKER}, and its record says nobody",
        ),
        (
            "ready",
            lambda s: s.client.zadd(s.keys.named("delayed"), {"ready": 1}),
            "is delayed, and its record says ready",
        ),
        (
            "ready",
            lambda s: s.client.hset(s.keys.record("ready"), "st", "STARTED"),
            "is STARTED, and the index of that state does not have it",
        ),
        (
            "started",
            lambda s: s.client.hdel(s.keys.record("started"), "sa"),
            "is STARTED, which a task that is leased cannot be",
        ),
        (
            "retried",
            lambda s: s.client.hdel(s.keys.record("retried"), "pl"),
            "is delayed, and its record says in no place",
        ),
    ],
)
def test_each_kind_of_fault_is_told_by_name(
    lively: Store, task_id: str, do: Break, reason: str
) -> None:
    """And no other task is suspected for it."""
    do(lively)

    assert {task_id: reason} == told(lively)


def test_counters_that_do_not_add_up_are_told(lively: Store) -> None:
    """By state, with both numbers."""
    lively.client.hincrby(lively.keys.named("counts"), "work\x1fq\x1fSUCCESS", 2)

    assert ["SUCCESS: 3 are counted, 1 are there"] == compared(lively).miscounts


def test_a_lease_of_an_unknown_worker_is_told(lively: Store) -> None:
    """Nobody would ever rescue it."""
    lively.client.zrem(lively.keys.named("workers"), WORKER)
    reason = f"is leased to {WORKER}, which the store does not know"

    assert {"leased": reason, "started": reason} == told(lively)


def test_what_stays_behind_in_a_long_list_is_no_fault(store: Store) -> None:
    """A task that is cancelled in a list of more than ten thousand; claims skip it."""
    ids = [f"x{n}" for n in range(10_050)]
    for start in range(0, len(ids), 500):
        add(store, *ids[start : start + 500])
    run(store.client, store.verbs.cancel("x5"))
    found = compared(store)

    assert ([], 1) == (found.disagreements, found.leftovers)


def test_progress_is_told_as_it_goes(lively: Store) -> None:
    """Up to all of what was counted at the start."""
    add(lively, *(f"x{n}" for n in range(2500)))
    steps: list[tuple[int, int]] = []
    compare(lively.client, lively.keys, ["q"], lambda done, total: steps.append((done, total)))

    assert sorted(steps) == steps
    assert len(steps) > 3
    assert (5013, 5013) == steps[-1]


def test_tasks_that_move_meanwhile_are_not_suspected_for_it(server: Server, store: Store) -> None:
    """Hundreds are accepted, claimed, settled and retried while it looks, again and again."""
    stop = threading.Event()
    moved = [0]
    thread = threading.Thread(target=churn, args=(server.url, store, stop, moved))
    thread.start()
    looks: list[Comparison] = []
    try:
        while moved[0] < 1000 or len(looks) < 10:
            looks.append(compared(store))
    finally:
        stop.set()
        thread.join()

    assert [] == [wrong for look in looks for wrong in look.disagreements]
    assert 0 == sum(look.unchecked for look in looks)


def churn(url: str, store: Store, stop: threading.Event, moved: list[int]) -> None:
    """Takes tasks through every place, until it is stopped."""
    with connect(url) as client:
        busy, verbs = Store(client, store.verbs, store.keys), store.verbs
        run(client, verbs.heartbeat(WORKER, 60_000, info="{}", register=True))
        while not stop.is_set():
            add(busy, *(f"m{moved[0] + n}" for n in range(20)))
            moved[0] += 20
            for message in run(client, verbs.claim(WORKER, 15, ["q"])).messages:
                run(client, verbs.start(message.id, message.token))
                state = "RETRY" if message.token == 1 else "SUCCESS"
                run(client, verbs.settle(message.id, message.token, state, b"1", due_ms=0))
