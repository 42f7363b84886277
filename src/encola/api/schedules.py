"""Schedules: listed with their next times and last runs, paused, resumed, and run now."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from ..client import LoopClient, current_loop_client
from ..models import TaskResponse
from ..record import TaskState, iso
from ..settings import get_settings
from ..store import NewTask
from ..store.schedule_verbs import ScheduleVerbs
from ..store.schedules import Schedules, StoredSchedule
from ..submit import new_task_id
from .answers import answer, problems
from .language import choose_language, say
from .shapes import JsonObject, Moment
from .tasks import submitted
from .timing_words import expression, words

router = APIRouter(prefix="/schedules", tags=["schedules"])

ScheduleId = Annotated[
    str, Path(max_length=300, description="Id of a schedule; a slash in it may be written as %2F.")
]
#: Times to come that are shown.
SHOWN: Final = 5


class RunItem(TypedDict):
    """A task that the schedule has enqueued."""

    task_id: str
    state: TaskState | None
    """None: retention has removed its record."""
    at: Moment
    """The time that it was for; of a run by hand, when it was enqueued."""


class ScheduleItem(TypedDict):
    """A schedule as it stands."""

    id: str
    type: str
    input: JsonObject
    queue: str
    expression: str
    words: str
    """The times in words, in the caller's language."""
    timezone: str
    grace_seconds: float
    paused: bool
    next: list[Moment]
    """The next five times; empty while it is paused."""
    last: list[RunItem]
    """Newest first, ten at most."""
    missed: int


class ScheduleList(TypedDict):
    """All schedules, by id."""

    items: list[ScheduleItem]
    running: bool
    """Whether a scheduler has been heard of in the last 100 seconds."""


class SchedulePaused(TypedDict):
    """Whether the schedule runs."""

    id: str
    paused: bool
    changed: bool
    next: list[Moment]
    message: str


@router.get("", response_model=ScheduleList, responses=problems(503))
async def list_schedules(request: Request) -> Response:
    """Every schedule: when it runs next, in words too, and what its last runs came to."""
    overview = await _schedules(current_loop_client()).all()
    language = choose_language(request)
    shown: ScheduleList = {
        "items": [item(one, overview.now, language) for one in overview.schedules],
        "running": overview.is_running,
    }
    return answer(shown)


@router.post(
    "/{schedule_id:path}/pause", response_model=SchedulePaused, responses=problems(403, 404, 503)
)
async def pause(request: Request, schedule_id: ScheduleId) -> Response:
    """Lets a schedule pass its times without running, until it is resumed."""
    return await _pause(request, schedule_id, on=True)


@router.post(
    "/{schedule_id:path}/resume", response_model=SchedulePaused, responses=problems(403, 404, 503)
)
async def resume(request: Request, schedule_id: ScheduleId) -> Response:
    """Lets a schedule run again, from its next time on."""
    return await _pause(request, schedule_id, on=False)


@router.post(
    "/{schedule_id:path}/run", response_model=TaskResponse, responses=problems(403, 404, 503)
)
async def run_now(request: Request, schedule_id: ScheduleId) -> Response:
    """Enqueues one run at once, of a paused schedule too; its times stay as they are."""
    client = current_loop_client()
    plan = (await _schedules(client).get(schedule_id)).plan
    task = NewTask(
        id=new_task_id(),
        message=plan.message_for(await _now(client), "api"),
        queue=plan.queue,
        type=plan.type,
        priority=plan.priority,
        user_id=plan.user_id,
    )
    verbs = ScheduleVerbs(client.verbs)
    [accepted] = await client.accept(verbs.run_now(schedule_id, task, get_settings().max_waiting))
    message = say("schedule_run", choose_language(request), id=schedule_id)
    return submitted(accepted, message)


async def _pause(request: Request, schedule_id: str, *, on: bool) -> Response:
    client = current_loop_client()
    found, now = await _schedules(client).get(schedule_id), await _now(client)
    following = found.plan.timing.next_after(now)
    call = ScheduleVerbs(client.verbs).pause(schedule_id, on=on, next_at=following)
    changed = await client.run(call)
    then = await _schedules(client).get(schedule_id)
    key = "schedule_paused" if on else "schedule_resumed"
    shown: SchedulePaused = {
        "id": schedule_id,
        "paused": on,
        "changed": changed,
        "next": [iso(moment) for moment in then.next_times(now, SHOWN)],
        "message": say(key, choose_language(request), id=schedule_id),
    }
    return answer(shown)


def item(schedule: StoredSchedule, now: dt.datetime, language: str) -> ScheduleItem:
    plan = schedule.plan
    return {
        "id": plan.id,
        "type": plan.type,
        "input": dict(plan.input),
        "queue": plan.queue,
        "expression": expression(plan.timing),
        "words": words(plan.timing, language),
        "timezone": plan.timing.timezone,
        "grace_seconds": plan.grace,
        "paused": schedule.paused_at is not None,
        "next": [iso(moment) for moment in schedule.next_times(now, SHOWN)],
        "last": [
            {"task_id": run.task_id, "state": run.state, "at": iso(run.at)} for run in schedule.last
        ],
        "missed": schedule.missed,
    }


def _schedules(client: LoopClient) -> Schedules:
    return Schedules(client.redis, client.verbs.keys)


async def _now(client: LoopClient) -> dt.datetime:
    """By the server's clock, as everything about schedules."""
    look = await client.run(ScheduleVerbs(client.verbs).due([]))
    moment: dt.datetime = look.now
    return moment
