"""
The scheduler: enqueues what schedules ask for, each of their times once.

    1. Declare which schedules this program has, and again every half minute: what no
       program declares any more is forgotten.
    2. Ask the store which of them are due, by its clock.
    3. Work out which time a run is for and when the next one is due, and let one script
       (``fire.lua``) do both, so that no crash comes in between.
    4. Sleep until the next is due, a second at most.

Any number of schedulers may do this side by side; none leads. The script moves a schedule
on only from the time at which the scheduler saw it due, so one of them does it.

A time that passed while no scheduler ran is missed. Of those of one schedule the latest
is made up for if it is no later than the grace; the others are counted.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from .errors import EncolaError, StoreError, StoreUnavailable
from .record import to_ms
from .store import Call, NewTask, Verbs
from .store.plans import Plan, run_id
from .store.schedule_verbs import (
    DECLARED_AT_ONCE,
    Declared,
    Declarer,
    Due,
    Fired,
    Look,
    ScheduleVerbs,
)

R = TypeVar("R")
Run = Callable[[Call[Any]], Any]

#: Seconds for which a schedule outlives its last declaration. Longer than a restart takes.
KEPT_SECONDS: Final = 300.0
#: Seconds between two looks, at most: a schedule may be declared or resumed elsewhere.
LOOK_SECONDS: Final = 1.0

logger = logging.getLogger(__name__)


class Scheduler:
    """
    One program's scheduler. Not for several threads.

    Args:
        run: carries a call to the store.
        plans: what this program declares.
        kept: see :data:`KEPT_SECONDS`; declared anew after a tenth of it.
        refresh: makes a plan's message anew, where it is not the same each time.
    """

    def __init__(
        self,
        run: Run,
        verbs: Verbs,
        plans: Sequence[Plan],
        *,
        max_waiting: int,
        kept: float = KEPT_SECONDS,
        refresh: Callable[[Plan], Plan] = lambda plan: plan,
    ) -> None:
        self._run = run
        self._verbs = ScheduleVerbs(verbs)
        self._plans = {plan.id: plan for plan in plans}
        self._max_waiting = max_waiting
        self._kept_ms = round(kept * 1000)
        self._refresh = refresh
        self._declarer: Declarer | None = None
        self._declare_at = 0.0
        """On this process's own clock, as all that is only about when to look again."""
        self._complaints: dict[str, str] = {}
        self._is_away = False

    @property
    def ids(self) -> list[str]:
        return list(self._plans)

    @property
    def has_declared(self) -> bool:
        """Whether it has ever reached the store."""
        return self._declare_at > 0

    def patient_step(self) -> float:
        """:meth:`step`, and while the store is away a wait for it."""
        try:
            wait = self.step()
        except StoreError as error:
            if not self._is_away:
                logger.warning("Nothing can be scheduled at the moment: %s", error)
            self._is_away = True
            return LOOK_SECONDS
        if self._is_away:
            logger.info("The store answers again.")
        self._is_away = False
        return wait

    def step(self) -> float:
        """
        Fires what is due; seconds after which to come again.

        Raises:
            StoreUnavailable: nothing was lost; come again.
        """
        if time.monotonic() >= self._declare_at:
            self._declare()
        asked_at = time.monotonic()
        look: Look = self._run(self._verbs.due(self.ids))
        moved = [self._fire(due, look.now) for due in look.due]
        if any(moved):
            return 0.0
        wait = LOOK_SECONDS
        if look.next_at is not None:
            since = time.monotonic() - asked_at
            wait = min(wait, (look.next_at - look.now).total_seconds() - since)
        return max(0.0, wait)

    def leave(self) -> None:
        """Says that this program's word counts no more: an older program may have its plans back."""
        if self._declarer is not None:
            self._declare(held_ms=0)

    # --- declaring --------------------------------------------------------------

    def _declare(self, held_ms: int | None = None) -> None:
        look: Look = self._run(self._verbs.due([]))
        self._declarer = self._declarer or _introduce(look.now)
        plans = [self._refreshed(plan) for plan in self._plans.values()]
        # Also when there are none: it says that a scheduler is alive.
        for start in range(0, max(1, len(plans)), DECLARED_AT_ONCE):
            some = plans[start : start + DECLARED_AT_ONCE]
            self._declare_some(self._declarer, some, look.now, held_ms)
        for gone in self._run(self._verbs.forget()):
            logger.info("Schedule %s is declared by no program any more; forgotten.", gone)
        self._declare_at = time.monotonic() + self._kept_ms / 10_000

    def _refreshed(self, plan: Plan) -> Plan:
        try:
            return self._refresh(plan)
        except EncolaError as error:
            self._complain(plan.id, error)
            return plan

    def _declare_some(
        self,
        declarer: Declarer,
        plans: Sequence[Plan],
        now: dt.datetime,
        held_ms: int | None,
    ) -> None:
        held = self._kept_ms // 3 if held_ms is None else held_ms
        timed = [(plan, plan.timing.next_after(now)) for plan in plans]
        call = self._verbs.declare(declarer, timed, held_ms=held, kept_ms=self._kept_ms)
        for (plan, next_at), what in zip(timed, self._run(call), strict=True):
            if what is Declared.NEW:
                logger.info("Schedule %s is new; first due %s.", plan.id, next_at.isoformat())
            elif what is Declared.CHANGED:
                logger.debug("Schedule %s is declared otherwise than before.", plan.id)
            elif what is Declared.KEPT:
                logger.debug("Schedule %s stays as a newer program declares it.", plan.id)

    # --- firing -----------------------------------------------------------------

    def _fire(self, due: Due, now: dt.datetime) -> bool:
        """Whether anything has changed by it; False: it is still due, and has to wait."""
        try:
            stored = Plan.decode(due.plan, due.message)
            # Only the message: the rest may be a newer program's.
            plan = replace(stored, message=self._refresh(stored).message)
            fired = self._fire_plan(plan, due, now)
        except StoreUnavailable:
            raise
        except (EncolaError, ValueError, KeyError, TypeError) as error:
            # Full, or a newer program's plan; it stays due, and the others go on.
            self._complain(due.id, error)
            return False
        self._complaints.pop(due.id, None)
        logger.debug("Schedule %s, due %s: %s.", due.id, due.at.isoformat(), fired.name)
        return True

    def _fire_plan(self, plan: Plan, due: Due, now: dt.datetime) -> Fired:
        latest, missed = plan.timing.passed(due.at, now)
        run_by = latest + dt.timedelta(seconds=plan.grace)
        run = None
        if now <= run_by:
            run, missed = (self._task(plan, latest), latest, run_by), missed - 1
        next_at = plan.timing.next_after(now)
        call = self._verbs.fire(due, next_at, run, missed, self._max_waiting)
        fired: Fired = self._run(call)
        if fired is Fired.ENQUEUED and run:
            logger.info("Schedule %s: %s enqueued as %s.", plan.id, plan.type, run[0].id)
        if missed and fired in (Fired.ENQUEUED, Fired.MISSED):
            logger.warning("Schedule %s: %d of its times were missed.", plan.id, missed)
        return fired

    @staticmethod
    def _task(plan: Plan, at: dt.datetime) -> NewTask:
        return NewTask(
            id=run_id(plan.id, at),
            message=plan.message_for(at),
            queue=plan.queue,
            type=plan.type,
            priority=plan.priority,
            user_id=plan.user_id,
        )

    def _complain(self, schedule_id: str, error: Exception) -> None:
        sentence = f"{type(error).__name__}: {error}"
        if self._complaints.get(schedule_id) != sentence:
            logger.error("Schedule %s cannot run now; trying again. %s", schedule_id, sentence)
        self._complaints[schedule_id] = sentence


def _introduce(now: dt.datetime) -> Declarer:
    name = f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"
    return Declarer(name, to_ms(now))


def keep_time(
    scheduler: Scheduler, stop: threading.Event, on_ready: Callable[[], None] = lambda: None
) -> None:
    """Goes on until *stop*, through any absence of the store. *on_ready*: it has been reached."""
    while not stop.is_set():
        stop.wait(scheduler.patient_step())
        if scheduler.has_declared:
            on_ready()
            break
    while not stop.is_set():
        stop.wait(scheduler.patient_step())
    try:
        scheduler.leave()
    except StoreError as error:
        logger.debug("Left without a word: %s", error)
