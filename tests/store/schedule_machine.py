"""
The machine of :mod:`machine`, with schedules: several schedulers that see what is due and
say so late, twice or never, people who pause them, programs of two ages, and a clock that
also goes back.

A scheduler's look and its word are two steps, with anything in between. What must hold:
each (schedule, time) makes one task at most; a schedule is moved on by one word alone, and
only forwards of what was due; what is paused makes none.
"""

from __future__ import annotations

import datetime as dt
import functools
import inspect
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar, Final, NamedTuple, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RULE_MARKER, initialize, rule
from machine import QueueMachine, one_of_two, small

from encola.errors import ScheduleNotFound
from encola.record import from_ms, to_ms
from encola.store import Message, NewTask, encode_body
from encola.store.plans import Plan, run_id
from encola.store.schedule_verbs import Declared, Declarer, Due, Fired, Look, ScheduleVerbs
from encola.timing import Every

M = TypeVar("M", bound=QueueMachine)

KEPT_MS = 300_000
HELD_MS = KEPT_MS // 3
GRACE_SECONDS = 60
NAMES = ("s1", "s2")
#: The second starts later: in a rolling deploy it is the newer program.
SCHEDULERS = (Declarer("older", 1), Declarer("newer", 2))

names = st.sampled_from(NAMES)
intervals = st.sampled_from([20_000, 20_000, 120_000])
schedulers = st.sampled_from(SCHEDULERS)


#: Of the rules of tasks, those that stay: something has to run, end and be removed.
TASK_RULES: Final = frozenset({"enqueue", "work", "clock_steps", "sweep", "prune", "cancel"})


def only_rules(kept: frozenset[str]) -> Callable[[type[M]], type[M]]:
    """Leaves a machine those of its inherited rules; the others would crowd out its own."""

    def decorate(cls: type[M]) -> type[M]:
        for name, inherited in inspect.getmembers(QueueMachine, inspect.isfunction):
            if hasattr(inherited, RULE_MARKER) and name not in kept and name not in vars(cls):
                setattr(cls, name, functools.partialmethod(inherited))
        return cls

    return decorate


class Word(NamedTuple):
    """What a scheduler has worked out and may yet say."""

    due: Due
    next_at: dt.datetime
    at: dt.datetime
    run_by: dt.datetime
    runs: bool
    missed: int


@only_rules(TASK_RULES)
class ScheduleMachine(QueueMachine):
    """See the module."""

    seen: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.schedules = ScheduleVerbs(self.verbs)
        self.words: list[Word] = []
        self.fired: set[str] = set()
        """Ids of the tasks of (schedule, time) that were enqueued."""

    def plan(self, name: str, interval_ms: int) -> Plan:
        ours = {"encola": {"source": "schedule", "schedule_id": name}}
        message = Message("tasks.email", encode_body([name]), ours).encode()
        return Plan(name, "email", Every(interval_ms), message, "encola", grace=GRACE_SECONDS)

    @initialize(by=schedulers)
    def begin_with_schedules(self, by: Declarer) -> None:
        self.before = self.look()
        self.declare_schedules(by, [("s1", 20_000), ("s2", 120_000)], leaves=False)

    # --- schedulers ---------------------------------------------------------------

    @rule(
        by=schedulers,
        chosen=st.lists(st.tuples(names, intervals), max_size=2, unique_by=lambda one: one[0]),
        leaves=st.sampled_from([False, False, True]),
    )
    def declare_schedules(self, by: Declarer, chosen: list[tuple[str, int]], leaves: bool) -> None:
        """Whose plan it is afterwards follows from who started last, and for how long that counts."""
        now = from_ms(self.clock)
        plans = [self.plan(*one) for one in chosen]
        timed = [(plan, plan.timing.next_after(now)) for plan in plans]
        held = 0 if leaves else HELD_MS
        call = self.schedules.declare(by, timed, held_ms=held, kept_ms=KEPT_MS)
        replies = self.run(call)
        after = self.look()
        self._outlives(after, {plan.id for plan in plans})
        for plan, what in zip(plans, replies, strict=True):
            before = self.before.plans.get(plan.id)
            takes = before is None or self._may_take(before, by)
            is_other = before is not None and before["d"] != plan.encode().decode()
            self.seen[f"declared {what.name}"] += 1
            if not takes:
                assert what is (Declared.KEPT if is_other else Declared.SAME)
                assert after.plans[plan.id]["d"] == self.before.plans[plan.id]["d"]
            else:
                assert after.plans[plan.id]["d"] == plan.encode().decode()
            same_rule = before is not None and after.plans[plan.id]["r"] == before["r"]
            if same_rule:
                assert after.schedules[plan.id] == self.before.schedules[plan.id]
            else:
                assert after.schedules[plan.id] == to_ms(plan.timing.next_after(now))
            assert after.plans[plan.id].get("pa") == (before or {}).get("pa")

    @rule(name=names, ms=st.sampled_from([25_000, 45_000]))
    def begins_anew_after_a_step_back(self, name: str, ms: int) -> None:
        """Its rule was changed there and back on a server whose clock was set back: old times are due again."""
        if name in self.before.plans:
            interval_ms = _timing(self.before.plans[name]).interval_ms
            self.step_clock(self.clock - ms)
            for changed in (interval_ms + 1000, interval_ms):
                self.before = self.look()
                self.declare_schedules(SCHEDULERS[1], [(name, changed)], leaves=False)
            self.before = self.look()
            self.its_time_comes(name, 0)
            self.look_and_say(name)

    def _outlives(self, after: Any, declared: set[str]) -> None:
        """What is declared is kept for its time; after a time without schedulers, all are."""
        since = self.clock - int(self.before.meta.get("beat_ms", 0))
        all_are = not 0 <= since <= KEPT_MS / 3
        self.seen["kept after a time without schedulers"] += all_are and len(after.plans) > 0
        for name, plan in after.plans.items():
            if all_are or name in declared:
                assert int(plan["au"]) == self.clock + KEPT_MS
            else:
                assert plan["au"] == self.before.plans[name]["au"]

    def _may_take(self, before: dict[str, str], by: Declarer) -> bool:
        return (
            before["by"] == by.id
            or by.started_ms >= int(before["bs"])
            or int(before["bu"]) < self.clock
        )

    @rule()
    def forget_schedules(self) -> None:
        """Only what nobody has declared for as long as it is kept."""
        gone = self.run(self.schedules.forget())

        lapsed = {n for n, plan in self.before.plans.items() if int(plan["au"]) < self.clock}
        assert set(gone) == lapsed
        assert self.look().plans.keys() == self.before.plans.keys() - lapsed
        self.seen["forgotten"] += len(gone)

    @rule()
    def see_what_is_due(self) -> None:
        """A scheduler looks, and works out what it will say."""
        found: Look = self.run(self.schedules.due(NAMES))

        assert to_ms(found.now) == self.clock
        due = {name for name, at in self.before.schedules.items() if at <= self.clock}
        assert {one.id for one in found.due} == due
        for one in found.due:
            plan = Plan.decode(one.plan, one.message)
            latest, count = plan.timing.passed(one.at, found.now)
            run_by = latest + dt.timedelta(seconds=GRACE_SECONDS)
            runs = found.now <= run_by
            following = plan.timing.next_after(found.now)
            self.words.append(Word(one, following, latest, run_by, runs, count - runs))
        del self.words[:-6]

    @rule(name=names, late_ms=st.sampled_from([0, 0, 0, 1, 19_000, 21_000, 70_000, 200_000]))
    def its_time_comes(self, name: str, late_ms: int) -> None:
        """And somebody looks: at once, or after a sleep."""
        if name in self.before.schedules:
            self.step_clock(max(self.clock, self.before.schedules[name] + late_ms))
            self.see_what_is_due()

    @rule(pick=small, again=one_of_two)
    def say_so(self, pick: int, again: bool) -> None:
        """The word of a scheduler arrives: at once, late, or for the second time."""
        if not self.words:
            return
        index = pick % len(self.words)
        word = self.words[index] if again else self.words.pop(index)
        self._say(word)

    @rule(name=names)
    def look_and_say(self, name: str) -> None:
        """As most often: nothing comes in between."""
        self.see_what_is_due()
        for word in [one for one in self.words if one.due.id == name][-1:]:
            self._say(word)

    @rule(name=names, ms=st.sampled_from([21_000, 59_000, 70_000]))
    def look_and_say_late(self, name: str, ms: int) -> None:
        """A scheduler that stood still in between: by then another time has come."""
        self.its_time_comes(name, 0)
        self.step_clock(self.clock + ms)
        for word in [one for one in self.words if one.due.id == name][-1:]:
            self._say(word)

    def _say(self, word: Word) -> None:
        name, task_id = word.due.id, run_id(word.due.id, word.at)
        plan = Plan.decode(word.due.plan, word.due.message)
        task = NewTask(task_id, plan.message_for(word.at), "encola", "email")
        run = (task, word.at, word.run_by) if word.runs else None
        fired = self.run(self.schedules.fire(word.due, word.next_at, run, word.missed, 10_000))
        expected = self._expected(word, task_id)
        after = self.look()

        self.seen[f"fired {fired.name}"] += 1
        assert fired is expected
        before = self.before
        if fired in (Fired.ENQUEUED, Fired.KNOWN, Fired.MISSED, Fired.PAUSED):
            assert after.schedules[name] == to_ms(word.next_at) > self.clock
        else:
            assert after.schedules == before.schedules
        assert (task_id in after.records) == (task_id in before.records or fired == 1)
        if fired is Fired.ENQUEUED:
            # The record of a run may have been removed since: then nobody knows of it.
            assert task_id not in self.fired or task_id in self.pruned, f"{name} ran twice"
            self.fired.add(task_id)
            self.pruned.discard(task_id)
            self.accepted.add(task_id)
            assert after.ran[name][0] == f"{to_ms(word.at)} {task_id}"
        counts = word.missed and fired in (Fired.ENQUEUED, Fired.KNOWN, Fired.MISSED)
        more = int(after.plans.get(name, {}).get("mi", 0)) - int(
            before.plans.get(name, {}).get("mi", 0)
        )
        assert more == (word.missed if counts else 0)

    def _expected(self, word: Word, task_id: str) -> Fired:
        plan = self.before.plans.get(word.due.id)
        if plan is None:
            return Fired.UNKNOWN
        if self.before.schedules[word.due.id] != to_ms(word.due.at):
            return Fired.BEATEN
        too_late = word.runs and to_ms(word.run_by) < self.clock
        out_of_date = to_ms(word.next_at) <= self.clock or to_ms(word.due.at) > self.clock
        if too_late or out_of_date or plan["r"] != word.due.rule.decode():
            return Fired.STALE
        if "pa" in plan:
            return Fired.PAUSED
        if not word.runs:
            return Fired.MISSED
        return Fired.KNOWN if task_id in self.before.records else Fired.ENQUEUED

    # --- people -------------------------------------------------------------------

    @rule(name=names, on=st.sampled_from([True, False, False]))
    def pause_schedule(self, name: str, on: bool) -> None:
        plan = self.before.plans.get(name)
        now = from_ms(self.clock)
        following = now if plan is None else _timing(plan).next_after(now)
        outcome: Any
        try:
            outcome = self.run(self.schedules.pause(name, on=on, next_at=following))
        except ScheduleNotFound:
            outcome = "unknown"

        if plan is None:
            assert outcome == "unknown"
            return
        after = self.look()
        assert outcome == (("pa" in plan) != on)
        assert ("pa" in after.plans[name]) == on
        moved = outcome and not on and self.before.schedules[name] <= self.clock
        assert after.schedules[name] == (to_ms(following) if moved else self.before.schedules[name])
        self.seen["resumed after a time"] += bool(moved)

    @rule(name=names)
    def run_now(self, name: str) -> None:
        task = NewTask(self.new_id("hand"), b'{"task":"t"}\n[[],{},{}]', "encola", "email")
        try:
            [accepted] = self.run(self.schedules.run_now(name, task, 10_000))
        except ScheduleNotFound:
            assert name not in self.before.plans
            return
        assert accepted.id == task.id
        self.accepted.add(task.id)
        after = self.look()
        assert after.schedules == self.before.schedules
        assert after.ran[name][0] == f"{self.clock} {task.id}"


def _timing(plan: dict[str, str]) -> Any:
    return Plan.decode(plan["d"].encode(), b"").timing
