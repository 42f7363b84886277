"""
What belongs to one event loop, and ends with it.

A connection works on the loop it was opened on and on no other. Each loop has one
object of a kind, made when it is first asked for, and closed when the loop ends,
however many loops a process runs, one after the other or side by side.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncGenerator
from typing import Any, Protocol, TypeVar


class Closing(Protocol):
    """Made without arguments, on its loop."""

    async def close(self) -> None: ...


C = TypeVar("C", bound=Closing)

_kept: weakref.WeakKeyDictionary[
    asyncio.AbstractEventLoop, dict[type[Any], tuple[Any, AsyncGenerator[None, None]]]
] = weakref.WeakKeyDictionary()


def of_this_loop(kind: type[C]) -> C:
    """The running event loop's own *kind*."""
    loop = asyncio.get_running_loop()
    kept = _kept.setdefault(loop, {})
    if kind not in kept:
        found = kind()
        # Whoever runs a loop closes its asynchronous generators before the loop itself
        # (asyncio.Runner, and so uvicorn and anyio): the one moment to close sockets in.
        ending = _until_the_loop_ends(loop, kind, found)
        with contextlib.suppress(StopIteration):
            ending.__anext__().send(None)
        kept[kind] = (found, ending)
    made: C = kept[kind][0]
    return made


async def end_task(task: asyncio.Task[Any]) -> None:
    """
    Cancels *task* and waits until it has ended, however that is.

    Again and again: one cancel that strikes inside a call of redis-py can get lost there
    (seen once in ten early stops), and the task goes on.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.5)
    if not task.cancelled():
        task.exception()


def forget_loops(kind: type[Closing]) -> None:
    """Drops every loop's *kind*, so that the next one is made anew (tests)."""
    for kept in _kept.values():
        kept.pop(kind, None)


async def _until_the_loop_ends(
    loop: asyncio.AbstractEventLoop, kind: type[Closing], found: Closing
) -> AsyncGenerator[None, None]:
    """Waits, as a generator that its loop closes when it ends, and closes *found* then."""
    try:
        yield
    finally:
        kept = _kept.get(loop, {})
        if kept.get(kind, (None,))[0] is found:
            # It names the loop, so that no weak reference would let go of it.
            del kept[kind]
        await found.close()
