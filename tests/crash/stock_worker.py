"""A stock Celery worker on Kombu's own Redis transport, as its documentation sets it up for safety."""

from __future__ import annotations

import os
import sys

from celery import Celery

app = Celery("stock", broker=os.environ["STOCK_BROKER"], backend=os.environ["STOCK_BROKER"])
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
)


@app.task(name="stock.work")
def work() -> None:
    from ledger_tasks import note

    note("start")
    note("end")


if __name__ == "__main__":
    sys.argv[1:] = []
    app.worker_main(["worker", "--concurrency=1", "--without-mingle", "--without-gossip"])
