"""A stream of events in memory, for who listens to it in this very process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from encola.api import fanout as fanout_module
from encola.api.fanout import Fanout
from encola.record import TaskState
from encola.store.events import START, Event, Order, Read, Waited

Kind = tuple[str, str, TaskState, str, str | None]
"""Of an event: id of its task, type, state, queue, user."""


def made(number: int, kind: Kind = ("a", "a", TaskState.PENDING, "a", None)) -> Event:
    task_id, type_name, state, queue, user_id = kind
    return Event((number, 0), task_id, type_name, state, queue, user_id, 0, 0)


class Stream:
    """A stream of events in memory."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.has_come = asyncio.Event()

    def add(self, events: Iterable[Event]) -> None:
        self.events += events
        self.has_come.set()

    async def end(self) -> Order:
        return self.events[-1].order if self.events else START

    async def logged_end(self) -> Order:
        return START

    async def after(self, order: Order, count: int) -> Read:
        return Read(self._after(order)[:count], is_complete=True, end=await self.end())

    async def wait(self, order: Order, logged: Order, count: int, wait_ms: int) -> Waited:
        while not (found := self._after(order)):
            self.has_come.clear()
            await self.has_come.wait()
        return Waited(found[:count])

    def _after(self, order: Order) -> list[Event]:
        return [event for event in self.events if event.order > order]


async def begin() -> tuple[Fanout, Stream]:
    stream = Stream()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fanout_module, "make_stream", lambda: stream)
        fanout = Fanout()
    await fanout.ready()
    return fanout, stream
