"""Lists by the beginning of an id and by time, together with the other filters."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from machine import CLOCK

from encola.record import TaskState
from encola.store import Filter, Keys, Page, Records, Verbs, connect_async, run
from encola.store import records as lists
from encola.store.indexes import LAST_MS, first_ms
from encola.store.library import Library
from encola.store.message import Message, encode_body
from encola.store.shapes import NewTask
from support import Server, Store

R = TypeVar("R")
T0 = 1_000_000_000_000
MESSAGE = Message("tasks.t", encode_body([])).encode()


def ask(server: Server, question: Callable[[Records], Awaitable[R]]) -> R:
    async def answer() -> R:
        client = connect_async(server.url)
        try:
            return await question(Records(client, Keys()))
        finally:
            await client.aclose()

    return asyncio.run(answer())


def walk(server: Server, wanted: Filter, limit: int) -> list[str]:
    """The ids of all pages, by their cursors."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        at = cursor
        page: Page = ask(server, lambda records, at=at: records.page(wanted, limit, at))  # type: ignore[misc]
        found += [record.id for record in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return found


@pytest.fixture
def verbs(store: Store) -> Verbs:
    """On a clock that stands where a test puts it."""
    return Verbs(store.keys, Library(clock=CLOCK))


@pytest.fixture
def tasks(store: Store, verbs: Verbs) -> list[NewTask]:
    """Sixty, oldest first, ten every 100 ms; types, users and beginnings in turn; every fifth cancelled."""
    made = [
        NewTask(
            f"{'ab'[n % 2]}{'xyz'[n % 3]}-{n:02}",
            MESSAGE,
            "encola",
            ("email", "file")[n // 4 % 2],
            user_id=("ana", "eva")[n // 2 % 2],
        )
        for n in range(60)
    ]
    for n in range(6):
        store.client.set("encola:clock", T0 + n * 100)
        run(store.client, verbs.enqueue(made[n * 10 : n * 10 + 10], 100))
    for task in made[::5]:
        run(store.client, verbs.cancel(task.id))
    return made


def created(n: int) -> int:
    return T0 + n // 10 * 100


Admits = Callable[[int, NewTask], bool]
WANTED: list[tuple[Filter, Admits]] = [
    (Filter(search="b"), lambda n, task: n % 2 == 1),
    (Filter(search="ax-"), lambda n, task: n % 6 == 0),
    (Filter(search="nothing"), lambda n, task: False),
    (Filter(search="*"), lambda n, task: False),
    (Filter(search="a", type="file"), lambda n, task: n % 2 == 0 and task.type == "file"),
    (Filter(TaskState.REVOKED, search="a"), lambda n, task: n % 10 == 0),
    (
        Filter(TaskState.PENDING, search="a", user_id="eva"),
        lambda n, task: n % 2 == 0 and n % 5 != 0 and task.user_id == "eva",
    ),
    (Filter(since_ms=T0 + 200), lambda n, task: created(n) >= T0 + 200),
    (Filter(since_ms=T0 + 201), lambda n, task: created(n) > T0 + 200),
    (Filter(until_ms=T0 + 200), lambda n, task: created(n) < T0 + 200),
    (Filter(until_ms=T0 + 201), lambda n, task: created(n) <= T0 + 200),
    (Filter(since_ms=T0 + 100, until_ms=T0 + 300), lambda n, task: 10 <= n < 30),
    (Filter(since_ms=T0 + 300, until_ms=T0 + 100), lambda n, task: False),
    (Filter(since_ms=LAST_MS), lambda n, task: False),
    (Filter(until_ms=0), lambda n, task: False),
    (Filter(since_ms=0, until_ms=LAST_MS), lambda n, task: True),
    (
        Filter(TaskState.REVOKED, since_ms=T0 + 100, until_ms=T0 + 300),
        lambda n, task: 10 <= n < 30 and n % 5 == 0,
    ),
    (Filter(TaskState.REVOKED, until_ms=T0), lambda n, task: False),
    (Filter(TaskState.REVOKED, until_ms=0), lambda n, task: False),
    (Filter(TaskState.PENDING, since_ms=T0 + 501), lambda n, task: False),
    (
        Filter(TaskState.PENDING, "email", "ana", None, "b", T0 + 50, T0 + 450),
        lambda n, task: (
            10 <= n < 50
            and n % 5 != 0
            and n % 2 == 1
            and (task.type, task.user_id) == ("email", "ana")
        ),
    ),
]


@pytest.mark.parametrize(("wanted", "admits"), WANTED, ids=range(len(WANTED)))
def test_a_list_holds_what_fits_once_newest_first(
    server: Server, tasks: list[NewTask], wanted: Filter, admits: Admits
) -> None:
    """Whatever the length of its pages, from streams as from the sets of states."""
    expected = [task.id for n, task in enumerate(tasks) if admits(n, task)][::-1]

    for limit in (1, 7, 200):
        assert expected == walk(server, wanted, limit)


def test_a_whole_id_is_found_at_once(server: Server, tasks: list[NewTask]) -> None:
    """It alone, where it fits the other filters too."""
    wanted = tasks[33].id

    assert [wanted] == walk(server, Filter(search=wanted), 50)
    assert [wanted] == walk(server, Filter(search=wanted, type=tasks[33].type), 50)
    assert [] == walk(server, Filter(search=wanted, until_ms=T0), 50)


@pytest.mark.parametrize("state", [None, TaskState.PENDING])
def test_a_page_looks_at_so_many_ids_and_no_more(
    server: Server, tasks: list[NewTask], monkeypatch: pytest.MonkeyPatch, state: TaskState | None
) -> None:
    """It is empty then, and says from where to go on."""
    monkeypatch.setattr(lists, "SEARCH_BATCH", 5)
    monkeypatch.setattr(lists, "SEARCH_BOUND", 20)
    wanted = Filter(state, search="ay-0")

    first: Page = ask(server, lambda records: records.page(wanted, 50))
    assert ([], True) == (first.items, first.next_cursor is not None)
    assert ["ay-04"] == walk(server, wanted, 50)


def test_what_is_pruned_behind_a_time_changes_nothing(
    server: Server, store: Store, verbs: Verbs, tasks: list[NewTask]
) -> None:
    """A time between two entries is found from either side, also where the nearest has gone."""
    run(store.client, verbs.prune(T0 + 10**6, 0))
    kept = [task.id for n, task in enumerate(tasks) if n % 5][::-1]

    assert kept == walk(server, Filter(TaskState.PENDING, since_ms=T0), 7)
    assert [i for i in kept if int(i[-2:]) < 50] == walk(
        server, Filter(TaskState.PENDING, until_ms=T0 + 500), 7
    )


UTC = dt.UTC


@pytest.mark.parametrize(
    ("moment", "ms"),
    [
        (dt.datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC), 1500),
        (dt.datetime(1970, 1, 1, 0, 0, 1, 500_001, UTC), 1501),
        (dt.datetime(1970, 1, 1, 1, 0, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))), 1000),
        (dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=14))), 0),
        (dt.datetime(9999, 12, 31, 23, tzinfo=dt.timezone(-dt.timedelta(hours=12))), LAST_MS),
    ],
)
def test_a_time_is_a_whole_millisecond_within_bounds(moment: dt.datetime, ms: int) -> None:
    """The first that is not before it: what was created in it is at or after the time."""
    assert ms == first_ms(moment)


def test_a_task_that_changes_its_state_in_the_middle_is_no_task_of_it(
    server: Server, store: Store, verbs: Verbs, tasks: list[NewTask]
) -> None:
    """A page is of what fits when it is read, and its cursor goes on all the same."""

    async def read(records: Records) -> list[Any]:
        first = await records.page(Filter(TaskState.PENDING, search="b"), 3)
        run(store.client, verbs.cancel(first.items[-1].id))
        second = await records.page(Filter(TaskState.PENDING, search="b"), 3, first.next_cursor)
        return [record.id for record in (*first.items, *second.items)]

    pending = [task.id for n, task in enumerate(tasks) if n % 5 and n % 2][::-1]

    assert pending[:6] == ask(server, read)
