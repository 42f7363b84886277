"""taskiq: the acknowledging stream broker that taskiq-redis recommends, with a Redis result backend."""

import os
from typing import Any

from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

broker = RedisStreamBroker(url=os.environ["BENCH_URL"]).with_result_backend(
    RedisAsyncResultBackend(redis_url=os.environ["BENCH_URL"])
)


@broker.task
async def nothing() -> None:
    pass


@broker.task
async def marked() -> None:
    from mark import mark

    mark()


send_nothing, send_marked = nothing.kiq, marked.kiq


def opened() -> Any:
    from run import between

    return between(broker.startup, broker.shutdown)
