"""
Errors as answers: RFC 9457 problem details with a stable ``code``.

One table says which of our errors is which status; everything else about an
error is its own sentence.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any, Final

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from ..disk import DiskFull
from ..errors import (
    EncolaError,
    InvalidInput,
    InvalidQueue,
    InvalidTaskId,
    NothingRuns,
    QueueNotFound,
    ScheduleNotFound,
    StoreError,
    StoreFull,
    TaskActive,
    TaskFinished,
    TaskNotFound,
    TaskTypeNotFound,
    TooLarge,
    WorkerNotFound,
)
from ..installation import FolderElsewhere
from ..reports.shelf import ReportNotFound
from ..task import public_error
from .language import choose_language, say
from .problem_words import in_language, words_of

logger = logging.getLogger(__name__)

#: What we raise -> status of the answer. The first that fits counts.
STATUSES: Final[tuple[tuple[type[EncolaError], int], ...]] = (
    (TaskNotFound, 404),
    (InvalidTaskId, 404),
    (QueueNotFound, 404),
    (WorkerNotFound, 404),
    (ReportNotFound, 404),
    (ScheduleNotFound, 404),
    (TaskTypeNotFound, 422),
    (InvalidInput, 422),
    (InvalidQueue, 422),
    (TooLarge, 413),
    (DiskFull, 507),
    (FolderElsewhere, 503),
    (TaskFinished, 409),
    (TaskActive, 409),
    (StoreFull, 503),
    (StoreError, 503),
    (NothingRuns, 503),
)
#: Said of every answer; here too, because a refusal or a crash is answered outside the guard.
SAFE_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
}
#: Of what Starlette raises, not we.
HTTP_CODES: Final = {404: "not_found", 405: "method_not_allowed", 416: "range_not_satisfiable"}
#: Seconds after which a client may try again while the store is away.
RETRY_AFTER: Final = 2


class Problem(Exception):
    """Raised by a route to answer with this problem."""

    def __init__(
        self, status: int, code: str, detail: str, errors: list[dict[str, Any]] | None = None
    ) -> None:
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors
        super().__init__(detail)


def unfit(loc: list[str], message: str, kind: str = "value_error") -> Problem:
    """422 for one value of a request; *loc*: where it stood, such as ``["query", "cursor"]``."""
    errors = [{"loc": loc, "msg": message, "type": kind}]
    return Problem(422, "validation", "The request does not fit.", errors)


def problem_response(problem: Problem) -> Response:
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
    }
    if problem.errors is not None:
        document["errors"] = problem.errors
    headers = dict(SAFE_HEADERS)
    if problem.status == 503:
        headers["Retry-After"] = str(RETRY_AFTER)
    return Response(
        orjson.dumps(document, default=str),
        status_code=problem.status,
        media_type="application/problem+json",
        headers=headers,
    )


def refuse(request: Request, problem: Problem) -> Response:
    """*problem* in the caller's language."""
    detail = in_language(problem.detail, choose_language(request))
    return problem_response(Problem(problem.status, problem.code, detail, problem.errors))


async def on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return refuse(request, error)


async def on_encola_error(request: Request, error: Exception) -> Response:
    """One of our errors, by the table."""
    assert isinstance(error, EncolaError)
    status = next((status for kind, status in STATUSES if isinstance(error, kind)), 500)
    if status == 500:
        return await on_crash(request, error)
    language = choose_language(request)
    is_unknown = isinstance(error, (TaskNotFound, InvalidTaskId))
    detail = say("not_found", language) if is_unknown else words_of(error, language)
    code = "task_not_found" if isinstance(error, InvalidTaskId) else error.code
    errors = error.errors if isinstance(error, InvalidInput) else None
    return problem_response(Problem(status, code, detail, errors))


async def on_validation(request: Request, error: Exception) -> Response:
    """FastAPI's own 422, without repeating the input: it may be a secret."""
    assert isinstance(error, RequestValidationError)
    errors = [public_error(one) for one in error.errors()]
    return refuse(request, Problem(422, "validation", "The request does not fit.", errors))


async def on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = HTTP_CODES.get(error.status_code, "http_error")
    response = refuse(request, Problem(error.status_code, code, str(error.detail)))
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


async def on_disconnect(request: Request, error: Exception) -> Response:
    """The client went away before its request was whole: nobody reads this, and nothing was done."""
    return refuse(request, Problem(400, "incomplete", "The request ended before its body did."))


async def on_crash(request: Request, error: Exception) -> Response:
    """A mistake of ours: logged in full, told without details."""
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return refuse(request, Problem(500, "internal_error", "Something went wrong on our side."))
