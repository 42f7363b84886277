"""
The shapes of the answers, one type each: what :mod:`.views` builds and OpenAPI shows.

Types only. Nothing is validated by them on the way out: records are our own.
"""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from ..record import TaskState

Moment = Annotated[
    str, Field(json_schema_extra={"format": "date-time", "example": "2026-11-22T09:00:00.123456Z"})
]
JsonObject = dict[str, Any]


class FieldError(TypedDict):
    """One field that does not fit."""

    loc: list[str | int]
    msg: str
    type: str


class ProblemDocument(TypedDict):
    """An error, as RFC 9457 has it, with a stable ``code``."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: NotRequired[list[FieldError]]


class CancelAnswer(TypedDict):
    """The task is cancelled."""

    task_id: str
    state: TaskState
    message: str


class BulkCount(TypedDict):
    """How many tasks would be cancelled, or run again."""

    dry_run: bool
    matches: int
    exact: bool
    """False: there are at least so many."""


class StatusAnswer(TypedDict):
    """How a task stands; ``status`` is a sentence in the caller's language."""

    task_id: str
    state: TaskState
    status: str
    type: str
    current: NotRequired[float]
    total: NotRequired[float]
    result: NotRequired[Any]
    error: NotRequired[str]
    error_code: NotRequired[str | None]


class AttemptView(TypedDict):
    """One run of a task."""

    number: int
    worker: str
    started_at: Moment
    ended_at: Moment | None
    outcome: str | None
    crash: bool


class TaskView(TypedDict):
    """Everything known of a task."""

    task_id: str
    status: str
    result: Any
    error: str | None
    started_at: Moment | None
    completed_at: Moment | None
    state: TaskState
    phase: str | None
    type: str
    name: str
    queue: str
    priority: int
    user_id: str | None
    created_at: Moment
    due_at: Moment | None
    input: JsonObject
    attempts: list[AttemptView]
    retries: int
    progress: JsonObject | None
    error_code: str | None
    traceback: str | None
    dead: bool
    source: str
    labels: dict[str, str]
    retried_from: str | None
    schedule_id: str | None
    root_id: str | None
    parent_id: str | None
    group_id: str | None
    idempotency_key: str | None
    traceparent: str | None


class Waiting(TypedDict):
    """Why a task does not run."""

    reason: str
    """ahead, time, queue_paused, type_paused, no_worker, claimed."""
    ahead: int | None
    """Tasks of its queue that come before it."""
    until: Moment | None


class WholeTask(TaskView):
    """A task, and why it waits."""

    waiting: Waiting | None
    """None: it does not wait."""


class TaskPage(TypedDict):
    """Tasks, newest first."""

    items: list[TaskView]
    next_cursor: str | None


class RunningTask(TypedDict):
    """A task that a worker runs now."""

    task_id: str
    id: str
    name: str
    type: str
    args: list[Any]
    kwargs: JsonObject
    time_start: float | None
    """Seconds since 1970."""
    current: NotRequired[float]
    total: NotRequired[float]


class TypeView(TypedDict):
    """A task type: its input is a form, its result a promise."""

    name: str
    queue: str
    paused: bool | None
    """None: the store could not be asked."""
    input_schema: JsonObject
    result_schema: JsonObject


class TypeList(TypedDict):
    """All task types, by name."""

    types: list[TypeView]


class Health(TypedDict):
    """This process answers."""

    status: str


class StoreHealth(TypedDict):
    """Whether the store takes writes."""

    ok: bool
    error: NotRequired[str]


class Readiness(TypedDict):
    """Whether the service takes work."""

    store: StoreHealth
    workers: int
    """Workers that keep their lease; the API's own in-process runs are none."""
    states: NotRequired[dict[str, int]]
    """How many records there are in each state."""


MailItem = TypedDict(
    "MailItem",
    {
        "id": str,
        "from": str,
        "to": list[str],
        "subject": str,
        "received_at": Moment,
        "size": int,
    },
)


class MailView(MailItem):
    """A mail with its content."""

    text: str | None
    html: str | None
    truncated: bool
    """It has more than is shown: a text above a million characters, or more than 100 parts."""


class MailRemoved(TypedDict):
    """What is gone."""

    id: str
    message: str


class MailboxEmptied(TypedDict):
    """What is gone."""

    removed: int
    """Mails."""
    message: str


class MailPage(TypedDict):
    """Mail, newest first."""

    items: list[MailItem]
    next_cursor: str | None


class ReportItem(TypedDict):
    """A finished report."""

    name: str
    file_url: str
    """Its address, for ever the same file."""
    user_id: int
    report_type: str
    task_id: str
    size: int
    """Bytes."""
    created_at: Moment


class ReportPage(TypedDict):
    """Reports, newest first."""

    items: list[ReportItem]
    next_cursor: str | None


class ReportRemoved(TypedDict):
    """The report is no longer there."""

    name: str
    message: str


class UploadedFile(TypedDict):
    """A file was taken; ``file_path`` goes unchanged into a file task."""

    file_path: str
    name: str
    size: int
    sha256: str
    created_at: Moment


class FileItem(TypedDict):
    """An upload."""

    file_path: str
    name: str
    """In plain letters."""
    size: int
    created_at: Moment


class FilePage(TypedDict):
    """Uploads, newest first."""

    items: list[FileItem]
    next_cursor: str | None


class FileRemoved(TypedDict):
    """A file is removed."""

    file_path: str
    message: str
