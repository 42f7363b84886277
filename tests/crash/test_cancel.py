"""A cancel holds in every state, and stops what runs within two seconds."""

from __future__ import annotations

import time

import pytest

from encola.errors import TaskFinished
from encola.record import TaskState
from encola.store import run
from harness import Bench
from support import wait_until


def cancel(bench: Bench, task_id: str) -> None:
    run(bench.client, bench.verbs.cancel(task_id))


def test_a_waiting_task_never_runs_once_cancelled(bench: Bench) -> None:
    """Cancelled with no worker up; a worker that starts later leaves it alone."""
    cancelled, kept = bench.send("work", count=2)
    cancel(bench, cancelled)
    bench.worker().wait_ready()
    bench.wait_finished(20)

    assert {kept} == bench.ledger.started()
    assert TaskState.REVOKED == getattr(bench.record(cancelled), "state", None)


def test_a_delayed_task_never_runs_once_cancelled(bench: Bench) -> None:
    (task_id,) = bench.send("work", due_ms=int(time.time() * 1000) + 1500)
    cancel(bench, task_id)
    bench.worker().wait_ready()
    (after,) = bench.send("work", due_ms=int(time.time() * 1000) + 2500)
    bench.wait_finished(20, [after])

    assert {after} == bench.ledger.started()


@pytest.mark.parametrize("name", ["work", "stubborn"])
def test_a_running_task_is_stopped_within_two_seconds(bench: Bench, name: str) -> None:
    """TERM, then KILL: the child is gone, though the task ignores SIGTERM, before a renewal tells of it."""
    bench.lease = 60.0
    bench.extra_env["ENCOLA_HEARTBEAT_SECONDS"] = "20"
    worker = bench.worker(concurrency=1).wait_ready()
    (task_id,) = bench.send(name, 60.0)
    wait_until(lambda: bench.ledger.started(), description="it runs")
    (row,) = bench.ledger.rows()
    cancel(bench, task_id)
    wait_until(lambda: row["pid"] not in worker.children(), description="its child is gone")

    (after,) = bench.send("work")
    bench.wait_finished(20, [after])
    assert TaskState.REVOKED == getattr(bench.record(task_id), "state", None)


def test_a_cancel_that_reached_nobody_is_found_by_the_next_renewal(bench: Bench) -> None:
    """The worker's inbox is lost on the way: the heartbeat still stops the task."""
    worker = bench.worker(concurrency=1).wait_ready()
    (task_id,) = bench.send("work", 60.0)
    wait_until(lambda: bench.ledger.started(), description="it runs")
    (row,) = bench.ledger.rows()
    record = bench.record(task_id)
    assert record is not None
    assert record.worker is not None
    # In one step with the cancel, so that the worker cannot have read it.
    pipeline = bench.client.pipeline()
    call = bench.verbs.cancel(task_id)
    pipeline.execute_command(*call.command)
    pipeline.delete(bench.keys.inbox(record.worker))
    pipeline.execute()
    wait_until(lambda: row["pid"] not in worker.children(), description="its child is gone")

    assert TaskState.REVOKED == getattr(bench.record(task_id), "state", None)


def test_a_finished_task_cannot_be_cancelled(bench: Bench) -> None:
    bench.worker().wait_ready()
    (task_id,) = bench.send("work")
    bench.wait_finished(20)

    with pytest.raises(TaskFinished):
        cancel(bench, task_id)


def test_a_cancelled_task_stays_cancelled_across_restarts(bench: Bench) -> None:
    """Server and worker are killed after the cancel; the task does not come back."""
    worker = bench.worker().wait_ready()
    (task_id,) = bench.send("work", 30.0)
    wait_until(lambda: bench.ledger.started(), description="it runs")
    cancel(bench, task_id)
    worker.kill()
    bench.server.kill()
    bench.server.start()
    bench.worker().wait_ready()
    (after,) = bench.send("work")
    bench.wait_finished(20, [after])

    assert TaskState.REVOKED == getattr(bench.record(task_id), "state", None)
    assert 1 == len([r for r in bench.ledger.rows() if r["id"] == task_id and r["what"] == "start"])
