"""One who listens to events: what it wants, how far it is, and what it is to be sent next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from ..store.events import Event, Order
from .fanout import SLOW_SECONDS, Fanout, Told
from .server import FAREWELL_SECONDS

C = TypeVar("C")

#: Without an event for this long (s), a sign of life goes out with the next beat.
QUIET_SECONDS: Final = 10.0
#: Events of one read from the stream itself, by who is behind.
PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events to tell: of each field any of the given values, and every field; empty: all."""

    types: frozenset[str] = field(default_factory=frozenset)
    states: frozenset[str] = field(default_factory=frozenset)
    user_ids: frozenset[str] = field(default_factory=frozenset)
    queues: frozenset[str] = field(default_factory=frozenset)
    task_ids: frozenset[str] = field(default_factory=frozenset)

    def admits(self, event: Event) -> bool:
        return (
            (not self.types or event.type in self.types)
            and (not self.states or event.state in self.states)
            and (not self.queues or event.queue in self.queues)
            and (not self.user_ids or event.user_id in self.user_ids)
            and (not self.task_ids or event.task_id in self.task_ids)
        )

    def may_admit(self, found: Wanted) -> bool:
        """Whether it may admit one of some events, of which *found* has every value: see :func:`values_of`."""
        return not (
            (self.types and self.types.isdisjoint(found.types))
            or (self.states and self.states.isdisjoint(found.states))
            or (self.queues and self.queues.isdisjoint(found.queues))
            or (self.user_ids and self.user_ids.isdisjoint(found.user_ids))
            or (self.task_ids and self.task_ids.isdisjoint(found.task_ids))
        )


def values_of(told: Sequence[Told]) -> Wanted:
    """Every value that some events have: looked at once, it spares a thousand filters to look at each event."""
    events = [each.event for each in told]
    return Wanted(
        types=frozenset(event.type for event in events),
        states=frozenset(event.state for event in events),
        user_ids=frozenset(event.user_id for event in events if event.user_id),
        queues=frozenset(event.queue for event in events),
        task_ids=frozenset(event.task_id for event in events),
    )


@dataclass(frozen=True, slots=True)
class Portion(Generic[C]):
    """What is to be sent next."""

    position: Order
    """How far the subscriber is with it."""
    chunk: C | None = None
    """Events; None: see :attr:`gap`."""
    gap: Order | None = None
    """After this one events are missing; None without a chunk: only a sign of life."""


class Subscription(Generic[C]):
    """
    A place in the stream.

    Args:
        encode: what goes out of some events; called once for all with the same filter.
        position: after which event to begin; None: with what happens from now on.
    """

    def __init__(
        self,
        fanout: Fanout,
        wanted: Wanted,
        encode: Callable[[Sequence[Told]], C],
        position: Order | None = None,
    ) -> None:
        self.fanout = fanout
        self.position = fanout.visible if position is None else position
        self.sending_since: float | None = None
        self.is_slow = False
        self._task: asyncio.Task[Any] | None = None
        self._generation = fanout.generation
        self._waiter: asyncio.Future[None] | None = None
        self._is_over = fanout.is_closing
        self._is_checked = position is None
        self._is_poked = False
        self._is_idle = False
        self._told_at = asyncio.get_running_loop().time()
        self._wanted = wanted
        self._encode = encode
        self._key = (wanted, encode)
        fanout.join(self)

    def belong_to_this_task(self) -> None:
        """The task that sends, and is cut off when the peer is too slow for it."""
        self._task = asyncio.current_task()

    async def next(self) -> Portion[C] | None:
        """
        Waits for what is to be sent; None: nothing more.

        Raises:
            StoreUnavailable: where it is behind, and the stream cannot be read.
        """
        while not self._is_over:
            self._waiter = asyncio.get_running_loop().create_future()
            portion = await self._advance()
            if portion is not None:
                return portion
            if self._is_poked:
                self._is_poked = False
                return Portion(self.position)
            # Woken while it looked, or from now on.
            self._is_idle = True
            await self._waiter
            self._is_idle = False
        return None

    # --- what the fan-out calls --------------------------------------------------------

    def wake(self) -> None:
        """Something is visible."""
        # Most filters let nothing of most rounds through: then the task that waits is left alone.
        if not (self._is_idle and self._passes_over()):
            self._rouse()

    def poke(self) -> None:
        """Something else than an event has happened: :meth:`next` answers, with nothing."""
        self._is_poked = True
        self._rouse()

    def beat(self, now: float) -> None:
        """Sends a sign of life where one is due; cuts off one that takes nothing."""
        if self.sending_since is not None and now - self.sending_since > SLOW_SECONDS:
            self._cut_off()
        self._rouse()

    def stop(self) -> None:
        """The process stops: what is on its way has a moment left."""
        self.close()
        asyncio.get_running_loop().call_later(FAREWELL_SECONDS, self._cut_off)

    def close(self) -> None:
        """Ends it, also from outside: the peer has gone."""
        self._is_over = True
        self.fanout.leave(self)
        self._rouse()

    # --- inside ----------------------------------------------------------------------------

    def _cut_off(self) -> None:
        if self.sending_since is not None and self._task is not None:
            self.is_slow = True
            self._task.cancel()

    def _rouse(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _passes_over(self) -> bool:
        """Goes on past what is visible, where all of it is in memory and none of it is wanted."""
        fanout = self.fanout
        if self._generation != fanout.generation or not fanout.covers(self.position):
            return False
        found: Wanted = fanout.chunk(values_of, self.position, values_of)
        if self._wanted.may_admit(found):
            return False
        self.position = max(self.position, fanout.visible)
        return True

    async def _advance(self) -> Portion[C] | None:
        fanout = self.fanout
        if self._generation != fanout.generation:
            self._generation = fanout.generation
            return self._skip_to_the_end()
        while self.position < fanout.visible or not self._is_checked:
            if self._is_in_memory():
                chunk = fanout.chunk(self._key, self.position, self._make)
                self.position = fanout.visible
            else:
                read = await fanout.stream.after(self.position, PAGE)
                if not read.is_complete:
                    return self._skip_to_the_end()
                told = [Told(event.order, event.encode(), event) for event in read.events]
                chunk = self._make(told)
                self.position = told[-1].order if told else max(self.position, fanout.visible)
            self._is_checked = True
            if chunk:
                return self._portion(chunk)
        if asyncio.get_running_loop().time() - self._told_at >= QUIET_SECONDS:
            return self._portion(None)
        return None

    def _is_in_memory(self) -> bool:
        fanout, position = self.fanout, self.position
        if not self._is_checked and not fanout.knows(position):
            # Only the stream itself can say whether a client's id is one of its own.
            return False
        return fanout.covers(position) and position <= fanout.visible

    def _make(self, told: list[Told]) -> Any:
        admitted = [each for each in told if self._wanted.admits(each.event)]
        return self._encode(admitted) if admitted else b""

    def _skip_to_the_end(self) -> Portion[C]:
        gap, self.position = self.position, self.fanout.visible
        self._told_at = asyncio.get_running_loop().time()
        return Portion(self.position, gap=gap)

    def _portion(self, chunk: C | None) -> Portion[C]:
        self._told_at = asyncio.get_running_loop().time()
        return Portion(self.position, chunk)
