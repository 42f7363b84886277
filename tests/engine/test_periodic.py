"""Celery's periodic tasks become schedules of ours, with the times that Celery's words mean."""

from __future__ import annotations

import datetime as dt
import random
import warnings
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from celery import signature
from celery.beat import BeatLazyFunc
from celery.exceptions import CDeprecationWarning
from celery.schedules import crontab, schedule, solar

import encola
from encola.engine import celery_app
from encola.engine.app import import_task_modules
from encola.engine.beat import all_plans
from encola.engine.periodic import periodic_plans, plan_of
from encola.errors import ScheduleRefused
from encola.settings import get_settings
from encola.store import Message
from encola.store.plans import Plan
from encola.task import _registry
from encola.timing import Cron, Every, Timing

with warnings.catch_warnings():
    # A priority of the task's own is deprecated, and people have it.
    warnings.simplefilter("ignore", CDeprecationWarning)

    @celery_app.task(name="periodic.plain", priority=6, soft_time_limit=5)
    def plain(a: int, b: int = 2) -> int:
        return a + b


@pytest.fixture(autouse=True)
def _settings_of_beat_as_they_were() -> Iterator[None]:
    import_task_modules()
    entries, zone = dict(celery_app.conf.beat_schedule), celery_app.conf.timezone
    yield
    celery_app.conf.beat_schedule = entries
    celery_app.conf.timezone = zone


def made(when: Any = 60, **entry: Any) -> Plan:
    whole = {"task": "periodic.plain", "schedule": when, "args": (1,), **entry}
    return plan_of(celery_app, "mine", whole, get_settings())


def refused(when: Any = 60, **entry: Any) -> str:
    with pytest.raises(ScheduleRefused) as error:
        made(when, **entry)
    return str(error.value)


# --- times ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "timing"),
    [
        (30, Every(30_000)),
        (1.5, Every(1500)),
        (dt.timedelta(hours=2), Every(7_200_000)),
        (schedule(run_every=90, relative=True), Every(90_000)),
        (crontab(), Cron("* * * * *")),
        (crontab(minute=0, hour=3), Cron("0 3 * * *")),
        (crontab(minute="*/15"), Cron("*/15 * * * *")),
        (crontab(minute=0, hour="8-17/2", day_of_week="mon-fri"), Cron("0 8-17/2 * * mon-fri")),
        (crontab(minute=[0, 30], hour={6}), Cron("0,30 6 * * *")),
        (crontab(0, 0, day_of_month="*/10", month_of_year="jan,jul"), Cron("0 0 */10 jan,jul *")),
        (crontab(0, 0, day_of_week=0), Cron("0 0 * * 0")),
        # Celery goes on past the end of a range; cron does not.
        (crontab(minute=0, hour="22-2"), Cron("0 0,1,2,22,23 * * *")),
        (crontab(0, 0, day_of_week="sat-mon"), Cron("0 0 * * 0,1,6")),
        # Its days of the month and of the week are joined by "and".
        (crontab(0, 9, day_of_month="1-7", day_of_week="mon"), Cron("0 9 1-7 * *", "UTC", (1,))),
    ],
)
def test_celerys_times_are_kept(given: Any, timing: Timing) -> None:
    assert made(given).timing == timing


def test_a_crontab_is_read_in_celerys_time_zone() -> None:
    """Its default is ``ENCOLA_TIMEZONE``."""
    celery_app.conf.timezone = "Europe/Madrid"
    found = made(crontab(minute=0, hour=3)).timing.next_after(
        dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
    )

    assert found == dt.datetime(2026, 7, 1, 3, tzinfo=ZoneInfo("Europe/Madrid"))


@pytest.mark.parametrize("seed", range(40))
def test_a_crontab_is_due_when_celery_says_so(seed: int) -> None:
    """The next time of many a crontab, by Celery's own reckoning and by ours."""
    rng = random.Random(seed)
    given = crontab(
        minute=rng.choice(["*", "*/7", "5,35", "10-20/3", 0]),
        hour=rng.choice(["*", "*/5", "22-3", 7, [1, 13]]),
        day_of_week=rng.choice(["*", "*", "mon-fri", "sat-sun", 3, "1,5"]),
        day_of_month=rng.choice(["*", "*", "1-7", "13,28", "*/9"]),
        month_of_year=rng.choice(["*", "*", "2,8", "10-12"]),
    )
    now = dt.datetime(2026, 1, 1, 0, 31, 7, tzinfo=dt.UTC) + dt.timedelta(
        hours=rng.randint(0, 9000)
    )
    told = crontab(
        given._orig_minute,
        given._orig_hour,
        given._orig_day_of_week,
        given._orig_day_of_month,
        given._orig_month_of_year,
        nowfun=lambda: now,
        app=celery_app,
    )

    assert made(given).timing.next_after(now) == now + told.remaining_estimate(now)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            solar.__new__(solar),  # its own __init__ wants a library that nobody here needs
            (
                "Schedule 'mine' cannot be kept: solar schedules are not kept, because their times depend "
                "on a place on Earth; expected a crontab, a timedelta or a number of seconds."
            ),
        ),
        (
            "0 3 * * *",
            (
                "Schedule 'mine' cannot be kept: expected a crontab, a timedelta or a number of seconds, "
                "got '0 3 * * *'."
            ),
        ),
        (
            0.2,
            (
                "Schedule 'mine' cannot be kept: every: expected from 1 second to 366 days, "
                "got 0.2 seconds."
            ),
        ),
        (
            crontab(nowfun=lambda: dt.datetime.now(dt.UTC)),
            (
                "Schedule 'mine' cannot be kept: its 'nowfun' is not kept: times are told by the "
                "server's clock."
            ),
        ),
        (
            type("Tides", (schedule,), {})(run_every=60),
            (
                "Schedule 'mine' cannot be kept: schedules of class 'Tides' are not kept; "
                "expected a crontab, a timedelta or a number of seconds."
            ),
        ),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(given: Any, sentence: str) -> None:
    assert refused(given) == sentence


# --- what is enqueued -----------------------------------------------------------------


def test_an_entry_is_enqueued_as_celery_would_publish_it() -> None:
    plan = made(
        kwargs={"b": 5},
        options={"queue": "reports", "expires": 30, "headers": {"own": "x"}, "retry": True},
    )
    message = Message.decode(plan.message)

    assert (plan.type, plan.queue, plan.priority, plan.expires) == (
        "periodic.plain",
        "reports",
        6,
        30,
    )
    assert message.task == "periodic.plain"
    assert message.arguments() == ([1], {"b": 5})
    assert message.ours == {"source": "schedule", "schedule_id": "mine"}
    assert (message.headers["own"], message.headers["celery_beat_task"]) == ("x", True)
    assert message.headers["timelimit"][1] == 5
    assert plan.input == {"args": [1], "kwargs": {"b": 5}}


def test_a_link_goes_along() -> None:
    link = signature("periodic.plain", args=(2,))

    [_, _, embed] = orjson.loads(Message.decode(made(options={"link": link}).message).body)
    assert [one["task"] for one in embed["callbacks"]] == ["periodic.plain"]


def test_the_input_of_a_declared_type_is_checked_and_named() -> None:
    entry = {
        "task": "send_notification_email",
        "schedule": 3600,
        "args": ("ana@example.com", "Hola"),
        "kwargs": {"body": "…"},
    }
    plan = plan_of(celery_app, "mine", entry, get_settings())

    assert plan.type == "email"
    assert plan.input == {"email": "ana@example.com", "subject": "Hola", "body": "…"}
    with pytest.raises(ScheduleRefused) as error:
        plan_of(celery_app, "mine", {**entry, "args": ("nobody",)}, get_settings())
    assert "subject" in str(error.value)


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (
            {"options": {"countdown": 3}},
            (
                "its option 'countdown' means nothing for a schedule; expected some of expires, headers, "
                "ignore_result, link, link_error, priority, queue, routing_key, shadow, soft_time_limit, "
                "time_limit"
            ),
        ),
        (
            {"options": {"expires": dt.datetime(2030, 1, 1, tzinfo=dt.UTC)}},
            "expected 'expires' in seconds or as a timedelta",
        ),
    ],
)
def test_options_that_mean_nothing_here_are_refused(entry: dict[str, Any], sentence: str) -> None:
    assert refused(**entry) == f"Schedule 'mine' cannot be kept: {sentence}."


def test_an_entry_without_a_task_is_refused() -> None:
    with pytest.raises(ScheduleRefused) as error:
        plan_of(celery_app, "mine", {"schedule": 3}, get_settings())

    assert str(error.value) == (
        "Schedule 'mine' cannot be kept: expected a 'task' and a 'schedule' in its entry."
    )


def test_arguments_that_are_functions_are_called_each_time() -> None:
    counted = iter(range(10))
    entry = {"args": (BeatLazyFunc(lambda: next(counted)),)}

    assert [Message.decode(made(**entry).message).arguments()[0] for _ in range(2)] == [[0], [1]]


def test_a_function_that_fails_is_told_by_the_schedules_name() -> None:
    def fails() -> int:
        raise LookupError("no such customer")

    assert refused(args=(BeatLazyFunc(fails),)) == (
        "Schedule 'mine' cannot be kept: a function among its arguments raised LookupError: "
        "no such customer."
    )


# --- where they come from -----------------------------------------------------------


def test_the_settings_entries_and_added_ones_are_all_there() -> None:
    celery_app.conf.beat_schedule = {"one": {"task": "periodic.plain", "schedule": 9, "args": [1]}}
    celery_app.add_periodic_task(10.0, plain.s(1), name="two")

    assert [plan.id for plan in periodic_plans(celery_app, get_settings())] == ["one", "two"]


def test_a_queue_that_cannot_be_one_is_refused() -> None:
    entry = {"task": "periodic.plain", "schedule": 9, "options": {"queue": "encola:t:1"}}
    celery_app.conf.beat_schedule = {"one": entry}
    with pytest.raises(ScheduleRefused) as error:
        all_plans(celery_app, get_settings())

    assert str(error.value) == (
        "Schedule 'one' cannot be kept: 'encola:t:1' cannot be the name of a queue: "
        "encola keeps 'encola:t:1' for itself."
    )


def test_two_schedules_of_one_id_are_refused() -> None:
    """One of a task type and one of Celery's settings."""
    before = dict(_registry)

    @encola.task(name="mine", schedule=encola.every(hours=1))
    def mine() -> None: ...

    celery_app.conf.beat_schedule = {"mine": {"task": "periodic.plain", "schedule": 9, "args": [1]}}
    try:
        with pytest.raises(ScheduleRefused) as error:
            all_plans(celery_app, get_settings())
    finally:
        _registry.clear()
        _registry.update(before)

    assert str(error.value) == (
        "Schedule 'mine' cannot be kept: 2 schedules are called so; give each an id of its own."
    )
