"""
Cancelling many tasks, or running them again: what a filter says, and the work.

1. The work is a task. When it was accepted is the line: what came later, or ended later, is not
   its business, and neither is it itself.
2. What fits is counted, for its progress.
3. Oldest first, a batch at a time, each task is looked at and acted on in one step of the store,
   which keeps the number of what was changed with the work's own record.

An attempt that was cut off is followed by one that begins anew: what was changed by then does not fit
any more, and the number goes on. Who is not the current attempt changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Final

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator
from typing_extensions import TypedDict

from .client import LoopClient, current_loop_client
from .errors import TaskNotFound
from .record import MAX_ID_BYTES, TaskState
from .settings import get_settings
from .store import Filter
from .store.bulk import Action, Bulk, Choice, Work
from .store.indexes import first_ms
from .values import Moment, Text, UserId
from .wording import say_progress

#: Ids that a filter may name.
MOST_IDS: Final = 1_000
#: Between two reports of progress, in seconds.
TELL_SECONDS: Final = 0.25

TaskName = Annotated[str, Field(min_length=1, max_length=MAX_ID_BYTES)]


class BulkFilter(BaseModel):
    """Which tasks: all that is given must fit, and something must be given."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    ids: Annotated[list[TaskName], Field(min_length=1, max_length=MOST_IDS)] | None = None
    search: TaskName | None = None
    """An id, or its beginning."""
    state: TaskState | None = None
    type: Text | None = None
    user_id: UserId | None = None
    queue: Text | None = None
    since: Moment | None = None
    """Created at this time or later."""
    until: Moment | None = None
    """Created before this time."""

    @model_validator(mode="after")
    def _says_something(self) -> BulkFilter:
        if all(getattr(self, name) is None for name in type(self).model_fields):
            named = ", ".join(type(self).model_fields)
            raise ValueError(
                f"expected at least one of {named}: without any it would be every task"
            )
        return self

    @model_serializer(mode="wrap")
    def _given(self, handler: Any) -> dict[str, Any]:
        """Only what was given, so that a record shows what was asked for."""
        return {name: value for name, value in handler(self).items() if value is not None}

    def choice(self, action: Action) -> Choice:
        """What the store is asked for."""
        wanted = Filter(
            state=self.state,
            type=self.type,
            user_id=self.user_id,
            queue=self.queue,
            search=self.search,
            since_ms=None if self.since is None else first_ms(self.since),
            until_ms=None if self.until is None else first_ms(self.until),
        )
        ids = None if self.ids is None else tuple(dict.fromkeys(self.ids))
        return Choice(action, wanted, ids)


class BulkResult(TypedDict):
    """What the task returns."""

    matched: int
    """Tasks that fitted when it began."""
    changed: int
    """Tasks that it cancelled, or queued again."""
    skipped: int
    """Tasks that had ended, or been changed by another, when their turn came."""


async def whole_id_named(client: LoopClient, choice: Choice) -> Choice:
    """Where there is a task with exactly the id that is searched for, it alone is meant, as in lists."""
    searched = choice.wanted.search
    if searched and choice.ids is None and await client.records.get(searched) is not None:
        return replace(choice, ids=(searched,))
    return choice


async def carry_out(task_id: str, token: int, action: Action, given: BulkFilter) -> BulkResult:
    """
    The work of the task *task_id*, whose attempt runs under *token*.

    Raises:
        TaskNotFound: there is no such task.
        StoreError: it can be gone on with; `StoreFull` where no more tasks may wait for now.
    """
    client = current_loop_client()
    record = await client.records.get(task_id)
    if record is None:
        raise TaskNotFound(task_id)
    work = Work(task_id, token, *record.order)
    bulk = Bulk(client.redis, client.verbs)
    choice = await whole_id_named(client, given.choice(action))
    left, _ = await bulk.count(choice, work)
    changed, total = record.changed, record.changed + left
    told_at = 0.0
    async for batch in bulk.batches(choice, work):
        if not batch.ids:
            continue
        done = await bulk.act(choice, work, batch.ids, get_settings().max_waiting)
        if done is None:  # cancelled, or given to another: nothing that is said from here on counts
            break
        changed = done.changed
        if done.fitting and time.monotonic() - told_at >= TELL_SECONDS:
            told_at = time.monotonic()
            await _tell(client, work, action, changed, total)
    return {"matched": max(total, changed), "changed": changed, "skipped": max(0, total - changed)}


async def _tell(client: LoopClient, work: Work, action: Action, changed: int, total: int) -> None:
    key, values = f"bulk_{action}", {"changed": changed, "total": max(total, changed)}
    progress: Mapping[str, Any] = {
        "current": changed,
        "total": values["total"],
        "status": say_progress(key, values, get_settings().language),
        "key": key,
        "values": values,
    }
    await client.run(client.verbs.progress(work.id, work.token, orjson.dumps(progress)))
