"""
The shapes of the answers about the service itself: queues, workers, statistics, control.

Types only, as in :mod:`.shapes`.
"""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from .shapes import Moment, RunningTask


class CountsAnswer(TypedDict):
    """How many tasks there are in each state."""

    states: dict[str, int]
    total: int
    exact: bool
    """False: there are more of this user, which were not counted."""


class Rates(TypedDict):
    """Tasks a minute, over the last five minutes."""

    enqueued: float
    finished: float


class QueueItem(TypedDict):
    name: str
    paused: bool
    ready: int
    ready_by_priority: dict[str, int]
    held: int
    delayed: int
    running: int
    oldest_wait_s: float | None
    workers: int
    rates: Rates


class QueueList(TypedDict):
    """All queues, by name."""

    items: list[QueueItem]


class QueuePaused(TypedDict):
    """Whether claims leave the queue alone."""

    queue: str
    paused: bool
    changed: bool
    message: str


class QueuePurged(TypedDict):
    """What was cancelled, or would be."""

    queue: str
    dry_run: bool
    count: int
    left: int
    """Still there: it took too long for one request."""
    message: str


class TypePaused(TypedDict):
    """Whether tasks of the type are held."""

    type: str
    paused: bool
    changed: bool
    message: str


class WorkerItem(TypedDict):
    id: str
    hostname: str
    pid: int
    queues: list[str]
    slots: int
    busy: int
    held: int
    since: Moment | None
    lease_seconds_left: float
    draining: bool
    running: list[RunningTask]


class InProcessItem(TypedDict):
    """An API process that runs tasks itself."""

    id: str
    hostname: str
    pid: int
    lease_seconds_left: float
    running: list[RunningTask]


class WorkerList(TypedDict):
    """All workers that keep their lease, by id."""

    items: list[WorkerItem]
    in_process: list[InProcessItem]


class WorkerDraining(TypedDict):
    """Whether the worker takes nothing more."""

    id: str
    draining: bool
    changed: bool
    message: str


class Figures(TypedDict):
    """What happened in a time."""

    enqueued: int
    succeeded: int
    failed: int
    cancelled: int
    retried: int
    crashed: int
    wait_p50_ms: float | None
    wait_p95_ms: float | None
    run_p50_ms: float | None
    run_p95_ms: float | None
    minute: NotRequired[Moment]
    """Where it is one minute: its beginning."""


class Totals(TypedDict):
    """The lesson's four figures."""

    total: int
    active: int
    completed: int
    failed: int


class Cause(TypedDict):
    type: str
    error_code: str
    count: int


class Stats(TypedDict):
    """How the service stands, and what it did in the last minutes."""

    at: Moment
    minutes: int
    type: str | None
    queue: str | None
    totals: Totals
    states: dict[str, int]
    oldest_wait_s: float | None
    workers: int
    slots: int
    busy: int
    window: Figures
    series: list[Figures]
    failures: list[Cause]


class LogItem(TypedDict):
    """One line of a task's log."""

    n: int
    at: Moment
    attempt: int
    level: str
    source: str
    message: str


class LogAnswer(TypedDict):
    """What a task wrote, oldest first."""

    task_id: str
    items: list[LogItem]
    last: int
    dropped: int
