"""
What each verb does and answers, on the embedded Valkey and on Redis 7.0.

Whatever a test did, afterwards every task is in exactly one place, and no key
without a time to live is left but the named permanent ones.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import fnmatch
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.exceptions import ResponseError
from snapshot import check, look

from encola.errors import (
    StoreError,
    StoreFull,
    StoreUnavailable,
    TaskActive,
    TaskFinished,
    TaskNotFound,
    WorkerNotFound,
)
from encola.record import to_ms
from encola.store import (
    Acceptance,
    Call,
    Keys,
    Message,
    NewTask,
    NextDelivery,
    Settled,
    Start,
    Verbs,
    connect,
    connect_async,
    encode_body,
    run,
    run_async,
    run_many,
)
from encola.store.library import Library
from encola.store.logs import decode_line
from encola.store.shapes import Claimed, LogLine, WhyWaiting
from encola.store.statistics import decode_minute
from support import Server, Store

LEASE_MS = 30_000
#: Keys that live as long as what they describe: a task, a worker, the installation.
PERMANENT = (
    "encola:meta",
    "encola:delayed",
    "encola:dead",
    "encola:workers",
    "encola:events",
    "encola:done",
    "encola:paused",
    "encola:counts",
    "encola:ends:untold",
    "encola:log:*",
    "encola:logged",
    "encola:held",
    "encola:held:*",
    "encola:types",
    "encola:t:*",
    "encola:leased:*",
    "encola:worker:*",
    "encola:i:*",
    "encola:clock",
    "encola",
    "encola\x06\x16[369]",
    "files",
)
#: A clock that a test can set; the server's own where it has not.
CLOCK = """
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000) + tonumber(redis.call('GET', 'encola:clock') or 0)
end
"""


@pytest.fixture(autouse=True)
def _nothing_is_wrong_afterwards(store: Store) -> Iterator[None]:
    yield
    client, _, keys = store
    check(look(client, keys), keys)
    leaked = [
        key.decode()
        for key in cast("list[bytes]", client.keys("*"))
        if client.pttl(key) == -1
        and not any(fnmatch.fnmatchcase(key.decode(), name) for name in PERMANENT)
    ]
    assert leaked == []


class Bench:
    """Short words for what the tests do, and a clock that they can turn."""

    def __init__(self, store: Store) -> None:
        self.client, _, self.keys = store
        self.verbs = Verbs(self.keys, Library(clock=CLOCK))

    def do(self, call: Any) -> Any:
        return run(self.client, call)

    def later(self, ms: int) -> None:
        self.client.incrby("encola:clock", ms)

    def now_ms(self) -> int:
        seconds, micros = self.client.time()
        ahead = cast("bytes | None", self.client.get("encola:clock"))
        return seconds * 1000 + micros // 1000 + int(ahead or 0)

    def counted(self) -> Counter[str]:
        """The statistics of what this test's tasks, all of one type and queue, have done."""
        return sum(
            (
                counter
                for key in cast("list[bytes]", self.client.keys("encola:stats:*"))
                for counter in decode_minute(
                    0, cast("dict[bytes, bytes]", self.client.hgetall(key))
                ).counts.values()
            ),
            Counter(),
        )

    def enqueue(self, *names: str, **values: Any) -> None:
        tasks = [new(name, **values) for name in names]
        replies = self.do(self.verbs.enqueue(tasks, 100_000))
        assert {reply.acceptance for reply in replies} == {Acceptance.ACCEPTED}

    def register(self, worker: str = "w") -> None:
        self.do(self.verbs.heartbeat(worker, LEASE_MS, register=True))

    def claim(
        self, n: int = 10, worker: str = "w", queues: tuple[str, ...] = ("encola",)
    ) -> list[Claimed]:
        self.register(worker)
        messages: list[Claimed] = self.do(self.verbs.claim(worker, n, queues)).messages
        return messages

    def claimed(self, n: int = 10, **options: Any) -> list[str]:
        return [message.id for message in self.claim(n, **options)]

    def running(self, task_id: str = "a", **values: Any) -> int:
        """A task that has started; its token."""
        self.enqueue(task_id, **values)
        [message] = self.claim(1)
        assert self.do(self.verbs.start(task_id, message.token)) is Start.STARTED
        return message.token

    def finished(self, *names: str) -> None:
        for name in names:
            token = self.running(name)
            self.do(self.verbs.settle(name, token, "SUCCESS", b"1"))

    def sweep(self, *, limit: int = 200) -> Any:
        self.later(1000)
        return self.do(self.verbs.sweep(LEASE_MS, ["encola"], limit))

    def lose(self, worker: str = "w") -> None:
        """Time goes by with sweeps until the lease of *worker* has run out."""
        for _ in range(6):
            self.later(LEASE_MS // 4 - 1000)
            self.sweep()

    def field(self, task_id: str, name: str) -> str | None:
        value = cast("bytes | None", self.client.hget(self.keys.record(task_id), name))
        return None if value is None else value.decode()

    def state(self, task_id: str) -> str | None:
        return self.field(task_id, "st")

    def place(self, task_id: str) -> str | None:
        return self.field(task_id, "pl")

    def events(self) -> list[tuple[str, str]]:
        """(id, state), oldest first."""
        entries = look(self.client, self.keys).events
        return [(fields["t"], fields["s"]) for _, fields in entries]

    def push_stock(self, task_id: str, *, queue: str = "encola", **headers: Any) -> None:
        envelope = {
            "body": "W1tdLHt9LHt9XQ==",
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"id": task_id, "task": "stock.task", **headers},
            "properties": {"correlation_id": task_id, "priority": 0, "body_encoding": "base64"},
        }
        self.client.lpush(self.keys.ready(queue), json.dumps(envelope))


@pytest.fixture
def bench(store: Store) -> Bench:
    return Bench(store)


def new(task_id: str, **values: Any) -> NewTask:
    message = b'{"task":"tasks.mail"}\n[[],{},{}]'
    queue, type_name = values.pop("queue", "encola"), values.pop("type", "email")
    return NewTask(task_id, message, queue, type_name, **values)


def replacement() -> NewTask:
    return NewTask("a", b'{"task":"again"}\n[]', "encola", "email")


# --- logs ---------------------------------------------------------------------


def written(bench: Bench, task_id: str) -> list[tuple[int, int, str]]:
    """(number, attempt, message) of each line that is kept."""
    lines = [decode_line(e) for e in bench.client.lrange(bench.keys.log(task_id), 0, -1)]
    return [(line.number, line.attempt, line.message) for line in lines]


def log(bench: Bench, *lines: tuple[str, int, str], lines_kept: int = 100, **values: int) -> int:
    """Lines (id, token, message) of some tasks."""
    made = [
        LogLine(
            i,
            token,
            json.dumps({"at": 0, "level": "info", "source": "t", "message": text}).encode(),
            values.get("skipped", 0),
        )
        for i, token, text in lines
    ]
    kept: int = bench.do(bench.verbs.log(made, lines_kept, values.get("bytes_kept", 10**6)))
    return kept


def test_lines_are_kept_by_task_and_attempt(bench: Bench) -> None:
    """Numbered by task; the attempt is the one that ran under the token, also once it is over."""
    first = bench.running("a")
    assert log(bench, ("a", first, "one"), ("nobody", 1, "lost"), ("a", first, "two")) == 2
    bench.do(bench.verbs.release([("a", first)], crashed=True))
    [again] = bench.claim(1)
    bench.do(bench.verbs.start("a", again.token))
    log(bench, ("a", again.token, "three"), ("a", first, "late"))
    bench.do(bench.verbs.settle("a", again.token, "SUCCESS", b"1"))
    log(bench, ("a", again.token, "last"), ("a", first, "later"))

    assert written(bench, "a") == [
        (1, 1, "one"),
        (2, 1, "two"),
        (3, 2, "three"),
        (4, 1, "late"),
        (5, 2, "last"),
        (6, 1, "later"),
    ]
    assert bench.client.exists(bench.keys.log("nobody")) == 0
    told = [fields[b"t"] for _, fields in bench.client.xrange("encola:logged")]
    assert told == [b"a", b"a", b"a"]


def test_a_log_keeps_its_end(bench: Bench) -> None:
    """At most so many lines, at most so many bytes, and always the last one; the numbers go on."""
    token = bench.running("a")
    log(bench, *[("a", token, str(n)) for n in range(10)], lines_kept=3)
    assert [number for number, _, _ in written(bench, "a")] == [8, 9, 10]
    log(bench, ("a", token, "x" * 50), ("a", token, "y" * 50), bytes_kept=220)
    assert [number for number, _, _ in written(bench, "a")] == [11, 12]
    log(bench, ("a", token, "z" * 500), bytes_kept=220)
    assert [number for number, _, _ in written(bench, "a")] == [13]
    log(bench, ("a", token, "after a flood"), skipped=7)
    assert [number for number, _, _ in written(bench, "a")] == [13, 21]


def test_a_log_goes_with_its_record(bench: Bench) -> None:
    token = bench.running("a")
    log(bench, ("a", token, "one"))
    bench.do(bench.verbs.settle("a", token, "SUCCESS", b"1"))
    bench.do(bench.verbs.prune(0, 0))

    assert log(bench, ("a", token, "too late")) == 0
    assert bench.client.exists(bench.keys.log("a")) == 0


# --- enqueue ------------------------------------------------------------------


def test_enqueue_writes_record_place_event_and_wake_up(bench: Bench) -> None:
    """One call: the task is known, waits on its queue, is announced, and a worker is told."""
    bench.enqueue("a", user_id="ana")

    assert (bench.state("a"), bench.place("a")) == ("PENDING", "ready")
    assert bench.events() == [("a", "PENDING")]
    assert bench.client.lrange("encola", 0, -1) == [b"a"]
    assert bench.client.llen(bench.keys.wake("encola")) == 1


def test_a_known_id_is_a_duplicate(bench: Bench) -> None:
    """The second one does nothing and is told when the first was made."""
    [first] = bench.do(bench.verbs.enqueue([new("a")], 100))
    [second] = bench.do(bench.verbs.enqueue([new("a", user_id="eva")], 100))

    assert (second.acceptance, second.id) == (Acceptance.DUPLICATE, "a")
    assert second.created_at_ms == first.created_at_ms
    assert bench.events() == [("a", "PENDING")]


def test_an_id_whose_key_is_something_else_is_refused_before_anything_is_written(
    bench: Bench,
) -> None:
    """Half a task would stand in lists that lead nowhere."""
    foreign = bench.keys.record("a")
    bench.client.set(foreign, "somebody else's")
    with pytest.raises(StoreError, match="WRONGTYPE"):
        bench.enqueue("a")

    assert [foreign.encode()] == bench.client.keys("*")
    bench.client.delete(foreign)


def test_an_idempotency_key_gives_back_the_task_it_stands_for(bench: Bench) -> None:
    """Another id with the same key is not accepted."""
    bench.enqueue("a", idempotency_key="order-7")
    [again] = bench.do(bench.verbs.enqueue([new("b", idempotency_key="order-7")], 100))

    assert (again.acceptance, again.id) == (Acceptance.DUPLICATE, "a")
    assert bench.state("b") is None


def sent(mark: str, text: str = "first", **values: Any) -> NewTask:
    """Of a frozen signature; *mark*: which sending of it."""
    headers = {"encola": {"source": "celery", "send": mark}}
    message = Message("tasks.mail", encode_body([text]), headers).encode()
    return replace(new("a", **values), message=message)


@pytest.mark.parametrize("due", [None, 60_000])
def test_a_later_sending_of_a_frozen_signature_runs_what_has_ended_again(
    bench: Bench, due: int | None
) -> None:
    """The next attempt of the same task, with the message that came now, in its own time."""
    bench.do(bench.verbs.enqueue([sent("one")], 100))
    [claimed] = bench.claim()
    bench.do(bench.verbs.start("a", claimed.token))
    bench.do(bench.verbs.settle("a", claimed.token, "SUCCESS", b"1"))
    due_ms = due and bench.now_ms() + due
    [again] = bench.do(bench.verbs.enqueue([sent("two", "second", due_ms=due_ms)], 100))

    assert (again.acceptance, again.id) == (Acceptance.ACCEPTED, "a")
    assert (bench.place("a"), bench.field("a", "r")) == ("delayed" if due else "ready", None)
    bench.later(due or 0)
    [claimed] = bench.claim()
    assert (claimed.token, Message.decode(claimed.message).arguments()[0]) == (2, ["second"])
    assert bench.do(bench.verbs.start("a", 2)) is Start.STARTED
    assert bench.field("a", "an") == "2"


def test_the_same_sending_repeated_does_nothing(bench: Bench) -> None:
    """Its reply was lost, or the attempt that sent it runs again; the task may have ended by then."""
    bench.do(bench.verbs.enqueue([sent("one")], 100))
    [claimed] = bench.claim()
    bench.do(bench.verbs.settle("a", claimed.token, "SUCCESS", b"1"))
    [again] = bench.do(bench.verbs.enqueue([sent("one")], 100))

    assert again.acceptance is Acceptance.DUPLICATE
    assert bench.state("a") == "SUCCESS"


def test_a_later_sending_of_what_has_not_ended_does_nothing(bench: Bench) -> None:
    bench.do(bench.verbs.enqueue([sent("one")], 100))
    [waiting] = bench.do(bench.verbs.enqueue([sent("two")], 100))
    [claimed] = bench.claim()
    [leased] = bench.do(bench.verbs.enqueue([sent("three")], 100))

    assert {waiting.acceptance, leased.acceptance} == {Acceptance.DUPLICATE}
    assert Message.decode(claimed.message).arguments()[0] == ["first"]
    assert bench.events() == [("a", "PENDING")]


def test_an_idempotency_key_outweighs_a_later_sending(bench: Bench) -> None:
    bench.do(bench.verbs.enqueue([sent("one", idempotency_key="order-7")], 100))
    [claimed] = bench.claim()
    bench.do(bench.verbs.settle("a", claimed.token, "SUCCESS", b"1"))
    [again] = bench.do(bench.verbs.enqueue([sent("two", idempotency_key="order-7")], 100))

    assert (again.acceptance, bench.state("a")) == (Acceptance.DUPLICATE, "SUCCESS")


def test_a_task_for_later_is_delayed(bench: Bench) -> None:
    """With a due time ahead it waits in the delayed set; with one gone by, on its queue."""
    bench.enqueue("later", due_ms=bench.now_ms() + 60_000)
    bench.enqueue("now", due_ms=bench.now_ms() - 60_000)

    assert (bench.state("later"), bench.place("later")) == ("SCHEDULED", "delayed")
    assert (bench.state("now"), bench.place("now")) == ("PENDING", "ready")


def test_no_more_than_the_limit_wait(bench: Bench) -> None:
    """At ENCOLA_MAX_WAITING new tasks are refused, all of them, in these words."""
    bench.enqueue("a", "b")
    with pytest.raises(StoreFull) as refused:
        bench.do(bench.verbs.enqueue([new("c"), new("d")], 3))

    assert str(refused.value) == (
        "2 tasks wait; ENCOLA_MAX_WAITING allows 3. "
        "Nothing was queued; start more workers, or try again later."
    )
    assert bench.state("c") is None


def test_a_running_task_may_ask_for_another_run_of_itself_on_a_full_queue(bench: Bench) -> None:
    """The limit is for new tasks; a retry of one that runs is kept for when it settles."""
    token = bench.running("a")
    bench.enqueue("b")

    assert bench.do(bench.verbs.next_delivery(new("a"), token)) is NextDelivery.KEPT
    assert bench.do(bench.verbs.next_delivery(new("a"), token + 1)) is NextDelivery.REFUSED
    assert bench.do(bench.verbs.next_delivery(new("x"), token)) is NextDelivery.UNKNOWN


def test_a_task_can_be_held_from_the_start(bench: Bench) -> None:
    """What the API runs itself is under its lease and never on a list."""
    bench.register("api@host")
    bench.enqueue("a", lease_to="api@host")

    assert (bench.place("a"), bench.field("a", "w")) == ("leased", "api@host")
    assert bench.do(bench.verbs.start("a", 1)) is Start.STARTED


def test_a_holder_that_nobody_knows_is_looked_for(bench: Bench) -> None:
    """Held by a process that never registered and never comes back, the task is rescued."""
    bench.sweep()
    bench.enqueue("a", lease_to="api@gone")
    bench.lose()

    assert bench.place("a") == "ready"


# --- heartbeat ----------------------------------------------------------------


def test_an_unknown_worker_is_told_so(bench: Bench) -> None:
    """Renewing does not make a worker known; registering does."""
    assert not bench.do(bench.verbs.heartbeat("w", LEASE_MS)).known
    bench.register()
    assert bench.do(bench.verbs.heartbeat("w", LEASE_MS)).known


def test_a_heartbeat_counts_what_is_leased_and_names_what_is_lost(bench: Bench) -> None:
    """Cancelled tasks, and ids that have no record, come back with their state."""
    bench.enqueue("a", "b")
    bench.claim()
    bench.do(bench.verbs.cancel("a"))
    renewal = bench.do(bench.verbs.heartbeat("w", LEASE_MS, [("a", 1), ("b", 1), ("x", 1)]))

    assert renewal.leased == 1
    assert renewal.lost == {"a": "REVOKED", "x": ""}


def test_what_a_worker_says_of_itself_is_kept_until_it_leaves(bench: Bench) -> None:
    """The information of the last heartbeat that carried any."""
    bench.do(bench.verbs.heartbeat("w", LEASE_MS, info='{"pid": 1}', register=True))
    bench.do(bench.verbs.heartbeat("w", LEASE_MS))

    assert bench.client.get(bench.keys.worker("w")) == b'{"pid": 1}'
    bench.do(bench.verbs.leave("w"))
    assert bench.client.get(bench.keys.worker("w")) is None


# --- claim --------------------------------------------------------------------


def test_a_worker_without_a_lease_claims_nothing(bench: Bench) -> None:
    """Unknown, or its lease has run out: it is told to register."""
    bench.enqueue("a")

    assert not bench.do(bench.verbs.claim("w", 1, ["encola"])).known
    bench.register()
    bench.later(LEASE_MS + 1)
    assert not bench.do(bench.verbs.claim("w", 1, ["encola"])).known


def test_claim_takes_by_priority_then_queue_then_age(bench: Bench) -> None:
    """0 before 3 before 6 before 9; within one the queues as named; within both the oldest."""
    bench.enqueue("low", priority=9)
    bench.enqueue("four", priority=4)
    bench.enqueue("three", priority=3)
    bench.enqueue("file", queue="files")
    bench.enqueue("mail-1", "mail-2")

    order = bench.claimed(10, queues=("files", "encola"))
    assert order == ["file", "mail-1", "mail-2", "four", "three", "low"]


def test_claim_answers_the_message_and_counts(bench: Bench) -> None:
    """All that the worker needs to run it comes in the one reply."""
    bench.enqueue("a")
    [message] = bench.claim()

    assert message == Claimed("a", 1, "encola", 0, 0, b'{"task":"tasks.mail"}\n[[],{},{}]')


def test_claim_promotes_what_is_due(bench: Bench) -> None:
    """Nobody has to sweep for a task whose time has come."""
    bench.enqueue("a", due_ms=bench.now_ms() + 5000)
    assert bench.claimed() == []
    bench.later(5000)

    assert bench.claimed() == ["a"]
    assert bench.events() == [("a", "SCHEDULED"), ("a", "PENDING")]
    assert bench.field("a", "du") is None


def test_claim_says_when_the_next_task_is_due(bench: Bench) -> None:
    """-1: none is delayed. Never less than zero."""
    bench.register()
    assert bench.do(bench.verbs.claim("w", 1, ["encola"])).next_due_ms == -1
    bench.enqueue("a", due_ms=bench.now_ms() + 60_000)

    assert 50_000 < bench.do(bench.verbs.claim("w", 1, ["encola"])).next_due_ms <= 60_000


def test_a_paused_queue_is_left_alone(bench: Bench) -> None:
    """Until it is resumed, which wakes a worker."""
    bench.enqueue("a")
    assert bench.do(bench.verbs.pause("encola", on=True)) is True
    assert bench.do(bench.verbs.pause("encola", on=True)) is False
    assert bench.claimed() == []
    bench.client.delete(bench.keys.wake("encola"))

    assert bench.do(bench.verbs.pause("encola", on=False)) is True
    assert bench.client.llen(bench.keys.wake("encola")) == 1
    assert bench.claimed() == ["a"]


def test_a_paused_type_waits_and_holds_up_no_other(bench: Bench) -> None:
    """Its tasks are set aside as they come up; resumed, they are the first of their queue, in order."""
    bench.enqueue("a", "b", type="mail")
    bench.enqueue("c")
    assert bench.do(bench.verbs.pause_type("mail", on=True)) == (True, 0)
    assert bench.do(bench.verbs.pause_type("mail", on=True)) == (False, 0)
    assert bench.claimed() == ["c"]
    bench.enqueue("d")

    assert bench.do(bench.verbs.pause_type("mail", on=False)) == (True, 0)
    assert bench.client.llen(bench.keys.wake("encola")) == 1
    assert bench.claimed() == ["a", "b", "d"]


def test_what_is_held_of_a_type_goes_back_in_portions(bench: Bench) -> None:
    """A million of them stop nobody: the caller goes on, and where it dies the sweep does."""
    bench.enqueue(*"abcde", type="mail")
    bench.do(bench.verbs.pause_type("mail", on=True))
    assert bench.claimed() == []

    assert bench.do(bench.verbs.pause_type("mail", on=False, limit=2)) == (True, 3)
    assert bench.do(bench.verbs.pause_type("mail", on=False, limit=2)) == (False, 1)
    bench.later(1000)
    bench.sweep()
    assert bench.client.smembers("encola:paused") == set()
    assert bench.claimed() == [*"abcde"]


def test_a_portion_is_one_of_all_queues_together(bench: Bench) -> None:
    """The first queue may use it up: of the others nothing is moved then."""
    for queue in ("encola", "files", "reports"):
        bench.enqueue(*(f"{queue}{n}" for n in range(4)), type="mail", queue=queue)
    bench.do(bench.verbs.pause_type("mail", on=True))
    assert bench.claimed(queues=("encola", "files", "reports")) == []

    assert bench.do(bench.verbs.pause_type("mail", on=False, limit=4)) == (True, 8)
    assert bench.do(bench.verbs.pause_type("mail", on=False, limit=5)) == (False, 3)
    assert bench.do(bench.verbs.pause_type("mail", on=False)) == (False, 0)
    assert len(bench.claimed(20, queues=("encola", "files", "reports"))) == 12


def test_what_is_held_can_be_cancelled_and_purged(bench: Bench) -> None:
    bench.enqueue("a", "b", type="mail")
    bench.enqueue("c", type="mail", queue="files")
    bench.do(bench.verbs.pause_type("mail", on=True))
    assert bench.claimed(queues=("encola", "files")) == []
    bench.do(bench.verbs.cancel("a"))

    assert bench.do(bench.verbs.purge("encola")) == 1
    assert bench.do(bench.verbs.pause_type("mail", on=False)) == (True, 0)
    assert bench.claimed(queues=("encola", "files")) == ["c"]


def test_a_paused_type_is_not_run_by_the_one_who_accepts_it(bench: Bench) -> None:
    """What the API would run itself waits on its queue too."""
    bench.do(bench.verbs.pause_type("mail", on=True))
    bench.register("api")
    bench.enqueue("a", type="mail", lease_to="api")

    assert bench.do(bench.verbs.start("a", 1)) is Start.REFUSED
    assert bench.client.lrange("encola", 0, -1) == [b"a"]


def test_a_draining_worker_gets_nothing_and_knows_it(bench: Bench) -> None:
    """And takes the wake-up token from nobody. It keeps what it has; when it leaves, it is forgotten."""
    token = bench.running("a")
    bench.enqueue("b")
    bench.client.delete(bench.keys.wake("encola"))
    assert bench.do(bench.verbs.drain("w", on=True)) is True
    assert bench.do(bench.verbs.drain("w", on=True)) is False
    claim = bench.do(bench.verbs.claim("w", 1, ["encola"]))

    assert (claim.known, claim.drains, claim.messages) == (True, True, [])
    assert bench.client.llen(bench.keys.wake("encola")) == 1
    assert bench.do(bench.verbs.heartbeat("w", LEASE_MS, [("a", token)])).drains is True
    assert bench.claimed(worker="other") == ["b"]
    assert bench.do(bench.verbs.settle("a", token, "SUCCESS", b"1")) is Settled.WRITTEN
    assert bench.do(bench.verbs.drain("w", on=False)) is True
    assert bench.do(bench.verbs.heartbeat("w", LEASE_MS)).drains is False
    bench.do(bench.verbs.drain("w", on=True))
    bench.do(bench.verbs.leave("w"))
    assert bench.client.smembers("encola:paused") == set()
    with pytest.raises(WorkerNotFound):
        bench.do(bench.verbs.drain("w", on=True))


def test_a_lost_worker_that_drained_is_forgotten(bench: Bench) -> None:
    bench.register("w")
    bench.do(bench.verbs.drain("w", on=True))
    bench.sweep()
    for _ in range(12):
        bench.later(3_000)
        bench.sweep()

    assert bench.client.smembers("encola:paused") == set()


def test_statistics_say_why_tasks_failed_and_what_crashed(bench: Bench) -> None:
    """One counter a cause; a code that is too long to be one is "other"."""
    codes = ["mail_refused", "mail_refused", "x" * 65, ""]
    for number, code in enumerate(codes):
        token = bench.running(f"f{number}")
        bench.do(bench.verbs.settle(f"f{number}", token, "FAILURE", b"{}", error_code=code))
    bench.do(bench.verbs.release([("c", bench.running("c"))], crashed=True))
    counted = bench.counted()

    assert (counted["error:mail_refused"], counted["error:other"], counted["error:failed"]) == (
        2,
        1,
        1,
    )
    assert counted["crashed"] == 1


def test_a_task_says_why_it_waits(bench: Bench) -> None:
    """And the number before it is that of the claim, also where a paused type stands between."""
    bench.enqueue("a", type="mail")
    bench.enqueue("b", "c")
    bench.enqueue("later", due_ms=bench.now_ms() + 60_000)
    why = bench.verbs.waiting

    assert bench.do(why("c")) == WhyWaiting("no_worker", 2)
    bench.do(bench.verbs.heartbeat("w", LEASE_MS, info='{"queues":["encola"]}', register=True))
    assert bench.do(why("c")) == WhyWaiting("ahead", 2)
    bench.do(bench.verbs.pause_type("mail", on=True))
    assert bench.do(why("a")) == WhyWaiting("type_paused")
    assert bench.do(why("c")) == WhyWaiting("ahead", 1)
    assert bench.do(why("later")).reason == "time"
    assert bench.claimed(1) == ["b"]
    assert bench.do(why("b")) == WhyWaiting("claimed")
    bench.do(bench.verbs.pause("encola", on=True))
    assert bench.do(why("c")) == WhyWaiting("queue_paused", 0)
    bench.do(bench.verbs.cancel("c"))
    assert bench.do(why("c")) is bench.do(why("nobody")) is None


def test_a_wake_up_token_is_there_while_work_is_left(bench: Bench) -> None:
    """One token whatever waits; a claim that leaves work puts it back."""
    wake = bench.keys.wake("encola")
    bench.enqueue("a", "b", "c")
    assert bench.client.llen(wake) == 1
    bench.client.delete(wake)

    bench.claim(2)
    assert bench.client.llen(wake) == 1
    bench.client.delete(wake)
    bench.claim(2)
    assert bench.client.llen(wake) == 0


def test_two_calls_as_one_have_an_answer_each(bench: Bench) -> None:
    """Where one of them breaks off, what the other did is there, counters included."""
    verbs = bench.verbs
    token = bench.running("a")
    bench.enqueue("b")
    [message] = bench.claim(1)
    bench.client.set(bench.keys.chord("broken"), "no chord")
    settle = verbs.settle("a", token, "SUCCESS", b"1")

    assert (Settled.WRITTEN, Start.STARTED) == bench.do(
        verbs.both(settle, verbs.start("b", message.token))
    )
    assert ("SUCCESS", "STARTED") == (bench.state("a"), bench.state("b"))

    settle = verbs.settle("b", message.token, "SUCCESS", b"1")
    one, other = bench.do(verbs.both(settle, verbs.chord("broken", "0", b"1", 2, 60_000)))
    bench.client.delete(bench.keys.chord("broken"))
    assert (Settled.WRITTEN, "SUCCESS") == (one, bench.state("b"))
    assert isinstance(other, ResponseError)


def test_what_was_cancelled_in_a_very_long_list_is_passed_over(bench: Bench) -> None:
    """Beyond 10,000 entries the id stays in the list, and the record says that it is over."""
    bench.enqueue("first")
    for start in range(0, 10_000, 500):
        bench.enqueue(*(f"t{n}" for n in range(start, start + 500)))
    bench.do(bench.verbs.cancel("first"))

    assert bench.client.lindex("encola", -1) == b"first"
    assert bench.claimed(2) == ["t0", "t1"]


# --- start, progress, settle ----------------------------------------------------


def test_start_begins_an_attempt_once(bench: Bench) -> None:
    """A repeated call changes nothing; another token, and an unknown id, are refused."""
    bench.enqueue("a")
    bench.claim()

    assert bench.do(bench.verbs.start("a", 2)) is Start.REFUSED
    assert bench.do(bench.verbs.start("a", 1)) is Start.STARTED
    assert bench.do(bench.verbs.start("a", 1)) is Start.REPEATED
    assert bench.do(bench.verbs.start("x", 1)) is Start.UNKNOWN
    assert bench.events() == [("a", "PENDING"), ("a", "STARTED")]


def test_progress_is_written_by_the_running_attempt_only(bench: Bench) -> None:
    """With it a user's own word for the state; not before the start, not with another token."""
    bench.enqueue("a")
    bench.claim()
    assert not bench.do(bench.verbs.progress("a", 1, b"{}"))
    bench.do(bench.verbs.start("a", 1))

    assert bench.do(bench.verbs.progress("a", 1, b'{"current":1}', "READING"))
    assert (bench.field("a", "p"), bench.field("a", "ph")) == ('{"current":1}', "READING")
    assert bench.do(bench.verbs.progress("a", 1, b'{"current":2}'))
    assert (bench.field("a", "p"), bench.field("a", "ph")) == ('{"current":2}', None)
    assert not bench.do(bench.verbs.progress("a", 7, b"{}"))
    assert not bench.do(bench.verbs.progress("x", 1, b"{}"))
    assert bench.events()[-2:] == [("a", "PROCESSING"), ("a", "PROCESSING")]


@pytest.mark.parametrize("state", ["SUCCESS", "FAILURE", "REVOKED"])
def test_settle_writes_the_outcome_once(bench: Bench, state: str) -> None:
    """Again by the same attempt: it was written before. By another: fenced."""
    token = bench.running("a")

    assert bench.do(bench.verbs.settle("a", token, state, b'{"n":1}')) is Settled.WRITTEN
    assert bench.do(bench.verbs.settle("a", token, state, b'{"n":2}')) is Settled.REPEATED
    assert bench.do(bench.verbs.settle("a", token + 1, state)) is Settled.FENCED
    assert bench.do(bench.verbs.settle("x", 1, state)) is Settled.UNKNOWN
    assert bench.field("a", "r" if state == "SUCCESS" else "e") == '{"n":1}'
    assert (bench.state("a"), bench.place("a")) == (state, None)
    assert bench.events()[-1] == ("a", state)


def test_a_retry_with_a_due_time_waits_for_it(bench: Bench) -> None:
    """Same id, next attempt, counted; the error is kept meanwhile and gone after success."""
    token = bench.running("a")
    due = bench.now_ms() + 5000
    bench.do(bench.verbs.settle("a", token, "RETRY", b'{"type":"E"}', due_ms=due))
    assert (bench.state("a"), bench.place("a"), bench.field("a", "rn")) == ("RETRY", "delayed", "1")
    assert bench.field("a", "e") == '{"type":"E"}'
    bench.later(5000)
    [message] = bench.claim()

    assert (message.token, message.retries) == (token + 1, 1)
    assert bench.state("a") == "RETRY"
    bench.do(bench.verbs.start("a", message.token))
    bench.do(bench.verbs.settle("a", message.token, "SUCCESS", b"1"))
    assert bench.field("a", "e") is None
    assert [json.loads(f"[{bench.field('a', 'at')}]")[n][4] for n in (0, 1)] == ["RETRY", "SUCCESS"]


def test_a_retry_published_by_the_attempt_is_its_next_delivery(bench: Bench) -> None:
    """It is not a task of its own, and runs when the attempt has settled."""
    token = bench.running("a")
    again = NewTask("a", b'{"task":"again"}\n[]', "encola", "email")
    bench.do(bench.verbs.next_delivery(again, token))
    bench.do(bench.verbs.settle("a", token, "RETRY", b"{}"))
    [message] = bench.claim()

    assert message.message == b'{"task":"again"}\n[]'


def test_a_delivery_asked_for_by_a_lost_attempt_is_forgotten(bench: Bench) -> None:
    """What a crashed attempt had asked for does not run after the next one was ignored."""
    token = bench.running("a")
    bench.do(bench.verbs.next_delivery(new("a"), token))
    bench.do(bench.verbs.release([("a", token)], crashed=True))
    [message] = bench.claim()
    bench.do(bench.verbs.confirm([("a", message.token, "ignored")]))

    assert bench.state("a") == "REVOKED"


def test_settling_is_counted(bench: Bench) -> None:
    """By minute, type and queue: the outcome, and how long it waited and ran."""
    token = bench.running("a")
    bench.later(70_000)
    bench.do(bench.verbs.settle("a", token, "SUCCESS", b"1"))
    counted = bench.counted()

    assert {"enqueued": 1, "SUCCESS": 1, "r17": 1}.items() <= counted.items()
    assert 1 == sum(number for name, number in counted.items() if name.startswith("w"))


def test_the_attempts_of_a_record_are_bounded(bench: Bench) -> None:
    """A task that is given back for ever keeps its latest attempts."""
    bench.enqueue("a")
    for n in range(1, 400):
        bench.claim(1)
        bench.do(bench.verbs.start("a", n))
        bench.do(bench.verbs.release([("a", n)]))
    attempts = json.loads(f"[{bench.field('a', 'at')}]")

    assert 50 < len(attempts) < 400
    assert attempts[-1][5] == 399
    assert [one[5] for one in attempts] == list(range(400 - len(attempts), 400))


# --- confirm ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "state", "place", "code"),
    [
        ("ignored", "REVOKED", None, "ignored"),
        ("rejected", "FAILURE", None, "rejected"),
        ("requeued", "SCHEDULED", "delayed", None),
        ("unreadable", "FAILURE", "dead", "undeliverable"),
        ("unknown", "SCHEDULED", "delayed", None),
    ],
)
def test_an_acknowledgement_ends_an_attempt_that_wrote_no_outcome(
    bench: Bench, how: str, state: str, place: str | None, code: str | None
) -> None:
    """Decided once; not for what was settled."""
    token = bench.running("a")

    assert bench.do(bench.verbs.confirm([("a", token, how), ("a", token, how)])) == [True, False]
    assert (bench.state("a"), bench.place("a"), bench.field("a", "ec")) == (state, place, code)
    assert bench.events()[-1] == ("a", state)


def test_a_name_that_nobody_knows_is_dead_after_a_day(bench: Bench) -> None:
    """Time for a rolling deploy; then it is parked."""
    bench.enqueue("a")
    bench.later(86_400_000)
    [message] = bench.claim()
    bench.do(bench.verbs.confirm([("a", message.token, "unknown")]))

    assert (bench.place("a"), bench.field("a", "ec")) == ("dead", "undeliverable")


def test_a_workers_name_may_have_brackets(bench: Bench) -> None:
    """The attempts are told apart all the same: by who runs it again, and by lines that come late."""
    bench.enqueue("a")
    for number in (1, 2):
        [message] = bench.claim(1, worker="w[1],[2]@here")
        bench.do(bench.verbs.start("a", message.token))
        bench.do(bench.verbs.settle("a", message.token, "SUCCESS", b"1"))
        if number == 1:
            bench.do(bench.verbs.retry("a"))
    line = b'{"at":1,"level":"info","source":"log","message":"late"}'
    bench.do(bench.verbs.log([LogLine("a", 1, line)], 10, 1000))

    attempts = json.loads(f"[{bench.field('a', 'at')}]")
    assert [attempt[0] for attempt in attempts] == [1, 2]
    assert [decode_line(e).attempt for e in bench.client.lrange("encola:log:a", 0, -1)] == [1]


def test_an_end_that_no_worker_writes_is_noted_where_somebody_may_wait_for_it(bench: Bench) -> None:
    """Parts of a group that are cancelled or purged, and whatever is parked."""
    part = b'{"task":"t","group":"g","group_index":0}\n[[],{},{"chord":{}}]'
    bench.do(
        bench.verbs.enqueue([replace(new(name), message=part) for name in ("a", "b")], 100_000)
    )
    bench.enqueue("c", "d")
    for name in ("a", "c"):
        bench.do(bench.verbs.cancel(name))
    bench.do(bench.verbs.purge("encola"))
    bench.enqueue("e")
    for _ in range(3):
        [message] = bench.claim(1)
        bench.do(bench.verbs.release([("e", message.token)], crashed=True))

    assert bench.client.lrange(bench.keys.untold(), 0, -1) == [b"a", b"b", b"e"]
    assert bench.sweep().untold == 3


# --- release, resync, leave -----------------------------------------------------


def test_what_is_given_back_goes_to_the_head(bench: Bench) -> None:
    """Uncounted, and before what came after it."""
    bench.enqueue("a", "b")
    bench.claim(1)

    assert bench.do(bench.verbs.release([("a", 1), ("b", 1)])) == [1, 0]
    assert bench.claimed() == ["a", "b"]
    assert bench.field("a", "c") is None


def test_what_has_just_started_is_not_given_back_as_waiting(bench: Bench) -> None:
    """A worker gives back what waits in it; the store knows better what has begun to run."""
    bench.enqueue("a", "b")
    bench.claim(2)
    bench.do(bench.verbs.start("a", 1))

    assert bench.do(bench.verbs.release([("a", 1), ("b", 1)], only_waiting=True)) == [3, 1]
    assert (bench.state("a"), bench.place("a"), bench.place("b")) == ("STARTED", "leased", "ready")


def test_the_third_lost_child_parks_the_task(bench: Bench) -> None:
    """Twice it goes back to the head of its queue; then it is dead, with the reason."""
    bench.enqueue("a")
    replies = []
    for _ in range(3):
        [message] = bench.claim(1)
        bench.do(bench.verbs.start("a", message.token))
        replies += bench.do(bench.verbs.release([("a", message.token)], crashed=True))

    assert replies == [1, 1, 2]
    assert (bench.state("a"), bench.place("a")) == ("FAILURE", "dead")
    assert bench.field("a", "ec") == "worker_lost"
    assert json.loads(bench.field("a", "e") or "")["message"] == (
        "The worker was lost 3 times while this task ran."
    )


def test_a_lost_child_counts_for_what_had_not_come_to_start(bench: Bench) -> None:
    """It had taken the task up; what merely waited in a worker that another one killed is not to blame."""
    bench.enqueue("a")
    replies: list[int] = []
    for _ in range(3):
        [message] = bench.claim(1)
        replies += bench.do(bench.verbs.release([("a", message.token)], crashed=True))

    assert replies == [1, 1, 2]
    assert (bench.place("a"), bench.field("a", "at")) == ("dead", None)


def test_resync_gives_back_what_never_arrived(bench: Bench) -> None:
    """The reply of a claim was lost: the worker names what it has, the rest goes back."""
    bench.enqueue("a", "b")
    bench.claim()

    assert bench.do(bench.verbs.resync("w", ["a"])) == 1
    assert (bench.place("a"), bench.place("b")) == ("leased", "ready")


def test_a_worker_that_leaves_gives_everything_back(bench: Bench) -> None:
    """Uncounted, also what had started; then nobody knows it."""
    bench.running("a")
    bench.enqueue("b")
    bench.claim()

    assert bench.do(bench.verbs.leave("w")) == 2
    assert (bench.place("a"), bench.place("b"), bench.field("a", "c")) == ("ready", "ready", None)
    assert bench.client.zscore("encola:workers", "w") is None


# --- sweep --------------------------------------------------------------------


def test_one_sweep_a_moment(bench: Bench) -> None:
    """Everybody asks; one of them does it."""
    assert bench.do(bench.verbs.sweep(LEASE_MS, ["encola"])).ran
    assert not bench.do(bench.verbs.sweep(LEASE_MS, ["encola"])).ran
    bench.later(500)
    assert bench.do(bench.verbs.sweep(LEASE_MS, ["encola"])).ran


def test_sweep_promotes_what_is_due(bench: Bench) -> None:
    """To its queue, with its event and a wake-up."""
    bench.enqueue("a", due_ms=bench.now_ms() + 500)

    assert bench.sweep().promoted == 1
    assert (bench.state("a"), bench.place("a")) == ("PENDING", "ready")
    assert bench.client.llen(bench.keys.wake("encola")) == 1


def test_the_tasks_of_a_lost_worker_are_rescued(bench: Bench) -> None:
    """After its lease: to the head of their queue, a crash counted for what had started."""
    bench.running("a")
    bench.enqueue("b", "c")
    bench.do(bench.verbs.claim("w", 1, ["encola"]))
    bench.sweep()
    bench.lose()

    assert (bench.place("a"), bench.field("a", "c")) == ("ready", "1")
    assert (bench.place("b"), bench.field("b", "c")) == ("ready", None)
    assert bench.client.zscore("encola:workers", "w") is None
    assert bench.claimed(worker="v")[-1] == "c"


def test_a_third_lost_worker_parks_the_task(bench: Bench) -> None:
    """Whatever was lost, child or worker, it counts the same."""
    bench.enqueue("a")
    bench.sweep()
    for name in ("u", "v", "w"):
        [message] = bench.claim(1, worker=name)
        bench.do(bench.verbs.start("a", message.token))
        bench.lose(name)

    assert (bench.place("a"), bench.field("a", "ec")) == ("dead", "worker_lost")


def test_after_everybody_slept_workers_get_a_lease_to_come_back(bench: Bench) -> None:
    """Nobody swept for long: the server stood still, and so could no worker renew."""
    bench.running("a")
    bench.sweep()
    bench.later(10 * LEASE_MS)

    assert bench.sweep().rescued == 0
    assert bench.place("a") == "leased"
    assert bench.do(bench.verbs.heartbeat("w", LEASE_MS, [("a", 1)])).lost == {}


def test_rescue_is_bounded_a_sweep(bench: Bench) -> None:
    """A worker with a great many tasks is rescued bit by bit, and known until it is empty."""
    bench.enqueue("a", "b", "c")
    bench.sweep()
    bench.claim()
    for _ in range(4):
        bench.later(LEASE_MS // 4)
        swept = bench.sweep(limit=2)
    assert swept.rescued == 2

    assert bench.client.zscore("encola:workers", "w") is not None
    assert bench.sweep(limit=2).rescued == 1
    assert bench.client.zscore("encola:workers", "w") is None


def test_what_is_no_list_keeps_nobody_from_the_other_queues(bench: Bench) -> None:
    """Somebody has put a value under the name of a queue: what waits for it is kept until it has gone."""
    bench.enqueue("a", "b", queue="files", due_ms=bench.now_ms() + 500)
    bench.enqueue("c", due_ms=bench.now_ms() + 500)
    bench.client.set("files", "somebody else's")
    bench.later(1000)
    swept = bench.do(bench.verbs.sweep(LEASE_MS, ["files", "encola"]))

    assert swept.promoted == 3
    assert bench.claimed(queues=("files", "encola")) == ["c"]
    assert [bench.place(task_id) for task_id in "ab"] == ["delayed", "delayed"]
    assert bench.client.llen(bench.keys.wake("files")) == 0
    bench.client.delete("files")
    bench.later(30_000)
    assert sorted(bench.claimed(queues=("files", "encola"))) == ["a", "b"]


def test_more_envelopes_than_a_sweep_looks_at_are_adopted_one_sweep_after_the_other(
    bench: Bench,
) -> None:
    """No worker is there: they are known all the same, those too that lie deep below newer ones."""
    for number in range(23):
        bench.push_stock(f"s{number}")
    bench.sweep(limit=5)
    bench.enqueue(*(f"t{number}" for number in range(7)))
    for _ in range(5):
        bench.sweep(limit=5)

    known = [bench.place(f"s{number}") for number in range(23)]
    assert known == ["ready"] * 23


def test_a_clock_that_is_set_back_makes_no_lease_longer(bench: Bench) -> None:
    """The server's clock was an hour ahead: whoever is lost is missed after a lease all the same."""
    bench.later(3_600_000)
    bench.running("a")
    bench.sweep()
    bench.later(-3_600_000)
    bench.sweep()
    bench.lose()

    assert (bench.place("a"), bench.field("a", "c")) == ("ready", "1")


def test_a_sweep_looks_through_no_long_list(bench: Bench) -> None:
    """What it works with is the end of a list; a command more that goes through all of it is paid each second."""
    bench.enqueue("a")
    bench.client.config_resetstat()
    bench.sweep()
    commands = cast("dict[str, Any]", bench.client.info("commandstats"))

    assert "cmdstat_lrange" in commands
    assert "cmdstat_lrem" not in commands


# --- stock producers ------------------------------------------------------------


def test_a_stock_envelope_becomes_a_record(bench: Bench) -> None:
    """By the sweep, in its place on the list, and a worker is woken."""
    bench.enqueue("a")
    bench.push_stock("s")
    bench.enqueue("b")
    bench.client.delete(bench.keys.wake("encola"))

    assert bench.sweep().adopted == 1
    assert (bench.state("s"), bench.place("s")) == ("PENDING", "ready")
    assert bench.client.llen(bench.keys.wake("encola")) == 1
    assert bench.claimed() == ["a", "s", "b"]
    assert bench.events()[:3] == [("a", "PENDING"), ("b", "PENDING"), ("s", "PENDING")]


def test_a_claim_adopts_at_once(bench: Bench) -> None:
    """Without waiting for the sweep; a known id is dropped, and nothing runs twice."""
    bench.push_stock("s")
    bench.push_stock("s")

    assert bench.claimed() == ["s"]
    assert bench.events() == [("s", "PENDING")]


def test_an_envelope_that_nobody_can_read_is_parked(bench: Bench) -> None:
    """Its bytes are kept in a record that is dead from the start."""
    bench.client.lpush("encola", '{"body": "half')
    bench.sweep()
    [parked] = look(bench.client, bench.keys).records.values()

    assert parked.id.startswith("unreadable-")
    assert (parked.place, parked.fields["ec"]) == ("dead", "undeliverable")
    assert parked.fields["m"] == '{"body": "half'


@pytest.mark.parametrize(
    "properties",
    [None, [], "x", {"priority": None}, {"priority": "x"}, {"priority": []}, {"priority": 2.5}],
)
def test_strange_properties_are_no_reason_to_stop(bench: Bench, properties: Any) -> None:
    """A priority that is none counts as 0; a fraction is cut off."""
    envelope = {"body": "", "headers": {"id": "s", "task": "a\x1fb"}, "properties": properties}
    bench.client.lpush("encola", json.dumps(envelope), json.dumps({**envelope, "headers": []}))

    assert bench.sweep().adopted == 2
    assert bench.claimed() == ["s"]
    assert bench.do(bench.verbs.start("s", 1)) is Start.STARTED
    assert look(bench.client, bench.keys).records["s"].priority in (0, 2)


moments = st.datetimes(dt.datetime(1970, 1, 2), dt.datetime(9999, 12, 30)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
offsets = st.one_of(
    st.none(),
    st.just(dt.UTC),
    st.integers(-14 * 60, 14 * 60).map(lambda m: dt.timezone(dt.timedelta(minutes=m))),
)


@given(moment=moments, offset=offsets, form=st.sampled_from(["T", " ", "Z", "-0530", "+02", "s"]))
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_an_eta_means_what_it_means_to_python(
    bench: Bench, moment: dt.datetime, offset: dt.timezone | None, form: str
) -> None:
    """In every form in which a producer may write it, to the millisecond."""
    match form:
        case "T" | " ":
            text = moment.replace(tzinfo=offset).isoformat(form)
        case "Z":
            text = moment.isoformat() + "Z"
        case "s":
            text = moment.isoformat(timespec="seconds")
        case _:
            text = moment.isoformat() + form
    expected = to_ms(dt.datetime.fromisoformat(text))
    bench.client.flushall()
    bench.push_stock("s", eta=text)
    bench.sweep()

    due = bench.field("s", "du")
    if expected > bench.now_ms():
        assert due is not None
        assert abs(int(float(due)) - expected) <= 1
    else:
        assert due is None


# --- people ---------------------------------------------------------------------


def test_a_waiting_task_is_cancelled(bench: Bench) -> None:
    """Wherever it waits; a second time it was cancelled before; an unknown one is unknown."""
    bench.enqueue("ready")
    bench.enqueue("delayed", due_ms=bench.now_ms() + 60_000)

    for name in ("ready", "delayed"):
        assert bench.do(bench.verbs.cancel(name)) is True
        assert bench.do(bench.verbs.cancel(name)) is False
        assert (bench.state(name), bench.place(name)) == ("REVOKED", None)
        assert bench.field(name, "ec") == "cancelled"
    with pytest.raises(TaskNotFound):
        bench.do(bench.verbs.cancel("never"))
    assert bench.claimed() == []


def test_a_running_task_is_cancelled_and_its_worker_told(bench: Bench) -> None:
    """It loses its lease at once: what it still writes is fenced."""
    token = bench.running("a")

    assert bench.do(bench.verbs.cancel("a")) is True
    assert bench.client.lrange(bench.keys.inbox("w"), 0, -1) == [f"{token} a".encode()]
    assert bench.do(bench.verbs.settle("a", token, "SUCCESS", b"1")) is Settled.FENCED
    assert bench.state("a") == "REVOKED"


def test_what_has_started_is_left_alone_when_only_waiting_ones_are_meant(bench: Bench) -> None:
    """And what has finished always."""
    token = bench.running("a")
    with pytest.raises(TaskFinished):
        bench.do(bench.verbs.cancel("a", waiting_only=True))
    bench.do(bench.verbs.settle("a", token, "SUCCESS", b"1"))

    with pytest.raises(TaskFinished) as refused:
        bench.do(bench.verbs.cancel("a"))
    assert str(refused.value) == "Task a has finished (SUCCESS)."


def test_a_person_runs_a_finished_task_again(bench: Bench) -> None:
    """Same id, next token and attempt, counters at zero; not while it has no outcome."""
    token = bench.running("a")
    with pytest.raises(TaskActive):
        bench.do(bench.verbs.retry("a"))
    with pytest.raises(TaskNotFound):
        bench.do(bench.verbs.retry("x"))
    bench.do(bench.verbs.settle("a", token, "FAILURE", b"{}", error_code="smtp"))
    bench.do(bench.verbs.retry("a"))

    assert (bench.state("a"), bench.field("a", "ec"), bench.field("a", "f")) == (
        "PENDING",
        None,
        None,
    )
    [message] = bench.claim()
    assert message.token == token + 1
    bench.do(bench.verbs.start("a", message.token))
    assert bench.field("a", "an") == "2"


def test_a_queue_is_purged_up_to_a_limit(bench: Bench) -> None:
    """What was ready is cancelled, the oldest first."""
    bench.enqueue("a", "b", "c")

    assert bench.do(bench.verbs.purge("encola", 2)) == 2
    assert [bench.state(name) for name in ("a", "b", "c")] == ["REVOKED", "REVOKED", "PENDING"]
    assert bench.field("a", "ec") == "purged"
    assert bench.do(bench.verbs.purge("encola")) == 1


def test_a_task_that_replaced_itself_goes_on_with_what_another_one_sends(bench: Bench) -> None:
    """It waits for that in the store, under its own id; until it comes, nobody runs it."""
    token = bench.running("a")

    assert bench.do(bench.verbs.expect("a", token + 1)) is NextDelivery.REFUSED
    assert bench.do(bench.verbs.expect("a", token)) is NextDelivery.KEPT
    bench.do(bench.verbs.confirm([("a", token, "ignored")]))
    assert bench.state("a") == "SCHEDULED"
    assert bench.claim() == []
    [answer] = bench.do(bench.verbs.enqueue([replacement()], 100))
    [message] = bench.claim()
    assert answer.acceptance is Acceptance.ACCEPTED
    assert (message.id, message.message, message.token) == ("a", replacement().message, token + 1)
    [answer] = bench.do(bench.verbs.enqueue([replacement()], 100))
    assert answer.acceptance is Acceptance.DUPLICATE


def test_what_replaces_a_task_may_come_before_its_attempt_ends(bench: Bench) -> None:
    """A chain may be through with its first links before the worker has said so."""
    token = bench.running("a")
    bench.do(bench.verbs.expect("a", token))
    bench.do(bench.verbs.enqueue([replacement()], 100))

    assert bench.claim() == []
    bench.do(bench.verbs.confirm([("a", token, "ignored")]))
    [message] = bench.claim()
    assert message.message == replacement().message


@pytest.mark.parametrize("is_early", [False, True])
def test_a_task_fails_with_what_it_replaced_itself_with(bench: Bench, is_early: bool) -> None:
    """Also where the chain broke before the attempt had ended."""
    token = bench.running("a")
    bench.do(bench.verbs.expect("a", token))
    steps = [bench.verbs.confirm([("a", token, "ignored")])]
    steps.insert(0 if is_early else 1, bench.verbs.end_unsent(new("a"), b'{"type":"E"}', "broke"))
    for step in steps:
        bench.do(step)

    assert (bench.state("a"), bench.field("a", "ec")) == ("FAILURE", "broke")
    assert bench.client.zcard(bench.keys.named("delayed")) == 0


def test_a_replacement_that_never_comes_is_a_failure(bench: Bench) -> None:
    """After a month: its own function has had its turn, and is not run again."""
    token = bench.running("a")
    bench.do(bench.verbs.expect("a", token))
    bench.do(bench.verbs.confirm([("a", token, "ignored")]))
    bench.later(31 * 86_400_000)

    assert bench.claim() == []
    assert (bench.state("a"), bench.field("a", "ec")) == ("FAILURE", "replacement_lost")


def test_a_lost_attempt_expects_nothing(bench: Bench) -> None:
    """The next attempt replaces the task anew; what the lost one's chain sends is a duplicate."""
    token = bench.running("a")
    bench.do(bench.verbs.expect("a", token))
    bench.do(bench.verbs.release([("a", token)], crashed=True))
    [answer] = bench.do(bench.verbs.enqueue([replacement()], 100))

    assert answer.acceptance is Acceptance.DUPLICATE


def test_a_purge_leaves_a_record_of_what_nobody_had_adopted(bench: Bench) -> None:
    """A stock producer may ask what became of its task; plain messages have no records."""
    envelope = {"body": "[]", "headers": {"id": "a", "task": "t"}, "properties": {}}
    bench.client.lpush("encola", json.dumps(envelope), '{"body": "plain", "headers": {}}')

    assert bench.do(bench.verbs.purge("encola")) == 2
    assert (bench.state("a"), bench.field("a", "ec")) == ("REVOKED", "purged")
    assert bench.events() == [("a", "PENDING"), ("a", "REVOKED")]
    assert bench.client.zcard(bench.keys.named("dead")) == 0


def test_what_is_never_sent_ends_at_once(bench: Bench) -> None:
    """Under nobody's lease, in no place, also where its type is paused; a known id is left alone."""
    bench.do(bench.verbs.pause_type("email", on=True))
    assert bench.do(bench.verbs.end_unsent(new("a"), b'{"type":"E"}', "chain")) is True
    assert bench.do(bench.verbs.end_unsent(new("a"), b'{"type":"F"}', "other")) is False
    assert (bench.state("a"), bench.field("a", "ec")) == ("FAILURE", "chain")
    assert bench.events() == [("a", "PENDING"), ("a", "FAILURE")]
    assert bench.client.zcard(bench.keys.named("workers")) == 0


# --- retention ------------------------------------------------------------------


def test_records_are_pruned_by_age(bench: Bench) -> None:
    """Only those that finished before the given time, and nothing of them stays."""
    bench.finished("a", "b")
    bench.enqueue("c")
    soon = bench.now_ms() + 60_000

    assert bench.do(bench.verbs.prune(0, 1000)) == (0, 0)
    assert bench.do(bench.verbs.prune(soon, 1000)) == (2, 2)
    assert (bench.state("a"), bench.state("c")) == (None, "PENDING")


def test_records_are_pruned_by_number(bench: Bench) -> None:
    """The newest are kept; each call looks at no more than its limit."""
    bench.finished("a", "b", "c", "d")

    assert bench.do(bench.verbs.prune(0, 1, limit=2)) == (2, 2)
    assert bench.do(bench.verbs.prune(0, 1, limit=2)) == (1, 1)
    assert [bench.state(name) for name in "abcd"] == [None, None, None, "SUCCESS"]


def test_what_runs_again_is_not_pruned(bench: Bench) -> None:
    """Its first end is behind it."""
    bench.finished("a")
    bench.do(bench.verbs.retry("a"))

    assert bench.do(bench.verbs.prune(0, 0)) == (1, 0)
    assert bench.state("a") == "PENDING"


def test_pruning_the_last_task_of_a_user_leaves_no_index(bench: Bench) -> None:
    """An empty stream would stay for every user that ever was."""
    token = bench.running("a", user_id="ana")
    bench.do(bench.verbs.settle("a", token, "SUCCESS", b"1"))
    bench.do(bench.verbs.prune(0, 0))

    assert bench.client.keys("encola:i:*") == []


# --- chords ---------------------------------------------------------------------


def test_a_part_of_a_chord_counts_once(bench: Bench) -> None:
    """However often its attempt is repeated; the size may be known first or last."""
    part = bench.verbs.chord

    assert bench.do(part("g", "0", b"1", None, 60_000)) == (1, -1, 0)
    assert bench.do(part("g", "0", b"1", None, 60_000)) == (1, -1, 0)
    assert bench.do(part("g", "", b"", 2, 60_000)) == (1, 2, 0)
    assert bench.do(part("g", "1", b"2", None, 60_000)) == (2, 2, 0)


def test_a_chord_that_is_sent_anew_waits_for_all_its_parts_again(bench: Bench) -> None:
    """A part that only comes again, by the sending it came by, does not begin the next round."""

    def part(index: str, by: str) -> Any:
        return bench.do(bench.verbs.chord("g", index, b"1", None, 60_000, sending=by))

    bench.do(bench.verbs.chord("g", "", b"", 2, 60_000))
    bench.do(bench.verbs.grow_chord("g", 60_000))
    assert [part("0", "a"), part("1", "b"), part("2", "c")] == [(1, 3, 0), (2, 3, 0), (3, 3, 0)]
    assert part("1", "b") == (3, 3, 0)
    assert [part("1", "d"), part("0", "e")] == [(1, 2, 1), (2, 2, 1)]


# --- the server -------------------------------------------------------------------


def test_a_server_that_lost_the_library_gets_it_again(bench: Bench) -> None:
    """Whoever finds its function unknown loads it, and makes the call once more."""
    bench.enqueue("a")
    bench.client.function_flush()

    assert bench.claimed() == ["a"]
    bench.client.function_flush()
    bench.client.script_flush()
    [first, second] = run_many(
        bench.client, [bench.verbs.start("a", 1), bench.verbs.settle("a", 1, "SUCCESS", b"1")]
    )
    assert (first, second) == (Start.STARTED, Settled.WRITTEN)


def test_a_full_server_that_lost_the_library_ends_what_it_has(bench: Bench) -> None:
    """It takes no library then; the scripts come as texts, and what is new is refused."""
    token = bench.running("a")
    bench.client.config_set("maxmemory", "1")
    bench.client.function_flush()
    with pytest.raises(StoreFull):
        bench.do(bench.verbs.enqueue([new("b")], 100))

    assert bench.do(bench.verbs.progress("a", token, b"{}"))
    [settled] = run_many(bench.client, [bench.verbs.settle("a", token, "SUCCESS", b"1")])
    assert Settled.WRITTEN is settled


def test_a_script_that_breaks_off_leaves_nothing_to_the_next(bench: Bench) -> None:
    """The functions stay at the server between two calls; what one of them has counted does not."""
    bench.client.set(bench.keys.named("done"), "no stream", ex=60)
    token = bench.running("a")
    with pytest.raises(StoreError):
        bench.do(bench.verbs.settle("a", token, "FAILURE", b"{}", error_code="broken"))
    bench.client.flushall()
    bench.enqueue("b")

    assert Counter({"enqueued": 1}) == bench.counted()


def test_what_is_no_record_is_passed_over(bench: Bench) -> None:
    """Something else lies under the key of an id that waits: the others are claimed all the same."""
    bench.enqueue("a", "b", "c")
    bench.client.delete(bench.keys.record("b"))
    bench.client.set(bench.keys.record("b"), "no record")

    assert ["a", "c"] == bench.claimed()
    bench.client.flushall()


def test_several_scripts_are_one_step_in_a_transaction(bench: Bench) -> None:
    """Nothing comes between them."""
    calls: list[Call[Any]] = [
        bench.verbs.enqueue([new("a", lease_to="w")], 100),
        bench.verbs.settle("a", 1, "FAILURE", b"{}"),
    ]
    [[accepted], settled] = run_many(bench.client, calls, transaction=True)

    assert (accepted.acceptance, settled) == (Acceptance.ACCEPTED, Settled.WRITTEN)


def test_a_full_server_takes_nothing_new_and_ends_what_it_has(bench: Bench) -> None:
    """Out of memory: enqueue is refused whole, everything else works."""
    token = bench.running("a")
    bench.enqueue("b")
    before = look(bench.client, bench.keys)
    bench.client.config_set("maxmemory", "1")
    with pytest.raises(StoreFull) as refused:
        bench.do(bench.verbs.enqueue([new("c"), new("d")], 100))

    assert str(refused.value) == (
        "The store is out of memory. Nothing was queued; raise maxmemory, or prune records."
    )
    assert look(bench.client, bench.keys) == before
    assert bench.do(bench.verbs.progress("a", token, b"{}"))
    assert bench.do(bench.verbs.settle("a", token, "SUCCESS", b"1")) is Settled.WRITTEN
    assert bench.do(bench.verbs.heartbeat("w", LEASE_MS)).known
    assert [message.id for message in bench.do(bench.verbs.claim("w", 1, ["encola"])).messages] == [
        "b"
    ]
    assert bench.do(bench.verbs.sweep(LEASE_MS, ["encola"])).ran
    assert bench.do(bench.verbs.cancel("b"))
    assert bench.do(bench.verbs.prune(0, 0)) == (2, 2)


def test_a_server_that_is_away_is_a_named_error(store: Store) -> None:
    """Sync, async and in batches; the address, which may carry a password, is not in it."""
    away = connect("unix:///nonexistent/socket")
    call = store.verbs.start("a", 1)
    for attempt in (lambda: run(away, call), lambda: run_many(away, [call])):
        with pytest.raises(StoreUnavailable) as refused:
            attempt()

        assert "nonexistent" not in str(refused.value)


def test_a_command_that_the_server_refuses_is_an_error_of_the_store(store: Store) -> None:
    """A key of another kind stands where ours should be."""
    store.client.set("encola:delayed", "x", ex=60)
    with pytest.raises(StoreError):
        run(store.client, store.verbs.enqueue([new("a", due_ms=2**41)], 100))
    store.client.flushall()


def test_the_same_call_goes_over_the_event_loop(server: Server, store: Store) -> None:
    """The API's caller and the workers' carry one and the same thing."""

    async def enqueue_and_look() -> Any:
        client = connect_async(server.url)
        await client.function_flush()
        [accepted] = await run_async(client, store.verbs.enqueue([new("a")], 100))
        await client.aclose()
        return accepted

    accepted = asyncio.run(enqueue_and_look())
    assert (accepted.acceptance, accepted.id) == (Acceptance.ACCEPTED, "a")


def test_the_clock_is_the_servers(store: Store) -> None:
    """The scripts that we ship read it; a client's clock decides nothing."""
    before = int(time.time() * 1000)
    [accepted] = run(store.client, store.verbs.enqueue([new("a")], 100))

    assert before - 5 <= accepted.created_at_ms <= int(time.time() * 1000) + 5


def test_two_installations_share_a_server(store: Store) -> None:
    """Each under its own prefix, lists included."""
    other = Keys("other:", "other:")
    verbs = Verbs(other)
    run(store.client, store.verbs.enqueue([new("a")], 100))
    run(store.client, verbs.heartbeat("w", LEASE_MS, register=True))

    assert run(store.client, verbs.claim("w", 10, ["encola"])).messages == []
    names = cast("list[bytes]", store.client.keys("other:*"))
    store.client.delete(*names)
