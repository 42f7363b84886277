"""
One reader of the event stream, for everybody who listens in this process.

    1. The first subscriber starts the reader; it blocks on the stream's end.
    2. What it reads is encoded once, kept in a ring, about the last minute's worth, and
       visible: the subscribers are woken.
    3. Then it rests, for as long as the writing asks for, and 100 ms at most. So what comes
       alone goes out at once, and what comes thickly is read, and written, together.
    4. Each subscriber takes what is new for it from the ring, by its own position. Those
       with the same filter and position share the very same bytes. One that has fallen
       behind the ring, or has just come back, reads from the stream itself.

A subscriber has a position and no buffer. So a slow one costs nobody anything; who
does not take a write for long is cut off, and comes back with its last id.
"""

from __future__ import annotations

import asyncio
import bisect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ..client import current_loop_client
from ..errors import EncolaError
from ..loops import end_task, of_this_loop
from ..store.events import START, Event, EventStream, Order, Waited

logger = logging.getLogger(__name__)

#: Events that are kept in memory; who is further behind reads the stream.
RING: Final = 5_000
#: And at most so many bytes of them: progress may be 2 KB an event.
RING_BYTES: Final = 4 * 1024 * 1024
#: Events of one read.
READ_COUNT: Final = 1_000
#: Less than a socket's time limit (5 s).
READ_WAIT_MS: Final = 2_000
#: Between two rounds of writing, in seconds: four times what a round takes, within these.
SHORTEST_TICK: Final = 0.02
LONGEST_TICK: Final = 0.1
TICK_FACTOR: Final = 4
#: How often subscribers look whether a heartbeat is due, and we whether one is too slow.
BEAT_SECONDS: Final = 5.0
#: A write that is not taken for so long ends the subscription.
SLOW_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Told:
    """An event as it goes out, and what filters ask of it."""

    order: Order
    data: bytes
    """One line of JSON."""
    event: Event


class Listener(Protocol):
    """What the fan-out asks of a subscriber."""

    def wake(self) -> None: ...
    def beat(self, now: float) -> None: ...
    def stop(self) -> None: ...


class Fanout:
    """The events of one event loop's subscribers."""

    def __init__(self) -> None:
        self.stream = make_stream()
        self.visible: Order = START
        """The last event that was read."""
        self.generation = 0
        """Grows when the stream was interrupted: what was before cannot be gone on from."""
        self.listeners: set[Listener] = set()
        self.readers: dict[str, set[Callable[[], None]]] = {}
        """Who reads the log of a task along: called when it has grown."""
        self.is_closing = False
        self._ring: list[Told] = []
        self._ring_bytes = 0
        self._ring_from: Order = START
        self._logged: Order = START
        self._chunks: dict[tuple[Any, ...], Any] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._starting: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()

    # --- who listens --------------------------------------------------------------

    async def ready(self) -> None:
        """
        Starts the reader, unless it runs.

        Raises:
            StoreUnavailable, NothingRuns
        """
        if self._starting is None:
            self._starting = asyncio.ensure_future(self._start())
        try:
            await asyncio.shield(self._starting)
        except BaseException:
            if self._starting is not None and self._starting.done():
                self._starting = None
            raise

    async def _start(self) -> None:
        self._ring_from = self.visible = await self.stream.end()
        self._logged = await self.stream.logged_end()
        self._tasks = [
            asyncio.create_task(self._read_on(), name="encola-events"),
            asyncio.create_task(self._beat(), name="encola-beat"),
        ]

    def join(self, listener: Listener) -> None:
        self.listeners.add(listener)

    def leave(self, listener: Listener) -> None:
        self.listeners.discard(listener)

    def end_all(self) -> None:
        """The process stops: every subscription ends, so that no open stream holds it up."""
        self.is_closing = True
        for listener in list(self.listeners):
            listener.stop()

    async def close(self) -> None:
        """The loop ends."""
        self.end_all()
        for task in self._tasks:
            await end_task(task)

    # --- what subscribers take ------------------------------------------------------

    def covers(self, position: Order) -> bool:
        """Whether everything visible after *position* is in memory."""
        return self._ring_from <= position

    def knows(self, position: Order) -> bool:
        """Whether *position* is that of an event in memory: it is not made up, nor of another store."""
        at = bisect.bisect_left(self._ring, position, key=_order_of)
        found = self._ring[at].order if at < len(self._ring) else self._ring_from
        return position in (found, self._ring_from)

    def chunk(self, key: Any, position: Order, make: Callable[[list[Told]], Any]) -> Any:
        """What *make* makes of the visible events after *position*; made once for all with this *key*."""
        found = self._chunks.get((key, position))
        if found is None:
            start = bisect.bisect_right(self._ring, position, key=_order_of)
            found = self._chunks[key, position] = make(self._ring[start:])
        return found

    # --- the reader -------------------------------------------------------------------

    async def _read_on(self) -> None:
        was_away, pause = False, 0.1
        while True:
            try:
                waited = await self.stream.wait(
                    self.visible, self._logged, READ_COUNT, READ_WAIT_MS
                )
                came_at = self._loop.time()
                # The store may have been emptied or be another one, behind a connection that was made anew
                # without a word, or the stream shortened past us.
                read = await self.stream.after(self.visible, 0)
                if not read.is_complete:
                    self._begin_anew(read.end)
                    continue
            except EncolaError as error:
                if not was_away:
                    logger.warning("The events cannot be read at the moment: %s", error)
                was_away = True
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)
                continue
            was_away, pause = False, 0.1
            self._tell_logs(waited)
            self._add(waited.events)
            if len(waited.events) < READ_COUNT:
                await self._rest(came_at)

    def _tell_logs(self, waited: Waited) -> None:
        self._logged = waited.logged
        for task_id in waited.wrote & self.readers.keys():
            for read_on in list(self.readers[task_id]):
                read_on()

    async def _rest(self, since: float) -> None:
        """Lets what comes gather; *since*: when what was read last had come."""
        # Whoever was woken is called before this task is again, and writes.
        await asyncio.sleep(0)
        took = self._loop.time() - since
        await asyncio.sleep(max(SHORTEST_TICK, min(LONGEST_TICK, TICK_FACTOR * took)) - took)

    def _begin_anew(self, end: Order) -> None:
        """Some of what came after what is visible is not there."""
        logger.warning("Some events are no longer kept; who listens is told to load anew.")
        self.generation += 1
        self._ring.clear()
        self._ring_bytes = 0
        self._ring_from = self.visible = end
        self._logged = START
        self._chunks.clear()
        self._wake()

    def _add(self, events: list[Event]) -> None:
        if not events:
            return
        for event in events:
            told = Told(event.order, event.encode(), event)
            self._ring.append(told)
            self._ring_bytes += len(told.data)
        self.visible = events[-1].order
        if len(self._ring) > RING or self._ring_bytes > RING_BYTES:
            self._shorten()
        self._chunks.clear()
        self._wake()

    def _shorten(self) -> None:
        """Drops the older half: half at once is cheap, one by one is not."""
        half = (len(self._ring) + 1) // 2
        self._ring_from = self._ring[half - 1].order
        self._ring_bytes -= sum(len(told.data) for told in self._ring[:half])
        del self._ring[:half]
        self._chunks.clear()

    def _wake(self) -> None:
        for listener in list(self.listeners):
            listener.wake()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            now = self._loop.time()
            for listener in list(self.listeners):
                listener.beat(now)


def _order_of(told: Told) -> Order:
    return told.order


def make_stream() -> EventStream:
    """The stream of this installation, over the running loop's connections."""
    client = current_loop_client()
    return EventStream(client.redis, client.verbs.keys)


async def current_fanout() -> Fanout:
    """
    The running event loop's own, reading.

    Raises:
        StoreUnavailable, NothingRuns
    """
    fanout = of_this_loop(Fanout)
    await fanout.ready()
    return fanout
