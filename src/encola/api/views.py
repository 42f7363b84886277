"""Records as the API shows them: one function a shape."""

from __future__ import annotations

import datetime as dt
from typing import Any

from ..record import Attempt, TaskRecord, TaskState, from_ms, iso
from ..store.indexes import LAST_MS
from ..store.shapes import WhyWaiting
from ..task import TaskType, get_task_type
from ..wording import progress_in
from .language import say
from .shapes import AttemptView, RunningTask, StatusAnswer, TaskView, TypeView, Waiting


def waiting(why: WhyWaiting) -> Waiting:
    """Why a task that waits does not run."""
    until = None if why.until_ms is None else iso(from_ms(min(why.until_ms, LAST_MS)))
    return {"reason": why.reason, "ahead": why.ahead, "until": until}


def full(record: TaskRecord, language: str) -> TaskView:
    """``GET /tasks/{id}``: the lesson's six fields first, then everything else."""
    return {
        "task_id": record.id,
        "status": record.status,
        "result": record.result,
        "error": _error(record),
        "started_at": _iso(record.started_at),
        "completed_at": _iso(record.completed_at),
        "state": record.state,
        "phase": record.phase,
        "type": record.type,
        "name": record.name,
        "queue": record.queue,
        "priority": record.priority,
        "user_id": record.user_id,
        "created_at": iso(record.created_at),
        "due_at": _iso(record.due_at),
        "input": task_input(record),
        "attempts": [_attempt(attempt) for attempt in record.attempts],
        "retries": record.retries,
        "progress": progress_in(record.progress, language),
        "error_code": record.error_code,
        "traceback": record.error.traceback or None if record.error else None,
        "dead": record.is_dead,
        "source": record.source,
        "labels": record.labels,
        "retried_from": record.retried_from,
        "schedule_id": record.schedule_id,
        "root_id": record.root_id,
        "parent_id": record.parent_id,
        "group_id": record.group_id,
        "idempotency_key": record.idempotency_key,
        "traceparent": record.traceparent,
    }


def status(record: TaskRecord, language: str) -> StatusAnswer:
    """``GET /tasks/status/{id}``: the lesson's shapes, with a sentence in every one."""
    answer: StatusAnswer = {
        "task_id": record.id,
        "state": record.state,
        "status": say(record.state, language),
        "type": record.type,
    }
    if record.state is TaskState.PROCESSING:
        progress = progress_in(record.progress, language) or {}
        answer["current"] = progress.get("current", 0)
        answer["total"] = progress.get("total", 1)
        if progress.get("status"):
            answer["status"] = str(progress["status"])
    elif record.state is TaskState.SUCCESS:
        answer["result"] = record.result
    elif record.state in (TaskState.FAILURE, TaskState.RETRY, TaskState.REVOKED):
        answer["error"] = _error(record) or answer["status"]
        answer["error_code"] = record.error_code
    return answer


def running(record: TaskRecord) -> RunningTask:
    """One entry of ``GET /tasks/active``."""
    shown: RunningTask = {
        "task_id": record.id,
        "id": record.id,
        "name": record.name,
        "type": record.type,
        "args": record.args,
        "kwargs": record.kwargs,
        "time_start": record.started_at.timestamp() if record.started_at else None,
    }
    progress = record.progress or {}
    if "current" in progress:
        shown["current"] = progress["current"]
    if "total" in progress:
        shown["total"] = progress["total"]
    return shown


def task_type(declared: TaskType, paused: set[str] | None) -> TypeView:
    """One entry of ``GET /tasks/types``."""
    return {
        "name": declared.name,
        "queue": declared.queue,
        "paused": None if paused is None else f"type:{declared.name}" in paused,
        "input_schema": declared.input_schema(),
        "result_schema": declared.result_schema(),
    }


def task_input(record: TaskRecord) -> dict[str, Any]:
    """The input by the names of its task type; of a task without one, its arguments."""
    try:
        return get_task_type(record.type).name_arguments(record.args, record.kwargs)
    except Exception:  # noqa: BLE001 - a stock client's arguments may fit no type
        return {"args": record.args, "kwargs": record.kwargs}


def _attempt(attempt: Attempt) -> AttemptView:
    return {
        "number": attempt.number,
        "worker": attempt.worker.partition("/")[0],
        "started_at": iso(attempt.started_at),
        "ended_at": _iso(attempt.ended_at),
        "outcome": attempt.outcome or None,
        "crash": attempt.crashed,
    }


def _error(record: TaskRecord) -> str | None:
    if record.error is not None:
        return record.error.message or record.error.type
    return record.error_code if record.state is TaskState.REVOKED else None


def _iso(moment: dt.datetime | None) -> str | None:
    return None if moment is None else iso(moment)
