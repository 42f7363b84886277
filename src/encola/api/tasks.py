"""Submitting tasks, and acting on them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ValidationError
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response

from ..client import current_loop_client
from ..errors import InvalidInput, TaskActive, TaskNotFound
from ..models import EmailRequest, TaskResponse
from ..record import RUNNING, TaskRecord, TaskState, from_ms, iso
from ..settings import get_settings
from ..store import Enqueued, Filter
from ..store.records import PAGE_LIMIT
from ..submit import prepare, prepare_valid
from ..task import Options, TaskType, get_task_type, public_errors, task_types
from ..tasks import email as email_tasks
from . import views
from .answers import answer, body_of
from .inprocess import in_process
from .language import choose_language, say
from .problems import Problem
from .strict_json import parse, read_body, read_json

router = APIRouter(prefix="/tasks", tags=["background-tasks"])

TaskId = Annotated[str, Path(max_length=255, description="Id of a task")]
#: Routes of words come before the route of ids; FastAPI takes the first that fits.


class Submission(BaseModel):
    """Any task type with its input."""

    type: str
    input: dict[str, Any] = {}
    options: dict[str, Any] = {}


def caller_options(request: Request) -> Options:
    """What a request's headers say of how to enqueue."""
    return Options(
        source="api",
        idempotency_key=request.headers.get("idempotency-key"),
        traceparent=request.headers.get("traceparent"),
    )


CallerOptions = Annotated[Options, Depends(caller_options)]


async def read_email(request: Request) -> list[str]:
    """The lesson's e-mail body, checked: [email, subject, body]."""
    value = await read_json(request)
    if not isinstance(value, dict):
        errors: list[dict[str, object]] = [
            {"loc": ["body"], "msg": "Input should be a valid dictionary", "type": "dict_type"}
        ]
        raise InvalidInput("email", errors)
    try:
        checked = EmailRequest.model_validate(value)
    except ValidationError as error:
        found = [{**e, "loc": ["body", *e["loc"]]} for e in public_errors(error)]  # type: ignore[misc]
        raise InvalidInput("email", found) from None
    return [checked.email, checked.subject, checked.body]


Email = Annotated[list[str], Depends(read_email)]


@router.post(
    "/email/celery",
    response_model=TaskResponse,
    openapi_extra=body_of(EmailRequest),
    status_code=200,
)
async def send_email_celery(request: Request, email: Email, options: CallerOptions) -> Response:
    """Sends an e-mail through the queue."""
    task_type = email_tasks.send_notification_email
    new = prepare_valid(task_type, email, options, max_input=get_settings().max_body)
    accepted = await current_loop_client().enqueue(new)
    return submitted(accepted, say("email_celery", choose_language(request)))


@router.post(
    "/email/simple",
    response_model=TaskResponse,
    openapi_extra=body_of(EmailRequest),
    status_code=200,
)
async def send_email_simple(request: Request, email: Email, options: CallerOptions) -> Response:
    """Sends an e-mail from the API process, after the answer; the same record."""
    task_type = email_tasks.send_notification_email
    await in_process.register()
    new = prepare_valid(task_type, email, options, max_input=get_settings().max_body)
    accepted = await current_loop_client().enqueue(replace(new, lease_to=in_process.worker_id))
    response = submitted(accepted, say("email_simple", choose_language(request)))
    if accepted.id == new.id:
        response.background = BackgroundTask(
            in_process.run,
            new.id,
            task_type.retry,
            lambda: email_tasks.send(new.id, *email),
        )
    return response


@router.post("", response_model=TaskResponse, openapi_extra=body_of(Submission), status_code=200)
async def submit(request: Request, options: CallerOptions) -> Response:
    """Enqueues a task of any declared type."""
    value = await read_json(request)
    try:
        wanted = Submission.model_validate(value)
    except ValidationError as error:
        raise InvalidInput("submission", public_errors(error)) from None
    task_type = get_task_type(wanted.type)
    known = {"queue", "priority", "user_id", "countdown", "idempotency_key", "labels"}
    strange = sorted(wanted.options.keys() - known)
    if strange:
        message = f"unknown option; known are {', '.join(sorted(known))}"
        raise InvalidInput(
            wanted.type,
            [{"loc": ["options", name], "msg": message, "type": "unknown"} for name in strange],
        )
    accepted = await enqueue(task_type, wanted.input, replace(options, **wanted.options))
    return submitted(accepted, say("accepted", choose_language(request)))


@router.get("/types")
async def list_types() -> Response:
    """Every task type, with the JSON Schemas of its input and its result."""
    shown = [
        {
            "name": t.name,
            "queue": t.queue,
            "input_schema": t.input_schema(),
            "result_schema": t.result_schema(),
        }
        for t in task_types()
    ]
    return answer({"types": shown})


@router.get("/active")
async def list_active() -> Response:
    """What every worker is running now, from the records."""
    records = current_loop_client().records
    by_worker: dict[str, list[dict[str, Any]]] = {}
    for state in sorted(RUNNING):
        page = await records.page(Filter(state=state), PAGE_LIMIT)
        for record in page.items:
            node = (record.worker or "").partition("/")[0]
            by_worker.setdefault(node, []).append(views.running(record))
    return answer(by_worker)


@router.get("/status/{task_id:path}")
async def read_status(request: Request, task_id: TaskId) -> Response:
    """How a task stands: its state, and a sentence in the caller's language."""
    return answer(views.status(await find(task_id), choose_language(request)))


@router.delete("/cancel/{task_id:path}")
async def cancel(request: Request, task_id: TaskId) -> Response:
    """Cancels a task; a running one is stopped."""
    client = current_loop_client()
    await client.run(client.verbs.cancel(task_id))
    message = say("cancelled", choose_language(request), task_id=task_id)
    return answer({"task_id": task_id, "state": TaskState.REVOKED, "message": message})


@router.get("")
async def list_tasks(
    state: TaskState | None = None,
    type: Annotated[str | None, Query(max_length=255)] = None,  # noqa: A002 - the contract's name
    user_id: Annotated[str | None, Query(max_length=255)] = None,
    queue: Annotated[str | None, Query(max_length=255)] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 50,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """Tasks, newest first."""
    wanted = Filter(state=state, type=type, user_id=user_id, queue=queue)
    try:
        page = await current_loop_client().records.page(wanted, limit, cursor)
    except ValueError as error:
        errors = [{"loc": ["query", "cursor"], "msg": str(error), "type": "cursor"}]
        raise Problem(422, "validation", "The request does not fit.", errors) from None
    shown = [views.full(record) for record in page.items]
    return answer({"items": shown, "next_cursor": page.next_cursor})


@router.post("/{task_id:path}/retry", response_model=TaskResponse)
async def retry(request: Request, task_id: TaskId, options: CallerOptions) -> Response:
    """Runs a finished task again; with `{"input": …}`, as a new task that names the old."""
    record = await find(task_id)
    message = say("retried", choose_language(request))
    body = await read_body(request)
    if not body:
        client = current_loop_client()
        await client.run(client.verbs.retry(task_id))
        again = await find(task_id)
        return answer(_response(again.id, iso(again.created_at), message))
    value = parse(body)
    if not isinstance(value, dict) or not isinstance(value.get("input"), dict):
        raise InvalidInput(
            record.type, [{"loc": ["body", "input"], "msg": "Field required", "type": "missing"}]
        )
    if not record.is_finished:
        raise TaskActive(task_id, record.state)
    chosen = replace(options, retried_from=task_id, user_id=record.user_id, queue=record.queue)
    accepted = await enqueue(get_task_type(record.type), value["input"], chosen)
    return submitted(accepted, message)


@router.get("/{task_id:path}")
async def read_task(task_id: TaskId) -> Response:
    """Everything known of a task."""
    return answer(views.full(await find(task_id)))


async def enqueue(task_type: TaskType, values: dict[str, Any], options: Options) -> Enqueued:
    new = prepare(task_type, values, options, max_input=get_settings().max_body)
    return await current_loop_client().enqueue(new)


async def find(task_id: str) -> TaskRecord:
    """
    Raises:
        TaskNotFound
    """
    record = await current_loop_client().records.get(task_id)
    if record is None:
        raise TaskNotFound(task_id)
    return record


def submitted(accepted: Enqueued, message: str) -> Response:
    """The answer of a submit."""
    return answer(_response(accepted.id, iso(from_ms(accepted.created_at_ms)), message))


def _response(task_id: str, created_at: str, message: str) -> dict[str, Any]:
    return {"task_id": task_id, "status": "pending", "created_at": created_at, "message": message}
