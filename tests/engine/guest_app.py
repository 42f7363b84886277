"""Somebody else's program: an application of its own, on our transport and backend by their addresses alone."""

from __future__ import annotations

import os
import time
from typing import Any

from celery import Celery, chord, group, shared_task

import encola.engine  # noqa: F401 - makes the names known

ADDRESS = os.environ["GUEST_ADDRESS"]
app = Celery("guest", broker=ADDRESS, backend=os.environ.get("GUEST_BACKEND", ADDRESS))


@shared_task
def add(x: int, y: int) -> int:
    return x + y


@shared_task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@app.task(bind=True)
def once_more(self: Any) -> int:
    if not self.request.retries:
        raise self.retry(countdown=0.05)
    return int(self.request.retries)


@app.task
def sleep(seconds: float) -> None:
    time.sleep(seconds)


def client() -> dict[str, Any]:
    """What a program that sends tasks sees."""
    first = add.delay(1, 2)
    retried, late = once_more.delay(), sleep.delay(0.5)
    states = {late.state}
    while not late.ready():
        states.add(late.state)
    made = chord(group(add.s(n, n) for n in range(4)), total.s())
    made.freeze()
    again = []
    for _ in range(2):
        body = made.apply_async()
        again.append(body.get(timeout=20))
        while not all(part.ready() for part in body.parent.results):
            time.sleep(0.01)
    return {
        "id": first.id,
        "sum": first.get(timeout=20),
        "retries": retried.get(timeout=20),
        "states": sorted(states),
        "chord": again,
        "body": body.id,
        "part": body.parent.results[0].id,
        "queues": sorted(app.control.inspect(timeout=10, limit=1).active_queues() or {}),
    }
