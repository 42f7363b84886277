"""Children that have their next short task waiting: faster, and nothing else is different."""

from __future__ import annotations

import os
import pickle
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uuid_utils
from billiard.connection import Pipe
from kombu.asynchronous.hub import Hub

from encola.engine.adding_once import AddingOnce
from encola.engine.pool import WORDS, AsynPool, Loads, Outbox
from encola.engine.session import Session, Unsent, current_session
from encola.engine.steps import FORGET_SECONDS, LeaseStep
from encola.errors import StoreError
from encola.record import TaskState
from encola.store import Message, NewTask, Settled, Start, encode_body
from encola.tasklog import current_task_log
from harness import Bench
from support import wait_until

LIMIT = 30


def states(bench: Bench, ids: list[str]) -> set[TaskState]:
    records = [bench.record(task_id) for task_id in ids]
    return {record.state for record in records if record is not None}


def test_a_child_is_busy_when_it_has_as_many_jobs_as_it_may() -> None:
    """One while tasks are long; Celery's pool asks for membership and length."""
    loads = Loads()
    loads.add(7)
    assert (True, 1) == (7 in loads, len(loads))

    loads.most = lambda: 2
    assert (False, 0) == (7 in loads, len(loads))

    loads.add(7)
    assert (True, 1) == (7 in loads, len(loads))

    loads.end(7)
    loads.end(7)
    loads.end(7)
    loads.most = lambda: 1
    assert (False, 0) == (7 in loads, len(loads))


def test_a_child_that_is_gone_has_no_jobs() -> None:
    loads = Loads()
    for pipe in (7, 7, 8, 8):
        loads.add(pipe)
    loads.discard(7)
    assert (False, True) == (7 in loads, 8 in loads)

    loads.intersection_update({9})
    assert False is (8 in loads)


def test_the_parent_hears_of_an_end_after_the_store() -> None:
    """Told before, it would let go of a task whose outcome nobody has yet."""

    class Session:
        unsent: Unsent | None = None

    class Queue:
        words: list[Any] = []  # noqa: RUF012 - one queue, one test

        def send_payload(self, payload: bytes) -> None:
            self.words.append(pickle.loads(payload))  # noqa: S301 - our own

    session, queue = Session(), Queue()
    outbox = Outbox(queue, session)  # type: ignore[arg-type]  # all it asks of a session
    session.unsent = Unsent(None, print)  # type: ignore[arg-type]  # what it holds is not looked at
    outbox.put((1, "the end of one"))
    outbox.put((0, "the start of the next"))
    assert [] == queue.words

    session.unsent = None
    outbox.flush()
    assert [(WORDS, [(1, "the end of one"), (0, "the start of the next")])] == queue.words


def test_an_outcome_goes_out_with_the_next_start_and_each_has_its_answer(bench: Bench) -> None:
    """Also where the server breaks the other call off: the outcome is written, and counted."""
    session, reported = Session(), list[Any]()
    message = Message("t", encode_body([])).encode()
    ids = [str(uuid_utils.uuid7()) for _ in range(2)]
    tasks = [NewTask(task_id, message, "apart", "t") for task_id in ids]
    session.run(session.verbs.heartbeat("apart/1", 60_000, register=True))
    session.run(session.verbs.enqueue(tasks, 100))
    session.run(session.verbs.claim("apart/1", 2, ["apart"]))
    session.run(session.verbs.start(ids[0], 1))
    session.is_next_waiting = lambda: True

    session.insist_later(session.verbs.settle(ids[0], 1, "SUCCESS", b"1"), reported.append)
    assert [] == reported
    assert Start.STARTED is session.insist(session.verbs.start(ids[1], 1))
    assert [Settled.WRITTEN] == reported

    session.insist_later(session.verbs.settle(ids[1], 1, "SUCCESS", b"2"), reported.append)
    bench.client.set(bench.keys.chord("broken"), "no chord")
    with pytest.raises(StoreError, match="wrong kind"):
        session.insist(session.verbs.chord("broken", "0", b"1", 2, 60_000))
    assert [Settled.WRITTEN] * 2 == reported
    counts = bench.client.hgetall(bench.keys.named("counts"))
    assert b"2" == counts[b"t\x1fapart\x1fSUCCESS"]


@pytest.mark.parametrize("exitcode", [None, 0, -signal.SIGKILL])
def test_a_child_whose_pipe_is_closed_has_nothing_more_to_say(exitcode: int | None) -> None:
    """Celery closes it as soon as the other end goes, which may be before the child is waited for."""
    pool, (reader, _) = AsynPool.__new__(AsynPool), Pipe(duplex=False)
    reader.close()

    pool.process_flush_queues(
        SimpleNamespace(exitcode=exitcode, outq=SimpleNamespace(_reader=reader))
    )


def test_the_limits_of_ended_tasks_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kombu would keep each one for its half hour; those of running tasks stay, in their order."""
    monkeypatch.setattr("encola.engine.steps.FORGET_SECONDS", 0.001)
    hub = Hub()
    nothing = lambda: None  # noqa: E731 - a name for the lines below
    settings = SimpleNamespace(heartbeat_seconds=60)
    lease = SimpleNamespace(
        settings=settings, sweep_seconds=60, renew=nothing, tick=nothing, sweep=nothing
    )
    worker = SimpleNamespace(
        encola_lease=lease, encola_folder=SimpleNamespace(look=nothing), pool=None
    )
    LeaseStep.register_with_event_loop(LeaseStep.__new__(LeaseStep), worker, hub)
    ours = len(hub.timer)
    limits = [hub.call_later(1800 - n, nothing) for n in range(100)]
    for limit in limits[:98]:
        limit.cancel()

    wait_until(
        lambda: hub.fire_timers() is not None and len(hub.timer) <= ours + 2,
        description=f"the cancelled ones are gone (every {FORGET_SECONDS:g} s outside of tests)",
    )
    left = [event.entry for event in sorted(hub.timer._queue) if event.entry in limits]
    assert [limits[99], limits[98]] == left
    hub.close()


def test_a_socket_that_is_watched_is_not_added_again() -> None:
    """One whose reader was taken away, or is another, is."""
    added: list[int] = []
    loop = SimpleNamespace(readers={}, add_reader=lambda fd, *_: added.append(fd))
    once = AddingOnce(loop)
    once.add_reader(3, print, 3)
    loop.readers[3] = (print, (3,))
    once.add_reader(3, print, 3)
    assert [3] == added

    once.add_reader(3, repr, 3)
    del loop.readers[3]
    once.add_reader(3, print, 3)
    assert [3, 3, 3] == added


def test_a_forked_process_has_a_session_and_a_log_of_its_own(bench: Bench) -> None:
    """On the parent's connection one would read the other's replies."""
    parents = current_session(), current_task_log()
    child = os.fork()
    if not child:
        own = current_session(), current_task_log()
        os._exit(any(mine is parent for mine, parent in zip(own, parents, strict=True)))

    _, status = os.waitpid(child, 0)
    assert 0 == os.waitstatus_to_exitcode(status)
    assert parents == (current_session(), current_task_log())


@pytest.fixture(scope="module")
def busy(bench: Bench, tasks: Any) -> list[str]:
    """A few hundred short tasks: from here on the pool knows that tasks are short."""
    return [tasks.add.delay(n, 1).id for n in range(400)]


def test_no_outcome_waits_for_the_end_of_a_long_task(
    bench: Bench, tasks: Any, busy: list[str], tmp_path: Path
) -> None:
    """
    Short ones, then two that hold both children, then short ones again.

    Those before have their outcome while the long ones run, though it may have gone
    out with the start of a long one; those behind run as soon as there is a child.
    """
    gate = tmp_path / "gate"
    before = [tasks.add.delay(n, 1).id for n in range(100)]
    long = [tasks.wait_for.delay(str(gate)).id for _ in range(2)]
    behind = [tasks.add.delay(n, 1).id for n in range(20)]

    wait_until(
        lambda: states(bench, busy + before) == {TaskState.SUCCESS},
        description="all short tasks before the long ones have their outcome",
        timeout=LIMIT,
    )
    wait_until(
        lambda: states(bench, long) == {TaskState.STARTED},
        description="the long ones run",
        timeout=LIMIT,
    )
    gate.touch()
    bench.wait_finished(LIMIT, behind + long)
    assert {TaskState.SUCCESS} == states(bench, behind + long)


def test_a_short_task_does_not_wait_behind_a_long_one_while_a_child_is_idle(
    bench: Bench, tasks: Any, busy: list[str], tmp_path: Path
) -> None:
    """One that was sent to the wrong child is given back, and another child runs it."""
    gate = tmp_path / "gate"
    long = tasks.wait_for.delay(str(gate)).id
    short = [tasks.add.delay(n, 1).id for n in range(50)]

    try:
        wait_until(
            lambda: states(bench, short) == {TaskState.SUCCESS},
            description="all short tasks run while the long one does",
            timeout=LIMIT,
        )
        assert {TaskState.STARTED} == states(bench, [long])
    finally:
        gate.touch()
    bench.wait_finished(LIMIT, [long])
    attempts = [len(record.attempts) for task_id in short if (record := bench.record(task_id))]
    assert {1} == set(attempts)
