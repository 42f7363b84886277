"""
Schedules as code declares them: a task type's input, and when to enqueue it.

    @task(schedule=cron("0 3 * * *", tz="Europe/Madrid"))
    def tidy() -> None: ...

    @task(
        schedule=[
            every(minutes=5, input={"region": "north"}, id="north"),
            cron("0 9 * * mon", input={"region": "south"}, id="south"),
        ]
    )
    def collect(region: str) -> None: ...

Owns the declaration only. :mod:`encola.store.plans` has the form in which it reaches
the store, and :mod:`encola.scheduler` keeps the time.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from .timing import Cron, Every, Timing

#: Most bytes of a schedule's id.
MAX_ID_BYTES: Final = 255
#: A run that is later than this is of no use to anybody; least and most seconds.
LEAST_GRACE: Final = 1.0
MOST_GRACE: Final = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a task type is enqueued, and with which input. Made by :func:`cron` and :func:`every`."""

    timing: Timing
    input: Mapping[str, Any] = field(default_factory=dict[str, Any])
    id: str | None = None
    """Its name among those of the task type; None: it is the only one."""
    grace: float | None = None
    """Seconds that a missed run may be late and is still made up for; None: the setting."""
    names_zone: bool = True
    """False: the zone is that of the setting."""

    def timing_in(self, timezone: str) -> Timing:
        """The rule, with *timezone* where the declaration names none."""
        if isinstance(self.timing, Cron) and not self.names_zone:
            return replace(self.timing, timezone=timezone)
        return self.timing


def cron(
    expression: str,
    *,
    tz: str | None = None,
    input: Mapping[str, Any] | None = None,  # noqa: A002 - the word for it everywhere
    id: str | None = None,  # noqa: A002
    grace: dt.timedelta | float | None = None,
) -> Schedule:
    """
    At the times of a cron expression: minute, hour, day of the month, month, day of the week.

    Args:
        tz: IANA name of the zone; None: the setting ``ENCOLA_TIMEZONE``.
        input: the task's input.
        id: needed where the task type has several schedules.
        grace: how late a missed run may be made up for; None: the setting
            ``ENCOLA_SCHEDULE_GRACE_SECONDS``.

    Raises:
        ValueError: no such expression, zone, or grace.
    """
    timing = Cron(expression, "UTC" if tz is None else tz)
    return Schedule(timing, input or {}, id, check_grace(grace), names_zone=tz is not None)


def every(
    *,
    days: float = 0,
    hours: float = 0,
    minutes: float = 0,
    seconds: float = 0,
    input: Mapping[str, Any] | None = None,  # noqa: A002
    id: str | None = None,  # noqa: A002
    grace: dt.timedelta | float | None = None,
) -> Schedule:
    """
    At every whole multiple of an interval, counted from 1970-01-01T00:00Z; at least a second.

    Raises:
        ValueError: no such interval or grace.
    """
    interval = dt.timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    timing = Every(round(interval / dt.timedelta(milliseconds=1)))
    return Schedule(timing, input or {}, id, check_grace(grace))


def check_grace(grace: dt.timedelta | float | None) -> float | None:
    """
    *grace* in seconds.

    Raises:
        ValueError: out of bounds.
    """
    if grace is None:
        return None
    seconds = grace.total_seconds() if isinstance(grace, dt.timedelta) else float(grace)
    if not LEAST_GRACE <= seconds <= MOST_GRACE:
        raise ValueError(
            f"grace: expected {LEAST_GRACE:g} second to {MOST_GRACE / 86_400:g} days, "
            f"got {seconds:g} seconds."
        )
    return seconds


def name_schedules(
    type_name: str, schedules: Schedule | Sequence[Schedule] | None
) -> dict[str, Schedule]:
    """
    The schedules of one task type by their ids in the installation.

    The only one may go without an id of its own, and is called like the task type;
    others are ``type:id``.

    Raises:
        ValueError: two without an id or with the same, or an id that cannot be one.
        TypeError: something that is no schedule.
    """
    if schedules is None:
        return {}
    named: dict[str, Schedule] = {}
    several = isinstance(schedules, Sequence) and not isinstance(schedules, str)
    for one in cast("Sequence[Schedule]", schedules if several else [schedules]):
        if not isinstance(one, Schedule):
            raise TypeError(
                f"Task {type_name!r}: expected a schedule made by cron(…) or every(…), got {one!r}."
            )
        name = type_name if one.id is None else f"{type_name}:{one.id}"
        check_id(name)
        if name in named:
            raise ValueError(
                f"Task {type_name!r} has two schedules called {name!r}. "
                "Give each an id of its own: cron(…, id='…')."
            )
        named[name] = one
    return named


def check_id(schedule_id: str) -> str:
    """
    Raises:
        ValueError: no id, too long, or with characters that cannot be printed.
    """
    size = len(schedule_id.encode(errors="replace"))
    if not 0 < size <= MAX_ID_BYTES or not schedule_id.isprintable():
        raise ValueError(
            f"{schedule_id[:100]!r} cannot be the id of a schedule: expected 1 to {MAX_ID_BYTES} "
            "bytes that can be printed."
        )
    return schedule_id
