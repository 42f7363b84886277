"""
Processes are killed at the worst moment; a ledger outside the store tells what happened.

Leases are short (2 s) but for one test at the defaults. Each run that is about
cut-off attempts shows at least twenty of them in its ledger.
"""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress

import pytest

from encola.record import TaskState
from harness import Bench, check, until
from support import wait_until

CUT = 20
#: Attempts that run at the moment look cut off and may yet end: at most so many.
RUNNING = 8


def kill_until_cut(
    bench: Bench, kill: object, *, wanted: int = CUT + RUNNING, timeout: float = 60
) -> None:
    """Calls *kill* at random moments until *wanted* attempts were cut between start and end."""
    assert callable(kill)
    rng = random.Random(36)
    deadline = time.monotonic() + timeout
    while bench.ledger.cut() < wanted and time.monotonic() < deadline:
        until(time.monotonic() + rng.uniform(0.05, 0.3))
        kill()


def test_killed_children_lose_nothing(bench: Bench) -> None:
    """SIGKILL of children in the middle of tasks: each task is run again, and ends once."""
    worker = bench.worker().wait_ready()
    bench.send("work", 0.4, count=70)
    rng = random.Random(1)

    def kill_a_child() -> None:
        children = worker.children()
        if children:
            with suppress(ProcessLookupError):
                os.kill(rng.choice(children), signal.SIGKILL)

    kill_until_cut(bench, kill_a_child)
    bench.wait_finished(90)

    assert bench.ledger.cut() >= CUT
    assert [] == check(bench)


def test_killed_workers_lose_nothing(bench: Bench) -> None:
    """SIGKILL of whole workers with leased messages: others rescue what they held."""
    bench.send("work", 0.5, count=400)
    first = bench.worker(concurrency=4).wait_ready()
    second = bench.worker(concurrency=4).wait_ready()
    current = [first, second]

    def kill_a_worker() -> None:
        victim = current.pop(0)
        started = len(bench.ledger.started())
        with suppress(AssertionError):
            wait_until(
                lambda: len(bench.ledger.started()) > started, description="it works", timeout=5
            )
        victim.kill()
        current.append(bench.worker(concurrency=4).wait_ready())

    kill_until_cut(bench, kill_a_worker, timeout=120)
    bench.wait_finished(90)

    assert bench.ledger.cut() >= CUT
    assert [] == check(bench)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_told_to_stop_lets_running_tasks_end(
    bench: Bench, number: signal.Signals
) -> None:
    """Ctrl-C too ends with 0: the worker has done what it was told."""
    worker = bench.worker().wait_ready()
    (task_id,) = bench.send("work", 1)
    wait_until(lambda: bench.ledger.started(), description="it runs")
    worker.process.send_signal(number)

    assert 0 == worker.process.wait(30), worker.log()
    record = bench.record(task_id)
    assert record is not None
    assert TaskState.SUCCESS == record.state


def test_a_worker_that_is_told_to_stop_among_many_short_tasks_does_so(bench: Bench) -> None:
    """Its children have many waiting; none of them waits half a minute for words that nobody reads."""
    bench.lease = 30.0
    bench.send("work", 0.0, count=4000)
    worker = bench.worker().wait_ready()
    wait_until(lambda: len(bench.ledger.started()) > 300, description="it is at work")
    worker.process.terminate()

    assert 0 == worker.process.wait(15), worker.log()
    assert {"PENDING", "SUCCESS"} == set(bench.states())
    assert "No consumers" not in worker.log()
    bench.worker().wait_ready()
    bench.wait_finished(60)
    assert [] == check(bench)


@pytest.mark.parametrize(
    "signals",
    [[signal.SIGQUIT], [signal.SIGTERM, signal.SIGQUIT], [signal.SIGINT, signal.SIGINT]],
)
def test_a_worker_that_is_told_to_stop_at_once_gives_back_what_it_runs(
    bench: Bench, signals: list[signal.Signals]
) -> None:
    """Not a crash: however often it is stopped so, no task is parked, and none waits for the end of its lease."""
    worker = bench.worker().wait_ready()
    (task_id,) = bench.send("work", 30)
    wait_until(lambda: bench.ledger.started(), description="it runs")
    for each in signals:
        seen = len(worker.log())
        worker.process.send_signal(each)
        wait_until(
            lambda seen=seen: len(worker.log()) > seen,  # type: ignore[misc]
            description="it has heard it: of two alike at once the second is lost",
        )
    assert 130 == worker.process.wait(20), worker.log()
    record = bench.record(task_id)

    assert record is not None
    assert (TaskState.PENDING, 0, ["released"]) == (
        record.state,
        record.crashes,
        [attempt.outcome for attempt in record.attempts],
    )


def test_a_worker_stopped_beyond_its_lease_is_fenced(bench: Bench) -> None:
    """
    SIGSTOP of a worker and its children for longer than the lease, then SIGCONT.

    Its tasks have been rescued by then; what it still writes is refused.
    """
    stopped = bench.worker().wait_ready()
    ids = bench.send("work", 1.0, count=2)
    wait_until(lambda: len(bench.ledger.started()) == 2, description="both have started")
    stopped.signal_group(signal.SIGSTOP)
    bench.worker().wait_ready()
    bench.wait_finished(30, ids)
    stopped.signal_group(signal.SIGCONT)

    assert [] == check(bench)
    # It ends itself, with the code that asks for another.
    assert 75 == stopped.process.wait(15)
    assert [] == check(bench)


def test_a_task_of_many_leases_is_delivered_once(bench: Bench) -> None:
    """It runs five times as long as a lease, beside a worker that would take it over."""
    bench.worker(concurrency=1).wait_ready()
    bench.worker(concurrency=1).wait_ready()
    (task_id,) = bench.send("work", 5 * bench.lease)
    bench.wait_finished(40)

    assert ["start", "effect", "end"] == [row["what"] for row in bench.ledger.rows()]
    record = bench.record(task_id)
    assert record is not None
    assert (0, 1) == (record.crashes, len(record.attempts))


def test_valkey_killed_and_restarted_loses_nothing(bench: Bench) -> None:
    """SIGKILL of the server, five times: the append-only file has all that was accepted."""
    bench.lease = 10.0
    worker = bench.worker().wait_ready()
    bench.send("work", 0.05, count=200)
    for _ in range(5):
        until(time.monotonic() + 0.4)
        bench.server.kill()
        bench.server.start()
        bench.send("work", 0.05, count=20)
    bench.wait_finished(60)

    assert [] == check(bench)
    assert "Error on restarting" not in worker.log()


def test_a_valkey_that_stood_still_costs_nobody_a_lease(bench: Bench) -> None:
    """
    The server is stopped for a lease and a half.

    The worker fences itself; when the server goes on, nobody is rescued before
    every worker had a full lease to come back, and nothing is lost.
    """
    worker = bench.worker().wait_ready()
    bench.send("work", 0.5, count=10)
    wait_until(lambda: bench.ledger.started(), description="one has started")
    bench.server.kill(signal.SIGSTOP)
    # The client's own limit is 5 s; the lease of 2 s has passed long before.
    assert 75 == worker.process.wait(20)
    bench.server.kill(signal.SIGCONT)
    bench.worker().wait_ready()
    bench.wait_finished(40)

    assert [] == check(bench)


@pytest.mark.slow
def test_recovery_takes_less_than_forty_seconds_at_the_default_settings(bench: Bench) -> None:
    """At a lease of 30 s, a killed worker's task runs elsewhere within 40 s."""
    bench.lease = 30.0
    workers = [bench.worker(concurrency=1).wait_ready() for _ in range(2)]
    (task_id,) = bench.send("work", 3.0)
    wait_until(lambda: bench.ledger.started(), description="it has started")
    [row] = bench.ledger.rows()
    [doomed] = [worker for worker in workers if row["pid"] in worker.children()]
    doomed.kill()
    killed_at = time.monotonic()

    def started_again() -> bool:
        return len([r for r in bench.ledger.rows() if r["what"] == "start"]) == 2

    wait_until(started_again, description="another worker has started it", timeout=40)

    assert time.monotonic() - killed_at < 40
    bench.wait_finished(20, [task_id])
    assert [] == check(bench)
