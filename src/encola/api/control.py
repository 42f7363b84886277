"""Queues, workers and task types: how they stand, and pausing, purging and draining them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from ..client import current_loop_client
from ..errors import QueueNotFound
from ..record import TaskRecord, TaskState, from_ms, iso
from ..store.service import QueueView, WorkerView
from ..task import task_types
from . import views
from .answers import answer, problems
from .deps import current_service, known_queues
from .language import choose_language, say
from .problems import Problem
from .records import running_records
from .service_shapes import (
    InProcessItem,
    QueueItem,
    QueueList,
    QueuePaused,
    QueuePurged,
    Rates,
    TypePaused,
    WorkerDraining,
    WorkerItem,
    WorkerList,
)

router = APIRouter(tags=["service"])

Name = Annotated[str, Path(max_length=300)]
#: Rates are of so many minutes.
RATE_MINUTES: Final = 5
#: A purge of a very long queue answers after so many seconds, and says how much is left.
PURGE_SECONDS: Final = 20.0


# --- queues ------------------------------------------------------------------------


@router.get("/queues", response_model=QueueList, responses=problems(503))
async def list_queues() -> Response:
    """Every queue: what waits on it, for how long, and who listens."""
    now_ms = await current_service().now_ms()
    items = [queue_item(view, await _rates(view.name, now_ms)) for view in await look_at_queues()]
    shown: QueueList = {"items": items}
    return answer(shown)


@router.post(
    "/queues/{queue:path}/pause", response_model=QueuePaused, responses=problems(403, 404, 503)
)
async def pause_queue(request: Request, queue: Name) -> Response:
    """Lets no worker take tasks of a queue; what they have taken already still runs."""
    return await _pause_queue(request, queue, on=True)


@router.post(
    "/queues/{queue:path}/resume", response_model=QueuePaused, responses=problems(403, 404, 503)
)
async def resume_queue(request: Request, queue: Name) -> Response:
    """Lets workers take tasks of a queue again."""
    return await _pause_queue(request, queue, on=False)


@router.post(
    "/queues/{queue:path}/purge", response_model=QueuePurged, responses=problems(403, 404, 422, 503)
)
async def purge_queue(
    request: Request, queue: Name, dry_run: Annotated[bool, Query()] = False
) -> Response:
    """Cancels all that is ready on a queue or held there; with `dry_run`, only counts it."""
    view = await find_queue(queue)
    count = left = _waiting(view)
    if not dry_run:
        client = current_loop_client()
        count, until = 0, time.monotonic() + PURGE_SECONDS
        while time.monotonic() < until:
            taken = await client.run(client.verbs.purge(queue))
            count += taken
            if not taken:
                break
        left = _waiting(await find_queue(queue))
    key = "would_purge" if dry_run else "purged"
    shown: QueuePurged = {
        "queue": queue,
        "dry_run": dry_run,
        "count": count,
        "left": left,
        "message": say(key, choose_language(request), count=count, queue=queue),
    }
    return answer(shown)


async def _pause_queue(request: Request, queue: str, *, on: bool) -> Response:
    await find_queue(queue)
    client = current_loop_client()
    changed = await client.run(client.verbs.pause(queue, on=on))
    message = say("queue_paused" if on else "queue_resumed", choose_language(request), queue=queue)
    shown: QueuePaused = {"queue": queue, "paused": on, "changed": changed, "message": message}
    return answer(shown)


async def look_at_queues() -> list[QueueView]:
    """All there are, by name."""
    service = current_service()
    workers, counts = await service.workers(), await service.counts()
    return await service.queues(known_queues(), workers, counts)


async def find_queue(name: str) -> QueueView:
    """
    Raises:
        QueueNotFound
    """
    queues = await look_at_queues()
    for view in queues:
        if view.name == name:
            return view
    raise QueueNotFound(name, [view.name for view in queues])


def queue_item(view: QueueView, rates: Rates) -> QueueItem:
    return {
        "name": view.name,
        "paused": view.is_paused,
        "ready": sum(view.ready.values()),
        "ready_by_priority": {str(step): number for step, number in view.ready.items()},
        "held": view.held,
        "delayed": view.delayed,
        "running": view.running,
        "oldest_wait_s": None if view.oldest_ms is None else view.oldest_ms / 1000,
        "workers": view.workers,
        "rates": rates,
    }


async def _rates(queue: str, now_ms: int) -> Rates:
    service = current_service()
    last = now_ms // 60_000
    # The minute that runs counts for as much of it as has passed.
    minutes = RATE_MINUTES - 1 + max(now_ms % 60_000, 1) / 60_000
    enqueued = finished = 0
    for counter in await service.minutes(last - RATE_MINUTES + 1, last, queue=queue):
        enqueued += counter["enqueued"]
        finished += sum(counter[state] for state in TaskState if state.is_finished)
    return {"enqueued": round(enqueued / minutes, 2), "finished": round(finished / minutes, 2)}


def _waiting(view: QueueView) -> int:
    return sum(view.ready.values()) + view.held


# --- task types -----------------------------------------------------------------------


@router.post(
    "/tasks/types/{name:path}/pause", response_model=TypePaused, responses=problems(403, 404, 503)
)
async def pause_type(request: Request, name: Name) -> Response:
    """Lets the tasks of one type wait, and nothing else; those that run go on."""
    await _find_type(name)
    client = current_loop_client()
    changed, _ = await client.run(client.verbs.pause_type(name, on=True))
    return _type_answer(request, name, on=True, changed=changed)


@router.post(
    "/tasks/types/{name:path}/resume", response_model=TypePaused, responses=problems(403, 404, 503)
)
async def resume_type(request: Request, name: Name) -> Response:
    """Lets the tasks of a type run again; those that waited come first."""
    await _find_type(name)
    client = current_loop_client()
    was_paused, left = await client.run(client.verbs.pause_type(name, on=False))
    while left:  # where this is cut off, the sweep goes on
        _, left = await client.run(client.verbs.pause_type(name, on=False))
    return _type_answer(request, name, on=False, changed=was_paused)


async def _find_type(name: str) -> None:
    """
    Raises:
        Problem: neither declared here, nor has any record this type.
    """
    known = {declared.name for declared in task_types()}
    if name not in known and name not in (await current_service().counts()).types:
        listed = ", ".join(sorted(known))
        detail = f"Unknown task type {name[:100]!r}. Known types: {listed}."
        raise Problem(404, "task_type_not_found", detail)


def _type_answer(request: Request, name: str, *, on: bool, changed: bool) -> Response:
    message = say("type_paused" if on else "type_resumed", choose_language(request), type=name)
    shown: TypePaused = {"type": name, "paused": on, "changed": changed, "message": message}
    return answer(shown)


# --- workers ----------------------------------------------------------------------------


@router.get("/workers", response_model=WorkerList, responses=problems(503))
async def list_workers() -> Response:
    """Every worker with a lease, and what it runs now."""
    workers = await current_service().workers()
    running = await running_records()
    shown: WorkerList = {
        "items": [worker_item(view, running) for view in workers if not view.is_in_process],
        "in_process": [in_process_item(view, running) for view in workers if view.is_in_process],
    }
    return answer(shown)


@router.post(
    "/workers/{worker_id:path}/drain",
    response_model=WorkerDraining,
    responses=problems(403, 404, 503),
)
async def drain_worker(request: Request, worker_id: Name) -> Response:
    """Lets a worker take nothing more; it ends what it runs, and stays idle until it is stopped."""
    return await _drain(request, worker_id, on=True)


@router.post(
    "/workers/{worker_id:path}/resume",
    response_model=WorkerDraining,
    responses=problems(403, 404, 503),
)
async def resume_worker(request: Request, worker_id: Name) -> Response:
    """Lets a worker take tasks again."""
    return await _drain(request, worker_id, on=False)


async def _drain(request: Request, worker_id: str, *, on: bool) -> Response:
    client = current_loop_client()
    changed = await client.run(client.verbs.drain(worker_id, on=on))
    key = "worker_drains" if on else "worker_resumed"
    message = say(key, choose_language(request), worker=worker_id)
    shown: WorkerDraining = {
        "id": worker_id,
        "draining": on,
        "changed": changed,
        "message": message,
    }
    return answer(shown)


def worker_item(view: WorkerView, running: Iterable[TaskRecord]) -> WorkerItem:
    shown = _unique(record for record in running if record.worker == view.id)
    return {
        "id": view.id,
        "hostname": view.hostname,
        "pid": view.pid,
        "queues": list(view.queues),
        "slots": view.slots,
        "busy": len(shown),
        "held": view.held,
        "since": None if view.started_ms is None else iso(from_ms(view.started_ms)),
        "lease_seconds_left": view.lease_ms / 1000,
        "draining": view.is_draining,
        "running": [views.running(record) for record in shown],
    }


def in_process_item(view: WorkerView, running: Iterable[TaskRecord]) -> InProcessItem:
    shown = _unique(record for record in running if record.worker == view.id)
    return {
        "id": view.id,
        "hostname": view.hostname,
        "pid": view.pid,
        "lease_seconds_left": view.lease_ms / 1000,
        "running": [views.running(record) for record in shown],
    }


def _unique(records: Iterable[TaskRecord]) -> list[TaskRecord]:
    # One that reports progress while the lists of two states are read is in both.
    return list({record.id: record for record in records}.values())
