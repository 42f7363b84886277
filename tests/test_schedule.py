"""Schedules as code declares them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from encola import cron, every, task
from encola.engine import celery_app
from encola.engine.app import import_task_modules
from encola.errors import InvalidInput, ScheduleRefused
from encola.planning import plans_of
from encola.schedule import Schedule
from encola.settings import load_settings
from encola.store import Message
from encola.task import TaskType, _registry
from encola.timing import Cron, Every


@pytest.fixture(autouse=True)
def _types_of_this_test_only() -> Iterator[None]:
    import_task_modules()
    before = dict(_registry)
    yield
    _registry.clear()
    _registry.update(before)


def declare(schedule: Schedule | Sequence[Schedule] | None) -> TaskType:
    """A task type ``tidy`` with *schedule*."""

    @task(name="tidy", schedule=schedule)
    def tidy(days: int = 7) -> None: ...

    return tidy


def test_a_task_type_without_a_schedule_has_none() -> None:
    assert declare(None).schedules == {}


def test_the_only_schedule_is_called_like_its_task_type() -> None:
    declared = declare(cron("0 3 * * *", tz="Europe/Madrid"))

    assert declared.schedules.keys() == {"tidy"}
    assert declared.schedules["tidy"].timing == Cron("0 3 * * *", "Europe/Madrid")


def test_several_schedules_have_ids_of_their_own() -> None:
    declared = declare(
        [every(minutes=5), cron("0 9 * * mon", id="weekly", input={"days": 30}, grace=60)]
    )

    assert declared.schedules.keys() == {"tidy", "tidy:weekly"}
    assert declared.schedules["tidy"].timing == Every(300_000)
    weekly = declared.schedules["tidy:weekly"]
    assert (weekly.input, weekly.grace) == ({"days": 30}, 60)


def test_cron_without_a_zone_is_read_in_the_one_of_the_setting() -> None:
    floating = cron("0 3 * * *")

    assert floating.timing_in("Europe/Madrid") == Cron("0 3 * * *", "Europe/Madrid")
    named = cron("0 3 * * *", tz="UTC")
    assert named.timing_in("Europe/Madrid") == Cron("0 3 * * *", "UTC")
    assert every(hours=1).timing_in("Europe/Madrid") == Every(3_600_000)


def test_a_grace_may_be_a_timedelta() -> None:
    assert every(hours=1, grace=dt.timedelta(minutes=10)).grace == 600


def two_without_ids() -> Any:
    return declare([every(minutes=5), every(minutes=7)])


def two_of_one_id() -> Any:
    return declare([every(minutes=5, id="a"), every(minutes=7, id="a")])


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (
            two_without_ids,
            (
                "Task 'tidy' has two schedules called 'tidy'. "
                "Give each an id of its own: cron(…, id='…')."
            ),
        ),
        (
            two_of_one_id,
            (
                "Task 'tidy' has two schedules called 'tidy:a'. "
                "Give each an id of its own: cron(…, id='…')."
            ),
        ),
        (
            lambda: declare(every(minutes=5, id="a\nb")),
            (
                "'tidy:a\\nb' cannot be the id of a schedule: "
                "expected 1 to 255 bytes that can be printed."
            ),
        ),
        (
            lambda: every(),
            "every: expected from 1 second to 366 days, got 0 seconds.",
        ),
        (
            lambda: every(hours=1, grace=0),
            "grace: expected 1 second to 30 days, got 0 seconds.",
        ),
        (
            lambda: cron("0 3 * * *", tz="Madrid"),
            "Unknown time zone 'Madrid': expected an IANA name such as Europe/Madrid.",
        ),
    ],
)
def test_a_mistake_is_told_where_it_is_made(wrong: Callable[[], Any], sentence: str) -> None:
    with pytest.raises(ValueError) as refused:
        wrong()

    assert str(refused.value) == sentence


def test_what_is_no_schedule_is_refused() -> None:
    with pytest.raises(TypeError) as refused:
        declare("0 3 * * *")  # type: ignore[arg-type]

    assert str(refused.value) == (
        "Task 'tidy': expected a schedule made by cron(…) or every(…), got '0 3 * * *'."
    )


def test_input_that_does_not_fit_is_found_where_it_is_declared() -> None:
    """Not at three in the morning."""
    with pytest.raises(InvalidInput) as refused:
        declare(every(hours=1, input={"days": "many"}))

    assert [error["loc"] for error in refused.value.errors] == [["days"]]


@pytest.mark.parametrize("page", ["docs/schedules.md"])
def test_the_examples_of_the_page_can_be_declared(page: str) -> None:
    """Each example, as a reader would paste it; what it schedules is what the page says."""
    text = (Path(__file__).parent.parent / page).read_text("utf-8")
    examples = re.findall("```python\n(.*?)```", text, re.DOTALL)
    before = dict(celery_app.conf.beat_schedule)
    try:
        for example in examples:
            exec(compile(example, page, "exec"), {"__name__": "shop_tasks"})  # noqa: S102
        entries = sorted(celery_app.conf.beat_schedule)
    finally:
        celery_app.conf.beat_schedule = before

    declared = [name for t in _registry.values() for name in t.schedules]
    assert {"close_the_day", "collect:north", "collect:south"} <= set(declared)
    assert {"add-every-30-seconds", "add-on-mondays"} <= set(entries)


def test_the_clean_up_is_scheduled_without_being_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every night, unless its setting says otherwise; all of its input has defaults."""
    monkeypatch.delenv("ENCOLA_CLEANUP_SCHEDULE")
    cleanup = _registry["cleanup"]

    [plan] = plans_of([cleanup], load_settings(timezone="Europe/Madrid"))
    assert (plan.id, plan.type) == ("cleanup", "cleanup")
    assert plan.timing == Cron("30 4 * * *", "Europe/Madrid")
    assert plan.input == {"days": None, "dry_run": False}
    assert plans_of([cleanup], load_settings(cleanup_schedule="none")) == []
    [other] = plans_of([cleanup], load_settings(cleanup_schedule="0 5 * * sun"))
    assert other.timing == Cron("0 5 * * sun", "UTC")


def test_what_a_schedule_leaves_to_the_settings_is_in_its_plan() -> None:
    declared = declare([cron("0 3 * * *"), every(hours=1, id="often", grace=5, input={"days": 1})])

    first, often = plans_of([declared], load_settings(timezone="America/Santiago"))
    assert (first.timing, first.grace) == (Cron("0 3 * * *", "America/Santiago"), 86_400)
    assert (first.input, often.input) == ({"days": 7}, {"days": 1})
    assert (often.id, often.grace) == ("tidy:often", 5)
    message = Message.decode(often.message)
    assert message.arguments() == ([1], {})
    assert message.ours == {"source": "schedule", "schedule_id": "tidy:often"}


def test_input_above_its_limit_is_refused_by_the_schedules_name() -> None:
    @task(name="wordy", schedule=every(hours=1, input={"words": "x" * 2000}))
    def wordy(words: str) -> None: ...

    with pytest.raises(ScheduleRefused) as refused:
        plans_of([wordy], load_settings(max_body=1024))

    assert str(refused.value) == (
        "Schedule 'wordy' cannot be kept: The input has 2012 bytes; at most 1024 are taken."
    )
