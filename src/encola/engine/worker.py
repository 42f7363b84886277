"""``encola worker``: Celery's worker on our application, in this process."""

from __future__ import annotations

import logging
import warnings
from typing import Any, Final

import redis
from celery.exceptions import SecurityWarning
from celery.utils.nodenames import host_format
from celery.worker import state

from ..errors import StoreError, StoreRefused, StoreUnsafe
from ..settings import Settings
from ..store.safety import check_server
from .app import celery_app
from .mistakes import this_is_a_worker
from .session import current_session

logger = logging.getLogger(__name__)

CUT_SHORT: Final = 130
"""Exit code of a worker that was told to stop at once, as for whatever Ctrl-C ends."""


def run_worker(
    settings: Settings,
    *,
    concurrency: int | None = None,
    queues: list[str] | None = None,
    hostname: str | None = None,
) -> int:
    """
    Runs a worker in this process until it is told to stop; returns its exit code.

    Raises:
        NothingRuns: there is no server to work for.
    """
    this_is_a_worker()
    try:
        for warning in check_server(current_session().client, settings.durability):
            logger.warning("%s", warning)
    except (StoreError, redis.RedisError) as error:
        if isinstance(error, (StoreUnsafe, StoreRefused)):
            raise
        # It may be on its way up; the consumer waits for it.
        logger.warning("The server could not be checked yet: %s", error)
    # Celery prints ten lines of it; whoever runs as root in a container knows.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    worker = celery_app.Worker(
        hostname=node_name(hostname),
        concurrency=concurrency or settings.concurrency,
        queues=list(queues or settings.queues),
        loglevel=settings.log_level.upper(),
        # Our own logging is set up by then, for this process and its children.
        redirect_stdouts=False,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
    )
    try:
        worker.start()
    except StoreError as error:
        logger.critical("%s", error)
        return 4
    return _exit_code(worker)


def node_name(given: str | None) -> str:
    """The worker's name: ``encola@`` and the machine's, or what was *given* in place of one of them or both."""
    host = given or "%h"
    return str(host_format(host if "@" in host else f"encola@{host}"))


def _exit_code(worker: Any) -> int:
    """Celery's, but for Ctrl-C: it calls that a failure, and 1 is for a task's."""
    if state.should_terminate:  # a second one, or SIGQUIT
        return CUT_SHORT
    if state.should_stop:
        return 0
    return int(worker.exitcode or 0)
