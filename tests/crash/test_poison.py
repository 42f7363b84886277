"""Tasks that kill what runs them are parked, not looped; tasks that merely fail, fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from encola.record import TaskState
from harness import Bench, Server, check
from support import wait_until


@pytest.mark.parametrize("name", ["segfault", "segfault_before", "segfault_at_the_signal"])
def test_a_task_that_segfaults_is_parked_the_third_time(bench: Bench, name: str) -> None:
    """Three lost children, in the task or on the way to it: dead, with the reason, and the worker lives on."""
    worker = bench.worker().wait_ready()
    (poison,) = bench.send(name)
    bench.wait_finished(30, [poison])
    record = bench.record(poison)

    assert record is not None
    assert (TaskState.FAILURE, "worker_lost", True) == (
        record.state,
        record.error_code,
        record.is_dead,
    )
    assert 3 == len([row for row in bench.ledger.rows() if row["what"] == "start"])
    good = bench.send("work", count=20)
    bench.wait_finished(30, good)
    assert [] == check(bench, good)
    assert worker.process.poll() is None


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("out_of_memory", [], "out_of_memory"),
        ("recurse", [], "recursion"),
        ("leave", [3], "exited"),
    ],
)
def test_what_would_kill_a_stock_worker_is_a_failure_here(
    bench: Bench, name: str, arguments: list[int], code: str
) -> None:
    """MemoryError, RecursionError and SystemExit end the task at once, and nothing else."""
    worker = bench.worker().wait_ready()
    (task_id,) = bench.send(name, *arguments)
    bench.wait_finished(20, [task_id])
    record = bench.record(task_id)

    assert record is not None
    assert (TaskState.FAILURE, code, 1) == (record.state, record.error_code, len(record.attempts))
    assert worker.process.poll() is None


@pytest.fixture(params=["valkey", "redis"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """As ``bench``, and the same on Debian's Redis 7.0."""
    binary = "" if request.param == "valkey" else request.getfixturevalue("redis7_binary")
    (tmp_path / "server").mkdir()
    server = Server(tmp_path / "server", binary=binary)
    server.start()
    made = Bench(server, tmp_path)
    yield made
    made.close()


def test_a_full_server_refuses_new_work_and_finishes_the_old(either: Bench) -> None:
    """With no memory left the worker claims, runs and settles all that was accepted."""
    bench = either
    bench.send("work", 0.01, count=60)
    again = bench.send("again", 2, "retry", count=3) + bench.send("again", 2, "replace", count=3)
    chain = bench.send_chain(0.01, 0.01, 0.01)
    bench.client.config_set("maxmemory-policy", "noeviction")
    bench.client.config_set("maxmemory", "1")
    try:
        worker = bench.worker().wait_ready()
        bench.wait_finished(40)

        assert [] == check(bench)
        # Also those that asked to be run again, from inside of an attempt, while it was full.
        assert Counter(SUCCESS=6) == bench.states(again)
        # What follows a task was accepted with it.
        assert Counter(SUCCESS=3) == bench.states(chain)
        assert 18 == len(
            [r for r in bench.ledger.rows() if r["id"] in again and r["what"] == "start"]
        )
        assert worker.process.poll() is None
    finally:
        bench.client.config_set("maxmemory", "0")
    more = bench.send("work", count=5)
    wait_until(lambda: bench.all_finished(more), description="new work runs again", timeout=20)
