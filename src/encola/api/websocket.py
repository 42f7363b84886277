"""
The events over a WebSocket: subscribe, unsubscribe, subscribe otherwise.

One connection has at most one subscription. The client's messages are read while events
go out; what is sent, and when, is the subscription's business, as for server-sent events.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import APIRouter
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from ..errors import EncolaError
from ..loops import end_task
from ..record import TaskState
from ..store.events import Order, read_order, write_order
from ..task import public_errors
from .events import MOST_VALUES
from .fanout import SLOW_SECONDS, Told, current_fanout
from .server import FAREWELL_SECONDS, cut_of
from .subscription import Portion, Subscription, Wanted

logger = logging.getLogger(__name__)

router = APIRouter()

#: Closing codes, RFC 6455 and the registry that it opened.
RESTARTING: Final = 1012
TRY_AGAIN_LATER: Final = 1013


def _as_list(value: object) -> object:
    # As in a query: what is given and empty is not given.
    given = value if isinstance(value, list) else [value]
    return [each for each in given if each not in (None, "")]


def _as_order(value: object) -> Order | None:
    return None if value in (None, "") else read_order(str(value))


Values = Annotated[
    frozenset[Annotated[str, Field(max_length=255)]],
    BeforeValidator(_as_list),
    Field(max_length=MOST_VALUES),
]


class EventFilter(BaseModel):
    """Of each field one of its values must fit."""

    model_config = ConfigDict(extra="forbid")

    type: Values = frozenset()
    state: Annotated[frozenset[TaskState], BeforeValidator(_as_list)] = frozenset()
    user_id: Values = frozenset()
    queue: Values = frozenset()
    task_id: Values = frozenset()

    def wanted(self) -> Wanted:
        states = frozenset(state.value for state in self.state)
        return Wanted(self.type, states, self.user_id, self.queue, self.task_id)


class Subscribe(BaseModel):
    model_config = ConfigDict(extra="forbid")

    action: Literal["subscribe"]
    filter: Annotated[
        EventFilter, BeforeValidator(lambda value: {} if value is None else value)
    ] = EventFilter()
    last_event_id: Annotated[Order | None, BeforeValidator(_as_order)] = None
    batch: bool = False
    """One message with an array of all that goes out together."""


class Unsubscribe(BaseModel):
    model_config = ConfigDict(extra="forbid")

    action: Literal["unsubscribe"]


_MESSAGE: Final[TypeAdapter[Subscribe | Unsubscribe]] = TypeAdapter(
    Annotated[Subscribe | Unsubscribe, Field(discriminator="action")]
)


@router.websocket("/ws")
async def listen(websocket: WebSocket) -> None:
    """Events over a WebSocket; docs/http.md has the messages."""
    await websocket.accept()
    await Conversation(websocket).run()


class Conversation:
    """One connection."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._subscription: Subscription[list[str]] | None = None
        self._sender: asyncio.Task[None] | None = None
        self._over: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Until the client goes, is too slow, or the process stops."""
        reader = asyncio.create_task(self._read())
        try:
            code = await self._over
            if code is not None:
                await self._close(code)
        finally:
            await end_task(reader)
            await self._unsubscribe(0)

    async def _close(self, code: int) -> None:
        try:
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._websocket.close(code)
        except TimeoutError:
            cut = cut_of(self._websocket.scope)
            if cut is not None:
                cut()
        except (RuntimeError, WebSocketDisconnect):
            pass  # it has gone

    # --- from the client --------------------------------------------------------------

    async def _read(self) -> None:
        try:
            while True:
                message = await self._websocket.receive()
                if message["type"] == "websocket.disconnect":
                    self._end(None)
                    return
                await self._take(message.get("text") or message.get("bytes") or "")
        except (RuntimeError, WebSocketDisconnect):
            self._end(None)

    async def _take(self, text: str | bytes) -> None:
        try:
            wanted = _MESSAGE.validate_json(text, strict=False)
        except ValidationError as error:
            problem = {
                "code": "validation",
                "detail": "The message does not fit.",
                "errors": public_errors(error),
            }
            await self._say("error", None, problem)
            return
        if isinstance(wanted, Unsubscribe):
            await self._unsubscribe(SLOW_SECONDS)
            return
        try:
            await self._subscribe(wanted)
        except EncolaError as error:
            await self._say("error", None, {"code": error.code, "detail": str(error)})

    async def _subscribe(self, wanted: Subscribe) -> None:
        fanout = await current_fanout()
        # With another filter it goes on where it was, so that nothing is missed in between.
        before = self._subscription
        await self._unsubscribe(SLOW_SECONDS)
        if self._over.done():
            return
        encode = encode_together if wanted.batch else encode_each
        position = wanted.last_event_id or (before.position if before else None)
        self._subscription = Subscription(fanout, wanted.filter.wanted(), encode, position)
        self._sender = asyncio.create_task(self._send_on(self._subscription))

    async def _unsubscribe(self, patience: float) -> None:
        """*patience*: in seconds. What is being sent counts as told, so that it has to go out whole."""
        subscription, sender = self._subscription, self._sender
        if subscription is not None and sender is not None:
            subscription.close()
            sent, _ = await asyncio.wait([sender], timeout=patience)
            subscription.is_slow = not sent and not self._over.done()
            await end_task(sender)
            self._subscription = self._sender = None

    # --- to the client -------------------------------------------------------------------

    async def _send_on(self, subscription: Subscription[list[str]]) -> None:
        subscription.belong_to_this_task()
        head = write_order(subscription.position)
        try:
            await self._send(subscription, [_message("hello", head, {"last_event_id": head})])
            while (portion := await subscription.next()) is not None:
                await self._send(subscription, portion.chunk or [_without_events(portion)])
            # Else it was closed for another subscription in its place.
            if subscription.fanout.is_closing:
                self._end(RESTARTING)
        except asyncio.CancelledError:
            if not subscription.is_slow:
                raise
            logger.info("A listener did not take its events for too long and was cut off.")
            self._end(TRY_AGAIN_LATER)
        except EncolaError:
            # It comes back, with its last id.
            self._end(TRY_AGAIN_LATER)
        except (RuntimeError, WebSocketDisconnect):
            self._end(None)

    async def _send(self, subscription: Subscription[list[str]], texts: list[str]) -> None:
        subscription.sending_since = asyncio.get_running_loop().time()
        for text in texts:
            await self._websocket.send_text(text)
        subscription.sending_since = None

    async def _say(self, event: str, event_id: str | None, data: dict[str, Any]) -> None:
        await self._websocket.send_text(_message(event, event_id, data))

    def _end(self, code: int | None) -> None:
        if not self._over.done():
            self._over.set_result(code)


def encode_each(told: Sequence[Told]) -> list[str]:
    """Events as messages of their own."""
    return [_task_message(each) for each in told]


def encode_together(told: Sequence[Told]) -> list[str]:
    """Events as one message."""
    return [f"[{','.join(_task_message(each) for each in told)}]"]


def _task_message(told: Told) -> str:
    return f'{{"event":"task","id":"{write_order(told.order)}","data":{told.data.decode()}}}'


def _without_events(portion: Portion[list[str]]) -> str:
    position = write_order(portion.position)
    if portion.gap is not None:
        return _message("gap", position, {"last_event_id": write_order(portion.gap)})
    return _message("heartbeat", position, {})


def _message(event: str, event_id: str | None, data: dict[str, Any]) -> str:
    return orjson.dumps({"event": event, "id": event_id, "data": data}).decode()
