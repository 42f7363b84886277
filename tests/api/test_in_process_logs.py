"""What the API runs itself writes to the logs of its tasks, however many run at once in its one process."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from encola.api.inprocess import InProcess
from encola.api.logs import current_logs
from encola.client import current_loop_client
from encola.store import Message, NewTask, encode_body
from encola.task import RetryPolicy
from harness import Bench

logger = logging.getLogger("shop.bank")


async def speak(name: str) -> Mapping[str, Any]:
    """Lets the others speak between any two of its lines, and uses a thread for some."""
    for number in range(20):
        logger.warning("%s says %d", name, number)
        await asyncio.sleep(0)
        await asyncio.to_thread(logger.warning, "%s in a thread %d", name, number)
    return {"said": name}


def test_tasks_that_run_at_once_in_one_process_never_mix(served: Bench) -> None:
    """By context, not by process or thread; and every line is there when the outcome is."""

    async def run_all() -> dict[str, list[str]]:
        here, client = InProcess(), current_loop_client()
        message = Message("t", encode_body([])).encode()
        names = [f"task{n}" for n in range(10)]
        for name in names:
            new = NewTask(name, message, "encola", "t", lease_to=here.hold(name))
            await client.enqueue(new)
        work = (here.run(name, RetryPolicy(), lambda n=name: speak(n)) for name in names)
        await asyncio.gather(*work)
        logs = current_logs()
        return {name: [line.message for line in await logs.read(name)] for name in names}

    for name, said in asyncio.run(run_all()).items():
        expected = [f"{name} {how} {n}" for n in range(20) for how in ("says", "in a thread")]

        assert expected == said
