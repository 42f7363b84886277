"""
Submitting tasks.

These routes read and check their body themselves, as strict JSON, and are called
without FastAPI's own solving of dependencies, which would cost more than all they do.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response

from ..client import current_loop_client
from ..errors import InvalidInput
from ..models import EmailRequest, FileProcessRequest, TaskResponse
from ..record import from_ms, iso
from ..settings import get_settings
from ..store import Enqueued, NewTask
from ..submit import prepare, prepare_valid
from ..task import Options, TaskType, get_task_type, public_errors
from ..tasks import email as email_tasks
from ..tasks import files as file_tasks
from .answers import answer, body_of, problems
from .inprocess import current_in_process
from .language import choose_language, say
from .strict_json import read_json
from .submission import HEADERS, Submission, options_of

M = TypeVar("M", bound=BaseModel)
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class DirectRoute(APIRoute):
    """A route whose function takes the request and gives the response, with nothing in between."""

    def get_route_handler(self) -> Handler:
        handler: Handler = self.endpoint
        return handler


router = APIRouter(
    prefix="/tasks",
    tags=["submit"],
    route_class=DirectRoute,
    responses=problems(400, 403, 413, 415, 422, 503),
)


@router.post(
    "/email/celery", response_model=TaskResponse, openapi_extra=body_of(EmailRequest) | HEADERS
)
async def send_email_celery(request: Request) -> Response:
    """Sends an e-mail through the queue."""
    email = fitting(EmailRequest, await read_json(request), "email")
    accepted = await current_loop_client().enqueue(new_email(email, options_of(request)))
    return submitted(accepted, say("email_celery", choose_language(request)))


@router.post(
    "/email/simple", response_model=TaskResponse, openapi_extra=body_of(EmailRequest) | HEADERS
)
async def send_email_simple(request: Request) -> Response:
    """Sends an e-mail from the API process, after the answer; the same record."""
    email = fitting(EmailRequest, await read_json(request), "email")
    new = new_email(email, options_of(request))
    here = current_in_process()
    accepted = await here.accept(new)
    response = submitted(accepted, say("email_simple", choose_language(request)))
    if accepted.id != new.id:
        return response
    response.background = BackgroundTask(
        here.run,
        new.id,
        email_tasks.send_notification_email.retry,
        lambda: email_tasks.send(new.id, email.email, email.subject, email.body),
    )
    return response


@router.post(
    "/file/process",
    response_model=TaskResponse,
    openapi_extra=body_of(FileProcessRequest) | HEADERS,
)
async def process_file(request: Request) -> Response:
    """
    Processes a table of text: CSV or TSV, plain or packed with gzip or zstd.

    Whether the path is allowed, and is that of a table, the worker finds out: the task says so.
    """
    wanted = fitting(FileProcessRequest, await read_json(request), "file")
    new = prepare_valid(
        file_tasks.process_large_file,
        [wanted.file_path, wanted.user_id],
        options_of(request),
        max_input=get_settings().max_body,
    )
    accepted = await current_loop_client().enqueue(new)
    return submitted(accepted, say("file", choose_language(request)))


@router.post("", response_model=TaskResponse, openapi_extra=body_of(Submission) | HEADERS)
async def submit(request: Request) -> Response:
    """Enqueues a task of any declared type."""
    wanted = fitting(Submission, await read_json(request), "submission")
    given = wanted.options.model_dump(exclude_unset=True)
    options = replace(options_of(request), **given)
    accepted = await enqueue(get_task_type(wanted.type), wanted.input, options)
    return submitted(accepted, say("accepted", choose_language(request)))


# --- what the routes have in common ----------------------------------------------


def fitting(model: type[M], value: Any, name: str) -> M:
    """
    The body as *model*.

    Raises:
        InvalidInput: with the path of each field in the body.
    """
    if not isinstance(value, dict):
        message = "Input should be a JSON object"
        raise InvalidInput(name, [{"loc": ["body"], "msg": message, "type": "dict_type"}])
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise InvalidInput(name, _under(["body"], public_errors(error))) from None


def new_email(email: EmailRequest, options: Options) -> NewTask:
    """The queued task's message; the model has checked what the task type would."""
    arguments = [email.email, email.subject, email.body]
    most = get_settings().max_body
    return prepare_valid(email_tasks.send_notification_email, arguments, options, max_input=most)


async def enqueue(task_type: TaskType, values: dict[str, Any], options: Options) -> Enqueued:
    """
    Raises:
        InvalidInput, TooLarge, StoreUnavailable, StoreFull
    """
    try:
        new = prepare(task_type, values, options, max_input=get_settings().max_body)
    except InvalidInput as error:
        raise InvalidInput(task_type.name, _under(["body", "input"], error.errors)) from None
    return await current_loop_client().enqueue(new)


def submitted(accepted: Enqueued, message: str) -> Response:
    """The answer of a submit."""
    return pending(accepted.id, iso(from_ms(accepted.created_at_ms)), message)


def pending(task_id: str, created_at: str, message: str) -> Response:
    """``TaskResponse``"""
    return answer(
        {"task_id": task_id, "status": "pending", "created_at": created_at, "message": message}
    )


def _under(path: list[str], errors: Sequence[Mapping[str, Any]]) -> list[dict[str, object]]:
    return [{**error, "loc": [*path, *error["loc"]]} for error in errors]
