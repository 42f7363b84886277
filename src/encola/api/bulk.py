"""Cancelling or retrying all tasks that fit a filter: first a count, then the work, which is a task."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, StrictBool
from starlette.requests import Request
from starlette.responses import Response

from ..bulk import BulkFilter, carry_out, whole_id_named
from ..client import current_loop_client
from ..models import TaskResponse
from ..settings import get_settings
from ..store.bulk import BULK_TYPES, Action, Bulk, Choice
from ..submit import prepare_valid
from ..task import TaskType
from ..tasks import bulk as bulk_tasks
from .answers import answer, body_of, problems
from .deps import current_service
from .inprocess import TOKEN, current_in_process
from .language import choose_language, say
from .shapes import BulkCount
from .strict_json import read_json
from .submission import HEADERS, options_of
from .tasks import DirectRoute, fitting, submitted

router = APIRouter(prefix="/tasks", tags=["act"], route_class=DirectRoute)

#: Entries of an index that are looked at for a count.
COUNTED: Final = 20_000


class BulkRequest(BaseModel):
    """What to do with which tasks."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    filter: BulkFilter
    dry_run: StrictBool = True
    """Only count them; nothing is changed."""


_DESCRIBED: Final[dict[str, Any]] = {
    "response_model": BulkCount | TaskResponse,
    "responses": problems(400, 403, 413, 415, 422, 503),
    "openapi_extra": body_of(BulkRequest) | HEADERS,
}


@router.post("/cancel", **_DESCRIBED)
async def cancel_many(request: Request) -> Response:
    """Cancels all tasks that fit a filter; with `dry_run`, counts them."""
    return await _do(request, "cancel", bulk_tasks.bulk_cancel)


@router.post("/retry", **_DESCRIBED)
async def retry_many(request: Request) -> Response:
    """Runs all finished tasks that fit a filter again; with `dry_run`, counts them."""
    return await _do(request, "retry", bulk_tasks.bulk_retry)


async def _do(request: Request, action: Action, task_type: TaskType) -> Response:
    wanted = fitting(BulkRequest, await read_json(request), f"bulk_{action}")
    if wanted.dry_run:
        matches, is_exact = await count(wanted.filter.choice(action))
        shown: BulkCount = {"dry_run": True, "matches": matches, "exact": is_exact}
        return answer(shown)
    arguments = [wanted.filter.model_dump(mode="json")]
    most = get_settings().max_body
    new = prepare_valid(task_type, arguments, options_of(request), max_input=most)
    here = current_in_process()
    accepted = await here.accept(new)
    if accepted.id == new.id:
        # Not after the answer, as an e-mail is sent: a stop of the server would wait for it.
        here.begin(
            new.id,
            task_type.retry,
            lambda: carry_out(new.id, TOKEN, action, wanted.filter),
        )
    return submitted(accepted, say("accepted", choose_language(request)))


async def count(choice: Choice) -> tuple[int, bool]:
    """
    How many tasks fit at the moment, and whether that is exact.

    Raises:
        StoreError
    """
    wanted = choice.wanted
    searches = (wanted.user_id, wanted.search, wanted.since_ms, wanted.until_ms, choice.ids)
    if all(value is None for value in searches):
        return await _count_all(choice), True
    client = current_loop_client()
    named = await whole_id_named(client, choice)
    return await Bulk(client.redis, client.verbs).count(named, most=COUNTED)


async def _count_all(choice: Choice) -> int:
    """By state, type and queue alone: the store counts these anyway."""
    counts = await current_service().counts()
    return sum(
        words[state]
        for (type_name, queue), words in counts.by_kind.items()
        if choice.wanted.type in (None, type_name) and choice.wanted.queue in (None, queue)
        if choice.takes_bulk or type_name not in BULK_TYPES
        for state in choice.states
    )
