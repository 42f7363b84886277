"""What a WebSocket is told when its client subscribes again while it is being sent something."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest
from memory_stream import begin, made
from starlette.websockets import WebSocket

from encola.api import websocket as websocket_module
from encola.api.websocket import Conversation


class Socket:
    """A client that takes one message after another, as it is let."""

    def __init__(self) -> None:
        self.says: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.takes = asyncio.Semaphore(0)
        self.sent = 0
        self.heard: list[tuple[str, str | None]] = []
        self.code: int | None = None
        self.scope: dict[str, Any] = {}

    def say(self, **message: Any) -> None:
        self.says.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})

    def leave(self) -> None:
        self.says.put_nowait({"type": "websocket.disconnect"})

    async def receive(self) -> dict[str, Any]:
        return await self.says.get()

    async def send_text(self, text: str) -> None:
        self.sent += 1
        await self.takes.acquire()
        told = json.loads(text)
        self.heard.append((told["event"], told["id"]))

    async def close(self, code: int) -> None:
        self.code = code

    async def until(self, heard: int, sent: int = 0) -> None:
        """So many messages were taken, and so many are taken or on their way."""
        async with asyncio.timeout(10):
            while len(self.heard) < heard or self.sent < sent:
                await asyncio.sleep(0)


def test_who_subscribes_again_in_the_middle_is_told_all_and_nothing_twice() -> None:
    """What was on its way goes out whole, and the next subscription goes on after it."""
    heard = asyncio.run(subscribe_in_the_middle())

    assert heard == [
        ("hello", "0-0"),
        *(("task", f"{n}-0") for n in range(1, 6)),
        ("hello", "5-0"),
        ("task", "6-0"),
    ]


async def subscribe_in_the_middle() -> list[tuple[str, str | None]]:
    """It has taken two of five events when it asks for others."""
    fanout, stream = await begin()

    async def current() -> object:
        return fanout

    socket = Socket()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(websocket_module, "current_fanout", current)
        running = asyncio.create_task(Conversation(cast("WebSocket", socket)).run())
        socket.say(action="subscribe")
        socket.takes.release()
        await socket.until(1)
        stream.add(made(n) for n in range(1, 6))
        socket.takes.release()
        socket.takes.release()
        await socket.until(3, sent=4)
        socket.say(action="subscribe", filter={"type": "a"})
        async with asyncio.timeout(10):
            while not socket.says.empty():
                await asyncio.sleep(0)
        for _ in range(10):
            socket.takes.release()
        stream.add([made(6)])
        await socket.until(8)
        socket.leave()
        await running
    await fanout.close()
    return socket.heard


def test_one_that_takes_nothing_while_it_subscribes_again_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else it would miss what was on its way."""
    monkeypatch.setattr(websocket_module, "SLOW_SECONDS", 0.2)

    assert 1013 == asyncio.run(take_nothing())


async def take_nothing() -> int | None:
    fanout, stream = await begin()

    async def current() -> object:
        return fanout

    socket = Socket()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(websocket_module, "current_fanout", current)
        running = asyncio.create_task(Conversation(cast("WebSocket", socket)).run())
        socket.say(action="subscribe")
        socket.takes.release()
        await socket.until(1)
        stream.add([made(1)])
        await socket.until(1, sent=2)
        socket.say(action="subscribe")
        async with asyncio.timeout(10):
            await running
    await fanout.close()
    return socket.code
