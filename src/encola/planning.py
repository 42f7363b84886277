"""
From the schedules that task types declare to the plans that a scheduler gives the store.

Owns the defaults: the zone and the grace of the settings, and the schedule of the
clean-up. What Celery's settings declare is added by :mod:`encola.engine.beat`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from .errors import EncolaError, InvalidQueue, ScheduleRefused
from .schedule import Schedule, cron
from .settings import Settings
from .store import Keys
from .store.plans import Plan
from .submit import prepare
from .task import Options, TaskType

#: The task type that is scheduled without its declaration saying so.
CLEANUP = "cleanup"


def plans_of(types: Iterable[TaskType], settings: Settings) -> list[Plan]:
    """
    The plans of *types*, each checked.

    Raises:
        ScheduleRefused: one cannot be kept.
    """
    return [
        _plan(task_type, schedule_id, schedule, settings)
        for task_type in types
        for schedule_id, schedule in _schedules(task_type, settings).items()
    ]


def check_together(plans: Sequence[Plan], settings: Settings) -> None:
    """
    Raises:
        ScheduleRefused: two have the same id, or one's queue cannot be one.
    """
    keys = Keys(settings.key_prefix, settings.list_prefix)
    for plan in plans:
        try:
            keys.check_queue(plan.queue)
        except InvalidQueue as error:
            raise ScheduleRefused(plan.id, str(error)) from None
    for schedule_id, count in Counter(plan.id for plan in plans).items():
        if count > 1:
            raise ScheduleRefused(
                schedule_id, f"{count} schedules are called so; give each an id of its own"
            )


def _schedules(task_type: TaskType, settings: Settings) -> Mapping[str, Schedule]:
    is_left_to_us = task_type.name == CLEANUP and not task_type.schedules
    if is_left_to_us and settings.cleanup_schedule != "none":
        return {CLEANUP: cron(settings.cleanup_schedule)}
    return task_type.schedules


def _plan(task_type: TaskType, schedule_id: str, schedule: Schedule, settings: Settings) -> Plan:
    options = Options(source="schedule", schedule_id=schedule_id)
    try:
        new = prepare(task_type, schedule.input, options, max_input=settings.max_body)
    except EncolaError as error:
        raise ScheduleRefused(schedule_id, str(error)) from None
    # As it will run: with what the input leaves to its defaults.
    whole = task_type.validate(schedule.input).model_dump(mode="json")
    return Plan(
        id=schedule_id,
        type=task_type.name,
        timing=schedule.timing_in(settings.timezone),
        message=new.message,
        queue=new.queue,
        priority=new.priority,
        user_id=new.user_id,
        input=whole,
        grace=settings.schedule_grace_seconds if schedule.grace is None else schedule.grace,
    )
