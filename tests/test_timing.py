"""When something is to happen: intervals, cron expressions, and the days on which clocks change."""

from __future__ import annotations

import datetime as dt
import itertools
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from encola.timing import MOST_COUNTED, Cron, Every, Passed, Timing, decode_timing

MADRID = ZoneInfo("Europe/Madrid")
SANTIAGO = ZoneInfo("America/Santiago")


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def first(timing: Timing, start: str, count: int = 3) -> list[str]:
    """The next times after *start* (UTC), as the zone's wall clock and offset say them."""
    zone = ZoneInfo(timing.timezone)
    moment, found = utc(start), []
    for _ in range(count):
        moment = timing.next_after(moment)
        found.append(moment.astimezone(zone).isoformat(timespec="minutes"))
    return found


# --- intervals ------------------------------------------------------------------


def test_an_interval_falls_on_its_whole_multiples() -> None:
    """Five minutes are :00, :05 and :10 for whoever asks, whenever it was started."""
    assert first(Every(300_000), "2026-11-22T09:02:03") == [
        "2026-11-22T09:05+00:00",
        "2026-11-22T09:10+00:00",
        "2026-11-22T09:15+00:00",
    ]


def test_a_time_itself_is_not_after_itself() -> None:
    at = utc("2026-11-22T09:05:00")

    assert Every(300_000).next_after(at) == at + dt.timedelta(minutes=5)
    assert Cron("*/5 * * * *").next_after(at) == at + dt.timedelta(minutes=5)


def test_an_interval_passes_over_a_change_of_clocks_unmoved() -> None:
    """Hours are hours: an interval knows no zone."""
    times = first(Every(6 * 3_600_000), "2026-10-24T23:00:00", 3)

    assert times == ["2026-10-25T00:00+00:00", "2026-10-25T06:00+00:00", "2026-10-25T12:00+00:00"]


@pytest.mark.parametrize("interval_ms", [0, -1, 999, 367 * 86_400_000])
def test_an_interval_has_bounds(interval_ms: int) -> None:
    with pytest.raises(ValueError, match="every: expected from 1 second to 366 days, got "):
        Every(interval_ms)


@pytest.mark.parametrize(
    ("interval_ms", "words"),
    [
        (1_000, "every 1 second"),
        (1_500, "every 1.5 seconds"),
        (60_000, "every minute"),
        (300_000, "every 5 minutes"),
        (7_200_000, "every 2 hours"),
        (86_400_000, "every day"),
        (90_000, "every 90 seconds"),
    ],
)
def test_an_interval_is_told_in_its_largest_unit(interval_ms: int, words: str) -> None:
    assert Every(interval_ms).expression == words.replace("1 second", "second")


# --- cron -------------------------------------------------------------------------


def test_cron_is_read_in_its_zone() -> None:
    """Three in Madrid is two in UTC in winter, and one in summer."""
    nightly = Cron("0 3 * * *", "Europe/Madrid")

    assert nightly.next_after(utc("2026-01-10T00:00")) == utc("2026-01-10T02:00")
    assert nightly.next_after(utc("2026-07-10T00:00")) == utc("2026-07-10T01:00")


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        (
            "0 3 * *",
            "cron: expected five fields (minute, hour, day of month, month, day of week), ",
        ),
        ("0 0 3 * * *", "got 6 in '0 0 3 * * *'."),
        ("", "got 0 in ''."),
        ("60 3 * * *", "cron: bad minute in '60 3 * * *'."),
        ("0 24 * * *", "cron: bad hour in '0 24 * * *'."),
        ("0 3 32 * *", "cron: bad day-of-month in '0 3 32 * *'."),
        ("0 3 * 13 *", "cron: bad month in '0 3 * 13 *'."),
        ("0 3 * * funday", "cron: bad day-of-week in '0 3 * * funday'."),
        ("0 3 31 2 *", "cron: bad day-of-month in '0 3 31 2 *'."),
        ("*/0 * * * *", "cron: bad minute in '*/0 * * * *'."),
        ("٣ * * * *", "cron: bad minute in '٣ * * * *'."),
    ],
)
def test_an_expression_that_is_none_is_refused_with_what_is_wrong(
    expression: str, complaint: str
) -> None:
    with pytest.raises(ValueError) as refused:
        Cron(expression)

    assert complaint in str(refused.value)


@pytest.mark.parametrize("name", ["Europe/Madird", "", "..", "Europe", "/etc/passwd", "\0"])
def test_a_zone_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError) as refused:
        Cron("0 3 * * *", name)

    assert str(refused.value) == (
        f"Unknown time zone {name!r}: expected an IANA name such as Europe/Madrid."
    )


def test_a_day_of_the_week_may_be_asked_for_too() -> None:
    """Celery joins the two kinds of day by "and": the first Monday of the month."""
    first_monday = Cron("0 9 1-7 * *", "UTC", weekdays=(1,))

    assert first(first_monday, "2026-11-01T00:00", 3) == [
        "2026-11-02T09:00+00:00",
        "2026-12-07T09:00+00:00",
        "2027-01-04T09:00+00:00",
    ]
    with pytest.raises(ValueError, match="expected at least one day of the week"):
        Cron("0 9 * * *", "UTC", weekdays=())


# --- clocks that change -------------------------------------------------------------


def test_a_fixed_time_that_does_not_exist_happens_right_after_the_gap() -> None:
    """Madrid, 2026-03-29: 02:00 is followed by 03:00."""
    assert first(Cron("30 2 * * *", "Europe/Madrid"), "2026-03-27T12:00") == [
        "2026-03-28T02:30+01:00",
        "2026-03-29T03:00+02:00",
        "2026-03-30T02:30+02:00",
    ]


def test_two_fixed_times_of_one_gap_happen_once() -> None:
    assert first(Cron("0,30 2 * * *", "Europe/Madrid"), "2026-03-28T12:00", 2) == [
        "2026-03-29T03:00+02:00",
        "2026-03-30T02:00+02:00",
    ]
    assert first(Cron("0 2,3 * * *", "Europe/Madrid"), "2026-03-28T12:00", 2) == [
        "2026-03-29T03:00+02:00",
        "2026-03-30T02:00+02:00",
    ]


def test_a_fixed_time_that_exists_twice_happens_at_the_first() -> None:
    """Madrid, 2026-10-25: 03:00 is followed by 02:00."""
    assert first(Cron("30 2 * * *", "Europe/Madrid"), "2026-10-24T12:00") == [
        "2026-10-25T02:30+02:00",
        "2026-10-26T02:30+01:00",
        "2026-10-27T02:30+01:00",
    ]


def test_asked_within_the_second_of_two_hours_it_does_not_go_back() -> None:
    """At 02:15 for the second time, the 02:30 of that day has been."""
    at = dt.datetime(2026, 10, 25, 2, 15, fold=1, tzinfo=MADRID).astimezone(dt.UTC)

    found = Cron("30 2 * * *", "Europe/Madrid").next_after(at)

    assert found == dt.datetime(2026, 10, 26, 2, 30, tzinfo=MADRID)


def test_hours_that_pass_are_followed_by_an_expression_with_a_star() -> None:
    """Hourly is every hour that there is: none is left out, and the one that comes twice is two."""
    assert first(Cron("0 * * * *", "Europe/Madrid"), "2026-03-28T23:59") == [
        "2026-03-29T01:00+01:00",
        "2026-03-29T03:00+02:00",
        "2026-03-29T04:00+02:00",
    ]
    assert first(Cron("0 * * * *", "Europe/Madrid"), "2026-10-24T23:30") == [
        "2026-10-25T02:00+02:00",
        "2026-10-25T02:00+01:00",
        "2026-10-25T03:00+01:00",
    ]


def test_in_santiago_midnight_itself_may_be_missing() -> None:
    """Santiago, 2026-09-06: the day begins at 01:00."""
    assert first(Cron("0 0 * * *", "America/Santiago"), "2026-09-05T12:00") == [
        "2026-09-06T01:00-03:00",
        "2026-09-07T00:00-03:00",
        "2026-09-08T00:00-03:00",
    ]
    assert first(Cron("0 * * * sun", "America/Santiago"), "2026-09-05T12:00", 2) == [
        "2026-09-06T01:00-03:00",
        "2026-09-06T02:00-03:00",
    ]


def test_in_santiago_the_last_hour_of_a_day_may_come_twice() -> None:
    """Santiago, 2026-04-04: at midnight it is 23:00 again."""
    assert first(Cron("30 23 * * *", "America/Santiago"), "2026-04-04T12:00", 2) == [
        "2026-04-04T23:30-03:00",
        "2026-04-05T23:30-04:00",
    ]
    at = dt.datetime(2026, 4, 4, 23, 10, fold=1, tzinfo=SANTIAGO).astimezone(dt.UTC)
    assert Cron("30 23 * * *", "America/Santiago").next_after(at) == dt.datetime(
        2026, 4, 5, 23, 30, tzinfo=SANTIAGO
    )
    assert first(Cron("0 0 * * *", "America/Santiago"), "2026-04-04T12:00", 2) == [
        "2026-04-05T00:00-04:00",
        "2026-04-06T00:00-04:00",
    ]


zones = st.sampled_from(["UTC", "Europe/Madrid", "America/Santiago", "Australia/Lord_Howe"])
expressions = st.builds(
    lambda *fields: " ".join(fields),
    st.sampled_from(["*", "*/7", "0", "30", "0,30", "5-50/9", "59"]),
    st.sampled_from(["*", "*/3", "0", "1", "2", "2,3", "0-4", "23"]),
    st.sampled_from(["*", "1", "28-31", "*/10", "L"]),
    st.sampled_from(["*", "3,4,9,10"]),
    st.sampled_from(["*", "0", "sun", "mon-fri", "6#1"]),
)
#: Around the changes of clocks of 2026 and 2027, and anywhere between.
moments = st.integers(0, 640 * 86_400).map(
    lambda seconds: utc("2026-03-01T00:00") + dt.timedelta(seconds=seconds)
)


@settings(max_examples=300, deadline=None)
@given(expression=expressions, name=zones, moment=moments)
def test_times_only_go_on_and_are_those_of_the_expression(
    expression: str, name: str, moment: dt.datetime
) -> None:
    """Each is later than the last, and is the wall clock's as the expression has it, but for gaps."""
    cron = Cron(expression, name)
    fields = CronSim(expression, utc("2026-01-01T00:00"))
    for _ in range(6):
        found = cron.next_after(moment)
        assert found > moment
        local = found.astimezone(ZoneInfo(name))
        just_before = (found - dt.timedelta(seconds=1)).astimezone(ZoneInfo(name))
        after_a_gap = just_before.utcoffset() != local.utcoffset()
        assert local.second == 0
        assert after_a_gap or (
            local.minute in fields.minutes
            and local.hour in fields.hours
            and local.month in fields.months
            and fields.match_day(local.date())
        )
        moment = found


# --- what has passed ----------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(
    timing=st.one_of(
        st.builds(Every, st.integers(60_000, 86_400_000)),
        st.builds(Cron, expressions, zones),
    ),
    start=moments,
    slept=st.timedeltas(dt.timedelta(0), dt.timedelta(days=3)),
)
def test_what_has_passed_is_what_one_by_one_would_have_come(
    timing: Timing, start: dt.datetime, slept: dt.timedelta
) -> None:
    """However long the sleep: the latest time, and how many there were."""
    due = timing.next_after(start)
    now = due + slept
    times = [due]
    while (later := timing.next_after(times[-1])) <= now:
        times.append(later)

    assert timing.passed(due, now) == Passed(times[-1], len(times))


@pytest.mark.parametrize("timing", [Cron("* * * * *", "Europe/Madrid"), Every(60_000)])
def test_a_long_sleep_is_counted_up_to_a_bound_and_ends_at_the_latest(timing: Timing) -> None:
    """A year of minutes: nobody waits for half a million to be counted."""
    due, now = utc("2025-11-01T00:00"), utc("2026-11-01T00:00:30")

    assert timing.passed(due, now) == Passed(utc("2026-11-01T00:00"), MOST_COUNTED)


def test_the_latest_of_a_rare_burst_is_found_beyond_the_bound() -> None:
    """Every minute of one day a month: the last one was days ago."""
    cron = Cron("* * 1 * *")

    passed = cron.passed(utc("2025-01-01T00:00"), utc("2026-11-20T00:00"))

    assert passed == Passed(utc("2026-11-01T23:59"), MOST_COUNTED)


# --- as JSON --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "timing",
    [Every(90_000), Cron("0 3 * * *", "Europe/Madrid"), Cron("0 9 1-7 * *", "UTC", (1, 3))],
)
def test_a_rule_is_the_same_after_it_was_written_and_read(timing: Timing) -> None:
    assert decode_timing(timing.encode()) == timing


def test_the_next_five_come_one_after_another() -> None:
    """What the list of schedules shows."""
    weekly = Cron("0 9 * * mon", "Europe/Madrid")
    times = first(weekly, "2026-10-20T00:00", 5)

    assert [a < b for a, b in itertools.pairwise(times)] == [True] * 4
    assert times[0] == "2026-10-26T09:00+01:00"
