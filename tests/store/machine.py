"""
A machine that does to a store all that clients, workers, people and faults do.

The clock is injected: a key that the rules move, also backwards. After every
step the raw keys are read and everything that must hold is checked, on the
place of each task, on the indexes, on the event stream, and on what the step
itself was allowed to change. At the end one healthy worker finishes what is left.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import redis
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)
from snapshot import Raw, Snapshot, check, check_events, look

from encola.errors import TaskActive, TaskFinished, TaskNotFound, WorkerNotFound
from encola.record import TaskState
from encola.store import (
    Acceptance,
    Enqueued,
    Keys,
    Message,
    NewTask,
    NextDelivery,
    Settled,
    Start,
    Verbs,
    encode_body,
    run,
)
from encola.store.library import Library

#: The clock of the tests: a key, in milliseconds.
CLOCK = "local function now_ms(prefix) return tonumber(redis.call('GET', prefix .. 'clock')) end\n"
#: Well before any real time: retention compares with the server's own stream ids,
#: which may run ahead of a record's times and never behind.
EPOCH_MS = 1_000_000_000_000
LEASE_MS = 30_000
QUEUES = ("encola", "files")

small = st.integers(0, 2**16)
one_of_two = st.booleans()
queues = st.sampled_from(QUEUES)
priorities = st.sampled_from([0, 0, 0, 3, 5, 9])
delays = st.sampled_from([None, None, None, -1000, 0, 1, 1000, 40_000])
users = st.sampled_from(["", "ana", "eva"])
types = st.sampled_from(["email", "file"])
keys_of_clients = st.sampled_from(["", "", "", "k1", "k2"])
workers = st.integers(0, 2)
outcomes = st.sampled_from(["SUCCESS", "SUCCESS", "FAILURE", "REVOKED", "RETRY", "RETRY"])
ends = st.sampled_from(["ignored", "rejected", "requeued", "retried", "unreadable", "unknown"])
drafts = st.tuples(queues, priorities, types, users, delays, keys_of_clients)


class Grant(NamedTuple):
    """What a worker was given by a claim."""

    id: str
    token: int


@dataclass
class Worker:
    """A worker as it knows itself."""

    name: str
    held: dict[str, int] = field(default_factory=dict)
    """id -> token, of all it has been given and has not ended."""


class QueueMachine(RuleBasedStateMachine):
    """See the module. A subclass sets :attr:`client`, and :attr:`library` for a mutant."""

    client: ClassVar[redis.Redis]
    library: ClassVar[Library] = Library(clock=CLOCK)
    steps: ClassVar[int] = 0
    """Steps checked, over all runs of this class."""
    seen: ClassVar[Counter[str]] = Counter()
    """How often the situations came up that a fault would show in."""

    def __init__(self) -> None:
        super().__init__()
        self.keys = Keys()
        self.verbs = Verbs(self.keys, self.library)
        self.client.flushdb()
        self.clock = EPOCH_MS
        self.client.set(self.keys.prefix + "clock", self.clock)
        self.workers = [Worker(f"w{n}") for n in range(3)]
        self.births = 3
        self.ids = 0
        self.grants: list[Grant] = []
        self.accepted: set[str] = set()
        """Ids that clients were told of, and have not been pruned."""
        self.pruned: set[str] = set()
        self.purged: set[str] = set()
        """Envelopes without a task that a purge took off a list."""
        self.pushed: set[str] = set()
        """Ids that waiting envelopes will get, while they have no record."""
        self.envelopes: dict[str, str] = {}
        """Every envelope -> the id it gets."""
        self.idempotent: dict[str, str] = {}
        """Idempotency key -> the id it was given to last."""
        self.next: dict[str, tuple[int, str]] = {}
        """id -> (token, message) of the delivery that an attempt asked for."""
        self.settled: tuple[Grant, str, Raw] | None = None
        """The last outcome that was written, and the record that it left."""
        self.reopening = False
        self.told: dict[str, TaskState] = {}
        self.last_event = "-"
        self.before = Snapshot()

    # --- helpers ----------------------------------------------------------------

    def run(self, call: Any) -> Any:
        return run(self.client, call)

    def look(self) -> Snapshot:
        return look(self.client, self.keys, self.last_event)

    def step_clock(self, to_ms: int) -> None:
        self.clock = to_ms
        self.client.set(self.keys.prefix + "clock", self.clock)

    def new_id(self, kind: str = "t") -> str:
        self.ids += 1
        return f"{kind}{self.ids}"

    def known_id(self, pick: int) -> str:
        """One of all ids that ever were, most often a late one."""
        names = [*self.pruned, *self.accepted] or ["never"]
        return sorted(names)[pick % len(names)]

    def grant(self, pick: int, *, current: bool) -> Grant | None:
        """
        Somebody's attempt: one that is under way, or any that ever was.

        Of the second kind, every other time a zombie: one whose task another now runs.
        """
        records = self.before.records
        owned = sorted(Grant(r.id, r.token) for r in records.values() if r.place == "leased")
        running = {task_id for task_id, _ in owned}
        zombies = [g for g in self.grants if g.id in running and g not in owned]
        pool = owned if current else zombies if pick % 2 else self.grants
        pool = pool or self.grants
        return pool[pick // 2 % len(pool)] if pool else None

    def is_current(self, grant: Grant) -> bool:
        record = self.before.records.get(grant.id)
        return record is not None and record.held_by(grant.token)

    def forget(self, grant: Grant) -> None:
        """The worker that ran this attempt is done with it."""
        for worker in self.workers:
            if worker.held.get(grant.id) == grant.token:
                del worker.held[grant.id]

    def is_known(self, worker: Worker) -> bool:
        return self.before.workers.get(worker.name, -1) >= self.clock

    def unchanged(self, task_id: str) -> None:
        """The step so far has not touched this record."""
        assert self.look().records.get(task_id) == self.before.records.get(task_id)

    def draft(self, made: tuple[Any, ...], task_id: str) -> NewTask:
        queue, priority, type_name, user, delay, key = made
        body = encode_body([task_id, self.new_id("body")])
        message = Message(f"tasks.{type_name}", body).encode()
        due = None if delay is None else self.clock + delay
        return NewTask(task_id, message, queue, type_name, priority, user, due, key)

    # --- clients ----------------------------------------------------------------

    @initialize(made=st.lists(drafts, min_size=2, max_size=5))
    def begin(self, made: list[tuple[Any, ...]]) -> None:
        """Nothing is proved on an empty store, so a run begins with work and a worker."""
        self.before = self.look()
        self.enqueue(made)
        self.before = self.look()
        self.register(0)

    @rule(made=st.lists(drafts, min_size=1, max_size=4), later=st.sampled_from([0, 0, 1000, -1000]))
    def enqueue(self, made: list[tuple[Any, ...]], later: int = 0) -> None:
        """New ids; an idempotency key that is kept gives back the id it stands for."""
        self.step_clock(self.clock + later)
        tasks = [self.draft(one, self.new_id()) for one in made]
        expected = [self._accept(task) for task in tasks]
        replies: list[Enqueued] = self.run(self.verbs.enqueue(tasks, 10_000))

        assert [(reply.acceptance, reply.id) for reply in replies] == expected

    def _accept(self, task: NewTask) -> tuple[Acceptance, str]:
        kept = self.idempotent.get(task.idempotency_key)
        if kept in self.accepted:
            self.seen["duplicate by key"] += 1
            return Acceptance.DUPLICATE, kept
        if kept in self.pruned:
            self.seen["key of a pruned task"] += 1
        if task.idempotency_key:
            self.idempotent[task.idempotency_key] = task.id
        self.accepted.add(task.id)
        return Acceptance.ACCEPTED, task.id

    @rule(made=drafts, pick=small)
    def enqueue_again(self, made: tuple[Any, ...], pick: int) -> None:
        """A known id is a duplicate, whatever else comes with it."""
        if not self.accepted:
            return
        task_id = sorted(self.accepted)[pick % len(self.accepted)]
        kept = self.idempotent.get(made[-1])
        [reply] = self.run(self.verbs.enqueue([self.draft(made, task_id)], 10_000))

        expected = kept if kept in self.accepted else task_id
        assert (reply.acceptance, reply.id) == (Acceptance.DUPLICATE, expected)
        self.unchanged(task_id)

    @rule(worker=workers, made=drafts)
    def enqueue_under_lease(self, worker: int, made: tuple[Any, ...]) -> None:
        """The API keeps what it runs itself; whoever it is, a lost one is found again."""
        holder = self.workers[worker]
        task = self.draft((*made[:-2], None, ""), self.new_id())
        task = NewTask(task.id, task.message, task.queue, task.type, lease_to=holder.name)
        [reply] = self.run(self.verbs.enqueue([task], 10_000))

        assert reply.acceptance is Acceptance.ACCEPTED
        self.accepted.add(task.id)
        if f"type:{task.type}" in self.before.paused:
            assert self.look().records[task.id].place == "ready"
            return
        holder.held[task.id] = 1
        self.grants.append(Grant(task.id, 1))

    @rule(pick=small, made=drafts, current=st.sampled_from([True, True, False]))
    def enqueue_from_inside(self, pick: int, made: tuple[Any, ...], current: bool) -> None:
        """Retry and replace publish their own id: kept for the attempt that asked, and only it."""
        grant = self.grant(pick, current=current)
        if grant:
            self._ask(grant, made)

    def _ask(self, grant: Grant, made: tuple[Any, ...]) -> None:
        record, mine = self.before.records.get(grant.id), self.is_current(grant)
        if record is None or (mine and not record.started):
            return
        task = self.draft((*made[:-1], ""), grant.id)
        reply = self.run(self.verbs.next_delivery(task, grant.token))

        assert reply is (NextDelivery.KEPT if mine else NextDelivery.REFUSED)
        if mine:
            self.next[grant.id] = (grant.token, task.message.decode())
        else:
            self.unchanged(grant.id)

    @rule(
        kind=st.sampled_from(["new", "new", "later", "known", "twice", "unreadable"]),
        pick=small,
        queue=queues,
        priority=priorities,
    )
    def push_stock_envelope(self, kind: str, pick: int, queue: str, priority: int) -> None:
        """A stock Celery producer pushes a whole envelope into a list."""
        waiting = sorted(self.pushed)
        if kind == "twice" and waiting:
            task_id = waiting[pick % len(waiting)]
        elif kind == "known":
            task_id = self.known_id(pick)
        else:
            task_id = self.new_id("stock")
        headers: dict[str, Any] = {"id": task_id, "task": "tasks.stock"}
        if kind == "later":
            headers["eta"] = "2001-09-09T01:47:00+00:00" if pick % 2 else "2001-09-10T00:00:00Z"
        properties = {"correlation_id": task_id, "priority": priority}
        body = self.new_id("body")
        envelope = json.dumps({"body": body, "headers": headers, "properties": properties})
        if kind == "unreadable":
            envelope = '{"body": "' + task_id
            task_id = (
                "unreadable-" + hashlib.sha1(envelope.encode(), usedforsecurity=False).hexdigest()
            )
        step = max(step for step in (0, 3, 6, 9) if priority >= step)
        self.client.lpush(self.keys.ready(queue, step), envelope)
        self.envelopes[envelope] = task_id
        if task_id not in self.accepted:
            self.pushed.add(task_id)
            self.pruned.discard(task_id)
            self.purged.discard(task_id)

    # --- workers ----------------------------------------------------------------

    @rule(worker=workers)
    def register(self, worker: int) -> None:
        one = self.workers[worker]
        self.run(self.verbs.heartbeat(one.name, LEASE_MS, one.held.items(), register=True))

        assert self.look().workers[one.name] == self.clock + LEASE_MS

    @rule(worker=workers)
    def heartbeat(self, worker: int) -> None:
        """Renews if the store still knows the worker, and tells it all that it has lost."""
        one = self.workers[worker]
        renewal = self.run(self.verbs.heartbeat(one.name, LEASE_MS, one.held.items()))

        assert renewal.known == (one.name in self.before.workers)
        if not renewal.known:
            one.held.clear()
            return
        lost = {
            task_id: str(record.state) if record else ""
            for task_id, token in one.held.items()
            for record in [self.before.records.get(task_id)]
            if record is None or record.worker != one.name or record.token != token
        }
        assert renewal.lost == lost
        assert renewal.leased == len(self.before.leased.get(one.name, ()))
        assert self.look().workers[one.name] == self.clock + LEASE_MS
        for task_id in lost:
            del one.held[task_id]

    @rule(
        worker=workers,
        n=st.integers(1, 6),
        first=queues,
        lost=st.sampled_from([False] * 4 + [True]),
    )
    def claim(self, worker: int, n: int, first: str, lost: bool) -> None:
        """Takes what is ready, in order; *lost*: the reply never arrives."""
        one = self.workers[worker]
        order = [first, *(name for name in QUEUES if name != first)]
        claim = self.run(self.verbs.claim(one.name, n, order))
        after = self.look()

        assert claim.known == self.is_known(one)
        assert claim.known or after.records == self.before.records
        assert claim.drains == (claim.known and f"worker:{one.name}" in self.before.paused)
        taken = [after.records[message.id] for message in claim.messages]
        assert not (taken and f"worker:{one.name}" in self.before.paused)
        for record, message in zip(taken, claim.messages, strict=True):
            before = self.before.records.get(record.id)
            self._may_be_claimed(before, record.id)
            assert (record.worker, record.token) == (one.name, message.token)
            assert message.token == (before.token if before else 0) + 1
            assert message.message.decode() == record.fields["m"]
            assert f"queue:{record.queue}" not in self.before.paused
            assert f"type:{record.type}" not in self.before.paused
        self.seen["held by a claim"] += len(self._held(after) - self._held(self.before))
        assert len(taken) <= n
        ranks = [(record.step, order.index(record.queue)) for record in taken]
        assert ranks == sorted(ranks)
        if claim.known and len(taken) < n and not claim.drains:
            self._nothing_is_left(after)
        self.seen["lost reply of a claim"] += bool(lost and taken)
        self.seen["adopted by a claim"] += len(after.records) - len(self.before.records)
        for record in taken:
            self.grants.append(Grant(record.id, record.token))
            if not lost:
                one.held[record.id] = record.token

    @rule(
        worker=workers,
        first=queues,
        act=st.sampled_from(["start", "progress", "settle", "confirm", "release", "ask"]),
        go=one_of_two,
        outcome=outcomes,
        made=drafts,
    )
    def zombie(
        self, worker: int, first: str, act: str, go: bool, outcome: str, made: tuple[Any, ...]
    ) -> None:
        """A worker was cut off, another has its task, and the first goes on with it."""
        self.work(worker, 1, first, True)
        held = [Grant(*item) for item in self.workers[worker].held.items()]
        for old in held[-1:]:
            self._release(old, crashed=False)
            self.before = self.look()
            self.work((worker + 1) % 3, 1, first, go)
            match act:
                case "start":
                    self._start(old)
                case "progress":
                    self._progress(old)
                case "settle":
                    self._settle(old, outcome, None)
                case "confirm":
                    self._confirm(old, "ignored")
                case "release":
                    self._release(old, crashed=go)
                case _:
                    self._ask(old, made)

    @rule(worker=workers, late=st.sampled_from([0, 1]))
    def claim_at_the_end_of_the_lease(self, worker: int, late: int) -> None:
        """A lease is good up to its last millisecond, and not for one more."""
        self.register(worker)
        self.step_clock(self.clock + LEASE_MS + late)
        self.before = self.look()
        self.claim(worker, 1, QUEUES[0], False)

    def _may_be_claimed(self, before: Raw | None, task_id: str) -> None:
        if before is None:
            assert task_id in self.pushed
        elif before.place == "delayed":
            self.seen["claimed as it became due"] += 1
            assert self.before.delayed[task_id] <= self.clock
        else:
            assert before.place == "ready"

    def _nothing_is_left(self, after: Snapshot) -> None:
        left = [
            record.id
            for record in after.records.values()
            if record.place == "ready" and f"queue:{record.queue}" not in after.paused
        ]
        assert left == []

    @rule(
        worker=workers, n=st.integers(1, 4), first=queues, go=st.sampled_from([True, True, False])
    )
    def work(self, worker: int, n: int, first: str, go: bool) -> None:
        """The most usual thing: renew, claim, start."""
        self.register(worker)
        self.before = self.look()
        self.claim(worker, n, first, False)
        self.before = self.look()
        for task_id, token in list(self.workers[worker].held.items()) if go else []:
            self._start(Grant(task_id, token))
            self.before = self.look()

    @rule(
        worker=workers,
        first=queues,
        asks=st.sampled_from([False, False, True]),
        end=st.sampled_from(
            ["SUCCESS", "FAILURE", "RETRY", "RETRY", "ignored", "requeued", "back"]
        ),
        made=drafts,
        delay=delays,
    )
    def attempt(
        self, worker: int, first: str, asks: bool, end: str, made: Any, delay: int | None
    ) -> None:
        """One task from its claim to the end of the attempt."""
        self.work(worker, 1, first, True)
        for held in list(self.workers[worker].held.items())[-1:]:
            grant = Grant(*held)
            if asks:
                self._ask(grant, made)
                self.before = self.look()
            if end in ("ignored", "requeued"):
                self._confirm(grant, end)
            elif end == "back":
                self._release(grant, crashed=False)
            else:
                self._settle(grant, end, delay)

    @rule(worker=workers, first=queues, asks=one_of_two, made=drafts, times=st.integers(1, 4))
    def child_is_lost(self, worker: int, first: str, asks: bool, made: Any, times: int) -> None:
        """A child dies while it runs a task, which goes to the head of its queue: again and again."""
        for _ in range(times):
            self.work(worker, 1, first, True)
            for held in list(self.workers[worker].held.items())[-1:]:
                if asks:
                    self._ask(Grant(*held), made)
                    self.before = self.look()
                self._release(Grant(*held), crashed=True)
                self.before = self.look()

    @rule(pick=small, current=st.sampled_from([True, True, True, False]))
    def start(self, pick: int, current: bool) -> None:
        grant = self.grant(pick, current=current)
        if grant:
            self._start(grant)

    def _start(self, grant: Grant) -> None:
        record = self.before.records.get(grant.id)
        started = self.run(self.verbs.start(*grant))

        if record is None:
            assert started is Start.UNKNOWN
        elif not self.is_current(grant):
            assert started is Start.REFUSED
        else:
            assert started is (Start.REPEATED if record.started else Start.STARTED)
        if started is not Start.STARTED:
            self.unchanged(grant.id)

    @rule(pick=small, current=st.sampled_from([True, True, False]))
    def progress(self, pick: int, current: bool) -> None:
        grant = self.grant(pick, current=current)
        if grant:
            self._progress(grant)

    def _progress(self, grant: Grant) -> None:
        record = self.before.records.get(grant.id)
        written = self.run(self.verbs.progress(*grant, b'{"current": 1}'))

        assert written == bool(record and self.is_current(grant) and record.started)
        if not written:
            self.unchanged(grant.id)

    @rule(pick=small, outcome=outcomes, delay=delays, current=st.sampled_from([True] * 3 + [False]))
    def settle(self, pick: int, outcome: str, delay: int | None, current: bool) -> None:
        """Only the current attempt ends a task; a zombie's outcome changes nothing."""
        grant = self.grant(pick, current=current)
        if grant:
            self._settle(grant, outcome, delay)

    def _settle(self, grant: Grant, outcome: str, delay: int | None) -> None:
        record, mine = self.before.records.get(grant.id), self.is_current(grant)
        if record and mine and not record.started:
            # What never ran has no result and cannot ask for another run.
            outcome = {"SUCCESS": "FAILURE", "RETRY": "REVOKED"}.get(outcome, outcome)
        due = None if delay is None else self.clock + delay
        settled = self.run(self.verbs.settle(*grant, outcome, b'{"n": 1}', due_ms=due))
        self.forget(grant)

        if mine:
            assert settled is Settled.WRITTEN
            after = self.look().records[grant.id]
            assert after.worker is None
            self._delivers(grant, after, outcome == "RETRY")
            if outcome != "RETRY":
                assert after.state == outcome
            self.settled = (grant, outcome, after)
        else:
            self.seen[f"outcome of a zombie {settled.name}"] += 1
            assert settled in (Settled.FENCED, Settled.REPEATED, Settled.UNKNOWN)
            assert (settled is Settled.UNKNOWN) == (record is None)
            self.unchanged(grant.id)

    def _delivers(self, grant: Grant, after: Raw, again: bool) -> None:
        """What the attempt asked for is what runs next, and nothing that another asked for."""
        token, message = self.next.pop(grant.id, (0, ""))
        self.seen["next delivery of the attempt"] += again and token == grant.token
        self.seen["next delivery of an earlier attempt"] += 0 < token < grant.token
        before = self.before.records[grant.id].fields["m"]
        expected = message if again and token == grant.token else before
        assert after.fields["m"] == expected

    @rule()
    def settle_again(self) -> None:
        """The reply of a settle was lost and the worker writes the same outcome once more."""
        if self.settled is None:
            return
        grant, outcome, left = self.settled
        record = self.before.records.get(grant.id)
        settled = self.run(self.verbs.settle(*grant, outcome, b'{"n": 1}'))

        if record == left:
            assert settled is Settled.REPEATED
        else:
            assert settled is not Settled.WRITTEN
        self.unchanged(grant.id)

    @rule(pick=small, how=ends, current=st.sampled_from([True, True, False]))
    def confirm(self, pick: int, how: str, current: bool) -> None:
        """An acknowledgement decides where the attempt has not, and nowhere else."""
        grant = self.grant(pick, current=current)
        if grant:
            self._confirm(grant, how)

    def _confirm(self, grant: Grant, how: str) -> None:
        record, mine = self.before.records.get(grant.id), self.is_current(grant)
        if how == "retried" and not (record and record.started):
            # What never ran cannot ask for another run.
            how = "requeued"
        [decided] = self.run(self.verbs.confirm([(*grant, how)]))
        self.forget(grant)

        assert decided == mine
        if mine:
            after = self.look().records[grant.id]
            asked = self.next.get(grant.id, (0, ""))[0] == grant.token
            assert after.worker is None
            goes_on = how in ("requeued", "retried", "unknown")
            assert after.finished == (not asked and not goes_on) or (
                how == "unknown" and after.place == "dead"
            )
            self._delivers(grant, after, asked)
        else:
            self.unchanged(grant.id)

    @rule(pick=small, crashed=one_of_two, current=st.sampled_from([True, True, False]))
    def release(self, pick: int, crashed: bool, current: bool) -> None:
        """Given back: uncounted, or with a crash after a lost child, which may not have come to start it."""
        grant = self.grant(pick, current=current)
        if grant:
            self._release(grant, crashed=crashed)

    def _release(self, grant: Grant, *, crashed: bool) -> None:
        record, mine = self.before.records.get(grant.id), self.is_current(grant)
        [reply] = self.run(self.verbs.release([grant], crashed=crashed))
        self.forget(grant)

        if not (mine and record):
            assert reply == 0
            self.unchanged(grant.id)
            return
        after = self.look().records[grant.id]
        self.seen["parked at the third crash"] += reply == 2
        assert after.worker is None
        assert after.crashes == record.crashes + crashed
        assert (reply == 2) == (after.place == "dead") == (after.crashes == 3)

    @rule(worker=workers, tells=st.sampled_from([True, True, False]))
    def resync(self, worker: int, tells: bool) -> None:
        """Only what the worker does not hold is given back."""
        one = self.workers[worker]
        held = one.held if tells else {}
        self.run(self.verbs.resync(one.name, list(held)))
        after = self.look()

        leased = self.before.leased.get(one.name, set())
        kept = leased & set(held)
        self.seen["given back by resync"] += len(leased - kept)
        self.seen["kept by resync"] += len(kept)
        assert after.leased.get(one.name, set()) == kept
        for task_id in kept:
            self.unchanged(task_id)
        if not tells:
            one.held.clear()

    @rule(worker=workers)
    def leave(self, worker: int) -> None:
        one = self.workers[worker]
        leased = self.before.leased.get(one.name, set())

        assert self.run(self.verbs.leave(one.name)) == len(leased)
        after = self.look()
        assert one.name not in after.workers
        for task_id in leased:
            assert after.records[task_id].place == "ready"
            assert after.records[task_id].crashes == self.before.records[task_id].crashes
        one.held.clear()

    @rule(worker=workers)
    def die(self, worker: int) -> None:
        """Stops renewing for good; the supervisor starts another, under a name of its own."""
        self.workers[worker] = Worker(f"w{self.births}")
        self.births += 1

    # --- time and housekeeping --------------------------------------------------

    @rule(
        ms=st.sampled_from(
            [1, 100, 1000, 5000, 9000, 9000, 31_000, 120_000, 90_000_000, -1000, -60_000]
        )
    )
    def clock_steps(self, ms: int) -> None:
        self.step_clock(self.clock + ms)

    @rule(limit=st.sampled_from([200, 200, 2]))
    def sweep(self, limit: int) -> None:
        """Nobody loses a task while its lease lasts, or before it could come back to renew."""
        since = self.clock - int(self.before.meta.get("swept_ms", 0))
        swept = self.run(self.verbs.sweep(LEASE_MS, QUEUES, limit))
        after = self.look()

        assert swept.ran == (not 0 <= since < 500)
        rescued = [
            record
            for record in self.before.records.values()
            if record.place == "leased" and after.records[record.id].worker != record.worker
        ]
        expired = [score for score in self.before.workers.values() if score < self.clock]
        self.seen["rescued"] += len(rescued)
        self.seen["rescue postponed"] += bool(swept.ran and since > LEASE_MS / 3 and expired)
        self.seen["adopted by the sweep"] += swept.adopted
        self.seen["promoted by the sweep"] += swept.promoted
        assert len(rescued) == swept.rescued
        for record in rescued:
            assert record.worker
            assert self.before.workers[record.worker] < self.clock
            assert since <= LEASE_MS / 3
            again = after.records[record.id]
            assert again.crashes == record.crashes + record.started
            assert again.place == ("dead" if again.crashes == 3 else "ready")
        if swept.ran and limit == 200:
            assert [due for due in after.delayed.values() if due <= self.clock] == []
            assert [entry for entry in after.entries() if entry.startswith("{")] == []

    @rule(limit=st.sampled_from([200, 2]))
    def sweep_while_renewing(self, limit: int) -> None:
        """Time goes by with all the sweeps that it should have, so that leases do run out."""
        for _ in range(5):
            self.step_clock(self.clock + 9000)
            self.before = self.look()
            self.sweep(limit)
            self._accept_adopted(self.look())

    # --- people -----------------------------------------------------------------

    @rule(pick=small, waiting_only=st.sampled_from([False, False, True]))
    def cancel(self, pick: int, waiting_only: bool) -> None:
        task_id = self.known_id(pick)
        record = self.before.records.get(task_id)
        outcome: str | bool
        try:
            outcome = self.run(self.verbs.cancel(task_id, waiting_only=waiting_only))
        except (TaskNotFound, TaskFinished) as error:
            outcome = type(error).__name__

        expected: str | bool
        if record is None:
            expected = "TaskNotFound"
        elif record.state is TaskState.REVOKED:
            expected = False
        elif record.finished or (record.started and waiting_only):
            expected = "TaskFinished"
        else:
            expected = True
        assert outcome == expected
        after = self.look()
        if outcome is True and record:
            assert after.records[task_id].state is TaskState.REVOKED
            self.seen[f"cancelled in {record.place}"] += 1
            if record.worker:
                told = after.inboxes.get(record.worker, [])
                assert told[:1] == [f"{record.token} {task_id}"]
        else:
            self.unchanged(task_id)

    @rule(pick=small)
    def retry(self, pick: int) -> None:
        """A person runs a finished task again, and only a finished one."""
        finished = sorted(r.id for r in self.before.records.values() if r.finished)
        task_id = finished[pick % len(finished)] if finished and pick % 4 else self.known_id(pick)
        record = self.before.records.get(task_id)
        outcome = ""
        self.reopening = True
        try:
            self.run(self.verbs.retry(task_id))
        except (TaskNotFound, TaskActive) as error:
            outcome = type(error).__name__

        if record is None:
            assert outcome == "TaskNotFound"
        elif not record.finished:
            assert outcome == "TaskActive"
        else:
            assert outcome == ""
            after = self.look().records[task_id]
            self.seen[f"run again by a person from {record.place or record.state}"] += 1
            assert (after.state, after.place) == (TaskState.PENDING, "ready")
            assert (after.crashes, after.token) == (0, record.token)
        if outcome:
            self.unchanged(task_id)

    @rule(queue=queues, on=st.sampled_from([True, False, False]))
    def pause(self, queue: str, on: bool) -> None:
        changed = self.run(self.verbs.pause(queue, on=on))

        assert changed == ((f"queue:{queue}" in self.before.paused) != on)

    @rule(
        name=st.sampled_from(["email", "file", "tasks.stock"]),
        on=st.sampled_from([True, False, False]),
        limit=st.sampled_from([1, 500]),
    )
    def pause_type(self, name: str, on: bool, limit: int) -> None:
        changed, left = self.run(self.verbs.pause_type(name, on=on, limit=limit))
        after = self.look()
        held = [task_id for task_id in self._held(after) if after.records[task_id].type == name]

        assert changed == ((f"type:{name}" in self.before.paused) != on)
        assert (f"type:{name}" in after.paused) == on
        self.seen["given back to its queue"] += len(self._held(self.before) - self._held(after))
        if not on:
            assert left == len(held)
            assert (f"resuming:{name}" in after.paused) == bool(left)

    @rule(worker=workers, on=st.sampled_from([True, False, False]))
    def drain_worker(self, worker: int, on: bool) -> None:
        name = self.workers[worker].name
        outcome: object
        try:
            outcome = self.run(self.verbs.drain(name, on=on))
        except WorkerNotFound:
            outcome = "unknown"

        is_changed = (f"worker:{name}" in self.before.paused) != on
        assert outcome == (is_changed if name in self.before.workers else "unknown")

    def _held(self, found: Snapshot) -> set[str]:
        return {task_id for ids in found.held.values() for task_id in ids}

    @rule(queue=queues, limit=st.integers(1, 3))
    def purge(self, queue: str, limit: int) -> None:
        if len(self.before.entries()) + len(self._held(self.before)) >= 5:
            self._purge(queue, limit)

    @rule(limit=st.sampled_from([1, 12]))
    def purge_where_some_are_held(self, limit: int) -> None:
        """Chance seldom comes to them: their queues are few, and what is ready goes first."""
        if self.before.held:
            self._purge(min(self.before.held).split("\x1f")[1], limit)

    def _purge(self, queue: str, limit: int) -> None:
        waiting = set(self.before.entries()) | self._held(self.before)
        taken = self.run(self.verbs.purge(queue, limit))
        after = self.look()

        gone = waiting - set(after.entries()) - self._held(after)
        assert len(gone) <= taken <= limit
        self.seen["purged while held"] += len(gone & self._held(self.before))
        for entry in gone:
            task_id = self.envelopes.get(entry, entry)
            if task_id.startswith("unreadable-"):
                self.purged.add(task_id)
            elif entry == task_id or task_id not in self.accepted:
                ended = after.records.get(task_id)
                assert ended is not None
                assert ended.state is TaskState.REVOKED
                self.seen["purged before it was adopted"] += entry != task_id

    @rule(keep=st.sampled_from([0, 1, 3, 6, 10]), limit=st.sampled_from([500, 2]))
    def prune(self, keep: int, limit: int) -> None:
        """Only what has finished goes, and nothing of it stays behind."""
        looked, removed = self.run(self.verbs.prune(0, keep, limit))
        after = self.look()

        gone = self.before.records.keys() - after.records.keys()
        assert len(gone) == removed <= looked <= limit
        for task_id in gone:
            assert self.before.records[task_id].finished
        self.seen["pruned"] += removed
        self.accepted -= gone
        self.pruned |= gone
        for task_id in gone:
            self.next.pop(task_id, None)
        # A copy that still waits is nobody's duplicate any more.
        for entry in after.entries():
            task_id = self.envelopes.get(entry, "")
            if task_id in self.pruned:
                self.pushed.add(task_id)

    # --- after every step -------------------------------------------------------

    @invariant()
    def everything_holds(self) -> None:
        type(self).steps += 1
        after = self.look()
        check(after, self.keys)
        if after.events:
            check_events(after.events, self.told)
            self.last_event = after.events[-1][0]
        for record in after.records.values():
            assert self.told[record.id] == record.state, f"{record.id}: the last event is another"
        self._moves(after)
        self._accept_adopted(after)
        self._nothing_vanished(after)
        self.reopening = False
        self.before = after
        self.before.events = []

    def _moves(self, after: Snapshot) -> None:
        for task_id, record in after.records.items():
            before = self.before.records.get(task_id)
            if before is None or before.seq != record.seq:
                continue
            assert record.token >= before.token, f"{task_id}: tokens only grow"
            if before.finished and not self.reopening:
                assert record.state is before.state, f"{task_id} was {before.state}"

    def _accept_adopted(self, after: Snapshot) -> None:
        adopted = after.records.keys() - self.accepted
        for task_id in adopted:
            assert task_id in self.pushed, f"{task_id} came from nowhere"
            self.pushed.remove(task_id)
        self.accepted |= adopted

    def _nothing_vanished(self, after: Snapshot) -> None:
        missing = self.accepted - after.records.keys()
        assert missing == set(), f"accepted, and gone: {missing}"
        waiting = {self.envelopes.get(entry) for entry in after.entries()}
        missing = self.pushed - waiting - self.purged
        assert missing == set(), f"pushed, and gone: {missing}"

    def teardown(self) -> None:
        """With one healthy worker everything ends."""
        # After a failure the store may be anything; what failed first is what counts.
        if sys.exc_info()[0] is None:
            self.drain()

    def drain(self) -> None:
        for queue in QUEUES:
            self.run(self.verbs.pause(queue, on=False))
        for name in ("email", "file", "tasks.stock"):
            self.run(self.verbs.pause_type(name, on=False, limit=1))
        # Of two sweeps, one is not too soon after the last, whatever the clock has done.
        for _ in range(2):
            self.step_clock(self.clock + 1000)
            self.run(self.verbs.sweep(LEASE_MS, QUEUES))
        now = self.look()
        self.step_clock(int(max([self.clock, *now.workers.values(), *now.delayed.values()])))
        self.run(self.verbs.heartbeat("healthy", LEASE_MS, register=True))
        for _ in range(12):
            self.step_clock(self.clock + LEASE_MS // 4)
            assert self.run(self.verbs.heartbeat("healthy", LEASE_MS)).known
            self.run(self.verbs.sweep(LEASE_MS, QUEUES))
            for message in self.run(self.verbs.claim("healthy", 500, QUEUES)).messages:
                assert self.run(self.verbs.start(message.id, message.token)) is Start.STARTED
                settle = self.verbs.settle(message.id, message.token, "SUCCESS", b"1")
                assert self.run(settle) is Settled.WRITTEN
        after = self.look()
        left = {record.id: record.place for record in after.records.values() if not record.finished}
        assert left == {}, "one healthy worker did not end everything"
        assert after.entries() == []
        self.everything_holds()
