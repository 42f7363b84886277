"""Reports: ask for one, list the finished ones, read one, remove one."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from ..models import TaskResponse
from ..record import iso
from ..reports import shelf
from ..reports.names import ReportName, ReportType, address
from ..reports.shelf import Shelved
from ..settings import get_settings
from ..task import get_task_type
from ..tasks.reports import Language, UserId
from .answers import answer, problems
from .deps import aside
from .language import choose_language, say
from .problems import unfit
from .shapes import ReportItem, ReportPage, ReportRemoved
from .submission import HEADERS, options_of
from .tasks import enqueue, submitted

#: Where the lesson has it: below ``/tasks``.
SUBMIT: Final = "/tasks/report/generate"
router = APIRouter()


@router.post(
    SUBMIT,
    tags=["submit"],
    response_model=TaskResponse,
    openapi_extra=HEADERS,
    responses=problems(403, 422, 503),
)
async def request_report(
    request: Request,
    user_id: Annotated[UserId, Query()],
    report_type: Annotated[ReportType, Query()],
    language: Annotated[Language | None, Query(description="Of the report.")] = None,
) -> Response:
    """Makes a PDF report; its address is in the task's result."""
    values = {"user_id": user_id, "report_type": report_type, "language": language}
    accepted = await enqueue(get_task_type("report"), values, options_of(request))
    return submitted(accepted, say("report", choose_language(request)))


@router.get("/reports", tags=["reports"], response_model=ReportPage, responses=problems(422))
async def list_reports(
    user_id: Annotated[UserId | None, Query()] = None,
    report_type: Annotated[ReportType | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=300)] = None,
) -> Response:
    """Finished reports, newest first."""
    data_dir = get_settings().data_dir
    try:
        items, next_cursor = await aside(
            lambda: shelf.list_reports(
                data_dir, limit, cursor or None, user_id=user_id, report_type=report_type
            )
        )
    except ValueError as error:
        raise unfit(["query", "cursor"], str(error), "cursor") from None
    page: ReportPage = {"items": [_item(one) for one in items], "next_cursor": next_cursor}
    return answer(page)


@router.head("/reports/{name}", include_in_schema=False)
@router.get(
    "/reports/{name}",
    tags=["reports"],
    response_class=Response,
    responses={
        200: {"content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}},
        **problems(404),
    },
)
async def read_report(name: str) -> Response:
    """One report; ``report_{user_id}_{report_type}.pdf`` is the newest of its kind."""
    found, content = await aside(lambda: _read(name))
    # A PDF is shown where it was asked for, and saved under its own name.
    headers = {"Content-Disposition": f'inline; filename="{found}"'}
    return Response(content, media_type="application/pdf", headers=headers)


@router.delete(
    "/reports/{name}", tags=["reports"], response_model=ReportRemoved, responses=problems(403, 404)
)
async def remove_report(request: Request, name: str) -> Response:
    """Removes one report; of a name without a task, the newest."""
    found = await aside(lambda: _remove(name))
    message = say("report_removed", choose_language(request), name=found)
    removed: ReportRemoved = {"name": str(found), "message": message}
    return answer(removed)


def _read(name: str) -> tuple[ReportName, bytes]:
    data_dir = get_settings().data_dir
    found = shelf.find_report(data_dir, name)
    with shelf.open_report(data_dir, found) as file:
        return found, file.read()


def _remove(name: str) -> ReportName:
    data_dir = get_settings().data_dir
    found = shelf.find_report(data_dir, name)
    shelf.remove_report(data_dir, found)
    return found


def _item(one: Shelved) -> ReportItem:
    return {
        "name": str(one.name),
        "file_url": address(one.name),
        "user_id": one.name.user_id,
        "report_type": one.name.report_type,
        "task_id": str(one.name.task_part),
        "size": one.file.size,
        "created_at": iso(dt.datetime.fromtimestamp(one.file.modified_ns / 1e9, dt.UTC)),
    }
