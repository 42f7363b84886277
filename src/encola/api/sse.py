"""
Server-sent events: an answer that goes on.

Pure ASGI, one task and little memory a connection: a thousand may listen to one
process. Who goes away is noticed by the server's ``http.disconnect``.

Source: WHATWG HTML, 9.2 "Server-sent events".
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Final

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ..errors import EncolaError
from ..store.events import Order, write_order
from .fanout import Told
from .server import FAREWELL_SECONDS, cut_of
from .subscription import Portion, Subscription

logger = logging.getLogger(__name__)

#: After this a browser comes back (ms).
RETRY_MS: Final = 2_000
HEARTBEAT: Final = b": heartbeat\n"
HEADERS: Final = {
    "Cache-Control": "no-store",
    # A proxy (nginx) must pass each event on, and not collect a buffer of them.
    "X-Accel-Buffering": "no",
}


class EventStream(Response):
    """
    Sends what *blocks* gives until it ends or the client goes.

    Args:
        subscription: is told when the client goes; cuts this task off when the client is too slow.
        blocks: whole blocks of the stream, each ready to be sent.
    """

    media_type = "text/event-stream"

    def __init__(
        self, subscription: Subscription[bytes], blocks: AsyncGenerator[bytes, None]
    ) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self.subscription = subscription
        self.blocks = blocks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.subscription.belong_to_this_task()
        gone = asyncio.ensure_future(self._watch(receive))
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            await self._send_all(send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except asyncio.CancelledError:
            if not self.subscription.is_slow:
                raise
            logger.info("A listener did not take its events for too long and was cut off.")
            await self._cut(scope, gone)
        finally:
            self.subscription.close()
            gone.cancel()

    async def _cut(self, scope: Scope, gone: asyncio.Future[None]) -> None:
        """Ends the connection without a farewell, which would not be taken either."""
        cut = cut_of(scope)
        if cut is not None:
            cut()
            # Once the server knows, it expects no end of this answer any more.
            await asyncio.wait([gone], timeout=FAREWELL_SECONDS)

    async def _send_all(self, send: Send) -> None:
        subscription, clock = self.subscription, asyncio.get_running_loop().time
        with contextlib.suppress(EncolaError):  # the client comes back, with its last id
            async with contextlib.aclosing(self.blocks) as blocks:
                async for each in blocks:
                    subscription.sending_since = clock()
                    await send({"type": "http.response.body", "body": each, "more_body": True})
                    subscription.sending_since = None

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.subscription.close()


async def blocks_of(
    subscription: Subscription[bytes], *first: bytes
) -> AsyncGenerator[bytes, None]:
    """The blocks of a subscription to events, after those that are given."""
    head = write_order(subscription.position)
    hello = block("hello", {"last_event_id": head}, head)
    yield b"retry: %d\n" % RETRY_MS + hello + b"".join(first)
    while True:
        portion = await subscription.next()
        if portion is None:
            return
        yield portion.chunk or _without_events(portion)


def encode_told(told: Sequence[Told]) -> bytes:
    """Events as blocks, in one piece for all who want the same."""
    return b"".join(
        b"id: %d-%d\nevent: task\ndata: %b\n\n" % (*each.order, each.data) for each in told
    )


def block(event: str, data: object, event_id: str | None = None) -> bytes:
    """One block; *data* as one line of JSON."""
    head = f"id: {event_id}\n" if event_id is not None else ""
    return f"{head}event: {event}\ndata: ".encode() + orjson.dumps(data) + b"\n\n"


def _without_events(portion: Portion[bytes]) -> bytes:
    position = write_order(portion.position)
    if portion.gap is not None:
        return block("gap", {"last_event_id": write_order(portion.gap)}, position)
    # The id alone reaches no listener, and is where the client goes on from.
    return HEARTBEAT + _id_alone(portion.position)


def _id_alone(position: Order) -> bytes:
    return b"id: %d-%d\n\n" % position
