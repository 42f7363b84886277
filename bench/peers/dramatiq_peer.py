"""dramatiq: its Redis broker, with the results middleware."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

broker = RedisBroker(url=os.environ["BENCH_URL"])
broker.add_middleware(Results(backend=RedisBackend(url=os.environ["BENCH_URL"])))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True)
def nothing() -> bool:
    return True


@dramatiq.actor(store_results=True)
def marked() -> bool:
    from mark import mark

    mark()
    return True


send_nothing, send_marked = nothing.send, marked.send
