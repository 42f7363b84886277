"""A signal that is meant for one task does not hit the next one of the same child."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from harness import ROOT, Bench
from support import wait_until

#: Forks a child that is at the task "second", sends it a signal as a parent would, and prints how it took that.
TRY = """
import os, signal, sys, time
from types import SimpleNamespace
from celery._state import _task_stack
from encola.engine import aims
from encola.engine.pool import AsynPool

def child(told):
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda *_: os._exit(7))
        aims.listen(number)
    stack = SimpleNamespace(stack=[SimpleNamespace(id="second")])
    _task_stack.push(SimpleNamespace(request_stack=stack))
    os.write(told, b"+")
    time.sleep(30)
    os._exit(0)

ready, told = os.pipe()
pid = os.fork()
if pid == 0:
    child(told)
os.read(ready, 1)

def ended(timeout=None):
    until = time.monotonic() + 20
    while time.monotonic() < until:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if not aims.is_aimed(pid) and meant_for:
            return None
        time.sleep(0.01)

how, meant_for = sys.argv[1:]
if meant_for:
    aims.aim(pid, meant_for)
if how == "limit":
    process = SimpleNamespace(
        pid=pid, terminate=lambda: os.kill(pid, signal.SIGTERM), _popen=SimpleNamespace(wait=ended)
    )
    AsynPool._trywaitkill(None, process)
else:
    os.kill(pid, signal.Signals[how])
print(ended())
try:
    os.kill(pid, signal.SIGKILL)
except ProcessLookupError:
    pass
"""


def taken(how: str, meant_for: str) -> str:
    """The exit code of a child that is at the task "second"; None: it goes on."""
    done = subprocess.run(
        [sys.executable, "-c", TRY, how, meant_for],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("how", "meant_for", "expected"),
    [
        ("SIGTERM", "first", "None"),
        ("SIGTERM", "second", "7"),
        ("SIGTERM", "", "7"),
        ("SIGUSR1", "first", "None"),
        ("SIGUSR1", "second", "7"),
        ("limit", "first", "None"),
    ],
)
def test_a_signal_for_the_last_task_leaves_the_next_alone(
    how: str, meant_for: str, expected: str
) -> None:
    """A cancel, a soft limit, a hard limit. One for what runs ends it, and so does one without an aim."""
    assert expected == taken(how, meant_for)


def test_a_cancel_stops_a_task_that_calls_another_inside_of_it(tasks: Any, bench: Bench) -> None:
    """What it calls directly has no id of its own; the signal is for the one round it, and needs no KILL."""
    result = tasks.calls_another.delay()
    wait_until(lambda: result.state == "STARTED", description="it runs", timeout=20)
    worker = bench.workers[0]
    before = set(worker.children())
    result.revoke(terminate=True)

    wait_until(lambda: before - set(worker.children()), description="its child ends", timeout=5)
    assert "did not stop within" not in worker.log()
