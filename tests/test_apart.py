"""Work in a process of its own: whatever becomes of it, who asked for it lives and knows why."""

from __future__ import annotations

import math
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from encola.apart import (
    ApartFailed,
    ApartLost,
    ApartOutOfMemory,
    ApartOutOfTime,
    Unwanted,
    run_apart,
)
from encola.disk import DiskFull

MIB = 2**20
#: Bytes in the unit in which the system tells memory.
UNIT = 1 if sys.platform == "darwin" else 1024

Apart = Callable[..., dict[str, Any]]


@pytest.fixture
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Apart:
    """``apart(body, …)``: what comes of work whose function has this body."""

    def run(body: str, **options: Any) -> dict[str, Any]:
        lines = "".join(f"    {line}\n" for line in body.splitlines())
        (tmp_path / "some_work.py").write_text(
            "import os, resource, signal, sys, time\n"
            "from encola.apart import ApartFailed, serve\n"
            f"def work(job, tell):\n{lines}"
            "serve(work)\n"
        )
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        options = {"job": {}, "memory": 1024 * MIB, "tell": lambda _: None, **options}
        return run_apart("some_work", **options)

    return run


def children() -> list[int]:
    found = subprocess.run(
        ["pgrep", "-P", str(os.getpid()), "-f", "some_work"],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(pid) for pid in found.stdout.split()]


def test_what_is_asked_told_and_done_comes_across(apart: Apart) -> None:
    """Also where the work prints, to either side: its lines are not ours."""
    told: list[Any] = []
    done = apart(
        "print('x'); os.write(1, b'{\"done\"'); print('y', file=sys.stderr)\n"
        "tell({'at': 1})\ntell({'at': 2})\n"
        "return {'twice': job['number'] * 2}",
        job={"number": 21},
        tell=told.append,
    )

    assert {"twice": 42} == done
    assert [{"at": 1}, {"at": 2}] == told


def test_what_is_printed_before_it_begins_is_no_answer(apart: Apart, tmp_path: Path) -> None:
    """A user's own sitecustomize may greet."""
    (tmp_path / "sitecustomize.py").write_text("print('hello')")

    assert {"a": 1} == apart("return {'a': 1}")


def test_a_failure_that_is_told_comes_with_code_and_sentence(apart: Apart) -> None:
    with pytest.raises(ApartFailed) as raised:
        apart("raise ApartFailed('no_sales', 'There are none.')")
    assert ("no_sales", "There are none.") == (raised.value.error_code, str(raised.value))


def test_a_full_disk_is_told_as_such(apart: Apart) -> None:
    with pytest.raises(DiskFull):
        apart("raise OSError(28, 'No space left on device')")


@pytest.mark.parametrize(
    "body",
    [
        "time.sleep(20)",
        "os.closerange(3, 100); time.sleep(20)",
        "for _ in range(2_000): tell({}); time.sleep(0.01)",
    ],
    ids=["it waits", "its pipe is closed", "it talks"],
)
def test_what_takes_longer_than_it_may_is_stopped(apart: Apart, body: str) -> None:
    """By the clock, whatever it does; nothing of it stays."""
    with pytest.raises(ApartOutOfTime):
        apart(body, time_limit=1.5)
    assert [] == children()


def test_what_takes_more_of_the_processor_than_it_may_is_out_of_time(apart: Apart) -> None:
    """The kernel says so by a signal, also to what nobody watches any more."""
    with pytest.raises(ApartOutOfTime):
        apart("os.kill(os.getpid(), signal.SIGXCPU)\ntime.sleep(20)", time_limit=60.0)


def test_the_processors_time_is_limited_with_the_clocks(apart: Apart) -> None:
    """Each of the processors may be used all the time, and no more."""
    body = "return {'most': resource.getrlimit(resource.RLIMIT_CPU)}"
    seconds = math.ceil(7.5 * (os.cpu_count() or 1)) + 1

    assert [seconds, seconds + 1] == apart(body, time_limit=7.5)["most"]
    assert list(resource.getrlimit(resource.RLIMIT_CPU)) == apart(body)["most"]


def test_what_nobody_waits_for_is_stopped_also_when_its_pipe_is_closed(apart: Apart) -> None:
    wanted = iter([True] * 20)

    with pytest.raises(Unwanted):
        apart("os.closerange(3, 100); time.sleep(20)", is_wanted=lambda: next(wanted, False))
    assert [] == children()


@pytest.mark.parametrize(
    "body",
    ["held = b'x' * (64 * 2**20)\ntime.sleep(20)", "held = b'x' * 2**30", "raise MemoryError"],
    ids=["it is weighed", "the kernel refuses", "a library says so"],
)
def test_what_needs_more_memory_than_it_may_have_is_stopped(apart: Apart, body: str) -> None:
    with pytest.raises(ApartOutOfMemory):
        apart(body, memory=64 * MIB)
    assert [] == children()


def own_peak() -> int:
    """Bytes that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


@pytest.mark.parametrize("sent", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_a_fall_after_holding_much_is_laid_to_memory(apart: Apart, sent: signal.Signals) -> None:
    """Not every library looks whether it was given the memory that it asked for."""
    held = own_peak() + 32 * MIB

    with pytest.raises(ApartOutOfMemory):
        apart(f"held = b'x' * {held}\nos.kill(os.getpid(), {sent:d})", memory=held * 3 // 2)


def test_a_fall_after_holding_little_is_a_crash(apart: Apart) -> None:
    """Also where who started it holds much: a new process counts that as its own."""
    with pytest.raises(ApartLost) as raised:
        apart("os.kill(os.getpid(), 11)", memory=own_peak())
    assert ("ended by signal SIGSEGV.", ApartLost) == (str(raised.value), type(raised.value))


def test_what_has_lost_its_way_without_ending_is_stopped(apart: Apart) -> None:
    """Some libraries then wait for themselves without end; what they have said is looked at."""
    with pytest.raises(ApartOutOfMemory):
        apart(
            "print('memory allocation of 9 bytes failed', file=sys.stderr, flush=True)\ntime.sleep(20)"
        )
    assert [] == children()
