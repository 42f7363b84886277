"""The live routes: every event, and those of one task, as server-sent events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from fastapi import APIRouter
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from ..client import current_loop_client
from ..errors import TaskNotFound
from ..record import TaskState
from ..store.events import Order, as_it_stands, read_order
from .answers import problems
from .fanout import Told, current_fanout
from .problems import unfit
from .sse import EventStream, blocks_of, encode_told
from .subscription import Subscription, Wanted
from .tasks import DirectRoute

router = APIRouter(tags=["live"], route_class=DirectRoute)

#: Values that a filter takes of each field.
MOST_VALUES: Final = 100
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Server-sent events.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


def _parameters(*names: str) -> dict[str, object]:
    schema = {"type": "array", "items": {"type": "string"}}
    given: list[dict[str, object]] = [
        {"name": name, "in": "query", "required": False, "schema": schema} for name in names
    ]
    text = {"type": "string"}
    given.append({"name": "last_event_id", "in": "query", "required": False, "schema": text})
    given.append({"name": "Last-Event-ID", "in": "header", "required": False, "schema": text})
    return {"parameters": given}


@router.get(
    "/events",
    response_class=Response,
    responses={**_STREAM, **problems(422, 503)},
    openapi_extra=_parameters("type", "state", "user_id", "queue", "task_id"),
)
async def listen(request: Request) -> Response:
    """Every change of every task, as it happens; docs/http.md has the words."""
    wanted = wanted_of(request.query_params)
    last = last_event_id(request)
    subscription = Subscription(await current_fanout(), wanted, encode_told, last)
    return EventStream(subscription, blocks_of(subscription))


@router.get(
    "/tasks/{task_id:path}/events",
    response_class=Response,
    responses={**_STREAM, **problems(404, 422, 503)},
    openapi_extra=_parameters(),
)
async def listen_to_task(request: Request) -> Response:
    """Every change of one task; first, how it stands."""
    task_id, last = request.path_params["task_id"], last_event_id(request)
    fanout = await current_fanout()
    record, end = await current_loop_client().records.get_with_end(task_id)
    if record is None:
        raise TaskNotFound(task_id)
    wanted = Wanted(task_ids=frozenset({task_id}))
    if last is not None:
        subscription = Subscription(fanout, wanted, encode_told, last)
        return EventStream(subscription, blocks_of(subscription))
    # From exactly this moment of the record on: nothing is told twice, nothing is left out.
    subscription = Subscription(fanout, wanted, encode_told, end)
    event = as_it_stands(record, end)
    first = encode_told([Told(end, event.encode(), event)])
    return EventStream(subscription, blocks_of(subscription, first))


def last_event_id(request: Request) -> Order | None:
    """
    From where a client goes on; the header, which a browser sends when it comes back, counts first.

    Raises:
        Problem: it is not an id of an event.
    """
    header = request.headers.get("last-event-id")
    given = header or request.query_params.get("last_event_id")
    if not given:
        return None
    try:
        return read_order(given)
    except ValueError as error:
        loc = ["header", "last-event-id"] if header else ["query", "last_event_id"]
        raise unfit(loc, str(error)) from None


def wanted_of(query: QueryParams) -> Wanted:
    """
    The filter of a query; each field may be given several times.

    Raises:
        Problem: an unknown state, or more values than :data:`MOST_VALUES`.
    """
    return Wanted(
        types=_values(query.getlist("type"), "type"),
        states=check_states(_values(query.getlist("state"), "state"), ["query", "state"]),
        user_ids=_values(query.getlist("user_id"), "user_id"),
        queues=_values(query.getlist("queue"), "queue"),
        task_ids=_values(query.getlist("task_id"), "task_id"),
    )


def check_states(states: frozenset[str], loc: list[str]) -> frozenset[str]:
    """
    Raises:
        Problem: one of them is no state.
    """
    if not states <= {state.value for state in TaskState}:
        raise unfit(loc, f"expected some of {', '.join(TaskState)}")
    return states


def _values(given: Iterable[str], name: str) -> frozenset[str]:
    # An empty value is a field of a form that nobody has filled in.
    values = frozenset(value for value in given if value)
    if len(values) > MOST_VALUES:
        raise unfit(["query", name], f"expected at most {MOST_VALUES} values")
    return values
