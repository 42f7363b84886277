"""
What the scripts of schedules do and answer, and what a scheduler makes of them.

On the embedded Valkey and on Redis 7.0, with a clock that the tests turn. A scheduler
is stopped at a step of its own by a carrier of calls that breaks off there.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from snapshot import check, look

from encola.errors import (
    InvalidQueue,
    ScheduleNotFound,
    ScheduleRefused,
    StoreFull,
    StoreUnavailable,
)
from encola.record import TaskRecord, from_ms
from encola.scheduler import Scheduler
from encola.store import Call, Keys, Message, NewTask, Verbs, decode_record, encode_body, run
from encola.store.library import Library
from encola.store.plans import Plan, run_id
from encola.store.schedule_verbs import (
    Declared,
    Declarer,
    Due,
    Fired,
    Look,
    ScheduleVerbs,
)
from encola.timing import Cron, Every, Timing
from support import Store

#: The clock of the tests: a key, in milliseconds.
CLOCK = "local function now_ms(prefix) return tonumber(redis.call('GET', prefix .. 'clock')) end\n"
MINUTE = dt.timedelta(minutes=1)
KEPT_MS = 300_000
OLD, NEW = Declarer("old", 1_000), Declarer("new", 2_000)


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def plan(
    schedule_id: str = "tidy", timing: Timing | None = None, grace: float = 3600, **values: Any
) -> Plan:
    ours = {"encola": {"source": "schedule", "schedule_id": schedule_id}}
    message = Message("tasks.tidy", encode_body([7]), ours).encode()
    values = {"queue": "encola", "input": {"days": 7}, **values}
    return Plan(
        schedule_id, "tidy", timing or Every(300_000), message=message, grace=grace, **values
    )


class Bench:
    """A store with a clock; its schedulers."""

    def __init__(self, store: Store) -> None:
        self.client, _, self.keys = store
        self.verbs = Verbs(self.keys, Library(clock=CLOCK))
        self.schedules = ScheduleVerbs(self.verbs)
        self.now = utc("2026-11-22T09:02:00")
        self.at(self.now)

    def do(self, call: Call[Any]) -> Any:
        return run(self.client, call)

    def at(self, moment: dt.datetime | str) -> None:
        self.now = utc(moment) if isinstance(moment, str) else moment
        self.client.set(self.keys.prefix + "clock", round(self.now.timestamp() * 1000))

    def later(self, by: dt.timedelta) -> None:
        self.at(self.now + by)

    def scheduler(self, *plans: Plan, run: Callable[[Call[Any]], Any] | None = None) -> Scheduler:
        return Scheduler(run or self.do, self.verbs, plans, max_waiting=1000)

    def declare(
        self, *plans: Plan, by: Declarer = OLD, held_ms: int = KEPT_MS // 3
    ) -> list[Declared]:
        timed = [(one, one.timing.next_after(self.now)) for one in plans]
        call = self.schedules.declare(by, timed, held_ms=held_ms, kept_ms=KEPT_MS)
        return cast("list[Declared]", self.do(call))

    def look(self, *ids: str) -> Look:
        return cast("Look", self.do(self.schedules.due(ids or ("tidy",))))

    def due(self) -> Due:
        [due] = self.look().due
        return due

    def fire(
        self,
        due: Due,
        *,
        next_at: dt.datetime | None = None,
        run: bool = True,
        missed: int = 0,
        run_by: dt.datetime | None = None,
        max_waiting: int = 1000,
        queue: str = "encola",
    ) -> Fired:
        following = next_at or due.at + 5 * MINUTE
        task = replace(as_task(due), queue=queue), due.at, run_by or due.at + 60 * MINUTE
        call = self.schedules.fire(due, following, task if run else None, missed, max_waiting)
        return cast("Fired", self.do(call))

    def next_at(self, schedule_id: str = "tidy") -> dt.datetime | None:
        score = self.client.zscore(self.keys.named("schedules"), schedule_id)
        return None if score is None else from_ms(int(cast("float", score)))

    def field(self, name: str, schedule_id: str = "tidy") -> str | None:
        value = cast("bytes | None", self.client.hget(self.keys.schedule(schedule_id), name))
        return None if value is None else value.decode()

    def records(self) -> list[TaskRecord]:
        """Every task, in the order in which they were enqueued."""
        found = look(self.client, self.keys)
        records = []
        for task_id in found.records:
            stored = cast("dict[bytes, bytes]", self.client.hgetall(self.keys.record(task_id)))
            records.append(decode_record(task_id, stored))
        return sorted(records, key=lambda record: record.order)

    def ran(self) -> list[str]:
        """The times (hour and minute) for which something was enqueued."""
        return [f"{record_time(record):%H:%M}" for record in self.records()]


def as_task(due: Due) -> NewTask:
    made = Plan.decode(due.plan, due.message)
    return NewTask(run_id(due.id, due.at), made.message_for(due.at), made.queue, made.type)


def record_time(record: TaskRecord) -> dt.datetime:
    """The time that a scheduled task runs for: the first six bytes of its id."""
    return from_ms(int(record.id.replace("-", "")[:12], 16))


@pytest.fixture
def bench(store: Store) -> Iterator[Bench]:
    bench = Bench(store)
    yield bench
    check(look(bench.client, bench.keys), bench.keys)
    names = (b"encola:s:", b"encola:ran:")
    kept = {
        name.rpartition(b":")[2].decode()
        for name in bench.client.keys("*")
        if name.startswith(names)
    }  # type: ignore[union-attr]
    listed = {name.decode() for name in bench.client.zrange(bench.keys.named("schedules"), 0, -1)}  # type: ignore[union-attr]
    assert kept <= listed, "something of a schedule that there is no more"


# --- declaring --------------------------------------------------------------------


def test_a_schedule_that_is_declared_is_due_at_its_next_time(bench: Bench) -> None:
    assert bench.declare(plan()) == [Declared.NEW]
    assert bench.next_at() == utc("2026-11-22T09:05")
    assert bench.look() == Look(bench.now, utc("2026-11-22T09:05"), [])


def test_declared_again_it_stays_due_when_it_was(bench: Bench) -> None:
    """A restart after a time that nobody fired loses it not."""
    bench.declare(plan())
    bench.at("2026-11-22T09:06")

    assert bench.declare(plan()) == [Declared.SAME]
    assert bench.due().at == utc("2026-11-22T09:05")


def test_with_other_input_it_stays_due_and_with_another_rule_it_begins_anew(bench: Bench) -> None:
    bench.declare(plan())
    bench.at("2026-11-22T09:06")

    assert bench.declare(plan(input={"days": 30})) == [Declared.CHANGED]
    assert bench.due().at == utc("2026-11-22T09:05")
    assert bench.declare(plan(timing=Every(600_000))) == [Declared.CHANGED]
    assert bench.next_at() == utc("2026-11-22T09:10")


def test_of_two_programs_side_by_side_the_later_one_says_how_it_is(bench: Bench) -> None:
    """A rolling deploy: the old program goes on declaring, and changes nothing."""
    bench.declare(plan(), by=OLD)
    newer = plan(input={"days": 30})

    assert bench.declare(newer, by=NEW) == [Declared.CHANGED]
    assert bench.declare(plan(), by=OLD) == [Declared.KEPT]
    assert bench.declare(newer, by=OLD) == [Declared.SAME]
    bench.at("2026-11-22T09:05")
    assert Plan.decode(bench.due().plan, b"").input == {"days": 30}


@pytest.mark.parametrize("in_order", [True, False])
def test_a_newer_program_that_has_gone_leaves_it_to_the_older(bench: Bench, in_order: bool) -> None:
    """At once where it stopped in order; else when its word counts no more."""
    newer = plan(input={"days": 30})
    bench.declare(plan(), by=OLD)
    bench.declare(newer, by=NEW)
    if in_order:
        bench.declare(newer, by=NEW, held_ms=0)
        bench.later(dt.timedelta(milliseconds=1))
    else:
        bench.later(dt.timedelta(milliseconds=KEPT_MS / 3))
        assert bench.declare(plan(), by=OLD) == [Declared.KEPT]
        bench.later(dt.timedelta(milliseconds=1))

    assert bench.declare(plan(), by=OLD) == [Declared.CHANGED]


def test_what_nobody_declares_any_more_is_forgotten(bench: Bench) -> None:
    """But not while an older program still does, nor before it could have come back."""
    bench.declare(plan(), plan("gone"), by=OLD)
    for _ in range(4):
        bench.later(MINUTE)
        bench.declare(plan(), by=NEW)
        bench.declare(plan("gone"), by=OLD)
    for _ in range(5):
        bench.later(MINUTE)
        bench.declare(plan(), by=NEW)

        assert bench.do(bench.schedules.forget()) == []
    bench.later(dt.timedelta(milliseconds=1))
    assert bench.do(bench.schedules.forget()) == ["gone"]
    assert bench.next_at("gone") is None
    assert bench.next_at("tidy") is not None


def test_after_a_time_without_schedulers_none_is_forgotten_before_all_could_come_back(
    bench: Bench,
) -> None:
    """A weekend without any; the new program is up a moment before the old one."""
    bench.declare(plan(), by=OLD)
    bench.do(bench.schedules.pause("tidy", on=True, next_at=bench.now))
    bench.later(dt.timedelta(days=2))
    bench.declare(plan("other"), by=NEW)

    assert bench.do(bench.schedules.forget()) == []
    for _ in range(4):
        bench.later(5 * MINUTE / 4 + dt.timedelta(milliseconds=1))
        bench.declare(plan("other"), by=NEW)
    assert bench.do(bench.schedules.forget()) == ["tidy"]


def test_a_queue_that_cannot_be_one_is_refused(bench: Bench) -> None:
    with pytest.raises(InvalidQueue):
        bench.declare(plan(queue="encola:t:x"))


# --- what is due --------------------------------------------------------------------


def test_only_what_was_asked_for_is_told(bench: Bench) -> None:
    """A scheduler fires what its own program declares: another's workers may know no other."""
    bench.declare(plan("a"), plan("b"), plan("c", timing=Every(600_000)))
    bench.at("2026-11-22T09:05")

    assert [due.id for due in bench.look("b", "c").due] == ["b"]
    assert bench.look("b", "c").next_at == utc("2026-11-22T09:10")
    assert bench.look("c") == Look(bench.now, utc("2026-11-22T09:10"), [])
    assert bench.do(bench.schedules.due([])) == Look(bench.now, None, [])


def test_many_that_are_due_come_a_portion_at_a_time(bench: Bench) -> None:
    ids = [f"s{n}" for n in range(5)]
    bench.declare(*[plan(one) for one in ids])
    bench.at("2026-11-22T09:05")

    assert [due.id for due in bench.do(bench.schedules.due(ids, 2)).due] == ["s0", "s1"]


# --- firing -------------------------------------------------------------------------


@pytest.fixture
def due(bench: Bench) -> Due:
    """The schedule ``tidy``, due at 09:05."""
    bench.declare(plan())
    bench.at("2026-11-22T09:05")
    return bench.due()


def test_a_time_is_fired_once_whoever_comes(bench: Bench, due: Due) -> None:
    """The task and the next time in one step; whoever saw the same time due comes too late."""
    assert bench.fire(due) is Fired.ENQUEUED
    assert bench.fire(due) is Fired.BEATEN

    [record] = bench.records()
    assert (record.type, record.state, record.place) == ("tidy", "PENDING", "ready")
    assert (record.source, record.schedule_id) == ("schedule", "tidy")
    assert record.args == [7]
    stored = cast("bytes", bench.client.hget(bench.keys.record(record.id), "m"))
    assert Message.decode(stored).ours["scheduled_at"] == "2026-11-22T09:05:00.000000Z"
    assert bench.client.llen(bench.keys.wake("encola")) == 1
    assert [f["s"] for _, f in look(bench.client, bench.keys).events] == ["PENDING"]
    assert bench.next_at() == utc("2026-11-22T09:10")
    at = round(due.at.timestamp() * 1000)
    assert bench.client.lrange(bench.keys.ran("tidy"), 0, -1) == [f"{at} {record.id}".encode()]


def test_a_time_that_comes_again_is_known_by_its_task(bench: Bench, due: Due) -> None:
    """The schedule was forgotten and declared anew on a server whose clock was set back."""
    bench.fire(due)
    bench.client.delete(bench.keys.schedule("tidy"), bench.keys.ran("tidy"))
    bench.at("2026-11-22T09:02")
    bench.declare(plan())
    bench.at("2026-11-22T09:05")

    assert bench.due().at == due.at
    assert bench.fire(bench.due()) is Fired.KNOWN
    assert len(bench.records()) == 1
    assert bench.next_at() == utc("2026-11-22T09:10")


def test_what_was_worked_out_too_long_ago_does_nothing(bench: Bench, due: Due) -> None:
    """A scheduler that was stopped between its look and its word."""
    before = bench.next_at()

    bench.at("2026-11-22T09:10")
    assert bench.fire(due) is Fired.STALE
    bench.at("2026-11-22T09:06")
    assert bench.fire(due, run_by=utc("2026-11-22T09:05:30")) is Fired.STALE
    assert bench.fire(replace(due, rule=b"{}")) is Fired.STALE
    bench.at("2026-11-22T09:04")
    assert bench.fire(due) is Fired.STALE
    assert (bench.records(), bench.next_at()) == ([], before)


def test_a_schedule_that_there_is_no_more_is_not_fired(bench: Bench, due: Due) -> None:
    bench.client.delete(bench.keys.schedule("tidy"))
    bench.client.zrem(bench.keys.named("schedules"), "tidy")

    assert bench.fire(due) is Fired.UNKNOWN
    assert bench.records() == []


def test_missed_times_are_counted(bench: Bench, due: Due) -> None:
    assert bench.fire(due, run=False, missed=3) is Fired.MISSED
    assert (bench.records(), bench.field("mi")) == ([], "3")
    bench.at("2026-11-22T09:10")
    assert bench.fire(bench.due(), missed=2) is Fired.ENQUEUED
    assert bench.field("mi") == "5"


def test_where_too_many_wait_it_stays_due(bench: Bench, due: Due) -> None:
    """A run that cannot be enqueued is not lost: the next look finds it due."""
    with pytest.raises(StoreFull):
        bench.fire(due, max_waiting=0)
    assert bench.due() == due
    assert bench.fire(due) is Fired.ENQUEUED


def test_on_a_server_out_of_memory_it_stays_due(bench: Bench, due: Due) -> None:
    bench.client.config_set("maxmemory", "1")
    with pytest.raises(StoreFull):
        bench.fire(due)
    bench.client.config_set("maxmemory", "0")

    assert bench.fire(due) is Fired.ENQUEUED


def test_where_the_queue_is_something_else_it_stays_due(bench: Bench, due: Due) -> None:
    bench.client.set("taken", "1")
    with pytest.raises(InvalidQueue):
        bench.fire(due, queue="taken")
    bench.client.delete("taken")

    assert bench.due() == due


def test_the_last_ten_runs_are_kept(bench: Bench) -> None:
    bench.declare(plan())
    for _ in range(12):
        at = bench.next_at()
        assert at
        bench.at(at)
        assert bench.fire(bench.due()) is Fired.ENQUEUED

    assert bench.client.llen(bench.keys.ran("tidy")) == 10
    [newest] = cast("list[bytes]", bench.client.lrange(bench.keys.ran("tidy"), 0, 0))
    assert newest.decode().partition(" ")[2] == bench.records()[-1].id


# --- people -------------------------------------------------------------------------


def test_a_paused_schedule_goes_on_without_running(bench: Bench, due: Due) -> None:
    """What passes meanwhile was not missed, but meant."""
    assert bench.do(bench.schedules.pause("tidy", on=True, next_at=bench.now)) is True
    assert bench.do(bench.schedules.pause("tidy", on=True, next_at=bench.now)) is False
    assert bench.fire(due, missed=2) is Fired.PAUSED
    assert (bench.records(), bench.field("mi")) == ([], None)
    assert bench.next_at() == utc("2026-11-22T09:10")


def test_a_pause_survives_declarations_and_is_forgotten_with_its_schedule(
    bench: Bench, due: Due
) -> None:
    bench.do(bench.schedules.pause("tidy", on=True, next_at=bench.now))
    bench.declare(plan(timing=Every(600_000)), by=NEW)

    assert bench.field("pa") is not None


def test_resumed_it_runs_at_its_next_time_and_not_for_those_before(bench: Bench, due: Due) -> None:
    """Nothing looked while it was paused: the old time is still in the store."""
    bench.do(bench.schedules.pause("tidy", on=True, next_at=bench.now))
    bench.at("2026-11-22T11:11")
    resume = bench.schedules.pause("tidy", on=False, next_at=utc("2026-11-22T11:15"))

    assert bench.do(resume) is True
    assert bench.do(resume) is False
    assert bench.next_at() == utc("2026-11-22T11:15")
    bench.at("2026-11-22T11:15")
    assert bench.fire(bench.due()) is Fired.ENQUEUED


def test_resumed_before_its_time_it_stays_due_when_it_was(bench: Bench) -> None:
    bench.declare(plan())
    bench.do(bench.schedules.pause("tidy", on=True, next_at=bench.now))
    bench.do(bench.schedules.pause("tidy", on=False, next_at=utc("2027-01-01T00:00")))

    assert bench.next_at() == utc("2026-11-22T09:05")


@pytest.mark.parametrize("paused", [False, True])
def test_run_now_enqueues_one_and_moves_no_time(bench: Bench, paused: bool) -> None:
    bench.declare(plan())
    if paused:
        bench.do(bench.schedules.pause("tidy", on=True, next_at=bench.now))
    message = plan().message_for(bench.now, "api")
    task = NewTask("by-hand", message, "encola", "tidy")
    [accepted] = bench.do(bench.schedules.run_now("tidy", task, 1000))

    [record] = bench.records()
    assert (record.id, record.source, record.schedule_id) == ("by-hand", "api", "tidy")
    stored = cast("bytes", bench.client.hget(bench.keys.record("by-hand"), "m"))
    assert "scheduled_at" not in Message.decode(stored).ours
    assert accepted.id == "by-hand"
    assert bench.next_at() == utc("2026-11-22T09:05")
    now = round(bench.now.timestamp() * 1000)
    assert bench.client.lrange(bench.keys.ran("tidy"), 0, -1) == [f"{now} by-hand".encode()]


def test_run_now_is_refused_where_too_many_wait(bench: Bench) -> None:
    bench.declare(plan())
    task = NewTask("by-hand", plan().message, "encola", "tidy")
    with pytest.raises(StoreFull):
        bench.do(bench.schedules.run_now("tidy", task, 0))

    assert bench.records() == []


def test_a_schedule_that_there_is_not_can_be_neither_paused_nor_run(bench: Bench) -> None:
    task = NewTask("by-hand", plan().message, "encola", "tidy")
    for call in (
        bench.schedules.pause("tidy", on=True, next_at=bench.now),
        bench.schedules.pause("tidy", on=False, next_at=bench.now),
        bench.schedules.run_now("tidy", task, 1000),
    ):
        with pytest.raises(ScheduleNotFound) as refused:
            bench.do(call)
        assert str(refused.value) == "Unknown schedule 'tidy': no program declares it."
    assert bench.records() == []


# --- the scheduler --------------------------------------------------------------------


def test_a_scheduler_declares_waits_and_fires(bench: Bench) -> None:
    """It comes again when the next is due, and within a second in any case."""
    scheduler = bench.scheduler(plan())

    assert scheduler.step() == 1.0
    bench.at("2026-11-22T09:04:59.700")
    assert 0.2 < scheduler.step() <= 0.3
    assert bench.records() == []
    bench.at("2026-11-22T09:05:00")
    assert scheduler.step() == 0.0
    assert scheduler.step() == 1.0
    assert bench.ran() == ["09:05"]


def test_after_a_sleep_the_latest_missed_time_is_made_up_for_once(bench: Bench) -> None:
    scheduler = bench.scheduler(plan())
    scheduler.step()
    bench.at("2026-11-22T09:58")
    for _ in range(3):
        scheduler.step()

    assert bench.ran() == ["09:55"]
    assert bench.field("mi") == "10"
    assert bench.next_at() == utc("2026-11-22T10:00")


def test_what_would_come_too_late_is_only_counted(bench: Bench) -> None:
    """At nine, for three in the morning, where an hour was allowed."""
    nightly = plan(timing=Cron("0 3 * * *", "Europe/Madrid"), grace=3600)
    bench.at("2026-11-22T23:00")
    scheduler = bench.scheduler(nightly)
    scheduler.step()
    bench.at("2026-11-24T08:00")
    scheduler.step()

    assert bench.records() == []
    assert bench.field("mi") == "2"
    assert bench.next_at() == utc("2026-11-25T02:00")


def test_just_within_its_grace_it_runs(bench: Bench) -> None:
    scheduler = bench.scheduler(plan(timing=Every(3_600_000), grace=600))
    scheduler.step()
    bench.at("2026-11-22T10:10:00")
    scheduler.step()
    assert bench.ran() == ["10:00"]
    bench.at("2026-11-22T11:10:00.001")
    scheduler.step()

    assert (bench.ran(), bench.field("mi")) == (["10:00"], "1")


@pytest.mark.parametrize("name", ["Europe/Madrid", "America/Santiago"])
def test_through_the_days_on_which_clocks_change_each_time_is_fired_once(
    bench: Bench, name: str
) -> None:
    """A year of nights, looked at every seven hours and a half by two schedulers in turn."""
    midnight = plan("midnight", timing=Cron("0 0 * * *", name), grace=86_400)
    small_hours = plan("small", timing=Cron("30 2 * * *", name), grace=86_400)
    bench.at("2026-01-01T12:00")
    pair = [bench.scheduler(midnight, small_hours) for _ in range(2)]
    for looked in range(1169):
        scheduler = pair[looked % 2]
        # Each declares what it has as often as a scheduler that is alive.
        scheduler._declare_at = 0.0
        scheduler.step()
        bench.later(dt.timedelta(hours=7, minutes=30))

    days: dict[str, set[str]] = {"midnight": set(), "small": set()}
    for record in bench.records():
        assert record.schedule_id
        day = f"{record_time(record).astimezone(ZoneInfo(name)):%Y-%m-%d}"
        assert day not in days[record.schedule_id], f"twice on {day}"
        days[record.schedule_id].add(day)
    assert [len(found) for found in days.values()] == [365, 365]


def test_schedulers_that_look_at_the_same_time_fire_it_once(bench: Bench) -> None:
    """Both have seen it due before either says a word."""
    rival = bench.scheduler(plan())

    def meanwhile(call: Call[Any]) -> Any:
        if call.script.name == "fire":
            rival.step()
        return bench.do(call)

    rival.step()
    scheduler = bench.scheduler(plan(), run=meanwhile)
    scheduler.step()
    bench.at("2026-11-22T09:05")
    scheduler.step()

    assert bench.ran() == ["09:05"]


class Killed(Exception):
    """Where a scheduler was stopped for good."""


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("nth", range(6))
def test_a_scheduler_killed_at_any_step_neither_loses_nor_doubles(
    bench: Bench, nth: int, answered: bool
) -> None:
    """Before its nth call reached the server, or after it and before the answer came."""
    made = 0

    def dying(call: Call[Any]) -> Any:
        nonlocal made
        made += 1
        if made - 1 == nth:
            if answered:
                bench.do(call)
            raise Killed
        return bench.do(call)

    doomed = bench.scheduler(plan(), run=dying)
    with pytest.raises(Killed):
        for _ in range(2):
            doomed.step()
            bench.at("2026-11-22T09:05")
    # Two others see to what is due: at once, and ten minutes later.
    others = [bench.scheduler(plan()), bench.scheduler(plan())]
    for moment in (bench.now, utc("2026-11-22T09:15")):
        bench.at(moment)
        for other in others * 2:
            other.step()

    was_due = nth >= 4
    assert bench.ran() == (["09:05", "09:15"] if was_due else ["09:15"])
    assert bench.field("mi") == ("1" if was_due else "2")


def test_a_full_store_holds_up_no_other_schedule(bench: Bench) -> None:
    """One cannot be enqueued; it is tried again, and told of once."""
    bench.client.set("taken", "1")
    scheduler = bench.scheduler(plan("a", queue="taken"), plan("b"))
    scheduler.step()
    bench.at("2026-11-22T09:05")
    assert scheduler.step() == 0.0
    assert scheduler.step() == 1.0

    assert [record.schedule_id for record in bench.records()] == ["b"]
    bench.client.delete("taken")
    scheduler.step()
    assert [record.schedule_id for record in bench.records()] == ["b", "a"]


def test_a_message_that_is_made_anew_leaves_the_rest_as_a_newer_program_has_it(
    bench: Bench,
) -> None:
    """An older program's scheduler fires, with its own arguments, by the newer one's rule."""
    made = iter(range(10))

    def refresh(old: Plan) -> Plan:
        body = encode_body([next(made)])
        message = replace(Message.decode(old.message), body=body).encode()
        return replace(old, timing=Every(7_000), message=message)

    older = Scheduler(bench.do, bench.verbs, [plan()], max_waiting=1000, refresh=refresh)
    older.step()
    bench.later(dt.timedelta(seconds=1))
    bench.scheduler(plan(timing=Every(600_000))).step()
    bench.at("2026-11-22T09:10")
    older.step()

    assert [record.args for record in bench.records()] == [[1]]
    assert bench.next_at() == utc("2026-11-22T09:20")


def test_arguments_that_cannot_be_made_stop_no_other_schedule(bench: Bench) -> None:
    """They are tried again; what is declared stays declared."""
    is_broken = False

    def refresh(old: Plan) -> Plan:
        if is_broken and old.id == "a":
            raise ScheduleRefused("a", "its arguments cannot be made")
        return old

    scheduler = Scheduler(
        bench.do, bench.verbs, [plan("a"), plan("b")], max_waiting=1000, refresh=refresh
    )
    scheduler.step()
    is_broken = True
    bench.at("2026-11-22T09:05")
    scheduler._declare_at = 0.0
    scheduler.step()
    assert [record.schedule_id for record in bench.records()] == ["b"]
    is_broken = False
    scheduler.step()

    assert [record.schedule_id for record in bench.records()] == ["b", "a"]


def test_a_store_that_is_away_is_told_to_whoever_keeps_time(bench: Bench) -> None:
    def away(call: Call[Any]) -> Any:
        raise StoreUnavailable

    with pytest.raises(StoreUnavailable):
        bench.scheduler(plan(), run=away).step()


def test_a_message_expires_so_long_after_its_time(bench: Bench) -> None:
    scheduler = bench.scheduler(plan(expires=90))
    scheduler.step()
    bench.at("2026-11-22T09:06")
    scheduler.step()

    [record] = bench.records()
    stored = cast("bytes", bench.client.hget(bench.keys.record(record.id), "m"))
    assert Message.decode(stored).headers["expires"] == "2026-11-22T09:06:30.000000Z"


# --- plans ----------------------------------------------------------------------------


def test_a_plan_is_the_same_after_it_was_written_and_read() -> None:
    made = plan("x", timing=Cron("0 3 1-7 * *", "Europe/Madrid", (1,)), expires=9.5, priority=3)

    assert Plan.decode(made.encode(), made.message) == made


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(name=st.text(min_size=1), other=st.text(min_size=1), ms=st.integers(0, 2**48 - 1))
def test_the_id_of_a_run_is_its_own(name: str, other: str, ms: int) -> None:
    """A UUIDv7 of its time; another for another schedule or another time."""
    moment = from_ms(ms % 253_402_300_799_000)
    made = uuid.UUID(run_id(name, moment))

    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == ms % 253_402_300_799_000
    assert run_id(name, moment) == str(made)
    assert (run_id(other, moment) == str(made)) == (name == other)
    assert run_id(name, moment + dt.timedelta(milliseconds=1)) != str(made)


def test_keys_of_schedules_are_no_queues(store: Store) -> None:
    for name in ("encola:schedules", "encola:s:tidy", "encola:ran:tidy"):
        with pytest.raises(InvalidQueue):
            Keys().check_queue(name)
