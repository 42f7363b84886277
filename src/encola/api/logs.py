"""What a task wrote while it ran: as a list, and as it is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from ..client import current_loop_client
from ..errors import TaskNotFound
from ..record import STATUS, from_ms, iso
from ..store.logs import Line, Logs, has_ended
from ..tasklog import LEVELS
from .answers import answer, problems
from .fanout import Fanout, current_fanout
from .problems import unfit
from .records import TaskId
from .service_shapes import LogAnswer, LogItem
from .sse import HEARTBEAT, RETRY_MS, EventStream, block
from .subscription import QUIET_SECONDS, Subscription, Wanted

router = APIRouter(prefix="/tasks", tags=["live"])

Level = Annotated[str | None, Query(description="This one or worse: " + ", ".join(LEVELS))]
#: More than any log has, and no more than the store or a script in a browser can count.
LAST_LINE: Final = 2**53 - 1
After = Annotated[int, Query(ge=0, le=LAST_LINE, description="Only lines after this one.")]
AttemptNumber = Annotated[int | None, Query(ge=1)]
#: Lines of one answer.
MOST_LINES: Final = 1_000
USUAL_LINES: Final = 500


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which lines to show."""

    attempt: int | None
    level: str | None

    def admits(self, line: Line) -> bool:
        worse = self.level is None or LEVELS.index(line.level) >= LEVELS.index(self.level)
        return worse and self.attempt in (None, line.attempt)


@router.get(
    "/{task_id:path}/logs/events",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {}}}, **problems(404, 422, 503)},
)
async def follow_log(
    request: Request,
    task_id: TaskId,
    attempt: AttemptNumber = None,
    level: Level = None,
    after: After = 0,
) -> Response:
    """The log of a task as it is written; `end` when the task has its outcome."""
    chosen = choose(attempt, level)
    logs = current_logs()
    if await logs.state(task_id) is None:
        raise TaskNotFound(task_id)
    after = last_line(request, after)
    fanout = await current_fanout()
    wanted = Wanted(task_ids=frozenset({task_id}))
    subscription = Subscription(fanout, wanted, lambda told: b"told" if told else b"")
    return EventStream(subscription, blocks(fanout, subscription, logs, task_id, chosen, after))


@router.get("/{task_id:path}/logs", response_model=LogAnswer, responses=problems(404, 422, 503))
async def read_log(
    task_id: TaskId,
    attempt: AttemptNumber = None,
    level: Level = None,
    after: After = 0,
    tail: Annotated[int | None, Query(ge=1, le=MOST_LINES)] = None,
    limit: Annotated[
        int | None, Query(ge=1, le=MOST_LINES, description="None: 500, or all of `tail`.")
    ] = None,
) -> Response:
    """What a task wrote to `logging` and printed, oldest first."""
    chosen = choose(attempt, level)
    logs = current_logs()
    if await logs.state(task_id) is None:
        raise TaskNotFound(task_id)
    every = await logs.read(task_id)
    lines = [line for line in every if line.number > after and chosen.admits(line)]
    shown: LogAnswer = {
        "task_id": task_id,
        "items": [item(line) for line in portion(lines, tail, limit)],
        "last": every[-1].number if every else 0,
        "dropped": every[-1].number - len(every) if every else 0,
    }
    return answer(shown)


def portion(lines: list[Line], tail: int | None, limit: int | None) -> list[Line]:
    """Of *lines* the last *tail*, and of those the first *limit*."""
    return (lines[-tail:] if tail else lines)[: limit or tail or USUAL_LINES]


async def blocks(
    fanout: Fanout,
    subscription: Subscription[bytes],
    logs: Logs,
    task_id: str,
    chosen: Chosen,
    after: int,
) -> AsyncGenerator[bytes, None]:
    """The lines as blocks of the stream; looked for when the log has grown or the state has changed."""
    clock = asyncio.get_running_loop().time
    has_told_end, sent_at = False, clock()
    with reading(fanout, task_id, subscription.poke):
        yield b"retry: %d\n\n" % RETRY_MS
        while True:
            # First the state: all lines of a task are there before its outcome is.
            state = await logs.state(task_id)
            lines = await logs.read(task_id, after)
            after = lines[-1].number if lines else after
            found = [block("log", item(n), str(n.number)) for n in lines if chosen.admits(n)]
            if has_ended(state) and not has_told_end:
                told = {
                    "task_id": task_id,
                    "state": state,
                    "status": STATUS[state] if state else None,
                }
                found.append(block("end", told))
            has_told_end = has_ended(state)
            if found or clock() - sent_at >= QUIET_SECONDS:
                yield b"".join(found) or HEARTBEAT + b"\n"
                sent_at = clock()
            if await subscription.next() is None:
                return


def last_line(request: Request, after: int) -> int:
    """
    After which line a client goes on; the header, which a browser sends when it comes back, counts first.

    Raises:
        Problem: the header is not the number of a line.
    """
    given = request.headers.get("last-event-id")
    if not given:
        return after
    if not (given.isascii() and given.isdecimal() and len(given) < 20 and int(given) <= LAST_LINE):
        raise unfit(["header", "last-event-id"], "expected the number of a line")
    return int(given)


@contextmanager
def reading(fanout: Fanout, task_id: str, read_on: Callable[[], None]) -> Iterator[None]:
    """Calls *read_on* whenever the log has grown."""
    fanout.readers.setdefault(task_id, set()).add(read_on)
    try:
        yield
    finally:
        fanout.readers[task_id].discard(read_on)
        if not fanout.readers[task_id]:
            del fanout.readers[task_id]


def choose(attempt: int | None, level: str | None) -> Chosen:
    """
    Raises:
        Problem: no such level.
    """
    if level and level not in LEVELS:
        raise unfit(["query", "level"], f"expected one of {', '.join(LEVELS)}")
    return Chosen(attempt, level or None)


def item(line: Line) -> LogItem:
    return {
        "n": line.number,
        "at": iso(from_ms(line.at_ms)),
        "attempt": line.attempt,
        "level": line.level,
        "source": line.source,
        "message": line.message,
    }


def current_logs() -> Logs:
    client = current_loop_client()
    return Logs(client.redis, client.verbs.keys)
