"""The live stream over HTTP: complete, in order, resumed, and never held up by anybody."""

from __future__ import annotations

import contextlib
import signal
import socket

import httpx
import pytest
from live_service import Api, Listen, Listener, enqueue
from websockets.sync.client import connect

from encola.store import run
from harness import Bench
from support import wait_until


def work(bench: Bench, ids: list[str]) -> None:
    """Plays the worker: claims, starts, reports and settles each."""
    run(bench.client, bench.verbs.heartbeat("w", 60_000, register=True))
    while claimed := run(bench.client, bench.verbs.claim("w", 100, ["encola"])).messages:
        for message in claimed:
            run(bench.client, bench.verbs.start(message.id, message.token))
            run(bench.client, bench.verbs.progress(message.id, message.token, b'{"current":1}'))
            run(bench.client, bench.verbs.settle(message.id, message.token, "SUCCESS", b"1"))


def stored(bench: Bench) -> list[str]:
    return [entry.decode() for entry, _ in bench.client.xrange("encola:events")]


def test_a_change_is_told_as_the_contract_has_it(bench: Bench, api: Api, listen: Listen) -> None:
    """id, event, and one line of data with the documented fields."""
    listener = listen()
    [task_id] = enqueue(bench, user_id="7")
    work(bench, [task_id])
    listener.wait_for(4)
    told = [data for name, _, data in listener.events if name == "task"]

    assert [(e["state"], e["status"], e["attempt"]) for e in told] == [
        ("PENDING", "pending", 0),
        ("STARTED", "running", 1),
        ("PROCESSING", "running", 1),
        ("SUCCESS", "completed", 1),
    ]
    assert set(told[0]) == {
        *("task_id", "type", "state", "status", "queue", "user_id", "attempt", "at")
    }
    assert (told[0]["user_id"], told[0]["queue"], told[2]["progress"]) == (
        "7",
        "encola",
        {"current": 1},
    )
    assert told[0]["at"].endswith("Z")
    assert listener.ids() == stored(bench)


def test_the_head_of_the_stream_says_when_to_come_back(api: Api) -> None:
    with httpx.stream("GET", api.address + "/events", timeout=5) as response:
        first = next(response.iter_text())

    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert first.startswith("retry: 2000\nid: 0-0\nevent: hello\ndata: {")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("type=a", {"a1"}),
        ("type=a&type=b", {"a1", "b1"}),
        ("user_id=7", {"b1"}),
        ("queue=files", {"c1"}),
        ("state=REVOKED", {"c1"}),
        ("type=a&user_id=7", set()),
        ("type=&state=", {"a1", "b1", "c1"}),
    ],
)
def test_a_filter_lets_through_what_fits(
    bench: Bench, listen: Listen, query: str, expected: set[str]
) -> None:
    """Of each field any of its values, and all the fields given."""
    everything, some = listen(), listen(f"/events?{query}")
    names = {
        enqueue(bench, type_="a")[0]: "a1",
        enqueue(bench, type_="b", user_id="7")[0]: "b1",
        enqueue(bench, type_="c", queue="files")[0]: "c1",
    }
    cancelled = next(task_id for task_id, name in names.items() if name == "c1")
    run(bench.client, bench.verbs.cancel(cancelled))
    everything.wait_for(4)
    # What is visible to one is visible to all in the same tick; this one comes after.
    enqueue(bench, type_="last")
    everything.wait_for(5)
    wait_until(
        lambda: {names.get(t) for t, _ in some.tasks()} - {None} == expected,
        description=f"just {expected} came",
        timeout=5,
    )


@pytest.mark.parametrize(
    ("path", "headers", "loc"),
    [
        ("/events?state=GONE", {}, ["query", "state"]),
        ("/events?last_event_id=x", {}, ["query", "last_event_id"]),
        ("/events", {"Last-Event-ID": "1-2-3"}, ["header", "last-event-id"]),
        ("/events?" + "&".join(f"type={n}" for n in range(101)), {}, ["query", "type"]),
    ],
)
def test_what_cannot_be_meant_is_refused(
    api: Api, path: str, headers: dict[str, str], loc: list[str]
) -> None:
    answer = httpx.get(api.address + path, headers=headers)

    assert (422, "validation") == (answer.status_code, answer.json()["code"])
    assert loc == answer.json()["errors"][0]["loc"]


def test_one_task_begins_with_how_it_stands(bench: Bench, api: Api, listen: Listen) -> None:
    """Who asks after the end is told of the end; who asks before it is told of it when it comes."""
    ended, waiting, other = enqueue(bench, 3)
    run(bench.client, bench.verbs.cancel(ended))
    late, early = listen(f"/tasks/{ended}/events"), listen(f"/tasks/{waiting}/events")
    late.wait_for(1)
    early.wait_for(1)
    run(bench.client, bench.verbs.cancel(other))
    run(bench.client, bench.verbs.cancel(waiting))
    early.wait_for(2)

    assert [(ended, "REVOKED")] == late.tasks()
    assert [(waiting, "PENDING"), (waiting, "REVOKED")] == early.tasks()
    assert late.events[-1][2]["error"] == "cancelled"
    assert 404 == httpx.get(f"{api.address}/tasks/nobody/events").status_code


def test_some_tasks_alone_can_be_listened_to(bench: Bench, listen: Listen) -> None:
    first, other, second = enqueue(bench, 3)
    listener = listen(f"/events?task_id={first}&task_id={second}")
    for task_id in (other, first, second):
        run(bench.client, bench.verbs.cancel(task_id))
    listener.wait_for(2)

    assert [(first, "REVOKED"), (second, "REVOKED")] == listener.tasks()


def test_a_subscriber_that_drops_again_and_again_misses_nothing(
    bench: Bench, listen: Listen
) -> None:
    """2,000 events while the line breaks twenty times: all told, once, in order."""
    listener = listen()
    for _ in range(20):
        work(bench, enqueue(bench, 25))
        listener.drop()
    listener.wait_for(2000)

    assert listener.ids() == stored(bench)
    assert listener.connections > 5
    assert "gap" not in listener.names()


def test_who_was_away_for_long_catches_up_from_the_stream(bench: Bench, api: Api) -> None:
    """More than the process keeps in memory: read from the store, page by page."""
    first = Listener(api.address, comes_back=False).wait_open()
    enqueue(bench, 1)
    first.wait_for(1)
    first.close()
    enqueue(bench, 12_000)
    last = first.last_id
    back = Listener(api.address, f"/events?last_event_id={last}")
    back.wait_for(12_000, timeout=40)
    back.close()

    assert [*first.ids(), *back.ids()] == stored(bench)


def test_a_restart_of_the_store_loses_and_repeats_nothing(bench: Bench, listen: Listen) -> None:
    listener = listen()
    enqueue(bench, 50)
    listener.wait_for(50)
    bench.server.kill(signal.SIGKILL)
    bench.server.start()
    enqueue(bench, 50)
    listener.wait_for(100)

    assert listener.ids() == stored(bench)
    assert listener.connections == 1
    assert "gap" not in listener.names()


def test_an_api_that_is_killed_and_started_again_goes_on(
    bench: Bench, api: Api, listen: Listen
) -> None:
    listener = listen()
    enqueue(bench, 50)
    listener.wait_for(50)
    api.stop(signal.SIGKILL)
    enqueue(bench, 50)
    api.start()
    enqueue(bench, 50)
    listener.wait_for(150)

    assert listener.ids() == stored(bench)


def test_what_is_no_longer_kept_is_said(bench: Bench, api: Api) -> None:
    """The stream was shortened past the last id: gap, and then what happens from here on."""
    listener = Listener(api.address, comes_back=False).wait_open()
    enqueue(bench, 10)
    listener.wait_for(10)
    listener.close()
    enqueue(bench, 20)
    end = stored(bench)[-1]
    api.stop()
    bench.client.xtrim("encola:events", maxlen=5, approximate=False)
    api.start()
    back = Listener(api.address, f"/events?last_event_id={listener.last_id}").wait_open()
    wait_until(lambda: "gap" in back.names(), description="the gap is told")
    enqueue(bench, 3)
    back.wait_for(3)
    back.close()
    gap = next((event_id, data) for name, event_id, data in back.events if name == "gap")

    assert gap == (end, {"last_event_id": listener.last_id})
    assert back.ids() == stored(bench)[-3:]


def test_an_id_of_another_store_is_a_gap(bench: Bench, api: Api) -> None:
    back = Listener(api.address, "/events?last_event_id=9999999999999-0").wait_open()
    enqueue(bench, 1)
    wait_until(lambda: "gap" in back.names(), description="the gap is told")
    back.close()


def test_a_store_that_comes_back_emptied_is_a_gap_for_all(bench: Bench, listen: Listen) -> None:
    """Somebody flushed the server: who listens is told to load anew, and hears what follows."""
    listener = listen()
    enqueue(bench, 5)
    listener.wait_for(5)
    bench.client.flushall()
    bench.client.client_kill_filter(_type="normal", skipme=True)
    wait_until(lambda: "gap" in listener.names(), description="the gap is told", timeout=15)
    enqueue(bench, 2)
    listener.wait_for(7)

    assert listener.ids()[5:] == stored(bench)


def test_a_store_that_was_emptied_and_written_to_is_a_gap_as_well(
    bench: Bench, api: Api, listen: Listen
) -> None:
    """Also for who was away meanwhile: new events do not make it the store that it was."""
    listener = listen()
    enqueue(bench, 5)
    listener.wait_for(5)
    away = listener.last_id
    assert api.process is not None
    api.process.send_signal(signal.SIGSTOP)
    bench.client.client_kill_filter(_type="normal", skipme=True)
    bench.client.flushall()
    enqueue(bench, 2)
    api.process.send_signal(signal.SIGCONT)
    wait_until(lambda: "gap" in listener.names(), description="the gap is told", timeout=15)
    enqueue(bench, 2)
    listener.wait_for(7)
    back = listen(f"/events?last_event_id={away}")
    wait_until(lambda: "gap" in back.names(), description="who was away is told")

    assert listener.ids()[5:] == stored(bench)[2:]
    assert "task" not in back.names()


def test_a_store_that_is_emptied_under_us_is_a_gap(bench: Bench, listen: Listen) -> None:
    """No connection breaks, and the new ids are below the old ones: nothing would come any more."""
    fields = {"t": "x", "y": "t", "s": "PENDING", "q": "encola", "u": "", "a": 0, "m": 1}
    listener = listen()
    bench.client.xadd("encola:events", fields, id="9999999999999-0")
    listener.wait_for(1)
    bench.client.flushall()
    enqueue(bench, 2)
    wait_until(lambda: "gap" in listener.names(), description="the gap is told", timeout=15)
    enqueue(bench, 2)
    listener.wait_for(3)

    assert listener.ids()[1:] == stored(bench)[2:]


def test_one_that_does_not_read_holds_up_nobody(bench: Bench, api: Api, listen: Listen) -> None:
    """It is cut off; the others hear everything meanwhile; back again, it misses nothing."""
    quick = listen()
    slow = socket.create_connection(("127.0.0.1", api.port))
    # Through a smaller window the megabytes on their way at the end would take minutes.
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    slow.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    head = slow.recv(1024)
    sent = 0

    def is_cut() -> bool:
        nonlocal sent
        # Long ones: the slow one's buffers are the sooner full.
        enqueue(bench, 400, type_="t" * 100, user_id="u" * 200)
        sent += 400
        quick.wait_for(sent)
        return "cut off" in api.log_path.read_text()

    with slow:
        wait_until(is_cut, description="the slow one is cut off", timeout=90)
        slow.settimeout(20)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while more := slow.recv(1_000_000):
                received += more

    assert b"text/event-stream" in head
    # Without a farewell, nor a complaint of the server that it is missing.
    assert not received.endswith(b"0\r\n\r\n")
    assert "ERROR" not in api.log_path.read_text()
    assert quick.ids() == stored(bench)[-sent:]


def test_an_open_stream_does_not_hold_up_a_stop(api: Api, listen: Listen) -> None:
    """The process ends its streams itself, and does not wait for who listens to go."""
    listen(comes_back=False)
    code = api.stop()

    # uvicorn ends as the signal would have ended it.
    assert code in (0, -signal.SIGTERM)
    assert not api.was_held_up()


def test_one_that_does_not_read_does_not_hold_up_a_stop_either(
    bench: Bench, api: Api, listen: Listen
) -> None:
    quick = listen()
    with contextlib.ExitStack() as sockets:
        slow, other = (sockets.enter_context(socket.socket()) for _ in range(2))
        for each in (slow, other):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            each.connect(("127.0.0.1", api.port))
        slow.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        slow.settimeout(10)
        came = b""
        while b"hello" not in came:
            # The head of the answer may come by itself.
            part = slow.recv(2000)
            assert part
            came += part
        talk = sockets.enter_context(
            connect(f"ws://127.0.0.1:{api.port}/ws", sock=other, max_queue=1, proxy=None)
        )
        talk.send('{"action": "subscribe"}')
        assert "hello" in talk.recv(10)
        # More than the buffers of both take.
        enqueue(bench, 10_000, type_="t" * 100, user_id="u" * 200)
        quick.wait_for(10_000, timeout=60)
        api.stop()
        talk.close_socket()

    assert not api.was_held_up()
    assert "cut off" in api.log_path.read_text()
    assert "Traceback" not in api.log_path.read_text()


def test_heartbeats_come_while_nothing_happens(bench: Bench, api: Api) -> None:
    """And with them how far the stream was read, for who hears little of it."""
    listener = Listener(api.address, "/events?type=never").wait_open()
    enqueue(bench, 3)
    wait_until(lambda: listener.heartbeats, description="a heartbeat comes", timeout=25)
    listener.close()

    assert listener.last_id == stored(bench)[-1]
