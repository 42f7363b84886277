"""Many tasks at once: which ones a filter means, and that nothing is done twice or by the wrong attempt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from importlib import resources

import pytest
from machine import CLOCK

import encola.store
from encola.errors import StoreFull
from encola.record import TaskState
from encola.store import Filter, Verbs, connect_async, run
from encola.store.bulk import BATCH, Action, Bulk, Choice, Done, Work, act, count
from encola.store.library import Library
from encola.store.message import Message, encode_body
from encola.store.shapes import NewTask, Settled
from support import Server, Store

T0 = 1_000_000_000_000
MESSAGE = Message("tasks.t", encode_body([])).encode()
WORK = "the-work"


@pytest.fixture
def verbs(store: Store) -> Verbs:
    """On a clock that stands where a test puts it."""
    store.client.set("encola:clock", T0)
    return Verbs(store.keys, Library(clock=CLOCK))


def new(name: str, **values: object) -> NewTask:
    return NewTask(name, MESSAGE, **({"queue": "encola", "type": "email"} | values))  # type: ignore[arg-type]


def accept(store: Store, verbs: Verbs, tasks: Iterable[NewTask]) -> None:
    run(store.client, verbs.enqueue(list(tasks), 10**6))


def begin_work(store: Store, verbs: Verbs, type_name: str = "bulk_cancel") -> Work:
    """A task that does the work, running; and when it was asked for."""
    leased = new(WORK, type=type_name, lease_to="w1")
    accepted = run(store.client, verbs.enqueue([leased], 10**6))[0]
    run(store.client, verbs.heartbeat("w1", 30_000, register=True))
    run(store.client, verbs.start(WORK, 1))
    seq = int(store.client.hget("encola:meta", "n") or 0)  # type: ignore[arg-type]
    return Work(WORK, 1, accepted.created_at_ms, seq)


def state(store: Store, name: str) -> str:
    found = store.client.hget(store.keys.record(name), "st")
    assert isinstance(found, bytes)
    return found.decode()


def finish(store: Store, verbs: Verbs, names: Iterable[str]) -> None:
    """All of *names* wait, and nothing else does: they are run, and succeed."""
    wanted = set(names)
    run(store.client, verbs.heartbeat("w2", 30_000, register=True))
    for message in run(store.client, verbs.claim("w2", len(wanted), ["encola"])).messages:
        run(store.client, verbs.start(message.id, message.token))
        settle = verbs.settle(message.id, message.token, "SUCCESS", b"1")
        assert run(store.client, settle) is Settled.WRITTEN
        wanted.discard(message.id)
    assert not wanted


def counted(server: Server, verbs: Verbs, choice: Choice, most: int = 10**9) -> tuple[int, bool]:
    async def ask() -> tuple[int, bool]:
        client = connect_async(server.url)
        try:
            return await Bulk(client, verbs).count(choice, most=most)
        finally:
            await client.aclose()

    return asyncio.run(ask())


def done(server: Server, verbs: Verbs, choice: Choice, work: Work) -> list[Done | None]:
    """The whole work, batch by batch."""

    async def ask() -> list[Done | None]:
        client = connect_async(server.url)
        bulk = Bulk(client, verbs)
        try:
            return [
                await bulk.act(choice, work, b.ids, 10**6) async for b in bulk.batches(choice, work)
            ]
        finally:
            await client.aclose()

    return asyncio.run(ask())


@pytest.fixture
def tasks(store: Store, verbs: Verbs) -> list[NewTask]:
    """Sixty, oldest first, ten every 100 ms: thirty done, then thirty that wait, ten of these for their time."""
    made = [
        new(
            f"{'ab'[n % 2]}-{n:02}",
            type=("email", "file")[n // 2 % 2],
            user_id=("ana", "eva", "")[n % 3],
            due_ms=T0 + 10**9 if n >= 50 else None,
        )
        for n in range(60)
    ]
    for n in range(6):
        store.client.set("encola:clock", T0 + n * 100)
        accept(store, verbs, made[n * 10 : n * 10 + 10])
        if n < 3:
            finish(store, verbs, [task.id for task in made[n * 10 : n * 10 + 10]])
    return made


Admits = Callable[[int, NewTask], bool]
WANTED: list[tuple[Choice, Admits]] = [
    (Choice("cancel", Filter(type="file")), lambda n, t: n >= 30 and t.type == "file"),
    (Choice("retry", Filter(type="file")), lambda n, t: n < 30 and t.type == "file"),
    (Choice("cancel", Filter(user_id="eva")), lambda n, t: n >= 30 and t.user_id == "eva"),
    (Choice("cancel", Filter(queue="encola")), lambda n, t: n >= 30),
    (Choice("cancel", Filter(queue="files")), lambda n, t: False),
    (Choice("cancel", Filter(TaskState.SCHEDULED)), lambda n, t: n >= 50),
    (Choice("cancel", Filter(TaskState.SUCCESS)), lambda n, t: False),
    (Choice("retry", Filter(TaskState.PENDING)), lambda n, t: False),
    (Choice("retry", Filter(TaskState.SUCCESS, user_id="ana")), lambda n, t: n < 30 and n % 3 == 0),
    (Choice("cancel", Filter(search="b-")), lambda n, t: n >= 30 and n % 2 == 1),
    (Choice("cancel", Filter(since_ms=T0 + 400)), lambda n, t: n >= 40),
    (Choice("cancel", Filter(until_ms=T0 + 400)), lambda n, t: 30 <= n < 40),
    (Choice("cancel", Filter(until_ms=0)), lambda n, t: False),
    (Choice("retry", Filter(since_ms=T0 + 100, until_ms=T0 + 200)), lambda n, t: 10 <= n < 20),
    (Choice("cancel", Filter(), ("b-01", "a-40", "never", "b-59")), lambda n, t: n in (40, 59)),
    (Choice("retry", Filter(type="email"), ("b-01", "a-02")), lambda n, t: n == 1),
]


@pytest.mark.parametrize(("choice", "admits"), WANTED, ids=range(len(WANTED)))
def test_what_fits_is_counted_and_then_done(
    server: Server,
    store: Store,
    verbs: Verbs,
    tasks: list[NewTask],
    choice: Choice,
    admits: Admits,
) -> None:
    """All of it and nothing else; what was counted is what is done."""
    before = {task.id: state(store, task.id) for task in tasks}
    expected = [task.id for n, task in enumerate(tasks) if admits(n, task)]

    assert (len(expected), True) == counted(server, verbs, choice)
    assert before == {task.id: state(store, task.id) for task in tasks}

    work = begin_work(store, verbs)
    sums = [d.changed for d in done(server, verbs, choice, work) if d]
    becomes = "REVOKED" if choice.action == "cancel" else "PENDING"
    assert len(expected) == (sums[-1] if sums else 0)
    assert expected == [i for i in before if state(store, i) != before[i]]
    assert {becomes} >= {state(store, i) for i in expected}
    assert "STARTED" == state(store, WORK)


def test_it_goes_from_the_oldest_to_the_newest(
    server: Server, store: Store, verbs: Verbs, tasks: list[NewTask]
) -> None:
    """So that what is run again stands on its queue in the order in which it was accepted."""
    work = begin_work(store, verbs, "bulk_retry")
    store.client.delete("encola")
    done(server, verbs, Choice("retry", Filter(type="email")), work)

    waiting = store.client.lrange("encola", 0, -1)
    assert isinstance(waiting, list)
    expected = [task.id for task in tasks[:30] if task.type == "email"]
    assert expected == [entry.decode() for entry in waiting][::-1]


def test_more_than_one_batch(server: Server, store: Store, verbs: Verbs) -> None:
    """1,200 tasks in several types: each is met once, from a stream as from the sets of states."""
    names = [f"t{n:04}" for n in range(1200)]
    accept(store, verbs, (new(name, type=f"type{n % 2}") for n, name in enumerate(names)))
    work = begin_work(store, verbs)

    by_type = done(server, verbs, Choice("cancel", Filter(type="type1")), work)
    rest = done(server, verbs, Choice("cancel", Filter(queue="encola")), work)
    assert 600 == by_type[-1].changed  # type: ignore[union-attr]
    assert 1200 == rest[-1].changed  # type: ignore[union-attr]
    assert len(by_type) >= 600 // BATCH
    assert {"REVOKED"} == {state(store, name) for name in names}
    events = store.client.xrange("encola:events")
    assert isinstance(events, list)
    assert 1200 == sum(fields[b"s"] == b"REVOKED" for _, fields in events)


def test_a_count_is_bounded(server: Server, store: Store, verbs: Verbs) -> None:
    """And says so: there are at least so many."""
    accept(store, verbs, (new(f"t{n:04}", user_id="ana") for n in range(3 * BATCH)))
    choice = Choice("cancel", Filter(user_id="ana"))

    assert (2 * BATCH, False) == counted(server, verbs, choice, most=2 * BATCH)
    assert (3 * BATCH, True) == counted(server, verbs, choice, most=3 * BATCH)


# --- what must not happen -------------------------------------------------------------


def it_would_end_itself(store: Store) -> None:
    """A filter that means the work too, and what came after it."""
    client, verbs, _ = store
    accept(store, verbs, [new("before", type="bulk_cancel")])
    work = begin_work(store, verbs)
    accept(store, verbs, [new("after", type="bulk_cancel")])
    choice = Choice("cancel", Filter(type="bulk_cancel"))

    assert Done(1, 1) == run(client, act(verbs, choice, work, ["before", WORK, "after"]))
    assert ["REVOKED", "STARTED", "PENDING"] == [state(store, i) for i in ("before", WORK, "after")]


def it_would_run_its_own_outcomes_again(store: Store) -> None:
    """What has ended since it was asked for, by its own doing for example, has had its turn."""
    client, verbs, _ = store
    accept(store, verbs, [new("a"), new("b")])
    finish(store, verbs, ["a", "b"])
    work = begin_work(store, verbs, "bulk_retry")
    choice = Choice("retry", Filter(type="email"))
    assert Done(2, 2) == run(client, act(verbs, choice, work, ["a", "b"]))

    # The store's clock: two calls may fall into one millisecond of it.
    earlier = replace(work, asked_ms=work.asked_ms - 1)
    finish(store, verbs, ["a", "b"])
    assert Done(0, 2) == run(client, act(verbs, choice, earlier, ["a", "b"]))
    assert ["SUCCESS", "SUCCESS"] == [state(store, i) for i in ("a", "b")]


def an_attempt_that_was_cut_off_would_go_on(store: Store) -> None:
    """Its token is old, or it was cancelled: it changes nothing more."""
    client, verbs, _ = store
    accept(store, verbs, [new("a"), new("b")])
    work = begin_work(store, verbs)
    choice = Choice("cancel", Filter(type="email"))

    assert run(client, act(verbs, choice, replace(work, token=2), ["a"])) is None
    assert Done(1, 1) == run(client, act(verbs, choice, work, ["a"]))
    run(client, verbs.cancel(WORK))
    assert run(client, act(verbs, choice, work, ["b"])) is None
    assert ["REVOKED", "PENDING"] == [state(store, i) for i in ("a", "b")]


def the_work_of_others_would_be_undone(store: Store) -> None:
    """ "All that is active" does not mean the tasks that do such work; their type or id does."""
    client, verbs, _ = store
    accept(store, verbs, [new("a"), new("c", type="bulk_cancel"), new("r", type="bulk_retry")])
    work = begin_work(store, verbs)
    ids = ["a", "c", "r"]

    assert Done(1, 1) == run(client, act(verbs, Choice("cancel", Filter()), work, ids))
    by_type = Choice("cancel", Filter(type="bulk_cancel"))
    assert Done(1, 2) == run(client, act(verbs, by_type, work, ids))
    assert Done(1, 3) == run(client, act(verbs, Choice("cancel", Filter(), ("r",)), work, ids))


def a_count_would_change_something(store: Store) -> None:
    client, verbs, _ = store
    accept(store, verbs, [new("a")])

    assert 1 == run(client, count(verbs, Choice("cancel", Filter()), None, ["a"]))
    assert "PENDING" == state(store, "a")


NEVER: list[Callable[[Store], None]] = [
    it_would_end_itself,
    it_would_run_its_own_outcomes_again,
    an_attempt_that_was_cut_off_would_go_on,
    the_work_of_others_would_be_undone,
    a_count_would_change_something,
]


@pytest.mark.parametrize("check", NEVER, ids=lambda check: check.__name__)
def test_never(store: Store, check: Callable[[Store], None]) -> None:
    """The scripts as they are; :data:`MUTANTS` shows that each of these would notice."""
    check(store)


MUTANTS: list[tuple[str, str, Callable[[Store], None]]] = [
    ("tonumber(rec.n) >= before", "false", it_would_end_itself),
    (
        " and tonumber(redis.call('HGET', rec.key, 'f')) <= asked_ms",
        "",
        it_would_run_its_own_outcomes_again,
    ),
    ("(mine and holds(mine, token))", "mine", an_attempt_that_was_cut_off_would_go_on),
    (
        "    and (bulk_too or (rec.type ~= 'bulk_cancel' and rec.type ~= 'bulk_retry'))\n",
        "",
        the_work_of_others_would_be_undone,
    ),
    ("mine and action == 'cancel'", "action == 'cancel'", a_count_would_change_something),
]


@pytest.mark.parametrize(
    ("text", "becomes", "check"), MUTANTS, ids=[check.__name__ for _, _, check in MUTANTS]
)
def test_a_script_with_a_fault_is_noticed(
    store: Store, text: str, becomes: str, check: Callable[[Store], None]
) -> None:
    """A test that cannot fail proves nothing."""
    original = (resources.files(encola.store) / "lua" / "bulk.lua").read_text("utf-8")
    assert 1 == original.count(text)
    overrides = {"bulk": original.replace(text, becomes)}
    mutated = Verbs(store.keys, Library(overrides=overrides))

    with pytest.raises(AssertionError):
        check(Store(store.client, mutated, store.keys))


@pytest.mark.parametrize("action", ["cancel", "retry"])
def test_work_goes_on_where_it_was_cut_off(
    server: Server, store: Store, verbs: Verbs, action: Action
) -> None:
    """The next attempt finds what is left, and its number is that of the whole."""
    names = [f"t{n:03}" for n in range(300)]
    accept(store, verbs, map(new, names))
    if action == "retry":
        finish(store, verbs, names)
    work = begin_work(store, verbs, f"bulk_{action}")
    choice = Choice(action, Filter(type="email"))
    assert Done(100, 100) == run(store.client, act(verbs, choice, work, names[:100]))

    run(store.client, verbs.release([(WORK, 1)], crashed=True))
    assert {None} == set(done(server, verbs, choice, work))
    run(store.client, verbs.heartbeat("w3", 30_000, register=True))
    claimed = run(store.client, verbs.claim("w3", 1, ["encola"])).messages[0]
    assert (WORK, 2) == (claimed.id, claimed.token)
    ends = done(server, verbs, choice, replace(work, token=2))
    assert 300 == ends[-1].changed  # type: ignore[union-attr]


def test_run_again_by_a_person_it_counts_anew(store: Store, verbs: Verbs) -> None:
    """A new attempt of a work that had its outcome is new work."""
    accept(store, verbs, [new("a")])
    work = begin_work(store, verbs)
    choice = Choice("cancel", Filter(type="email"))
    run(store.client, act(verbs, choice, work, ["a"]))
    run(store.client, verbs.settle(WORK, 1, "SUCCESS", b"1"))
    run(store.client, verbs.retry(WORK))

    assert store.client.hget(store.keys.record(WORK), "bc") is None


def test_what_is_run_again_finds_its_limit(store: Store, verbs: Verbs) -> None:
    """No more wait than may; what had room was run again, and the work can be gone on with."""
    names = [f"t{n}" for n in range(5)]
    accept(store, verbs, map(new, names))
    finish(store, verbs, names)
    work = begin_work(store, verbs, "bulk_retry")
    choice = Choice("retry", Filter(type="email"))
    with pytest.raises(StoreFull, match="3 tasks wait; ENCOLA_MAX_WAITING allows 3") as full:
        run(store.client, act(verbs, choice, work, names, 3))
    assert "3 were run again" in str(full.value)
    assert "store_full" == full.value.error_code
    assert ["PENDING"] * 3 + ["SUCCESS"] * 2 == [state(store, name) for name in names]

    assert Done(2, 5) == run(store.client, act(verbs, choice, work, names, 5))
    assert ["PENDING"] * 5 == [state(store, name) for name in names]


def test_a_single_retry_finds_the_same_limit(store: Store, verbs: Verbs) -> None:
    """Nothing is changed then."""
    accept(store, verbs, [new("done")])
    finish(store, verbs, ["done"])
    accept(store, verbs, [new("waits")])
    with pytest.raises(StoreFull):
        run(store.client, verbs.retry("done", 1))
    assert "SUCCESS" == state(store, "done")

    run(store.client, verbs.retry("done", 2))
    assert "PENDING" == state(store, "done")
