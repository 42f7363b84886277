"""The same events over a WebSocket."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from live_service import Api, enqueue
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from encola.store import run
from harness import Bench
from support import wait_until


class Talk:
    """A client."""

    def __init__(self, api: Api, **options: Any) -> None:
        self._stack = ExitStack()
        address = api.address.replace("http", "ws") + "/ws"
        self.socket: ClientConnection = self._stack.enter_context(
            connect(address, proxy=None, **options)
        )

    def close(self) -> None:
        self._stack.close()

    def say(self, action: str = "subscribe", **more: Any) -> None:
        self.socket.send(json.dumps({"action": action, **more}))

    def hear(self, timeout: float = 10) -> Any:
        return json.loads(self.socket.recv(timeout))

    def hear_tasks(self, count: int) -> list[str]:
        """Ids of the next so many events."""
        found: list[str] = []
        while len(found) < count:
            heard = self.hear()
            if heard["event"] == "task":
                found.append(heard["id"])
        return found

    def hears_nothing(self) -> bool:
        try:
            return bool(self.hear(0.5)["event"] == "heartbeat")
        except TimeoutError:
            return True


@pytest.fixture
def talk(api: Api) -> Iterator[Talk]:
    made = Talk(api)
    yield made
    made.close()


def stored(bench: Bench) -> list[str]:
    return [entry.decode() for entry, _ in bench.client.xrange("encola:events")]


def test_a_subscriber_is_told_as_the_contract_has_it(bench: Bench, talk: Talk) -> None:
    talk.say()
    hello = talk.hear()
    [task_id] = enqueue(bench, user_id="7")
    heard = talk.hear()

    assert hello == {"event": "hello", "id": "0-0", "data": {"last_event_id": "0-0"}}
    assert (heard["event"], heard["id"]) == ("task", stored(bench)[0])
    assert (heard["data"]["task_id"], heard["data"]["state"]) == (task_id, "PENDING")


def test_a_filter_can_be_changed_without_missing_anything(bench: Bench, talk: Talk) -> None:
    talk.say(filter={"type": "a", "queue": ["encola"]})
    talk.hear()
    first = enqueue(bench, type_="a")[0]
    enqueue(bench, type_="b")
    assert talk.hear()["data"]["task_id"] == first
    talk.say(filter={"type": ["b", "c"]})
    talk.hear()
    second = enqueue(bench, type_="b")[0]
    heard = [talk.hear()["data"]["task_id"]]
    if heard[0] != second:
        # It went on where it was, which was before what came in between.
        heard = [talk.hear()["data"]["task_id"]]

    assert heard == [second]
    talk.say("unsubscribe")
    talk.say("nonsense")
    assert talk.hear()["event"] == "error"
    enqueue(bench, type_="b")
    assert talk.hears_nothing()


def test_who_comes_back_goes_on_after_the_last_id(bench: Bench, api: Api) -> None:
    enqueue(bench, 500)
    heard: list[str] = []
    for last, count in (("0-0", 200), (None, 300)):
        talk = Talk(api)
        talk.say(last_event_id=last or heard[-1])
        heard += talk.hear_tasks(count)
        talk.close()

    assert heard == stored(bench)


def test_what_is_no_longer_kept_is_said(bench: Bench, talk: Talk) -> None:
    enqueue(bench, 20)
    bench.client.xtrim("encola:events", maxlen=5, approximate=False)
    talk.say(last_event_id="1-0")
    talk.hear()
    gap = talk.hear()

    assert (gap["event"], gap["data"]) == ("gap", {"last_event_id": "1-0"})
    assert gap["id"] == stored(bench)[-1]


def test_all_that_goes_out_together_may_come_as_one_message(bench: Bench, talk: Talk) -> None:
    talk.say(batch=True, last_event_id="0-0")
    talk.hear()
    enqueue(bench, 50)
    heard: list[str] = []
    messages = 0
    while len(heard) < 50:
        found = talk.hear()
        messages += 1
        heard += [one["id"] for one in found]

    assert heard == stored(bench)
    assert messages < 25


NONSENSE = (
    "",
    "no JSON",
    "[]",
    '{"action": "shout"}',
    '{"action": "subscribe", "filter": {"state": "GONE"}}',
    '{"action": "subscribe", "filter": {"nothing": "x"}}',
    '{"action": "subscribe", "last_event_id": "x"}',
    '{"action": "subscribe", "filter": {"type": [1]}}',
)


def test_what_is_not_understood_is_answered_and_the_connection_stays(talk: Talk) -> None:
    for text in NONSENSE:
        talk.socket.send(text)
        problem = talk.hear()

        assert (problem["event"], problem["data"]["code"]) == ("error", "validation"), text
    talk.say()
    assert talk.hear()["event"] == "hello"


@pytest.mark.parametrize(
    "given",
    [
        {"last_event_id": "", "filter": None},
        {"filter": {"type": "", "state": None, "queue": []}},
        {"filter": {"type": ["", "t"]}},
    ],
)
def test_what_is_given_and_empty_is_not_given(
    bench: Bench, talk: Talk, given: dict[str, Any]
) -> None:
    """As in a query."""
    talk.say(**given)
    hello = talk.hear()
    enqueue(bench, 1)

    assert hello["event"] == "hello", hello
    assert talk.hear_tasks(1) == stored(bench)


def test_a_page_of_another_site_cannot_listen(api: Api) -> None:
    with pytest.raises(InvalidStatus) as refused:
        Talk(api, origin="http://evil.example")

    assert 403 == refused.value.response.status_code


def test_a_message_that_is_too_large_ends_the_connection(talk: Talk) -> None:
    talk.socket.send("x" * 70_000)
    with pytest.raises(ConnectionClosed):
        talk.hear()


def test_one_that_does_not_read_is_cut_off_and_holds_up_nobody(
    bench: Bench, api: Api, talk: Talk
) -> None:
    slow = Talk(api, max_queue=1)
    slow.say()
    talk.say()
    talk.hear()
    sent = 0

    def is_cut() -> bool:
        nonlocal sent
        enqueue(bench, 400)
        sent += 400
        talk.hear_tasks(400)
        return "cut off" in api.log_path.read_text()

    wait_until(is_cut, description="the slow one is cut off", timeout=90)
    with pytest.raises(ConnectionClosed):
        for _ in range(1_000_000):
            slow.socket.recv(5)
    slow.close()


def test_an_open_socket_does_not_hold_up_a_stop(api: Api, talk: Talk) -> None:
    talk.say()
    talk.hear()
    code = api.stop()

    assert code in (0, -signal.SIGTERM)
    assert not api.was_held_up()
    with pytest.raises(ConnectionClosed) as closed:
        talk.hear()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012


def test_the_socket_outlives_the_store(bench: Bench, talk: Talk) -> None:
    talk.say()
    talk.hear()
    enqueue(bench, 5)
    heard = talk.hear_tasks(5)
    bench.server.kill(signal.SIGKILL)
    bench.server.start()
    enqueue(bench, 5)
    heard += talk.hear_tasks(5)

    assert heard == stored(bench)
    run(bench.client, bench.verbs.heartbeat("w", 1000, register=True))
