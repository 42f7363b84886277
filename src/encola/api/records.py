"""
Reading: how one task stands, what runs now, and lists.

Routes of words come before the route of ids, which takes any: FastAPI takes the first that fits.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BeforeValidator
from starlette.requests import Request
from starlette.responses import Response

from ..client import current_loop_client
from ..errors import EncolaError, TaskNotFound
from ..record import FINISHED, RUNNING, TaskRecord, TaskState
from ..store import Filter
from ..store.indexes import first_ms
from ..store.records import PAGE_LIMIT
from ..task import task_types
from ..values import Moment
from . import views
from .answers import answer, problems
from .deps import current_service
from .language import choose_language
from .problems import unfit
from .shapes import RunningTask, StatusAnswer, TaskPage, TypeList, WholeTask

router = APIRouter(prefix="/tasks", tags=["read"])


def _given(value: object) -> object:
    return value or None


#: Any id that a Celery client may have chosen. One that cannot be an id is one that is unknown.
TaskId = Annotated[str, Path(description="Id of a task; a slash in it may be written as %2F.")]
FilterValue = Annotated[str | None, Query(max_length=255)]
FilterTime = Annotated[Moment | None, BeforeValidator(_given), Query()]
#: Running tasks that are shown at most.
ACTIVE_BOUND = 5_000
WAITING = frozenset(TaskState) - FINISHED - RUNNING


@router.get("/types", response_model=TypeList)
async def list_types() -> Response:
    """Every task type, with the JSON Schemas of its input and its result."""
    paused: set[str] | None
    try:
        paused = await current_service().paused()
    except EncolaError:
        # What can be asked for does not depend on the store.
        paused = None
    types: TypeList = {"types": [views.task_type(declared, paused) for declared in task_types()]}
    return answer(types)


@router.get("/active", response_model=dict[str, list[RunningTask]], responses=problems(503))
async def list_active() -> Response:
    """What every worker is running now, from the records; at most 5,000 tasks."""
    by_worker: dict[str, list[RunningTask]] = {}
    seen: set[str] = set()
    for record in await running_records():
        # One that reports progress between the two lists is in both.
        if record.id not in seen:
            seen.add(record.id)
            node = (record.worker or "").partition("/")[0]
            by_worker.setdefault(node, []).append(views.running(record))
    return answer(by_worker)


@router.get("/status/{task_id:path}", response_model=StatusAnswer, responses=problems(404, 503))
async def read_status(request: Request, task_id: TaskId) -> Response:
    """How a task stands: its state, and a sentence in the caller's language."""
    return answer(views.status(await find(task_id), choose_language(request)))


@router.get("", response_model=TaskPage, responses=problems(422, 503))
async def list_tasks(
    request: Request,
    state: Annotated[TaskState | None, BeforeValidator(_given), Query()] = None,
    type: FilterValue = None,  # noqa: A002 - the contract's name
    user_id: FilterValue = None,
    queue: FilterValue = None,
    search: FilterValue = None,
    since: FilterTime = None,
    until: FilterTime = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 50,
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """
    Tasks, newest first. A filter that is given and empty is none.

    `search` is an id or its beginning; `since` and `until` are times with their zone: created at
    or after the first, before the second.
    """
    wanted = Filter(
        state=state,
        type=type or None,
        user_id=user_id or None,
        queue=queue or None,
        search=search or None,
        since_ms=first_ms(since) if since else None,
        until_ms=first_ms(until) if until else None,
    )
    try:
        page = await current_loop_client().records.page(wanted, limit, cursor or None)
    except ValueError as error:
        raise unfit(["query", "cursor"], str(error), "cursor") from None
    shown: TaskPage = {
        "items": [views.full(record, choose_language(request)) for record in page.items],
        "next_cursor": page.next_cursor,
    }
    return answer(shown)


@router.get("/{task_id:path}", response_model=WholeTask, responses=problems(404, 503))
async def read_task(request: Request, task_id: TaskId) -> Response:
    """Everything known of a task; of one that waits, why."""
    record = await find(task_id)
    why = None
    if record.state in WAITING:
        client = current_loop_client()
        why = await client.run(client.verbs.waiting(task_id))
    shown: WholeTask = {
        **views.full(record, choose_language(request)),
        "waiting": views.waiting(why) if why else None,
    }
    return answer(shown)


async def find(task_id: str) -> TaskRecord:
    """
    Raises:
        TaskNotFound
    """
    record = await current_loop_client().records.get(task_id)
    if record is None:
        raise TaskNotFound(task_id)
    return record


async def running_records() -> list[TaskRecord]:
    """The tasks that run now, newest first of each state."""
    records = current_loop_client().records
    found: list[TaskRecord] = []
    for state in sorted(RUNNING):
        cursor: str | None = None
        while len(found) < ACTIVE_BOUND:
            page = await records.page(Filter(state=state), PAGE_LIMIT, cursor)
            # The index was read first; some may have ended before their record was.
            found += [record for record in page.items if record.state in RUNNING]
            cursor = page.next_cursor
            if cursor is None:
                break
    return found
