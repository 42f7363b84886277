"""
Scripts broken on purpose: a test that cannot fail proves nothing.

Each mutant is one change to the text of one script. The state machine has to
notice it, or, where chance would seldom come upon the fault, a small test that
stands here and passes on the scripts as they are.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any, ClassVar

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import Flaky
from hypothesis.stateful import run_state_machine_as_test
from machine import CLOCK, QueueMachine
from schedule_machine import ScheduleMachine

import encola.store
from encola.errors import StoreError, StoreFull
from encola.record import from_ms, to_ms
from encola.store import (
    Acceptance,
    Keys,
    Message,
    NewTask,
    NextDelivery,
    Verbs,
    connect,
    encode_body,
    run,
)
from encola.store.library import Library
from encola.store.plans import Plan
from encola.store.schedule_verbs import Declarer, Fired, ScheduleVerbs
from encola.store.shapes import Settled
from encola.timing import Every
from support import Server, Store

#: Each mutant is met by the same runs, so that one which is caught stays caught.
SEED = 36
RUNS = 400


@dataclass(frozen=True, slots=True)
class Mutant:
    """A fault that somebody could make."""

    name: str
    script: str
    text: str
    becomes: str
    times: int = 1
    """How often *text* stands in the script; all are changed."""
    caught_by: Callable[[Store], None] | None = None
    """None: the state machine. It would take long to come upon the others by chance."""

    def library(self, clock: str | None = None) -> Library:
        return Library(clock=clock, overrides={self.script: self.source()})

    def source(self) -> str:
        source = original(self.script)
        found = source.count(self.text)
        assert found == self.times, f"{self.name}: its text stands {found} times in {self.script}"
        assert self.text != self.becomes
        return source.replace(self.text, self.becomes)


def original(script: str) -> str:
    lua = resources.files(encola.store) / "lua" / f"{script}.lua"
    return lua.read_text("utf-8")


# --- small tests of what chance seldom finds -------------------------------------


def new(task_id: str, **values: Any) -> NewTask:
    return NewTask(task_id, b'{"task":"t"}\n[[],{},{}]', "encola", "t", **values)


def the_old_attempt_is_reported_lost(store: Store) -> None:
    """A worker lost a task, and the reply that gave it back to it: the old attempt is over."""
    client, verbs, _ = store
    run(client, verbs.heartbeat("w", 30_000, register=True))
    run(client, verbs.enqueue([new("a")], 100))
    run(client, verbs.claim("w", 1, ["encola"]))
    run(client, verbs.release([("a", 1)]))
    run(client, verbs.claim("w", 1, ["encola"]))

    assert run(client, verbs.heartbeat("w", 30_000, [("a", 1)])).lost == {"a": "PENDING"}


def a_key_without_its_task_hides_no_other(store: Store) -> None:
    """Retention removed what a key stood for; another known id with that key stays as it is."""
    client, verbs, keys = store
    run(client, verbs.enqueue([new("a", idempotency_key="k"), new("b")], 100))
    client.delete(keys.record("a"))
    [again] = run(client, verbs.enqueue([new("b", idempotency_key="k", user_id="ana")], 100))

    assert (again.acceptance, again.id) == (Acceptance.DUPLICATE, "b")


def sent(mark: str) -> NewTask:
    headers = {"encola": {"send": mark}}
    return replace(new("a"), message=Message("t", encode_body([]), headers).encode())


def a_sending_that_is_repeated_does_nothing(store: Store) -> None:
    """Its reply was lost, and the task has ended by now."""
    client, verbs, _ = store
    run(client, verbs.heartbeat("w", 30_000, register=True))
    run(client, verbs.enqueue([sent("one")], 100))
    run(client, verbs.claim("w", 1, ["encola"]))
    run(client, verbs.settle("a", 1, "SUCCESS", b"1"))
    [again] = run(client, verbs.enqueue([sent("one")], 100))

    assert again.acceptance is Acceptance.DUPLICATE


def a_later_sending_leaves_alone_what_has_not_ended(store: Store) -> None:
    client, verbs, _ = store
    run(client, verbs.enqueue([sent("one")], 100))
    [again] = run(client, verbs.enqueue([sent("two")], 100))

    assert again.acceptance is Acceptance.DUPLICATE


def claim_asks_the_record_where_it_is(store: Store) -> None:
    """From a very long list a cancelled id is not taken out; claim passes over it."""
    client, verbs, keys = store
    run(client, verbs.heartbeat("w", 30_000, register=True))
    run(client, verbs.enqueue([new("a"), new("b")], 100))
    run(client, verbs.cancel("a"))
    client.rpush(keys.ready("encola"), "a")
    claim = run(client, verbs.claim("w", 2, ["encola"]))

    assert [message.id for message in claim.messages] == ["b"]


def what_is_given_back_comes_first(store: Store) -> None:
    """A task that somebody had already waits for nobody."""
    client, verbs, _ = store
    run(client, verbs.heartbeat("w", 30_000, register=True))
    run(client, verbs.enqueue([new("a"), new("b")], 100))
    run(client, verbs.claim("w", 1, ["encola"]))
    run(client, verbs.release([("a", 1)]))
    claim = run(client, verbs.claim("w", 2, ["encola"]))

    assert [message.id for message in claim.messages] == ["a", "b"]


def a_cancelled_task_is_held_no_longer(store: Store) -> None:
    """Its type is paused, so it waits apart: there too nothing of it is left."""
    client, verbs, keys = store
    run(client, verbs.heartbeat("w", 30_000, register=True))
    run(client, verbs.pause_type("t", on=True))
    run(client, verbs.enqueue([new("a")], 100))
    run(client, verbs.claim("w", 1, ["encola"]))
    assert client.hget(keys.record("a"), "pl") == b"held"
    run(client, verbs.cancel("a"))

    assert client.keys(keys.named("held:*")) == []


def what_was_held_comes_back_part_by_part(store: Store) -> None:
    """The first part of a resumption is not the last."""
    client, verbs, _ = store
    run(client, verbs.heartbeat("w", 30_000, register=True))
    run(client, verbs.pause_type("t", on=True))
    run(client, verbs.enqueue([new("a"), new("b")], 100))
    run(client, verbs.claim("w", 2, ["encola"]))
    assert run(client, verbs.pause_type("t", on=False, limit=1)) == (True, 1)
    assert run(client, verbs.pause_type("t", on=False, limit=1)) == (False, 0)
    claim = run(client, verbs.claim("w", 2, ["encola"]))

    assert [message.id for message in claim.messages] == ["a", "b"]


ENDS_IGNORED = "to_finished(rec, 'REVOKED', 'e', '', 'ignored', false)"


def a_purge_leaves_a_record(store: Store) -> None:
    """Also of what a stock producer sent a moment before."""
    client, verbs, keys = store
    envelope = {"body": "[]", "headers": {"id": "a", "task": "t"}, "properties": {}}
    client.lpush(keys.ready("encola"), json.dumps(envelope))
    run(client, verbs.purge("encola"))

    assert client.hmget(keys.record("a"), "st", "ec") == [b"REVOKED", b"purged"]


def a_replaced_task_waits_for_its_last_part(store: Store) -> None:
    """Under its own id, whether that part is sent late, early, or not at all."""
    client, verbs, keys = store
    run(client, verbs.heartbeat("w", 30_000, register=True))
    names = ["late", "early", "broken", "lost"]
    run(client, verbs.enqueue([new(name) for name in names], 100))
    run(client, verbs.claim("w", 4, ["encola"]))
    assert run(client, verbs.expect("late", 2)) is NextDelivery.REFUSED
    last = {name: replace(new(name), message=b'{"task":"last"}\n[]') for name in names}
    for name in names:
        run(client, verbs.start(name, 1))
        run(client, verbs.expect(name, 1))
    run(client, verbs.enqueue([last["early"]], 100))
    assert run(client, verbs.claim("w", 4, ["encola"])).messages == []
    run(client, verbs.confirm([(name, 1, "ignored") for name in names]))
    run(client, verbs.enqueue([last["late"]], 100))
    run(client, verbs.end_unsent(last["broken"], b"{}", "broke"))
    client.zadd(keys.named("delayed"), {"lost": 1})
    claim = run(client, verbs.claim("w", 4, ["encola"]))

    assert [(m.id, m.message) for m in claim.messages] == [
        (name, last[name].message) for name in ("early", "late")
    ]
    for name, code in (("broken", b"broke"), ("lost", b"replacement_lost")):
        assert client.hmget(keys.record(name), "st", "ec") == [b"FAILURE", code]


def what_runs_again_is_kept(store: Store) -> None:
    """Retention comes upon the end that it had before a person ran it again."""
    client, verbs, keys = store
    run(client, verbs.heartbeat("w", 30_000, register=True))
    run(client, verbs.enqueue([new("a")], 100))
    run(client, verbs.claim("w", 1, ["encola"]))
    run(client, verbs.start("a", 1))
    run(client, verbs.settle("a", 1, "SUCCESS", b"1"))
    run(client, verbs.retry("a"))
    run(client, verbs.prune(2**53 - 1, 0))

    assert client.exists(keys.record("a"))


def all_or_none_is_accepted(store: Store) -> None:
    """With two places left, three new tasks are refused and leave nothing."""
    client, verbs, keys = store
    with pytest.raises(StoreFull):
        run(client, verbs.enqueue([new("a"), new("b"), new("c")], 2))

    assert client.keys(keys.record("*")) == []


def a_blocked_worker_is_woken(store: Store) -> None:
    """Work leaves one token for a queue, and not one a task: neither of a batch, nor of two calls."""
    client, verbs, keys = store
    run(client, verbs.enqueue([new("a"), new("b")], 100))
    run(client, verbs.enqueue([new("c")], 100))

    assert client.lrange(keys.wake("encola"), 0, -1) == [b"1"]


def what_runs_is_not_given_back_as_waiting(store: Store) -> None:
    """A child has taken the task up, and its worker does not know yet."""
    client, verbs, _ = store
    run(client, verbs.heartbeat("w", 30_000, register=True))
    run(client, verbs.enqueue([new("a")], 100))
    run(client, verbs.claim("w", 1, ["encola"]))
    run(client, verbs.start("a", 1))

    assert run(client, verbs.release([("a", 1)], only_waiting=True)) == [3]
    assert run(client, verbs.settle("a", 1, "SUCCESS", b"1")) is Settled.WRITTEN


def stale_words_do_nothing(store: Store) -> None:
    """A scheduler worked them out before the rule was changed, or so long ago that it is too late."""
    client, verbs, keys = store
    schedules, now = ScheduleVerbs(verbs), from_ms(to_ms(dt.datetime.now(dt.UTC)))
    plan = Plan("s", "t", Every(60_000), b'{"task":"t"}\n[[],{},{}]', "encola")
    declared = [(plan, now - dt.timedelta(seconds=5))]
    run(client, schedules.declare(Declarer("d", 1), declared, held_ms=1000, kept_ms=9000))
    [due] = run(client, schedules.due(["s"])).due
    later = now + dt.timedelta(hours=1)
    for stale, run_by in ((replace(due, rule=b"{}"), later), (due, due.at)):
        fired = run(client, schedules.fire(stale, later, (new("a"), due.at, run_by), 0, 100))
        assert fired is Fired.STALE

    assert client.keys(keys.record("*")) == []


MUTANTS = [
    # Fencing.
    Mutant("settle takes any token", "settle", "if not holds(rec, token) then", "if false then"),
    Mutant("start takes any token", "start", "if not holds(rec, token) then return 0 end", ""),
    Mutant("progress takes any token", "progress", "if not holds(rec, token) or", "if"),
    Mutant("release takes any token", "release", "holds(rec, ARGV[a + 1])", "rec.worker"),
    Mutant(
        "release takes what runs for waiting",
        "release",
        "only_waiting and rec.started",
        "false",
        caught_by=what_runs_is_not_given_back_as_waiting,
    ),
    Mutant("confirm takes any token", "confirm", "holds(rec, token)", "rec.worker"),
    Mutant(
        "a zombie asks for the next delivery",
        "next_delivery",
        "if not holds(rec, ARGV[6]) then return 0 end",
        "",
    ),
    Mutant(
        "tokens do not grow",
        "_places",
        "rec.token = rec.token + 1",
        "rec.token = math.max(1, rec.token)",
    ),
    Mutant(
        "a heartbeat does not tell of another attempt",
        "heartbeat",
        "rec.worker == worker and rec.token == tonumber(ARGV[a + 1])",
        "rec.worker == worker",
        caught_by=the_old_attempt_is_reported_lost,
    ),
    # One place.
    Mutant(
        "claim forgets the lease",
        "claim",
        "if #taken > 0 then redis.call('SADD', P .. 'leased:' .. worker, unpack(taken)) end\n",
        "",
    ),
    Mutant("promotion leaves it delayed", "_places", "    redis.call('ZREM', DELAYED, id)\n", ""),
    Mutant("settle leaves it leased", "settle", "leave_place(rec)\n", ""),
    Mutant("confirm leaves it leased", "confirm", "    leave_place(rec)\n", ""),
    Mutant("cancel leaves it in its place", "_acts", "leave_place(rec) -- a cancel ends it\n", ""),
    Mutant("a person's retry leaves it dead", "_acts", "leave_place(rec) -- it may be dead\n", ""),
    Mutant(
        "a crash leaves it leased",
        "_places",
        "  leave_place(rec)\n  local ran",
        "  local ran",
    ),
    Mutant(
        "the sweep loses what it adopts",
        "sweep",
        "        redis.call('LSET', list, first + index - 1, rec.id)\n        blanks = blanks - 1\n",
        "",
    ),
    Mutant(
        "a requeued task says PENDING while it is delayed",
        "_record",
        "'RETRY' or 'SCHEDULED'",
        "'RETRY' or 'PENDING'",
    ),
    Mutant(
        "claim believes the list",
        "claim",
        "if rec and rec.place == 'ready' then take(rec) end",
        "if rec then take(rec) end",
        caught_by=claim_asks_the_record_where_it_is,
    ),
    Mutant(
        "what is given back goes to the end",
        "_places",
        "at_head and 'RPUSH' or 'LPUSH'",
        "'LPUSH'",
        caught_by=what_is_given_back_comes_first,
    ),
    Mutant(
        "nobody is woken",
        "_record",
        "      redis.call('LPUSH', key, '1')\n",
        "",
        caught_by=a_blocked_worker_is_woken,
    ),
    Mutant(
        "a token for every task",
        "_record",
        "  for queue in pairs(WOKEN) do\n    local key = P .. 'wake:' .. queue\n    if redis.call('LLEN', key) == 0 then",
        "  for queue in pairs(WOKEN) do\n    local key = P .. 'wake:' .. queue\n    if true then",
        caught_by=a_blocked_worker_is_woken,
    ),
    # Leases.
    Mutant(
        "a worker without a lease may claim",
        "claim",
        "if not lease_until or tonumber(lease_until) < NOW then",
        "if not lease_until then",
    ),
    Mutant(
        "rescue does not look at the lease", "sweep", "'(' .. NOW, 'BYSCORE'", "'+inf', 'BYSCORE'"
    ),
    Mutant(
        "rescue right after everybody slept",
        "sweep",
        "elseif NOW - last > lease_ms / 3 then",
        "elseif false then",
    ),
    Mutant(
        "a holder that nobody knows is not looked for",
        "enqueue",
        "      redis.call('ZADD', WORKERS, 'NX', NOW + UNKNOWN_LEASE_MS, worker)\n",
        "",
    ),
    Mutant("resync gives back what is held", "resync", "if not held[id] then", "if true then"),
    Mutant(
        "claim does not look at pauses",
        "claim",
        "if not paused['queue:' .. ARGV[a]] then",
        "if true then",
    ),
    Mutant(
        "claim does not look at paused types",
        "claim",
        "if paused['type:' .. rec.type] then",
        "if false then",
    ),
    Mutant(
        "claim does not look whether it drains",
        "claim",
        "if paused['worker:' .. worker] then",
        "if false then",
    ),
    Mutant(
        "what is held has no place of its own",
        "_places",
        "  redis.call('ZADD', held_key(rec), rec.n, rec.id)\n",
        "",
    ),
    Mutant(
        "what is held stays held when it is cancelled",
        "_places",
        "  elseif rec.place == 'held' then\n    leave_held(rec)\n",
        "",
        caught_by=a_cancelled_task_is_held_no_longer,
    ),
    Mutant(
        "a resumed type is forgotten before all is back",
        "_held",
        "if left == 0 then",
        "if true then",
        caught_by=what_was_held_comes_back_part_by_part,
    ),
    Mutant(
        "a state is left without being counted down",
        "_record",
        "      tally(rec, rec.state, -1)\n",
        "",
    ),
    Mutant(
        "what a script has added up is not written",
        "_record",
        "if by ~= 0 then redis.call('HINCRBY', COUNTS, field, by) end",
        "",
    ),
    Mutant("promoting does not count down", "_places", "      tally(rec, 'delayed', -1)\n", ""),
    Mutant("pruning does not count down", "prune", "  untally(rec)\n", ""),
    # Counting and ending.
    Mutant("crashes without end", "_places", "if rec.crashes >= MAX_CRASHES then", "if false then"),
    Mutant(
        "a crash counts for what never ran",
        "_places",
        "local ran = rec.started or was_at_it",
        "local ran = true",
    ),
    Mutant(
        "a person runs an unfinished task again",
        "retry",
        "if not FINISHED[rec.state] then return {0, rec.state} end",
        "",
    ),
    Mutant(
        "cancel tells the worker nothing",
        "_acts",
        "    redis.call('LPUSH', inbox, rec.token .. ' ' .. rec.id)\n",
        "",
    ),
    Mutant(
        "the next delivery is forgotten",
        "_places",
        "  redis.call('HSET', rec.key, 'm', message)\n",
        "",
    ),
    Mutant(
        "the next delivery outlives its attempt",
        "_places",
        ", 'ph', 'nx', 'nd', 'rp')",
        ", 'ph')",
        times=2,
    ),
    Mutant(
        "purge forgets what nobody has adopted",
        "purge",
        "rec = adopt(entry, queue)",
        "",
        caught_by=a_purge_leaves_a_record,
    ),
    # A task that replaced itself by a chain or a group.
    *(
        Mutant(name, script, text, becomes, caught_by=a_replaced_task_waits_for_its_last_part)
        for name, script, text, becomes in (
            ("a zombie replaces its task", "expect", "not holds(rec, ARGV[6])", "false"),
            ("a replaced task is ignored", "confirm", "to_awaiting(rec)", ENDS_IGNORED),
            ("its last part is a duplicate", "enqueue", "rec.id == id and rec.awaits", "false"),
            ("an early last part takes it from its worker", "enqueue", "if rec.worker", "if false"),
            ("it waits for a chain that broke", "end_unsent", "not rec.awaits", "true"),
            ("it runs again when none came", "_places", "if rec.awaits", "if false"),
        )
    ),
    # Accepting.
    Mutant(
        "idempotency keys do nothing", "enqueue", "idem_key and redis.call('GET', idem_key)", "nil"
    ),
    Mutant(
        "a known id is accepted again",
        "enqueue",
        "  elseif rec then\n",
        "  elseif rec and kept then\n",
    ),
    Mutant(
        "a repeated sending runs the task again",
        "enqueue",
        "again and again ~= sending(redis.call('HGET', rec.key, 'm'))",
        "again",
        caught_by=a_sending_that_is_repeated_does_nothing,
    ),
    Mutant(
        "a later sending takes a task that has not ended",
        "enqueue",
        "FINISHED[rec.state] and sending(message)",
        "sending(message)",
        caught_by=a_later_sending_leaves_alone_what_has_not_ended,
    ),
    Mutant(
        "a pruned task hides a known id",
        "enqueue",
        "if not rec and redis.call('EXISTS'",
        "if not kept and redis.call('EXISTS'",
        caught_by=a_key_without_its_task_hides_no_other,
    ),
    Mutant(
        "the limit of waiting tasks does not count",
        "_record",
        "if new > 0 and waiting + new >",
        "if waiting >",
        caught_by=all_or_none_is_accepted,
    ),
    Mutant(
        "adoption does not look for duplicates",
        "_adopt",
        "  if redis.call('EXISTS', record_key(id)) == 1 then return nil end\n",
        "",
    ),
    Mutant(
        "creation times run backwards",
        "_record",
        "if NOW > LAST_CREATED then",
        "if NOW ~= LAST_CREATED then",
    ),
    # Schedules; the machine of schedules catches the rest of them.
    Mutant(
        "what is too late is fired",
        "fire",
        " or (run and run_by < NOW)",
        "",
        caught_by=stale_words_do_nothing,
    ),
    Mutant(
        "another rule's times are fired",
        "fire",
        "kept[1] ~= ARGV[18] or ",
        "",
        caught_by=stale_words_do_nothing,
    ),
    # Indexes, events, retention.
    Mutant(
        "the old state stays in its index",
        "_record",
        "redis.call('ZREM', index_key(rec.tenant, 'state', rec.state), rec.id)",
        "",
    ),
    Mutant(
        "a promotion without an event",
        "_places",
        "        to_ready(rec, false)\n        emit(rec)\n",
        "        to_ready(rec, false)\n",
    ),
    Mutant(
        "prune removes what runs again",
        "prune",
        "if rec and FINISHED[rec.state] and tonumber(redis.call('HGET', rec.key, 'f')) <= finished then",
        "if rec then",
        caught_by=what_runs_again_is_kept,
    ),
    Mutant(
        "prune leaves empty indexes",
        "prune",
        "  if redis.call('XLEN', index) == 0 then redis.call('DEL', index) end\n",
        "",
    ),
]

#: Caught by the machine of schedules.
SCHEDULE_MUTANTS = [
    Mutant(
        "a schedule's time is not compared",
        "fire",
        "elseif tonumber(redis.call('ZSCORE', SCHEDULES, id)) ~= due then\n  return {0}\n",
        "",
    ),
    Mutant(
        "a schedule is not moved on",
        "fire",
        "  redis.call('ZADD', SCHEDULES, next, id)\n",
        "",
    ),
    Mutant("a run that is known is made again", "fire", "run and load(task)", "nil"),
    Mutant("a paused schedule runs", "fire", "due and kept[2]", "nil"),
    Mutant("what is out of date is fired", "fire", "or next <= NOW", ""),
    Mutant("missed times are not counted", "fire", "missed > 0 and not paused", "false"),
    Mutant("a run by hand moves the time", "fire", "if due then\n", "if true then\n"),
    Mutant(
        "an older program has the last word",
        "declare",
        "if not f[1] or mine or is_newest or tonumber(f[5]) < NOW then",
        "if true then",
    ),
    Mutant(
        "a newer program's word never ends", "declare", " or tonumber(f[5]) < NOW then", " then"
    ),
    Mutant("declared again it is due anew", "declare", "if f[2] ~= rule then", "if true then"),
    Mutant("a new rule keeps the old time", "declare", "if f[2] ~= rule then", "if not f[2] then"),
    Mutant(
        "after a time without schedulers all are forgotten",
        "declare",
        "    redis.call('HSET', schedule_key(id), 'au', NOW + kept)\n",
        "",
    ),
    Mutant(
        "what is declared is forgotten",
        "declare",
        "  redis.call('HSET', key, 'au', NOW + kept)\nend\nreturn",
        "  redis.call('HSETNX', key, 'au', NOW + kept)\nend\nreturn",
    ),
    Mutant("forgetting leaves the time", "forget", "    redis.call('ZREM', SCHEDULES, id)\n", ""),
    Mutant(
        "resumed it runs for what it slept through",
        "pause_schedule",
        "  redis.call('ZADD', SCHEDULES, ARGV[7], ARGV[5])\n",
        "",
    ),
]


def meet(
    server: Server,
    mutated: Library,
    runs: int,
    machine: type[QueueMachine] = QueueMachine,
) -> BaseException | None:
    """What the machine says of the scripts of *mutated*; None: nothing to complain of."""

    class Machine(machine):  # type: ignore[valid-type, misc]
        client = connect(server.url)
        library = mutated
        seen: ClassVar[Counter[str]] = Counter()

    hypothesis.seed(SEED)(Machine)
    try:
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=runs,
                stateful_step_count=50,
                # Nobody reads the runs of a mutant, so they need not be small.
                phases=[Phase.generate],
                report_multiple_bugs=False,
                deadline=None,
                database=None,
                print_blob=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
    except (AssertionError, StoreError, Flaky) as error:
        return error
    finally:
        Machine.client.close()
    return None


BY_MACHINE = [mutant for mutant in MUTANTS if mutant.caught_by is None]
BY_SMALL_TEST = [mutant for mutant in MUTANTS if mutant.caught_by is not None]


@pytest.mark.parametrize("mutant", BY_MACHINE, ids=lambda mutant: mutant.name)
def test_the_state_machine_catches(valkey: Server, mutant: Mutant) -> None:
    """The fault breaks something that is checked after every step."""
    caught = meet(valkey, mutant.library(CLOCK), RUNS)

    assert caught is not None, f"nobody noticed: {mutant.name}"
    print(f"{mutant.name}: {(str(caught) or type(caught).__name__).splitlines()[0]}")


@pytest.mark.parametrize("mutant", SCHEDULE_MUTANTS, ids=lambda mutant: mutant.name)
def test_the_machine_of_schedules_catches(valkey: Server, mutant: Mutant) -> None:
    """The fault loses or doubles a run, or makes one that should not be."""
    caught = meet(valkey, mutant.library(CLOCK), RUNS, ScheduleMachine)

    assert caught is not None, f"nobody noticed: {mutant.name}"
    print(f"{mutant.name}: {(str(caught) or type(caught).__name__).splitlines()[0]}")


@pytest.mark.parametrize("mutant", BY_SMALL_TEST, ids=lambda mutant: mutant.name)
def test_a_small_test_catches(valkey: Server, mutant: Mutant) -> None:
    """The test holds for the scripts that we ship, and not for this change of them."""
    assert mutant.caught_by
    # Made before the fault is looked for: a text that is not there any more is no catch.
    mutated = Verbs(Keys(), mutant.library())
    with closing(connect(valkey.url)) as client:
        client.flushall()
        mutant.caught_by(Store(client, Verbs(Keys()), Keys()))
        client.flushall()

        with pytest.raises((AssertionError, pytest.fail.Exception)):
            mutant.caught_by(Store(client, mutated, Keys()))


@pytest.mark.parametrize("machine", [QueueMachine, ScheduleMachine])
def test_the_scripts_as_they_are_are_not_caught(
    valkey: Server, machine: type[QueueMachine]
) -> None:
    """The same runs have nothing to say against the scripts that we ship."""
    caught = meet(valkey, Library(clock=CLOCK), 30, machine)

    assert caught is None
