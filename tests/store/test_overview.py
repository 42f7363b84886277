"""What `encola monitor` reads: counted against a store that was filled by the verbs themselves."""

from __future__ import annotations

import orjson
import pytest

from encola.record import TaskState
from encola.store import Message, NewTask, encode_body, run
from encola.store.overview import MINUTES, RUNNING_SHOWN, Overview, read_overview
from support import Store

WORKER = "encola@here/1"


@pytest.fixture
def filled(store: Store) -> Store:
    """A worker on the queue "encola", which has claimed nothing yet."""
    info = {"hostname": "encola@here", "pid": 7, "queues": ["encola"], "slots": 2, "held": 0}
    beat = store.verbs.heartbeat(WORKER, 30_000, info=orjson.dumps(info).decode(), register=True)
    run(store.client, beat)
    return store


def add(store: Store, task_id: str, queue: str = "encola", **more: object) -> None:
    message = Message("tests.work", encode_body([])).encode()
    task = NewTask(task_id, message, queue, "work", **more)  # type: ignore[arg-type]
    run(store.client, store.verbs.enqueue([task], 10**6))


def claim(store: Store, count: int = 1) -> list[tuple[str, int]]:
    claimed = run(store.client, store.verbs.claim(WORKER, count, ["encola"]))
    return [(message.id, message.token) for message in claimed.messages]


def start(store: Store, count: int = 1) -> list[tuple[str, int]]:
    held = claim(store, count)
    for task_id, token in held:
        run(store.client, store.verbs.start(task_id, token))
    return held


def overview(store: Store) -> Overview:
    return read_overview(store.client, store.keys, ["encola", "files"])


def test_an_empty_store_has_queues_of_the_settings_and_nothing_else(store: Store) -> None:
    """Nothing is made up where nothing is."""
    found = overview(store)

    assert ([], [], []) == (found.workers, found.running, found.failures)
    assert [("encola", 0, 0), ("files", 0, 0)] == [
        (queue.name, queue.ready, queue.workers) for queue in found.queues
    ]
    assert MINUTES == len(found.minutes)
    assert 0 == found.rate == sum(found.states.values())


def test_queues_show_what_waits_whoever_listens(filled: Store) -> None:
    """Of every priority, also on queues that no setting names; and since when the next one waits."""
    for number in range(4):
        add(filled, f"a{number}", priority=number * 3)
    add(filled, "forgotten", "nowhere")
    run(filled.client, filled.verbs.pause("files", on=True))
    queues = {queue.name: queue for queue in overview(filled).queues}

    assert {"encola", "files", "nowhere"} == set(queues)
    assert (4, 1, False) == (
        queues["encola"].ready,
        queues["encola"].workers,
        queues["encola"].is_paused,
    )
    assert (1, 0) == (queues["nowhere"].ready, queues["nowhere"].workers)
    assert (0, None, True) == (
        queues["files"].ready,
        queues["files"].waiting_seconds,
        queues["files"].is_paused,
    )
    assert queues["encola"].waiting_seconds is not None
    assert 0 <= queues["encola"].waiting_seconds < 60


def test_workers_and_what_they_run(filled: Store) -> None:
    """With the progress as it was reported; what is only claimed is held, and does not run."""
    for number in range(3):
        add(filled, f"a{number}")
    ((running, token),) = start(filled)
    claim(filled)
    progress = {"current": 3, "total": 12, "status": "rows"}
    run(filled.client, filled.verbs.progress(running, token, orjson.dumps(progress)))
    found = overview(filled)
    (worker,) = found.workers
    (task,) = found.running

    assert ("encola@here", 7, 2, 2) == (worker.hostname, worker.pid, worker.slots, worker.held)
    assert worker.is_alive
    assert not worker.is_in_process
    assert (running, "work", WORKER, 1) == (task.task_id, task.type, task.worker, task.attempt)
    assert progress == task.progress
    assert (1, 2) == (found.states[TaskState.PROCESSING], found.states[TaskState.PENDING])


def test_what_is_paused_held_and_delayed_is_told_apart(filled: Store) -> None:
    """And a worker that drains does not count as one that listens."""
    add(filled, "a")
    add(filled, "later", due_ms=4 * 10**12)
    run(filled.client, filled.verbs.pause_type("work", on=True))
    claim(filled)
    run(filled.client, filled.verbs.drain(WORKER, on=True))
    found = overview(filled)
    queue = next(queue for queue in found.queues if queue.name == "encola")

    assert (0, 1, 1, 0) == (queue.ready, queue.held, queue.delayed, queue.workers)
    assert ["work"] == found.paused_types
    assert found.workers[0].is_draining


def test_failures_are_the_latest_with_their_reason(filled: Store) -> None:
    """A long task that fails now comes before many that were accepted after it, and failed before."""
    add(filled, "long")
    ((long, token),) = start(filled)
    for number in range(30):
        add(filled, f"b{number}")
    error = orjson.dumps({"type": "ValueError", "message": "no price", "traceback": "x" * 9000})
    for task_id, other in start(filled, 30):
        run(filled.client, filled.verbs.settle(task_id, other, "FAILURE", error))
    settle = filled.verbs.settle(long, token, "FAILURE", error, error_code="bad_file")
    run(filled.client, settle)
    found = overview(filled)

    assert 20 == len(found.failures)
    assert ("long", "bad_file", "no price") == (
        found.failures[0].task_id,
        found.failures[0].error_code,
        found.failures[0].error,
    )
    assert (0, 31) == (found.minutes[-1].succeeded, sum(m.failed for m in found.minutes))
    assert 0 < found.rate <= 31 / 60


def test_what_runs_again_is_no_failure_any_more(filled: Store) -> None:
    """The event of its failure is still in the stream."""
    add(filled, "again")
    ((task_id, token),) = start(filled)
    run(filled.client, filled.verbs.settle(task_id, token, "FAILURE", b'{"type": "E"}'))
    run(filled.client, filled.verbs.retry(task_id))

    assert [] == overview(filled).failures


def test_a_worker_that_has_stopped_renewing_is_shown_as_lost(store: Store) -> None:
    """Until somebody sweeps it."""
    run(store.client, store.verbs.heartbeat(WORKER, -5_000, info="{}", register=True))
    (worker,) = overview(store).workers

    assert ("encola@here", False) == (worker.hostname, worker.is_alive)
    assert -10 < worker.lease_seconds <= -5


def test_no_more_is_read_than_is_shown(filled: Store) -> None:
    """However much runs."""
    for number in range(RUNNING_SHOWN + 10):
        add(filled, f"a{number}")
    start(filled, RUNNING_SHOWN + 10)
    found = overview(filled)

    assert RUNNING_SHOWN == len(found.running)
    assert RUNNING_SHOWN + 10 == found.states[TaskState.STARTED]
