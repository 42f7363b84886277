"""saq: jobs keep their result, as it does by default."""

import os
from typing import Any

from saq import Queue

queue = Queue.from_url(os.environ["BENCH_URL"])


async def nothing(ctx: Any) -> None:
    pass


async def marked(ctx: Any) -> None:
    from mark import mark

    mark()


settings = {"queue": queue, "functions": [nothing, marked], "concurrency": 10}


def send_nothing() -> Any:
    return queue.enqueue("nothing")


def send_marked() -> Any:
    return queue.enqueue("marked")


def opened() -> Any:
    from run import between

    return between(queue.connect, queue.disconnect)
