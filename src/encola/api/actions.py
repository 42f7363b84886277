"""Acting on a task that there is: cancel it, or run it again."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ..client import current_loop_client
from ..errors import TaskActive
from ..models import TaskResponse
from ..record import TaskState, iso
from ..settings import get_settings
from ..task import get_task_type
from .answers import answer, body_of, problems
from .language import choose_language, say
from .records import TaskId, find
from .shapes import CancelAnswer
from .strict_json import check_media_type, parse, read_body
from .submission import HEADERS, RetryInput, options_of
from .tasks import enqueue, fitting, pending, submitted

router = APIRouter(prefix="/tasks", tags=["act"])


@router.delete(
    "/cancel/{task_id:path}",
    response_model=CancelAnswer,
    responses=problems(403, 404, 409, 503),
)
async def cancel(request: Request, task_id: TaskId) -> Response:
    """Cancels a task; a running one is stopped."""
    client = current_loop_client()
    await client.run(client.verbs.cancel(task_id))
    message = say("cancelled", choose_language(request), task_id=task_id)
    cancelled: CancelAnswer = {"task_id": task_id, "state": TaskState.REVOKED, "message": message}
    return answer(cancelled)


@router.post(
    "/{task_id:path}/retry",
    response_model=TaskResponse,
    openapi_extra=body_of(RetryInput, required=False) | HEADERS,
    responses=problems(400, 403, 404, 409, 413, 415, 422, 503),
)
async def retry(request: Request, task_id: TaskId) -> Response:
    """Runs a finished task again; with `{"input": …}`, as a new task that names the old."""
    body = await read_body(request)
    message = say("retried", choose_language(request))
    if not body:
        client = current_loop_client()
        await client.run(client.verbs.retry(task_id, get_settings().max_waiting))
        return pending(task_id, iso((await find(task_id)).created_at), message)
    check_media_type(request)
    given = fitting(RetryInput, parse(body), "retry")
    record = await find(task_id)
    if not record.is_finished:
        raise TaskActive(task_id, record.state)
    options = replace(
        options_of(request),
        retried_from=task_id,
        user_id=record.user_id,
        queue=record.queue,
        priority=record.priority,
        labels=record.labels,
    )
    accepted = await enqueue(get_task_type(record.type), given.input, options)
    return submitted(accepted, message)
