"""
Fills a peer's queue: one mark, the empty tasks, twenty marks; prints the seconds that the empty ones took.

    python run.py celery_peer 4000

The peer is imported under the name by which its worker imports it: most call a task after its module.
"""

import asyncio
import importlib
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

LAST = 20


def fill(count: int, nothing: Callable[[], Any], marked: Callable[[], Any]) -> float:
    marked()
    began = time.perf_counter()
    for _ in range(count):
        nothing()
    took = time.perf_counter() - began
    for _ in range(LAST):
        marked()
    return took


async def fill_async(
    count: int, nothing: Callable[[], Any], marked: Callable[[], Any], opened: Any
) -> float:
    async with opened:
        await marked()
        began = time.perf_counter()
        for _ in range(count):
            await nothing()
        took = time.perf_counter() - began
        for _ in range(LAST):
            await marked()
        return took


@asynccontextmanager
async def between(opens: Callable[[], Any], closes: Callable[[], Any]) -> AsyncIterator[None]:
    """What a peer opens before it enqueues, and closes afterwards."""
    await opens()
    yield
    await closes()


if __name__ == "__main__":
    peer: Any = importlib.import_module(sys.argv[1])
    number = int(sys.argv[2])
    if hasattr(peer, "opened"):
        print(asyncio.run(fill_async(number, peer.send_nothing, peer.send_marked, peer.opened())))
    else:
        print(fill(number, peer.send_nothing, peer.send_marked))
