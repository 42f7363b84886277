"""Many filters beside one another, without a server: each is told what it wants, and left alone otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_stream import Kind, begin, made

from encola.api import fanout as fanout_module
from encola.api.fanout import SHORTEST_TICK, Fanout, Told
from encola.api.subscription import Subscription, Wanted, values_of
from encola.record import TaskState
from encola.store.events import Event, Order

NAMES = ("a", "b", "c")
STATES = (TaskState.PENDING, TaskState.SUCCESS, TaskState.REVOKED)


def names() -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(NAMES), max_size=2)


filters = st.builds(
    Wanted,
    types=names(),
    states=st.frozensets(st.sampled_from([str(state) for state in STATES]), max_size=2),
    user_ids=names(),
    queues=names(),
    task_ids=names(),
)
#: What an event has besides its order.
kinds = st.tuples(
    st.sampled_from(NAMES),
    st.sampled_from(NAMES),
    st.sampled_from(STATES),
    st.sampled_from(NAMES),
    st.sampled_from([*NAMES, None]),
)


@settings(deadline=None)
@given(st.lists(filters, max_size=5), st.lists(st.lists(kinds, max_size=4), max_size=4))
def test_each_is_told_what_its_filter_admits_and_nothing_else(
    wanted: list[Wanted], rounds: list[list[Kind]]
) -> None:
    numbers = iter(range(1, 1000))
    events = [[made(next(numbers), kind) for kind in kinds] for kinds in rounds]
    told = asyncio.run(listen(wanted, events))

    assert [
        [event.order for batch in events for event in batch if each.admits(event)]
        for each in wanted
    ] == told


def test_one_that_wants_nothing_of_it_is_not_woken() -> None:
    """It goes on all the same, so that it does not fall behind."""
    woken, position, end = asyncio.run(count_wakes())

    assert woken == 1
    assert position == end


def test_what_comes_alone_goes_out_at_once_and_what_comes_thickly_together() -> None:
    """At most one round of writing in 20 ms, and all that has come is in it."""
    portions, took = asyncio.run(take_what_comes_thickly())

    assert portions[0] == [(1, 0)]
    assert [order for portion in portions for order in portion] == [(n, 0) for n in range(1, 301)]
    assert len(portions) <= took / SHORTEST_TICK + 2


def test_what_comes_alone_does_not_wait_for_a_rest() -> None:
    """The rest is after the telling: at rests of an hour the first event is told all the same."""
    asyncio.run(hear_one_between_long_rests())


async def hear_one_between_long_rests() -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("SHORTEST_TICK", "LONGEST_TICK"):
            patch.setattr(fanout_module, name, 3600.0)
        fanout, stream = await begin()
        subscription = Subscription(fanout, Wanted(), orders_of)
        stream.add([made(1)])
        async with asyncio.timeout(10):
            portion = await subscription.next()
        await fanout.close()
    assert portion is not None
    assert portion.chunk == [(1, 0)]


async def take_what_comes_thickly() -> tuple[list[list[Order]], float]:
    """What each write has of 300 events, a millisecond apart and the first alone; in how many seconds."""
    fanout, stream = await begin()
    subscription = Subscription(fanout, Wanted(), orders_of)
    portions: list[list[Order]] = []

    async def hear_portions() -> None:
        while (portion := await subscription.next()) is not None:
            portions.append(list(portion.chunk or []))

    task = asyncio.create_task(hear_portions())
    clock = asyncio.get_running_loop().time
    began = clock()
    stream.add([made(1)])
    await until(fanout, [subscription], (1, 0))
    for number in range(2, 301):
        stream.add([made(number)])
        await asyncio.sleep(0.001)
    await until(fanout, [subscription], (300, 0))
    took = clock() - began
    await fanout.close()
    await task
    return portions, took


async def listen(wanted: list[Wanted], rounds: list[list[Event]]) -> list[list[Order]]:
    """What listeners with these filters are told of the events of each round."""
    fanout, stream = await begin()
    subscriptions = [Subscription(fanout, each, orders_of) for each in wanted]
    heard: list[list[Order]] = [[] for _ in wanted]
    tasks = [
        asyncio.create_task(hear(each, into))
        for each, into in zip(subscriptions, heard, strict=True)
    ]
    for events in rounds:
        stream.add(events)
        end = await stream.end()
        await until(fanout, subscriptions, end)
    await fanout.close()
    await asyncio.gather(*tasks)
    return heard


async def count_wakes() -> tuple[int, Order, Order]:
    """How often one that wants another type looks, how far it is, and how far it should be."""
    fanout, stream = await begin()
    looked = 0

    class Counting(Subscription[list[Order]]):
        async def _advance(self) -> None:  # type: ignore[override]
            nonlocal looked
            looked += 1

    subscription = Counting(fanout, Wanted(types=frozenset({"other"})), orders_of)
    task = asyncio.create_task(subscription.next())
    for number in range(1, 6):
        await asyncio.sleep(0)
        stream.add([made(number, ("a", "a", TaskState.PENDING, "a", None))])
        await until(fanout, [subscription], (number, 0))
    position = subscription.position
    await fanout.close()
    await task
    return looked, position, await stream.end()


async def until(fanout: Fanout, subscriptions: list[Subscription[list[Order]]], end: Order) -> None:
    async with asyncio.timeout(10):
        while fanout.visible != end or any(each.position != end for each in subscriptions):
            await asyncio.sleep(0)


async def hear(subscription: Subscription[list[Order]], into: list[Order]) -> None:
    while (portion := await subscription.next()) is not None:
        into += portion.chunk or []


def orders_of(told: Iterable[Told]) -> list[Order]:
    return [each.order for each in told]


@settings(deadline=None)
@given(filters, st.lists(kinds, max_size=4))
def test_what_may_be_admitted_is_never_passed_over(wanted: Wanted, given_kinds: list[Kind]) -> None:
    events = [made(number, kind) for number, kind in enumerate(given_kinds)]
    told = [Told(event.order, event.encode(), event) for event in events]

    if any(wanted.admits(event) for event in events):
        assert wanted.may_admit(values_of(told))
