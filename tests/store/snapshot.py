"""
What the keys of a store say, read raw in one step, and what must be true of it.

Deliberately not by way of ``encola.store.records``: whoever checks the store does
not read it through the code that is being checked.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import redis

from encola.record import FINISHED, MOVES, RUNNING, TaskState
from encola.store import Keys
from encola.store.keys import PRIORITY_STEPS

#: Everything but the event stream, which is read on from where it was read before.
DUMP = """
local out = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind, value = redis.call('TYPE', key).ok, nil
  if key == ARGV[1] .. 'events' then value = redis.call('XRANGE', key, ARGV[2], '+')
  elseif kind == 'hash' then value = redis.call('HGETALL', key)
  elseif kind == 'list' then value = redis.call('LRANGE', key, 0, -1)
  elseif kind == 'set' then value = redis.call('SMEMBERS', key)
  elseif kind == 'zset' then value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'stream' then value = redis.call('XRANGE', key, '-', '+')
  else value = redis.call('GET', key) end
  out[#out + 1] = {key, kind, value}
end
return out
"""


@dataclass(frozen=True, slots=True)
class Raw:
    """One record as it is stored."""

    id: str
    fields: dict[str, str]
    queue: str
    priority: int
    type: str
    user: str
    created: int
    seq: int

    @classmethod
    def of(cls, task_id: str, fields: dict[str, str]) -> Raw:
        queue, priority, type_name, user, _, created, seq = fields["x"].split("\x1f")
        return cls(task_id, fields, queue, int(priority), type_name, user, int(created), int(seq))

    @property
    def state(self) -> TaskState:
        return TaskState(self.fields["st"])

    @property
    def place(self) -> str | None:
        return self.fields.get("pl")

    @property
    def worker(self) -> str | None:
        return self.fields.get("w")

    @property
    def token(self) -> int:
        return int(self.fields.get("dl", 0))

    @property
    def crashes(self) -> int:
        return int(self.fields.get("c", 0))

    @property
    def started(self) -> bool:
        return "sa" in self.fields

    @property
    def finished(self) -> bool:
        return self.state in FINISHED

    @property
    def step(self) -> int:
        return max(step for step in PRIORITY_STEPS if self.priority >= step)

    def held_by(self, token: int) -> bool:
        """Whether *token* is that of the current attempt."""
        return self.worker is not None and self.token == token


@dataclass
class Snapshot:
    """All keys at one moment."""

    records: dict[str, Raw] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)
    """Ready lists, left to right: the next one to be claimed is last."""
    delayed: dict[str, float] = field(default_factory=dict)
    dead: dict[str, float] = field(default_factory=dict)
    leased: dict[str, set[str]] = field(default_factory=dict)
    workers: dict[str, float] = field(default_factory=dict)
    inboxes: dict[str, list[str]] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    held: dict[str, dict[str, float]] = field(default_factory=dict)
    """Type, a unit separator, queue -> id -> order."""
    holds: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=dict)
    indexes: dict[str, dict[str, str]] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    events: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    meta: dict[str, str] = field(default_factory=dict)
    schedules: dict[str, int] = field(default_factory=dict)
    """Schedule -> when it is due, ms."""
    plans: dict[str, dict[str, str]] = field(default_factory=dict)
    """Schedule -> its fields."""
    ran: dict[str, list[str]] = field(default_factory=dict)
    other: dict[str, Any] = field(default_factory=dict)

    def entries(self) -> list[str]:
        """What stands in ready lists."""
        return list(itertools.chain.from_iterable(self.lists.values()))


def look(client: redis.Redis, keys: Keys, events_from: str = "-") -> Snapshot:
    """The store as it is now, with the events after the entry *events_from*."""
    after = events_from if events_from == "-" else f"({events_from}"
    found = Snapshot()
    prefix = keys.prefix
    for name, kind, value in _text(client.eval(DUMP, 0, prefix, after)):
        own = name.removeprefix(prefix) if name.startswith(prefix) else None
        if own is None:
            found.lists[name] = value
        elif own.startswith("t:"):
            found.records[own[2:]] = Raw.of(own[2:], _pairs(value))
        elif own.startswith("i:"):
            found.indexes[own] = _index(kind, value)
        elif own.startswith("leased:"):
            found.leased[own[7:]] = set(value)
        elif own.startswith("inbox:"):
            found.inboxes[own[6:]] = value
        elif own.startswith("s:"):
            found.plans[own[2:]] = _pairs(value)
        elif own.startswith("ran:"):
            found.ran[own[4:]] = value
        elif own == "schedules":
            found.schedules = {name: int(float(due)) for name, due in _pairs(value).items()}
        elif own in ("delayed", "dead", "workers"):
            scores = {member: float(score) for member, score in _pairs(value).items()}
            setattr(found, own, scores)
        elif own == "events":
            found.events = [(entry, _pairs(fields)) for entry, fields in value]
        elif own == "done":
            found.done = [fields[1] for _, fields in value]
        elif own.startswith("held:"):
            found.held[own[5:]] = {member: float(score) for member, score in _pairs(value).items()}
        elif own == "held":
            found.holds = set(value)
        elif own == "counts":
            found.counts = {field: int(number) for field, number in _pairs(value).items()}
        elif own == "paused":
            found.paused = set(value)
        elif own == "meta":
            found.meta = _pairs(value)
        else:
            found.other[own] = value
    return found


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return [_text(item) for item in value] if isinstance(value, list) else value


def _pairs(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _index(kind: str, value: Any) -> dict[str, str]:
    """Entry -> id of a stream; seq -> id of a sorted set."""
    if kind == "stream":
        return {entry: fields[1] for entry, fields in value}
    return {f"{float(seq):.0f}": member for member, seq in _pairs(value).items()}


# --- what must be true --------------------------------------------------------


def check(found: Snapshot, keys: Keys) -> None:
    """Every record in exactly one place, which its fields name; no id without a record."""
    places = _places(found, keys)
    for task_id in places:
        assert task_id in found.records, f"{task_id} is in {places[task_id]} without a record"
    for record in found.records.values():
        _check_place(record, places[record.id], found, keys)
        _check_fields(record)
    _check_indexes(found)
    _check_counts(found)
    assert found.schedules.keys() == found.plans.keys(), "a schedule without its plan"
    assert found.ran.keys() <= found.schedules.keys(), "runs of a schedule that there is not"


def _places(found: Snapshot, keys: Keys) -> defaultdict[str, list[str]]:
    """id -> the places where it is found, envelopes of stock producers left out."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for name, entries in found.lists.items():
        for entry in entries:
            if not entry.startswith("{"):
                places[entry].append(f"ready {name}")
    for name, ids in found.held.items():
        for task_id in ids:
            places[task_id].append(f"held {name}")
    for task_id in found.delayed:
        places[task_id].append("delayed")
    for task_id in found.dead:
        places[task_id].append("dead")
    for worker, ids in found.leased.items():
        for task_id in ids:
            places[task_id].append(f"leased {worker}")
    return places


def _check_place(record: Raw, actual: list[str], found: Snapshot, keys: Keys) -> None:
    match record.place:
        case "ready":
            expected = [f"ready {keys.ready(record.queue, record.step)}"]
            states = {TaskState.PENDING, TaskState.RETRY}
        case "held":
            expected = [f"held {record.type}\x1f{record.queue}"]
            states = {TaskState.PENDING, TaskState.RETRY}
            words = {f"type:{record.type}", f"resuming:{record.type}"}
            assert words & found.paused, f"{record.id} is held, and nobody paused its type"
        case "delayed":
            expected = ["delayed"]
            states = {TaskState.SCHEDULED, TaskState.RETRY}
        case "leased":
            expected = [f"leased {record.worker}"]
            states = set(RUNNING) if record.started else {TaskState.PENDING, TaskState.RETRY}
            assert record.worker in found.workers, f"{record.id} is leased to no known worker"
        case "dead":
            expected = ["dead"]
            states = {TaskState.FAILURE}
        case None:
            expected = []
            states = set(FINISHED)
        case other:
            raise AssertionError(f"{record.id} says that it is in {other}")
    assert actual == expected, f"{record.id} is in {actual}, and says {expected}"
    assert record.state in states, f"{record.id} is {record.state} in {record.place}"


def _check_fields(record: Raw) -> None:
    name, fields = record.id, record.fields
    assert (record.worker is not None) == (record.place == "leased"), f"{name}: worker and place"
    assert not record.started or record.place == "leased", f"{name} runs under no lease"
    assert "p" not in fields or record.started, f"{name} has progress and does not run"
    assert "nx" not in fields or record.place == "leased", f"{name} kept a next delivery"
    assert ("du" in fields) == (record.place == "delayed"), f"{name}: due time and place"
    assert ("f" in fields) == record.finished, f"{name}: end and state"
    assert record.crashes <= 3, f"{name} has {record.crashes} crashes"
    if record.place == "dead":
        assert fields["ec"] in ("worker_lost", "undeliverable"), f"{name} is dead: {fields['ec']}"
    else:
        assert record.crashes < 3, f"{name} is not dead after {record.crashes} crashes"
    if record.state is TaskState.RETRY:
        assert int(fields.get("rn", 0)) > 0, f"{name} is RETRY without a failed attempt"
    if record.state is TaskState.PENDING:
        assert int(fields.get("rn", 0)) == 0, f"{name} is PENDING after a failed attempt"


def _check_indexes(found: Snapshot) -> None:
    expected: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for record in found.records.values():
        entry = f"{record.created}-{record.seq}"
        expected["i::all:"][entry] = record.id
        expected[f"i::type:{record.type}"][entry] = record.id
        expected[f"i::queue:{record.queue}"][entry] = record.id
        if record.user:
            expected[f"i::user:{record.user}"][entry] = record.id
        expected[f"i::state:{record.state}"][str(record.seq)] = record.id

    assert found.indexes == expected

    finished = Counter(record.id for record in found.records.values() if record.finished)
    assert not finished - Counter(found.done), "a finished record that retention cannot find"


def _check_counts(found: Snapshot) -> None:
    expected: Counter[str] = Counter()
    for record in found.records.values():
        prefix = f"{record.type}\x1f{record.queue}\x1f"
        expected[prefix + record.state] += 1
        if record.place == "delayed":
            expected[prefix + "delayed"] += 1

    assert {name: n for name, n in found.counts.items() if n} == expected
    assert found.holds == set(found.held), "what is held is not registered, or nothing is left"


def check_events(events: list[tuple[str, dict[str, str]]], states: dict[str, TaskState]) -> None:
    """
    Every change of state is a move that the table allows.

    *states*: id -> state told by the last event before these; brought up to date.
    """
    for _, event in events:
        task_id, state = event["t"], TaskState(event["s"])
        before = states.get(task_id)
        allowed = before is None or before == state or state in MOVES[before]
        assert allowed, f"{task_id} went from {before} to {state}"
        states[task_id] = state
