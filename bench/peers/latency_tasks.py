"""The task of bench/latency.py."""

import time

from encola.engine import celery_app


@celery_app.task
def started() -> float:
    return time.time()
