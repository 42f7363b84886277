"""Reading: what was stored comes back, and pages hold what they should, newest first."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from encola.errors import InvalidQueue, InvalidTaskId
from encola.record import TaskError, TaskRecord, TaskState, from_ms
from encola.store import (
    Filter,
    Keys,
    Message,
    NewTask,
    Page,
    Records,
    Verbs,
    connect_async,
    decode_record,
    encode_body,
    run,
)
from encola.store.events import START, EventStream
from encola.store.records import decode_cursor, encode_cursor, encode_error
from support import Server, Store

R = TypeVar("R")
Read = Callable[[Callable[[Records], Awaitable[Any]]], Any]


@pytest.fixture
def read(server: Server, store: Store) -> Read:
    """Asks something of the records, on an event loop of its own."""

    def ask(question: Callable[[Records], Awaitable[R]]) -> R:
        async def answer() -> R:
            client = connect_async(server.url)
            try:
                return await question(Records(client, store.keys))
            finally:
                await client.aclose()

        return asyncio.run(answer())

    return ask


def new(task_id: str, **values: Any) -> NewTask:
    message = Message(f"tasks.{values.get('type', 'email')}", encode_body([task_id]))
    made = {"queue": "encola", "type": "email"} | values
    return NewTask(task_id, message.encode(), **made)


def ids(page: Page) -> list[str]:
    return [record.id for record in page.items]


def one(read: Read, task_id: str) -> TaskRecord:
    record: TaskRecord | None = read(lambda records: records.get(task_id))
    assert record is not None
    return record


def test_a_full_server_tells_what_happens(server: Server, store: Store, read: Read) -> None:
    """Redis 7.0 refuses every MULTI then; who looks at a task and listens is in need of it most."""
    run(store.client, store.verbs.enqueue([new("a"), new("b")], 100))
    store.client.config_set("maxmemory", "1")

    async def listen(records: Records) -> tuple[TaskRecord | None, list[str]]:
        record, end = await records.get_with_end("a")
        told = await EventStream(records._client, store.keys).after(START, 10)
        assert (True, end) == (told.is_complete, told.end)
        return record, [event.task_id for event in told.events]

    record, told = read(listen)

    assert record is not None
    assert ["a", "b"] == told


def listed(read: Read, wanted: Filter, limit: int = 50, cursor: str | None = None) -> Page:
    page: Page = read(lambda records: records.page(wanted, limit, cursor))
    return page


def walk(read: Read, wanted: Filter, limit: int) -> list[list[str]]:
    """All pages of a list, by its cursors."""
    pages: list[list[str]] = []
    cursor = None
    while True:
        page = listed(read, wanted, limit, cursor)
        pages.append(ids(page))
        cursor = page.next_cursor
        if cursor is None:
            return pages


# --- messages -------------------------------------------------------------------

leaves = st.one_of(
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.text(max_size=20),
    st.floats(allow_nan=False, allow_infinity=False),
)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner)
)
#: What says nothing is left out by design.
said = values.filter(lambda value: value not in (None, {}, [], False, 0, "") and value == value)
headers = st.dictionaries(
    st.text(max_size=12).filter(lambda name: name not in ("id", "task", "wire")), said, max_size=4
)


@given(
    task=st.text(min_size=1, max_size=40),
    args=st.lists(values, max_size=3),
    kwargs=st.dictionaries(st.text(max_size=8), values, max_size=3),
    headers=headers,
    content_type=st.sampled_from(["application/json", "application/x-yaml"]),
    body_encoding=st.sampled_from([None, "base64"]),
)
def test_a_message_comes_back_as_it_was_stored(
    task: str,
    args: list[Any],
    kwargs: dict[str, Any],
    headers: dict[str, Any],
    content_type: str,
    body_encoding: str | None,
) -> None:
    """Encode, then decode, is identity, whatever line breaks and quotes are in it."""
    body = encode_body(args, kwargs)
    if body_encoding:
        body = base64.b64encode(body.encode()).decode()
    message = Message(task, body, headers, content_type, body_encoding=body_encoding)

    back = Message.decode(message.encode())
    assert back == message
    if content_type == "application/json":
        assert back.arguments() == (args, kwargs)


def test_false_is_kept_where_it_says_something() -> None:
    """``ignore_result`` overrides the task's own default also when it is false."""
    message = Message("t", "[]", {"ignore_result": False, "shadow": None, "retries": 0})

    assert Message.decode(message.encode()).headers == {"ignore_result": False}


@pytest.mark.parametrize(
    "body", ["", "5", '{"a":1}', "[]", "[1,2,3]", "[5,{},{}]", '[[],"yz",{}]', '["x",["yz"],{}]']
)
def test_a_body_that_is_no_arguments_shows_none(body: str) -> None:
    """What cannot be shown is not guessed, and stops no list."""
    args, kwargs = Message("t", body).arguments()

    assert isinstance(args, list)
    assert isinstance(kwargs, dict)


@pytest.mark.parametrize("properties", [None, {}, [], [1], "x", 5])
@pytest.mark.parametrize("indent", [None, 2])
def test_an_envelope_is_read_whatever_its_properties_are(
    properties: Any, indent: int | None
) -> None:
    """Also one that was written over several lines."""
    headers = {"id": "a", "task": "t", "eta": "2030-01-01T00:00:00", "lang": "py"}
    envelope = {"body": encode_body([1]), "headers": headers, "properties": properties}
    message = Message.decode(json.dumps(envelope, indent=indent).encode())

    assert (message.task, message.headers) == (
        "t",
        {"lang": "py", "encola": {"source": "stock"}},
    )
    assert message.arguments() == ([1], {})


@pytest.mark.parametrize(
    "stored", [b"", b"x", b"{}", b'{"body": 1}', b'{"body": "half', b"[1]", b"\xff"]
)
def test_what_is_no_message_is_a_value_error(stored: bytes) -> None:
    """The transport parks it; it never stops a worker."""
    with pytest.raises(ValueError):
        Message.decode(stored)


# --- one record -------------------------------------------------------------------


def stored(**fields: bytes | str) -> dict[bytes, bytes]:
    """A hash as the server answers it."""
    base: dict[str, bytes | str] = {
        "x": "encola\x1f3\x1femail\x1fana\x1f\x1f1700000000123\x1f42",
        "m": Message("tasks.mail", encode_body([1], {"k": 2}), {"root_id": "r"}).encode(),
        "st": "PENDING",
    }
    return {
        name.encode(): value if isinstance(value, bytes) else value.encode()
        for name, value in (base | fields).items()
    }


def test_a_record_is_decoded_field_by_field() -> None:
    """Coordinates, message, lease, attempts that ended and the one that runs."""
    record = decode_record(
        "a",
        stored(
            st="PROCESSING",
            w="w2",
            dl="2",
            pl="leased",
            an="2",
            sa="1700000002000",
            c="1",
            rn="0",
            at='[1,"w1",1700000001000,1700000001500,"crashed",1]',
            p='{"current":1}',
            ph="READING",
        ),
    )

    assert (record.queue, record.priority, record.type, record.user_id) == (
        "encola",
        3,
        "email",
        "ana",
    )
    assert (record.name, record.args, record.kwargs, record.root_id) == (
        "tasks.mail",
        [1],
        {"k": 2},
        "r",
    )
    assert record.order == (1700000000123, 42)
    assert record.created_at == from_ms(1700000000123)
    assert (record.state, record.status, record.place) == (
        TaskState.PROCESSING,
        "running",
        "leased",
    )
    assert [(a.number, a.worker, a.outcome, a.token, a.crashed) for a in record.attempts] == [
        (1, "w1", "crashed", 1, True),
        (2, "w2", "", 2, False),
    ]
    assert record.attempts[1].ended_at is None
    assert record.started_at == from_ms(1700000002000)
    assert (record.progress, record.phase, record.crashes) == ({"current": 1}, "READING", 1)


@given(st.builds(TaskError, *[st.text(max_size=30)] * 4, args=st.lists(values, max_size=2)))
def test_an_error_comes_back_as_it_was_stored(error: TaskError) -> None:
    """As text, never as a class."""
    record = decode_record("a", stored(st="FAILURE", e=encode_error(error), ec="smtp"))

    assert record.error == error
    assert record.error_code == "smtp"


def test_a_time_beyond_the_calendar_stops_no_list() -> None:
    """A countdown of ten thousand years is shown as the last moment there is."""
    record = decode_record("a", stored(st="SCHEDULED", pl="delayed", du="9e15"))

    assert record.due_at is not None
    assert record.due_at.year == 9999


@pytest.mark.parametrize("message", [b"", b'{"body": "half', b'{"task":"t"', b'{"task":"t"}\n\xff'])
def test_a_message_that_nobody_can_read_still_has_a_record(message: bytes) -> None:
    """Parked, it can be looked at, and listed with the others."""
    assert decode_record("a", stored(m=message)).args == []


HOSTILE = [
    "ñandú-日本語-🐍",
    "x" * 255,
    "*",
    "t:[a-z]?",
    "a b\tc\nd",
    "'; DROP",
    "\\",
    "encola:t:a",
    "..",
    "%s{0}",
    "\x00",
    "\x1f",
]


def test_hostile_ids_are_ids_like_any_other(store: Store, read: Read) -> None:
    """They are claimed, listed, cancelled and found, each under its own name."""
    client, verbs, _ = store
    run(client, verbs.heartbeat("w", 30_000, register=True))
    run(client, verbs.enqueue([new(name) for name in HOSTILE], 100))
    claimed = run(client, verbs.claim("w", 100, ["encola"])).messages
    for name in HOSTILE[1::2]:
        assert run(client, verbs.cancel(name)) is True

    assert [message.id for message in claimed] == HOSTILE
    assert ids(read(lambda records: records.page(Filter(), 50))) == HOSTILE[::-1]
    revoked = read(lambda records: records.page(Filter(state=TaskState.REVOKED), 50))
    assert ids(revoked) == HOSTILE[1::2][::-1]
    for name in HOSTILE:
        record = one(read, name)
        assert (record.id, record.args) == (name, [name])


@pytest.mark.parametrize("task_id", ["", "x" * 256, "ñ" * 128, '{"id": 1}', "\ud800"])
def test_what_can_be_no_id_is_refused_before_it_is_sent(store: Store, task_id: str) -> None:
    """Empty, longer than 255 bytes, to be taken for an envelope, or no UTF-8."""
    with pytest.raises(InvalidTaskId):
        store.verbs.enqueue([NewTask(task_id, b"", "encola", "email")], 100)


@pytest.mark.parametrize(
    ("namespace", "queue"),
    [
        ("encola", "encola:events"),
        ("encola", "encola:t:some-id"),
        ("encola", "encola\x06\x163"),
        ("encola", ""),
        ("encola", "q" * 256),
        ("shop", "events"),
        ("shop", "t:some-id"),
    ],
)
def test_no_queue_has_the_name_of_a_key_of_ours(namespace: str, queue: str) -> None:
    """A push to ``encola:events`` would put an id where every script appends its event."""
    keys = Keys(f"{namespace}:", "" if namespace == "encola" else f"{namespace}:")

    with pytest.raises(InvalidQueue):
        Verbs(keys).enqueue([NewTask("t1", b"", queue, "email")], 100)


@pytest.mark.parametrize(
    ("namespace", "queue"), [("encola", "a:b"), ("shop", "orders"), ("encola", "ñandú")]
)
def test_other_names_are_names_of_queues(namespace: str, queue: str) -> None:
    """A colon is a name's own business where the name is the whole key."""
    Keys(f"{namespace}:", "" if namespace == "encola" else f"{namespace}:").check_queue(queue)


def test_what_somebody_else_keeps_under_a_queues_name_is_left_alone(store: Store) -> None:
    """Refused as a whole: of two tasks, the one for a free queue is not accepted either."""
    client, verbs, _ = store
    client.hset("basket", "apples", "3")
    both = [NewTask("t1", b"", "encola", "email"), NewTask("t2", b"", "basket", "email")]

    with pytest.raises(InvalidQueue, match="holds a hash under that name"):
        run(client, verbs.enqueue(both, 100))

    assert client.keys("encola*") == []
    client.delete("basket")


def test_hostile_names_of_users_and_types_are_filters_like_any_other(
    store: Store, read: Read
) -> None:
    """Nothing of them is a pattern, and the separator of the coordinates is made a space."""
    for n, name in enumerate(["ana:*", "*", "a\x1fb", "日本"]):
        run(store.client, store.verbs.enqueue([new(f"t{n}", user_id=name, type=name)], 100))

    for n, name in enumerate(["ana:*", "*", "a b", "日本"]):
        for wanted in (Filter(user_id=name), Filter(type=name)):
            assert ids(listed(read, wanted)) == [f"t{n}"]


# --- lists ------------------------------------------------------------------------


@pytest.fixture
def mixed(store: Store) -> list[NewTask]:
    """Sixty tasks, oldest first: types, users and queues in turn; every fifth is cancelled."""
    tasks = [
        new(
            f"t{n:02}",
            type=("email", "file")[n % 2],
            user_id=("ana", "eva", "")[n % 3],
            queue=("encola", "files")[n // 30],
        )
        for n in range(60)
    ]
    run(store.client, store.verbs.enqueue(tasks, 100))
    for task in tasks[::5]:
        run(store.client, store.verbs.cancel(task.id))
    return tasks


WANTED: list[tuple[Filter, Callable[[int, NewTask], bool]]] = [
    (Filter(), lambda n, task: True),
    (Filter(type="file"), lambda n, task: task.type == "file"),
    (Filter(user_id="eva"), lambda n, task: task.user_id == "eva"),
    (Filter(queue="files"), lambda n, task: task.queue == "files"),
    (Filter(state=TaskState.REVOKED), lambda n, task: n % 5 == 0),
    (Filter(state=TaskState.PENDING), lambda n, task: n % 5 != 0),
    (Filter(type="email", user_id="ana"), lambda n, task: n % 2 == 0 and n % 3 == 0),
    (
        Filter(TaskState.REVOKED, "email", "ana", "encola"),
        lambda n, task: n % 5 == 0 and n % 2 == 0 and n % 3 == 0 and n < 30,
    ),
    (Filter(user_id="nobody"), lambda n, task: False),
]


@pytest.mark.parametrize(("wanted", "admits"), WANTED, ids=[str(each) for each, _ in WANTED])
@pytest.mark.parametrize("limit", [1, 7, 200])
def test_pages_hold_every_record_once_newest_first(
    mixed: list[NewTask],
    read: Read,
    wanted: Filter,
    admits: Callable[[int, NewTask], bool],
    limit: int,
) -> None:
    """For each filter and several together; no page is longer than asked, none but the last short."""
    pages = walk(read, wanted, limit)

    expected = [task.id for n, task in enumerate(mixed) if admits(n, task)][::-1]
    assert [task_id for page in pages for task_id in page] == expected
    assert all(len(page) == limit for page in pages[:-1])
    assert pages[-1] or not expected


def test_what_comes_in_meanwhile_does_not_move_the_next_page(
    mixed: list[NewTask], store: Store, read: Read
) -> None:
    """A cursor is a place in the order, not a number of records."""
    first = read(lambda records: records.page(Filter(), 10))
    run(store.client, store.verbs.enqueue([new("late")], 100))
    second = read(lambda records: records.page(Filter(), 10, first.next_cursor))

    assert ids(first) + ids(second) == [f"t{n:02}" for n in range(59, 39, -1)]


def test_counts_by_state(mixed: list[NewTask], read: Read) -> None:
    """One number a state, zero where there is none."""
    counts = read(lambda records: records.count_by_state())

    assert counts == dict.fromkeys(TaskState, 0) | {TaskState.REVOKED: 12, TaskState.PENDING: 48}


def test_an_unknown_id_has_no_record(store: Store, read: Read) -> None:
    """Never a made-up PENDING."""
    assert read(lambda records: records.get("never")) is None
    assert read(lambda records: records.get_many(["never"])) == []


@given(st.tuples(st.integers(0, 2**53), st.integers(1, 2**53)))
def test_a_cursor_comes_back_as_it_was_given(order: tuple[int, int]) -> None:
    """Encode, then decode, is identity."""
    assert decode_cursor(encode_cursor(order)) == order


BAD = ["x", "!!", "=", "MTIz", "LTE", "ñ", "a" * 5000, encode_cursor((0, 0))]
BAD += [encode_cursor((10**30, 1)), encode_cursor((1, 10**30)), encode_cursor((-1, 1))]


@pytest.mark.parametrize("cursor", BAD)
def test_a_cursor_that_is_not_ours_is_refused(store: Store, read: Read, cursor: str) -> None:
    """In words, before anything is asked of the server."""
    with pytest.raises(ValueError) as refused:
        read(lambda records: records.page(Filter(), 10, cursor))

    assert str(refused.value) == ("not a cursor of this list: take next_cursor of an earlier page")


@given(
    cursor=st.one_of(
        st.text(max_size=30),
        st.binary(max_size=20).map(lambda raw: base64.urlsafe_b64encode(raw).decode()),
    )
)
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_is_sent_as_a_cursor_is_a_page_or_refused(
    store: Store, read: Read, cursor: str
) -> None:
    """Never an error of the server."""
    try:
        page = read(lambda records: records.page(Filter(), 10, cursor))
    except ValueError:
        return

    assert page.items == []


def test_results_are_json_of_any_kind(store: Store, read: Read) -> None:
    """Null, too: a task that returned nothing has a result of nothing, not a missing one."""
    client, verbs, _ = store
    results: list[Any] = [None, 0, "", [], {"a": [1, None]}, "日本"]
    for n, value in enumerate(results):
        run(client, verbs.enqueue([new(f"t{n}", lease_to="w")], 100))
        run(client, verbs.settle(f"t{n}", 1, "SUCCESS", orjson.dumps(value)))

        assert one(read, f"t{n}").result == value


def test_tasks_of_a_state_are_listed_by_a_full_server(store: Store, read: Read) -> None:
    """Also by Redis 7.0, which refuses whatever stands in a transaction then."""
    run(store.client, store.verbs.enqueue([new("a")], 10))
    store.client.config_set("maxmemory", "1")
    try:
        page = read(lambda records: records.page(Filter(state=TaskState.PENDING), 10))
    finally:
        store.client.config_set("maxmemory", "0")

    assert ["a"] == ids(page)


SINGLE = [
    Filter(),
    Filter(state=TaskState.PENDING),
    Filter(type="email"),
    Filter(queue="encola"),
    Filter(user_id="ana"),
]


@pytest.mark.parametrize("wanted", SINGLE, ids=str)
def test_a_page_under_one_filter_costs_no_more_where_there_are_more_records(
    store: Store, read: Read, wanted: Filter
) -> None:
    """Ten times as many: the server does as many commands for it, and sends as much."""
    client, verbs, _ = store

    def cost(records: int) -> tuple[int, int]:
        there = client.dbsize()
        for start in range(0, records, 500):
            tasks = [new(f"{there}-{start + n:05}", user_id="ana") for n in range(500)]
            run(client, verbs.enqueue(tasks, 10**9))
        before: Any = client.info("stats")
        listed(read, wanted)
        after: Any = client.info("stats")
        names = ("total_commands_processed", "total_net_output_bytes")
        commands, sent = (after[name] - before[name] for name in names)
        return commands, sent

    few, many = cost(500), cost(4500)

    assert few[0] == many[0]
    assert many[1] < 1.1 * few[1]
