"""The scheduler as a process: ``encola beat``, ``celery beat``, and ``celery worker -B``."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest

from encola.record import TaskState
from harness import Bench, Server
from support import wait_until

MODULE = """
from celery.schedules import crontab
from encola import RetryPolicy, TaskContext, every, task
from encola.engine import celery_app

@task(schedule=every(seconds=1), retry=RetryPolicy(first_delay=0.01, max_retries=1))
def declared(context: TaskContext, n: int = 1) -> str:
    if context.retries == 0:
        raise OSError("once")
    return context.scheduled_at.isoformat()

@celery_app.on_after_configure.connect
def add(sender, **_):
    # As Celery's documentation has it, of a task that is defined further down.
    sender.add_periodic_task(1.0, plain.s(1), name="added")

celery_app.conf.beat_schedule = {
    "entry": {"task": "beaten.plain", "schedule": 1, "args": (2,)},
    "yearly": {"task": "beaten.plain", "schedule": crontab(0, 0, day_of_month=1, month_of_year=1)},
}

@celery_app.task
def plain(a=0):
    return a
"""


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Bench]:
    """A server of its own, and a module with schedules of every kind."""
    (tmp_path / "valkey").mkdir()
    server = Server(tmp_path / "valkey", durable=False)
    server.start()
    made = Bench(server, tmp_path)
    (tmp_path / "beaten.py").write_text(MODULE)
    made.extra_env = {
        "ENCOLA_TASK_MODULES": "beaten",
        "PYTHONPATH": os.pathsep.join([made.env()["PYTHONPATH"], str(tmp_path)]),
        "ENCOLA_LOG_LEVEL": "info",
    }
    yield made
    made.close()


@contextmanager
def running(bench: Bench, *command: str) -> Iterator[Path]:
    """The command, until the block ends; the file of what it prints."""
    log = bench.folder / f"{'-'.join(command[:6]).replace('/', '_')}.log"
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=bench.env(),
            cwd=bench.folder,
            stdout=out,
            stderr=out,
        )
    try:
        yield log
        process.terminate()
        assert process.wait(20) == 0, log.read_text()
    finally:
        process.kill()
        process.wait(10)


def fired(bench: Bench) -> Counter[str]:
    """Schedule -> how many tasks it has enqueued."""
    found: Counter[str] = Counter()
    for name in cast("list[bytes]", bench.client.keys(bench.keys.record("*"))):
        record = bench.record(name.decode().rpartition(":")[2])
        assert record
        assert record.source == "schedule"
        found[str(record.schedule_id)] += 1
    return found


def results(bench: Bench, type_name: str) -> dict[str, str]:
    """Task -> result, of the tasks of a type that have one."""
    found = {}
    for name in cast("list[bytes]", bench.client.keys(bench.keys.record("*"))):
        record = bench.record(name.decode().rpartition(":")[2])
        if record and record.type == type_name and record.state is TaskState.SUCCESS:
            found[record.id] = record.result
    return found


def time_of(task_id: str) -> dt.datetime:
    """The first six bytes of a scheduled task's id."""
    ms = int(task_id.replace("-", "")[:12], 16)
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC)


def each_fired(bench: Bench, times: int) -> bool:
    found = fired(bench)
    return all(found[name] >= times for name in ("declared", "added", "entry"))


def schedules(bench: Bench) -> set[str]:
    names = cast("list[bytes]", bench.client.zrange(bench.keys.named("schedules"), 0, -1))
    return {name.decode() for name in names}


def test_encola_beat_and_celery_beat_keep_the_same_schedules(alone: Bench) -> None:
    """Side by side: each time of each is enqueued once, whoever does it."""
    celery = ("celery", "-A", "encola.engine", "beat", "--loglevel", "info")
    with running(alone, "encola", "beat") as ours, running(alone, *celery) as theirs:
        wait_until(lambda: each_fired(alone, 4), description="all are fired", timeout=60)
        assert schedules(alone) == {"declared", "added", "entry", "yearly"}

        assert "The scheduler runs. Ctrl-C stops it." in ours.read_text()
        assert "  entry  every second  (UTC)" in ours.read_text()
    # Celery leaves what it prints in its buffer until it ends.
    assert "scheduler -> encola.engine.beat.StoreScheduler" in theirs.read_text()
    names = cast("list[bytes]", alone.client.keys(alone.keys.record("*")))
    moments = Counter(
        (record.schedule_id, record.id[:13])
        for name in names
        if (record := alone.record(name.decode().rpartition(":")[2]))
    )
    assert set(moments.values()) == {1}
    assert not list(alone.folder.glob("celerybeat-schedule*"))


def test_a_worker_with_beat_inside_fires_and_runs(alone: Bench) -> None:
    """``celery worker -B``: the child that keeps time logs to the same file, and nowhere else."""
    with running(alone, "celery", "-A", "encola.engine", "worker", "-B", "-c", "1") as log:
        wait_until(lambda: each_fired(alone, 2), description="all are fired", timeout=60)
        wait_until(lambda: results(alone, "declared"), description="they run", timeout=30)
        for task_id, result in results(alone, "declared").items():
            # What the id was made from is what the task was told, after a retry too.
            assert dt.datetime.fromisoformat(result) == time_of(task_id)

    assert "Logging error" not in log.read_text()
    assert "encola.scheduler: Schedule declared" in log.read_text()


def test_the_beat_inside_ends_with_its_worker(alone: Bench) -> None:
    """Killed as hard as can be, the worker leaves nobody who goes on enqueuing."""

    def children(pid: int) -> list[str]:
        listed = subprocess.run(
            ["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False
        )
        return listed.stdout.split()

    command = ["celery", "-A", "encola.engine", "worker", "-B", "-c", "1"]
    worker = subprocess.Popen(
        [sys.executable, "-m", *command],
        env=alone.env(),
        cwd=alone.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: each_fired(alone, 1), description="all are fired", timeout=60)
        left = children(worker.pid)
        assert len(left) == 2  # one runs tasks, the other keeps time
    finally:
        worker.kill()
        worker.wait(10)
    wait_until(
        lambda: not any(Path("/proc", pid).exists() for pid in left),
        description="both have ended",
    )


def test_a_schedule_that_cannot_be_kept_stops_the_start_with_one_sentence(alone: Bench) -> None:
    wrong = MODULE.replace('"schedule": 1,', '"schedule": 0.5,')
    (alone.folder / "beaten.py").write_text(wrong)
    sentence = (
        "Schedule 'entry' cannot be kept: every: expected from 1 second to 366 days, "
        "got 0.5 seconds.\n"
    )

    def start(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *command],
            env=alone.env(),
            cwd=alone.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    ours = start("encola", "beat")
    assert (ours.returncode, ours.stdout, ours.stderr) == (2, "", sentence)
    theirs = start("celery", "-A", "encola.engine", "beat")
    assert theirs.returncode == 1
    assert theirs.stderr.endswith(sentence)
    assert "Traceback" not in theirs.stderr
