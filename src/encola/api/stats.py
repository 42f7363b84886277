"""How the service stands and what it did: statistics, and counts of tasks."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.responses import Response

from ..record import ACTIVE, FINISHED, RUNNING, TaskState, from_ms, iso
from ..store.service import states_of
from ..store.statistics import histogram, percentile
from .answers import answer, problems
from .deps import current_service, known_queues
from .records import FilterValue
from .service_shapes import Cause, CountsAnswer, Figures, Stats, Totals

router = APIRouter(tags=["service"])

#: A day. More is a report's business.
MOST_MINUTES: Final = 1440
#: Causes of failure that are listed.
MOST_CAUSES: Final = 100
#: Tasks of one user that are counted.
COUNTED_OF_USER: Final = 5_000
#: Minutes summed up before others get their turn on the event loop.
_TURN: Final = 60


@router.get("/stats", response_model=Stats, responses=problems(422, 503))
async def read_stats(
    minutes: Annotated[int, Query(ge=1, le=MOST_MINUTES)] = 60,
    type: FilterValue = None,  # noqa: A002 - the contract's name
    queue: FilterValue = None,
) -> Response:
    """Counts of now, and what was done in the last minutes."""
    service, type_name, queue = current_service(), type or None, queue or None
    now_ms = await service.now_ms()
    last = now_ms // 60_000
    first = last - minutes + 1
    counted = await service.minutes(first, last, type_name, queue)
    total: Counter[str] = Counter()
    series: list[Figures] = []
    for minute, counter in enumerate(counted, first):
        total.update(counter)
        series.append({"minute": iso(from_ms(minute * 60_000)), **figures(counter)})
        if len(series) % _TURN == 0:
            await asyncio.sleep(0)
    counts = await service.counts()
    workers = await service.workers()
    queues = await service.queues(known_queues(), workers, counts)
    waits = [
        view.oldest_ms
        for view in queues
        if view.oldest_ms is not None and queue in (None, view.name)
    ]
    chosen = counts.of(type_name, queue)
    everything = counts.of()
    shown: Stats = {
        "at": iso(from_ms(now_ms)),
        "minutes": minutes,
        "type": type_name,
        "queue": queue,
        "totals": totals(chosen),
        "states": states_of(chosen),
        "oldest_wait_s": max(waits) / 1000 if waits and not (type_name and not queue) else None,
        "workers": sum(not w.is_in_process for w in workers),
        "slots": sum(w.slots for w in workers if not w.is_in_process),
        "busy": sum(everything[state] for state in RUNNING),
        "window": figures(total),
        "series": series,
        "failures": causes(total),
    }
    return answer(shown)


@router.get("/tasks/counts", response_model=CountsAnswer, responses=problems(503))
async def count_tasks(
    type: FilterValue = None,  # noqa: A002 - the contract's name
    user_id: FilterValue = None,
    queue: FilterValue = None,
) -> Response:
    """How many tasks there are in each state; of one user, among the newest 5,000."""
    service, type_name, queue = current_service(), type or None, queue or None
    is_exact = True
    if user_id:
        found, is_exact = await service.counts_of_user(user_id, COUNTED_OF_USER)
        counted = Counter(
            state
            for its_type, its_queue, state in found
            if type_name in (None, its_type) and queue in (None, its_queue)
        )
    else:
        counted = (await service.counts()).of(type_name, queue)
    states = states_of(counted)
    shown: CountsAnswer = {"states": states, "total": sum(states.values()), "exact": is_exact}
    return answer(shown)


def figures(counter: Counter[str]) -> Figures:
    waits, runs = histogram(counter, "w"), histogram(counter, "r")
    return {
        "enqueued": counter["enqueued"],
        "succeeded": counter[TaskState.SUCCESS],
        "failed": counter[TaskState.FAILURE],
        "cancelled": counter[TaskState.REVOKED],
        "retried": counter[TaskState.RETRY],
        "crashed": counter["crashed"],
        "wait_p50_ms": _rounded(percentile(waits, 0.5)),
        "wait_p95_ms": _rounded(percentile(waits, 0.95)),
        "run_p50_ms": _rounded(percentile(runs, 0.5)),
        "run_p95_ms": _rounded(percentile(runs, 0.95)),
    }


def totals(counts: Counter[str]) -> Totals:
    """The lesson's four figures: failed counts cancelled ones, active waiting ones."""
    active = sum(counts[state] for state in ACTIVE)
    completed = counts[TaskState.SUCCESS]
    failed = sum(counts[state] for state in FINISHED) - completed
    return {
        "total": active + completed + failed,
        "active": active,
        "completed": completed,
        "failed": failed,
    }


def causes(counter: Counter[str]) -> list[Cause]:
    """Why tasks failed, the most frequent first."""
    found: list[Cause] = []
    for name, number in counter.items():
        if name.startswith("error:"):
            code, type_name = name.removeprefix("error:").split("\x1f")
            found.append({"type": type_name, "error_code": code, "count": number})
    found.sort(key=lambda cause: (-cause["count"], cause["type"], cause["error_code"]))
    return found[:MOST_CAUSES]


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(ms, 1)
