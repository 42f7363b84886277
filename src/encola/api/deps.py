"""What several routes need of the running service."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import anyio.to_thread

from ..client import LoopClient, current_loop_client
from ..settings import get_settings
from ..store.service import Service
from ..task import task_types

T = TypeVar("T")


async def aside(work: Callable[[], T]) -> T:
    """*work* in a thread: the disk must not hold up the event loop."""
    return await anyio.to_thread.run_sync(work)


def current_service() -> Service:
    """
    How the service stands; the running event loop's own, with what it remembers of minutes that are over.

    Raises:
        NothingRuns
    """
    client: LoopClient = current_loop_client()
    if Service not in client.kept:
        client.kept[Service] = Service(client.redis, client.verbs.keys)
    found: Service = client.kept[Service]
    return found


def known_queues() -> set[str]:
    """The queues of the settings and of the task types."""
    return {*get_settings().queues, *(task_type.queue for task_type in task_types())}
