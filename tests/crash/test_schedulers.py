"""
Three schedulers, and one of them SIGKILLed at each of its steps.

Each (schedule, time) is enqueued once and runs once: the records, the ledger that the runs
left outside the store, and the store's own count of missed times are joined.
"""

from __future__ import annotations

import datetime as dt
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from encola.record import TaskRecord, TaskState
from encola.store import run
from encola.store.schedule_verbs import ScheduleVerbs
from harness import Bench, check
from support import wait_until

INTERVALS = {"tick": dt.timedelta(seconds=1), "tick:slow": dt.timedelta(seconds=2)}
STEPS = ("declare", "forget", "due", "fire")
PROGRAM = Path(__file__).parent / "doomed_beat.py"


class Beats:
    """Real schedulers on one store."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.processes: list[subprocess.Popen[bytes]] = []
        bench.extra_env["ENCOLA_TASK_MODULES"] = "scheduled_tasks"

    def start(
        self, step: str = "never", when: str = "before", nth: int = 1
    ) -> subprocess.Popen[bytes]:
        with (self.bench.folder / f"beat-{len(self.processes)}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, str(PROGRAM), step, when, str(nth)],
                env=self.bench.env(),
                cwd=self.bench.folder,
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait(20)

    # --- what came of it ----------------------------------------------------------

    def records(self) -> list[TaskRecord]:
        names = self.bench.client.keys(self.bench.keys.record("*"))
        ids = [name.decode().rpartition(":")[2] for name in cast("list[bytes]", names)]
        return [record for one in ids if (record := self.bench.record(one)) is not None]

    def times(self) -> dict[str, list[dt.datetime]]:
        """Schedule -> the times for which a task was enqueued."""
        found: dict[str, list[dt.datetime]] = defaultdict(list)
        for record in self.records():
            assert record.source == "schedule"
            assert record.schedule_id
            found[record.schedule_id].append(time_of(record))
        return {name: sorted(times) for name, times in found.items()}

    def first_due(self, schedule_id: str) -> dt.datetime:
        """When it was new."""
        lines = (self.bench.folder / "first-due.txt").read_text().splitlines()
        [ms] = [line.rpartition(" ")[2] for line in lines if line.startswith(schedule_id + " ")]
        return dt.datetime.fromtimestamp(int(ms) / 1000, dt.UTC)

    def missed(self, schedule_id: str) -> int:
        key = self.bench.keys.schedule(schedule_id)
        return int(cast("bytes | None", self.bench.client.hget(key, "mi")) or 0)

    def wait_fired(self, count: int) -> None:
        before = len(self.records())
        wait_until(
            lambda: len(self.records()) >= before + count,
            description=f"{count} more runs are enqueued",
            timeout=60,
        )


def time_of(record: TaskRecord) -> dt.datetime:
    """The time that a scheduled task runs for: the first six bytes of its id."""
    ms = int(record.id.replace("-", "")[:12], 16)
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC)


@pytest.fixture
def beats(bench: Bench) -> Iterator[Beats]:
    made = Beats(bench)
    yield made
    made.close()


def accounted_for(beats: Beats) -> list[str]:
    """What is wrong: a time that was enqueued twice, or neither enqueued nor counted as missed."""
    wrong = []
    for name, times in beats.times().items():
        twice = [time for time, count in Counter(times).items() if count > 1]
        if twice:
            wrong.append(f"{name}: enqueued twice for {twice}")
        passed = round((times[-1] - beats.first_due(name)) / INTERVALS[name]) + 1
        if len(times) + beats.missed(name) != passed:
            wrong.append(
                f"{name}: {passed} times passed, {len(times)} were enqueued, "
                f"{beats.missed(name)} counted as missed"
            )
    return wrong


def test_one_of_three_schedulers_killed_at_each_step(beats: Beats) -> None:
    """
    Two are well; a third dies before or after each kind of call, and another takes its place.

    While two live nothing is missed for longer than a machine may stall.
    """
    bench = beats.bench
    bench.worker().wait_ready()
    for _ in range(2):
        beats.start()
    beats.wait_fired(2)
    for step in STEPS:
        for when in ("before", "after"):
            doomed = beats.start(step, when, 3 if step in ("due", "fire") else 1)
            assert doomed.wait(60) == -signal.SIGKILL, (step, when)
            beats.wait_fired(1)
    beats.close()
    ids = [record.id for record in beats.records()]
    bench.wait_finished(60, ids)

    assert len(ids) > 10
    assert [] == accounted_for(beats)
    assert [] == check(bench, ids)
    assert {TaskState.SUCCESS} == {record.state for record in beats.records()}
    starts = Counter(row["id"] for row in bench.ledger.rows() if row["what"] == "start")
    assert {1} == set(starts.values())
    assert set(ids) == set(starts)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_the_only_scheduler_killed_at_a_step(beats: Beats, step: str, when: str) -> None:
    """Nobody else was there: the next one goes on where the store stands."""
    doomed = beats.start(step, when, 3 if step in ("due", "fire") else 1)
    assert doomed.wait(60) == -signal.SIGKILL
    after_the_kill = len(beats.records())
    if step == "fire":
        assert after_the_kill == (3 if when == "after" else 2)
    beats.start()
    beats.wait_fired(3)
    beats.close()

    assert [] == accounted_for(beats)


def test_a_scheduler_that_stood_still_does_nothing_twice(beats: Beats) -> None:
    """SIGSTOP of one while another goes on; what it had worked out by then is out of date."""
    stopped, other = beats.start(), beats.start()
    beats.wait_fired(3)
    for _ in range(5):
        stopped.send_signal(signal.SIGSTOP)
        beats.wait_fired(2)
        stopped.send_signal(signal.SIGCONT)
        stopped, other = other, stopped
    beats.close()

    assert [] == accounted_for(beats)


def test_a_pause_survives_the_restart_of_everything(beats: Beats) -> None:
    """Schedulers and server killed; afterwards the paused one stays silent and the other goes on."""
    bench = beats.bench
    beats.start()
    beats.wait_fired(2)

    now = dt.datetime.now(dt.UTC)
    run(bench.client, ScheduleVerbs(bench.verbs).pause("tick", on=True, next_at=now))
    # The append-only file is written to the disk's cache at once, which a kill does not touch.
    beats.close()
    bench.server.kill()
    bench.server.start()
    before = Counter({name: len(times) for name, times in beats.times().items()})
    beats.start()
    beats.wait_fired(2)
    after = Counter({name: len(times) for name, times in beats.times().items()})

    assert {"tick:slow"} == set(after - before)
    assert bench.client.hexists(bench.keys.schedule("tick"), "pa")
