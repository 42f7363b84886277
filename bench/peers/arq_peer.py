"""arq: results kept for an hour, as it does by default."""

import os
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings


async def nothing(ctx: Any) -> None:
    pass


async def marked(ctx: Any) -> None:
    from mark import mark

    mark()


class WorkerSettings:
    functions = (nothing, marked)
    redis_settings = RedisSettings.from_dsn(os.environ["BENCH_URL"])


class Pool:
    """The pool of whoever enqueues; a worker makes its own."""

    opened: Any


async def _open() -> None:
    Pool.opened = await create_pool(WorkerSettings.redis_settings)


def send_nothing() -> Any:
    return Pool.opened.enqueue_job("nothing")


def send_marked() -> Any:
    return Pool.opened.enqueue_job("marked")


def opened() -> Any:
    from run import between

    return between(_open, lambda: Pool.opened.aclose())
