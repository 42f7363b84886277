"""
The scheduler as a process: ``encola beat``, and ``celery -A encola.engine beat``.

Both keep time by :mod:`encola.scheduler`, on the same schedules: those of the task types
and those of ``celery_app.conf.beat_schedule``. Any number of either may run at once.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import redis
from celery import Celery
from celery.beat import Scheduler as CeleryScheduler

from ..embedded.plan import BEAT_IS_READY
from ..errors import ScheduleRefused, StoreError, StoreNewer, StoreUnsafe
from ..planning import check_together, plans_of
from ..scheduler import Scheduler, keep_time
from ..settings import Settings, get_settings
from ..store.plans import Plan
from ..store.safety import check_server
from ..store.schema import check_schema
from ..task import task_types
from .app import celery_app, import_task_modules
from .periodic import has_lazy_arguments, periodic_plans, plan_of
from .session import current_session

logger = logging.getLogger(__name__)

#: What ``encola beat`` says once it has reached the store.
READY: Final = f"{BEAT_IS_READY} Ctrl-C stops it."


def all_plans(app: Celery, settings: Settings) -> list[Plan]:
    """
    Everything that this program schedules.

    Raises:
        ScheduleRefused: a schedule cannot be kept.
    """
    plans = [*plans_of(task_types(), settings), *periodic_plans(app, settings)]
    check_together(plans, settings)
    return plans


def make_scheduler(app: Celery, settings: Settings) -> tuple[Scheduler, list[Plan]]:
    """
    Raises:
        ScheduleRefused, NothingRuns
    """
    session = current_session()
    plans = all_plans(app, settings)
    lazy = {
        name: entry for name, entry in app.conf.beat_schedule.items() if has_lazy_arguments(entry)
    }

    def refresh(plan: Plan) -> Plan:
        return plan_of(app, plan.id, lazy[plan.id], settings) if plan.id in lazy else plan

    scheduler = Scheduler(
        session.run, session.verbs, plans, max_waiting=settings.max_waiting, refresh=refresh
    )
    return scheduler, plans


def run_beat(settings: Settings, *, say: Callable[[str], None]) -> int:
    """
    Keeps time in this process until it is told to stop; returns its exit code.

    Raises:
        ScheduleRefused, NothingRuns, StoreUnsafe
    """
    import_task_modules()
    scheduler, plans = make_scheduler(celery_app, settings)
    _look_at_server(settings)
    for line in described(plans):
        say(line)
    stop = threading.Event()
    with _stopping(stop):
        keep_time(scheduler, stop, lambda: say(READY))
    return 0


def described(plans: list[Plan]) -> Iterator[str]:
    """The schedules, a line each."""
    if not plans:
        yield "This program declares no schedules."
    for plan in sorted(plans, key=lambda one: one.id):
        yield f"  {plan.id}  {plan.timing.expression}  ({plan.timing.timezone})"


def _look_at_server(settings: Settings) -> None:
    try:
        for warning in check_server(current_session().client, settings.durability):
            logger.warning("%s", warning)
        check_schema(current_session().client, current_session().keys)
    except (StoreError, redis.RedisError) as error:
        if isinstance(error, (StoreUnsafe, StoreNewer)):
            raise
        # It may be on its way up; the scheduler waits for it.
        logger.warning("The server could not be checked yet: %s", error)


@contextmanager
def _stopping(stop: threading.Event) -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class StoreScheduler(CeleryScheduler):
    """
    What ``celery beat`` keeps time by here (setting ``beat_scheduler``).

    Keeps no file: what is due, and was last, is in the store.
    """

    _keeper: Scheduler | None = None

    def setup_schedule(self) -> None:
        try:
            self._keeper, _ = make_scheduler(self.app, get_settings())
        except ScheduleRefused as error:
            sys.exit(str(error))

    def tick(self, *args: Any, **kwargs: Any) -> float:
        assert self._keeper
        return min(self._keeper.patient_step(), self.max_interval)

    def should_sync(self) -> bool:
        return False

    def sync(self) -> None:
        """Nothing: each step is in the store when it is done."""

    @property
    def info(self) -> str:
        return "    . schedules -> in the store, shared by all schedulers"
