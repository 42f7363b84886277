"""
The record: everything known of one task, and the states it can be in.

Owns the words (:class:`TaskState`, :data:`ACTIVE`, :data:`FINISHED`,
:data:`MOVES`) and the shape of a record as the rest of the house reads it.
Knows nothing of Redis: :mod:`encola.store.records` decodes the stored hash into
a :class:`TaskRecord`, and only the store's scripts change one.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

#: Version of the stored record. A program refuses a store with a newer one.
RECORD_VERSION: Final = 1

#: Most bytes of a task id, as any Celery client may choose one.
MAX_ID_BYTES: Final = 255
#: Most bytes of what an attempt says of its progress, as JSON: each word of it is an event too.
MAX_PROGRESS_BYTES: Final = 2048
#: Deepest nesting of an input, and of what is answered, arrays and objects counted.
MAX_DEPTH: Final = 64


class TaskState(StrEnum):
    """Celery's words, plus ``SCHEDULED``."""

    PENDING = "PENDING"
    """Accepted; waits on its queue, or is claimed and not started."""
    SCHEDULED = "SCHEDULED"
    """Waits for its time (countdown, eta, schedule). ``AsyncResult`` says PENDING."""
    STARTED = "STARTED"
    """A worker runs it."""
    PROCESSING = "PROCESSING"
    """A worker runs it and it has reported progress."""
    RETRY = "RETRY"
    """An attempt failed; the next one waits."""
    SUCCESS = "SUCCESS"
    """Done; the result is in the record."""
    FAILURE = "FAILURE"
    """Failed for good; the error is in the record."""
    REVOKED = "REVOKED"
    """Cancelled, expired or ignored."""

    @property
    def is_finished(self) -> bool:
        return self in FINISHED


FINISHED: Final = frozenset({TaskState.SUCCESS, TaskState.FAILURE, TaskState.REVOKED})
ACTIVE: Final = frozenset(TaskState) - FINISHED
RUNNING: Final = frozenset({TaskState.STARTED, TaskState.PROCESSING})

_S = TaskState
#: State -> the states a record may be in next. Out of a finished state leads
#: only a person's explicit retry; back from a running one, a lost worker.
MOVES: Final[dict[TaskState, frozenset[TaskState]]] = {
    _S.PENDING: frozenset({_S.STARTED, _S.SCHEDULED, _S.FAILURE, _S.REVOKED}),
    _S.SCHEDULED: frozenset({_S.PENDING, _S.RETRY, _S.REVOKED}),
    _S.STARTED: frozenset(
        {_S.PROCESSING, _S.PENDING, _S.SCHEDULED, _S.RETRY, _S.SUCCESS, _S.FAILURE, _S.REVOKED}
    ),
    _S.PROCESSING: frozenset(
        {_S.PENDING, _S.SCHEDULED, _S.RETRY, _S.SUCCESS, _S.FAILURE, _S.REVOKED}
    ),
    _S.RETRY: frozenset({_S.STARTED, _S.FAILURE, _S.REVOKED}),
    _S.SUCCESS: frozenset({_S.PENDING}),
    _S.FAILURE: frozenset({_S.PENDING}),
    _S.REVOKED: frozenset({_S.PENDING}),
}

#: State -> the lesson's word.
STATUS: Final[dict[TaskState, str]] = {
    _S.PENDING: "pending",
    _S.SCHEDULED: "pending",
    _S.RETRY: "pending",
    _S.STARTED: "running",
    _S.PROCESSING: "running",
    _S.SUCCESS: "completed",
    _S.FAILURE: "failed",
    _S.REVOKED: "cancelled",
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of a task by a worker."""

    number: int
    """Counts from 1."""
    worker: str
    """Id of the worker process; ``api@host`` for a run inside the API."""
    started_at: dt.datetime
    ended_at: dt.datetime | None
    """None while it runs."""
    outcome: str
    """SUCCESS FAILURE RETRY REVOKED, crashed, cancelled, released, ignored,
    rejected, requeued; empty while it runs."""
    token: int
    """The fencing token under which it ran."""

    @property
    def crashed(self) -> bool:
        return self.outcome == "crashed"


@dataclass(frozen=True, slots=True)
class TaskError:
    """Why a task failed, as text: never a class to import, never a pickle."""

    type: str
    """Name of the exception's class."""
    module: str
    message: str
    traceback: str
    """Empty when there is none."""
    args: list[Any] = field(default_factory=list)
    """The exception's arguments as JSON, so that ``.get()`` raises it alike."""

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """
    One task, whole.

    In the stored hash a field has one or two letters, because memory a record
    is counted in bytes; ``# x`` behind a field below names its place.
    """

    id: str
    type: str  # x
    """Task type, or the Celery name of a task that was declared without one."""
    name: str  # m
    """Name on the wire."""
    queue: str  # x
    priority: int  # x
    """0 is first, then 3, 6, 9, as Kombu has it on Redis."""
    state: TaskState  # st
    created_at: dt.datetime  # x
    order: tuple[int, int]  # x
    """(created_at_ms, seq): newest first is by this, never by id."""

    args: list[Any]  # m
    kwargs: dict[str, Any]  # m

    user_id: str | None = None  # x
    tenant: str = ""  # x
    source: str = "api"  # m
    """Where it came in: api, python, celery, schedule, stock."""
    schedule_id: str | None = None  # m
    retried_from: str | None = None  # m
    """The task that a person retried with other input to make this one."""
    root_id: str | None = None  # m
    parent_id: str | None = None  # m
    group_id: str | None = None  # m
    traceparent: str | None = None  # m
    """W3C trace context of the request that enqueued it."""
    idempotency_key: str | None = None  # m
    labels: dict[str, str] = field(default_factory=dict[str, str])  # m

    started_at: dt.datetime | None = None  # sa, at
    """Start of the current or last attempt; None before the first."""
    completed_at: dt.datetime | None = None  # f
    due_at: dt.datetime | None = None  # du
    """When a waiting task becomes due; None when it is due now."""
    worker: str | None = None  # w
    """The worker whose lease it is under; None when under none."""
    token: int = 0  # dl
    """Fencing token of the last claim: grows by one with each."""
    place: str | None = None  # pl
    """ready, delayed, leased, dead; None once settled."""
    attempts: list[Attempt] = field(default_factory=list[Attempt])  # at, w, sa, an
    retries: int = 0  # rn
    """Attempts that failed and were followed by another."""
    crashes: int = 0  # c
    """Workers or children lost while it ran; at three it is parked."""

    progress: dict[str, Any] | None = None  # p
    """``current``, ``total``, ``status`` or a message key with parameters; None unless it runs."""
    phase: str | None = None  # ph
    """A user's own state word, as ``update_state`` gave it."""
    result: Any = None  # r
    """The return value, after SUCCESS."""
    error: TaskError | None = None  # e
    """After FAILURE; after RETRY, why the last attempt failed."""
    error_code: str | None = None  # ec
    """Stable word for the cause."""
    changed: int = 0  # bc
    """Of a task that cancels or retries others: how many it has, in all its attempts."""
    version: int = RECORD_VERSION

    @property
    def status(self) -> str:
        """The lesson's word: pending, running, completed, failed, cancelled."""
        return STATUS[self.state]

    @property
    def is_finished(self) -> bool:
        return self.state in FINISHED

    @property
    def is_dead(self) -> bool:
        return self.place == "dead"


def from_ms(ms: int) -> dt.datetime:
    """Aware UTC time of milliseconds since 1970."""
    return dt.datetime.fromtimestamp(ms / 1000, dt.UTC)


def to_ms(moment: dt.datetime) -> int:
    """Milliseconds since 1970. A naive time is taken as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return round(aware.timestamp() * 1000)


def iso(moment: dt.datetime) -> str:
    """``2026-11-22T09:00:00.123456Z``, the one way a time is written outside."""
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
