"""
ENCOLA_DURABILITY=disk: what accepts tasks comes back when they are on the server's disk.

With ``WAITAOF`` behind the script, on the same connection: it waits for that one's writes only.
"""

from __future__ import annotations

from typing import Any, Final

import redis

from ..errors import StoreUnavailable
from .callers import again, is_unknown, load, translate, translated
from .scripts import Call
from .shapes import Enqueued

#: How long to wait for the disk, in ms: less than a socket's time limit.
DISK_MS: Final = 4_000
WAIT_FOR_DISK: Final = ("WAITAOF", 1, 0, DISK_MS)


def run_to_disk(client: redis.Redis, call: Call[list[Enqueued]]) -> list[Enqueued]:
    """
    Raises:
        StoreUnavailable, StoreFull, and what the call's decoder raises.
    """

    def attempt(command: tuple[Any, ...]) -> tuple[Any, Any]:
        # One pipeline is one connection.
        pipeline = client.pipeline(transaction=False)
        pipeline.execute_command(*command)
        pipeline.execute_command(*WAIT_FOR_DISK)
        reply, on_disk = pipeline.execute(raise_on_error=False)
        return reply, on_disk

    with translated():
        reply, on_disk = attempt(call.command)
        if is_unknown(reply):
            is_loaded = load(client, call.script.library)
            reply, on_disk = attempt(again(call, is_loaded=is_loaded))
    return taken_to_disk(call, reply, on_disk)


def taken_to_disk(call: Call[list[Enqueued]], reply: Any, on_disk: Any) -> list[Enqueued]:
    """
    Raises:
        StoreUnavailable: the tasks were taken, and not confirmed to be on disk.
    """
    if isinstance(reply, BaseException):
        raise translate(reply) from reply
    accepted = call.decode(reply)
    if isinstance(on_disk, BaseException):
        raise StoreUnavailable(f"Taken, but the store cannot say that it is on disk: {on_disk}")
    if not on_disk[0]:
        raise StoreUnavailable(
            f"Taken, but not confirmed to be on disk within {DISK_MS / 1000:g} s."
        )
    return accepted
