"""huey: results stored, as it does by default."""

import os

from huey import RedisHuey

huey = RedisHuey("peer", url=os.environ["BENCH_URL"])


@huey.task()
def nothing() -> bool:
    return True  # huey keeps no result that is None


@huey.task()
def marked() -> bool:
    from mark import mark

    mark()
    return True


send_nothing, send_marked = nothing, marked
