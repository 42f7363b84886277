"""
Celery's periodic tasks as plans: the entries of ``celery_app.conf.beat_schedule``.

Intervals and crontabs are taken over, with arguments and with those options that mean
something for a task that nobody waits for. A crontab is read in Celery's ``timezone``,
and keeps its meaning: its days of the month and of the week are joined by "and".
What cannot be kept (``solar``, a schedule class of one's own) is refused by name.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from celery import Celery
from celery.beat import BeatLazyFunc
from celery.schedules import BaseSchedule, crontab, maybe_schedule, schedule, solar
from celery.utils.functional import maybe_list
from cronsim import CronSim, CronSimError
from kombu.serialization import dumps

from ..errors import EncolaError, ScheduleRefused
from ..schedule import check_id
from ..settings import Settings
from ..store import NewTask
from ..store.plans import Plan
from ..task import get_task_type
from ..timing import Cron, Every, Timing
from . import envelope

#: Options of apply_async that an entry may have.
_TAKEN: Final = frozenset(
    {
        *("queue", "routing_key", "priority", "expires", "headers", "shadow", "ignore_result"),
        *("time_limit", "soft_time_limit", "link", "link_error"),
    }
)
#: Those that say how Celery publishes; a schedule's runs are not published but enqueued.
_WITHOUT_MEANING: Final = frozenset(
    {
        *("exchange", "exchange_type", "serializer", "compression", "delivery_mode", "immediate"),
        *("mandatory", "retry", "retry_policy", "connection", "producer"),
    }
)
EXPECTED: Final = "expected a crontab, a timedelta or a number of seconds"
_FIELDS: Final = ("minute", "hour", "day_of_month", "month_of_year")
#: A field of a crontab -> all its values.
_ALL: Final = {
    "minute": set(range(60)),
    "hour": set(range(24)),
    "day_of_month": set(range(1, 32)),
    "month_of_year": set(range(1, 13)),
    "day_of_week": set(range(7)),
}


def periodic_plans(app: Celery, settings: Settings) -> list[Plan]:
    """
    The plans of all entries.

    Raises:
        ScheduleRefused: one cannot be kept.
    """
    # Those who add theirs once all tasks are known do so now.
    app.finalize()
    return [
        plan_of(app, str(name), entry, settings) for name, entry in app.conf.beat_schedule.items()
    ]


def plan_of(app: Celery, name: str, entry: Any, settings: Settings) -> Plan:
    """
    The plan of one entry, a dict as Celery documents it. Arguments that are functions
    (``BeatLazyFunc``) are called.

    Raises:
        ScheduleRefused
    """
    try:
        return _plan(app, check_id(name), entry, settings)
    except ScheduleRefused:
        raise
    except (EncolaError, ValueError, TypeError) as error:
        raise ScheduleRefused(name, str(error)) from None


def has_lazy_arguments(entry: Mapping[str, Any]) -> bool:
    """Whether its arguments are other ones each time."""
    kwargs = entry.get("kwargs") or {}
    return any(isinstance(v, BeatLazyFunc) for v in [*(entry.get("args") or ()), *kwargs.values()])


def _plan(app: Celery, name: str, entry: Mapping[str, Any], settings: Settings) -> Plan:
    if "task" not in entry or "schedule" not in entry:
        raise ScheduleRefused(name, "expected a 'task' and a 'schedule' in its entry")
    args = [_value(name, one) for one in entry.get("args") or ()]
    kwargs = {key: _value(name, one) for key, one in (entry.get("kwargs") or {}).items()}
    task = app.tasks.get(entry["task"])
    of_task = task._get_exec_options() if task is not None else {}
    options = {**of_task, **_checked_options(name, entry.get("options") or {})}
    expires = _seconds(name, options.pop("expires", None))
    made = _new_task(app, name, entry["task"], args, kwargs, options)
    values = _named(made.type, args, kwargs, name)
    return Plan(
        id=name,
        type=made.type,
        timing=_timing(app, name, entry["schedule"]),
        message=made.message,
        queue=made.queue,
        priority=made.priority,
        user_id=made.user_id or str(values.get("user_id") or ""),
        input=values,
        grace=settings.schedule_grace_seconds,
        expires=expires,
    )


def _value(name: str, given: Any) -> Any:
    if not isinstance(given, BeatLazyFunc):
        return given
    try:
        return given()
    except Exception as error:  # a user's function; one that fails must not stop the others
        sentence = f"a function among its arguments raised {type(error).__name__}: {error}"
        raise ScheduleRefused(name, sentence) from error


def _checked_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    strange = sorted(options.keys() - _TAKEN - _WITHOUT_MEANING)
    if strange:
        raise ScheduleRefused(
            name,
            f"its option {strange[0]!r} means nothing for a schedule; "
            f"expected some of {', '.join(sorted(_TAKEN))}",
        )
    return {key: value for key, value in options.items() if key in _TAKEN}


def _seconds(name: str, expires: Any) -> float | None:
    if isinstance(expires, dt.timedelta):
        return expires.total_seconds()
    if expires is None or isinstance(expires, (int, float)):
        return expires
    raise ScheduleRefused(name, "expected 'expires' in seconds or as a timedelta")


def _new_task(
    app: Celery,
    name: str,
    task: str,
    args: list[Any],
    kwargs: dict[str, Any],
    options: dict[str, Any],
) -> NewTask:
    """The message as Celery would publish it; what it holds of id and time is not used."""
    routed = app.amqp.router.route(dict(options), task, args, kwargs)
    made = app.amqp.as_task_v2(
        name,
        task,
        args,
        kwargs,
        callbacks=maybe_list(options.get("link")),
        errbacks=maybe_list(options.get("link_error")),
        **{k: options.get(k) for k in ("time_limit", "soft_time_limit", "shadow", "ignore_result")},
    )
    content_type, encoding, body = dumps(made.body, serializer="json")
    given = dict(options.get("headers") or {})
    ours = {**(given.pop("encola", None) or {}), "source": "schedule", "schedule_id": name}
    message = {
        "headers": {**made.headers, **given, "celery_beat_task": True, "encola": ours},
        "properties": {"priority": routed.get("priority")},
        "content-type": content_type,
        "content-encoding": encoding,
        "body": body,
    }
    for shown in ("argsrepr", "kwargsrepr"):
        message["headers"].pop(shown, None)
    queue = routed.get("queue") or app.conf.task_default_queue
    return envelope.new_task(getattr(queue, "name", queue), message)


def _named(type_name: str, args: list[Any], kwargs: dict[str, Any], name: str) -> dict[str, Any]:
    """
    The input by the names of a declared task type, checked; of a plain task, its arguments.

    Raises:
        InvalidInput
    """
    if type_name not in envelope.TYPES_BY_NAME.values():
        return {"args": args, "kwargs": kwargs}
    task_type = get_task_type(type_name)
    return task_type.validate(task_type.name_arguments(args, kwargs)).model_dump(mode="json")


# --- times --------------------------------------------------------------------------


def _timing(app: Celery, name: str, given: Any) -> Timing:
    if not isinstance(given, (int, float, dt.timedelta, BaseSchedule)):
        raise ScheduleRefused(name, f"{EXPECTED}, got {given!r:.100}")
    found = maybe_schedule(given, app=app)
    if isinstance(found, solar):
        raise ScheduleRefused(
            name,
            f"solar schedules are not kept, because their times depend on a place on Earth; {EXPECTED}",
        )
    if getattr(found, "nowfun", None) is not None:
        raise ScheduleRefused(
            name, "its 'nowfun' is not kept: times are told by the server's clock"
        )
    if type(found) is crontab:
        return _cron(found, app.conf.timezone or "UTC")
    if type(found) is schedule:
        return Every(round(found.run_every / dt.timedelta(milliseconds=1)))
    raise ScheduleRefused(
        name,
        f"schedules of class {type(found).__name__!r} are not kept; {EXPECTED}",
    )


def _cron(given: crontab, timezone: Any) -> Cron:
    fields = [_field(given, name) for name in _FIELDS]
    weekdays = _field(given, "day_of_week")
    zone = str(getattr(timezone, "key", timezone))
    if "*" in (fields[2], weekdays):
        return Cron(" ".join([*fields, weekdays]), zone)
    return Cron(" ".join([*fields, "*"]), zone, tuple(sorted(given.day_of_week)))


def _field(given: crontab, name: str) -> str:
    """One field, as it was written where that means the same to cron, else its values."""
    values: set[int] = getattr(given, name)
    if values == _ALL[name]:
        return "*"
    written = str(getattr(given, f"_orig_{name}"))
    if _values_of(name, written) == values:
        return written.lower()
    return ",".join(str(value) for value in sorted(values))


def _values_of(name: str, written: str) -> set[int] | None:
    """What cron understands by a field; None: it cannot be one."""
    places = [*_FIELDS, "day_of_week"]
    fields = [written if place == name else "*" for place in places]
    try:
        read = CronSim(" ".join(fields), dt.datetime(2000, 1, 1, tzinfo=dt.UTC))
    except CronSimError:
        return None
    by_name = (read.minutes, read.hours, read.days, read.months, read.weekdays)
    values = by_name[places.index(name)]
    found = {value for value in values if isinstance(value, int)}
    if len(found) != len(values):
        return None
    return {day % 7 for day in found} if name == "day_of_week" else found
