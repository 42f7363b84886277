"""Tasks for the kill tests: each writes to a ledger outside the store what it does."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

from celery import Task, current_task, signals

from encola.engine import celery_app

_ledger = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def note(what: str) -> None:
    row = {
        "id": current_task.request.id,
        "token": current_task.request.get("encola_token") or current_task.request.hostname,
        "what": what,
        "at": time.time(),
        "pid": os.getpid(),
    }
    os.write(_ledger, json.dumps(row).encode() + b"\n")


@celery_app.task
def work(seconds: float = 0.0) -> int:
    """Works for so long, in small steps, as a real task would be interrupted anywhere."""
    note("start")
    steps = max(1, int(seconds / 0.01))
    for _ in range(steps):
        time.sleep(seconds / steps)
    note("effect")
    note("end")
    return os.getpid()


@celery_app.task(bind=True)
def again(self: Any, times: int, how: str) -> int:
    """Publishes its own next run, so many times."""
    note("start")
    if self.request.retries < times and how == "retry":
        raise self.retry(exc=ConnectionError("later"), countdown=0.05, max_retries=10)
    if times > 0 and how == "replace":
        raise self.replace(again.s(times - 1, how))
    note("end")
    return times


@celery_app.task
def stubborn(seconds: float) -> None:
    """Ignores SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note("start")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.05)
    note("end")


@celery_app.task
def segfault() -> None:
    note("start")
    os.kill(os.getpid(), signal.SIGSEGV)


class DiesBefore(Task):
    abstract = True

    def before_start(self, *args: Any) -> None:
        note("start")
        os.kill(os.getpid(), signal.SIGSEGV)


@celery_app.task(base=DiesBefore)
def segfault_before() -> None: ...


@signals.task_prerun.connect
def die_at_the_signal(task: Any, **_: Any) -> None:
    """Before anybody has asked whether the attempt may start."""
    if task.name.endswith("segfault_at_the_signal"):
        note("start")
        os.kill(os.getpid(), signal.SIGSEGV)


@celery_app.task
def segfault_at_the_signal() -> None: ...


@celery_app.task
def out_of_memory() -> None:
    note("start")
    raise MemoryError("no more")


@celery_app.task
def recurse() -> None:
    note("start")

    def deeper(n: int) -> int:
        return deeper(n + 1) + 1

    deeper(0)


@celery_app.task
def leave(code: int) -> None:
    note("start")
    raise SystemExit(code)
