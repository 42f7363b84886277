"""Stock Celery: late acknowledgement and results in Redis, as its documentation has it for safety."""

import os

from celery import Celery

app = Celery("peer", broker=os.environ["BENCH_URL"], backend=os.environ["BENCH_URL"])
app.conf.update(
    task_acks_late=True, task_reject_on_worker_lost=True, broker_connection_retry_on_startup=True
)


@app.task
def nothing() -> None:
    pass


@app.task
def marked() -> None:
    from mark import mark

    mark()


send_nothing, send_marked = nothing.delay, marked.delay
