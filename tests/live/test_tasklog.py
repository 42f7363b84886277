"""The log of a running task, in this very process and without a server."""

from __future__ import annotations

import contextvars
import io
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest

from encola import tasklog
from encola.tasklog import TaskLog, Tee
from support import wait_until


class Store:
    """Takes lines, when it is let."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.messages: list[str] = []
        self.is_open = threading.Event()
        self.is_asked = threading.Event()
        monkeypatch.setattr(tasklog, "connect", lambda *_, **__: None)
        monkeypatch.setattr(tasklog, "resolve_redis_url", lambda _: "redis://nowhere")
        monkeypatch.setattr(tasklog, "run", self._take)

    def _take(self, client: object, call: Any) -> None:
        self.is_asked.set()
        assert self.is_open.wait(20)
        # id, token, lines that were left out, line: from the seventh argument on.
        self.messages += [orjson.loads(line)["message"] for line in call.argv[9::4]]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    return Store(monkeypatch)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> TaskLog:
    made = TaskLog()
    monkeypatch.setattr(tasklog, "_log", made)
    return made


@pytest.fixture
def threads_that_change_often() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(usual)


def test_the_end_waits_for_the_lines_that_are_being_sent(store: Store, log: TaskLog) -> None:
    """They have left the run, and are not in the store yet: the outcome must not come before them."""

    def work() -> None:
        run = log.begin("t", 1)
        log.write(run, "info", "shop", "the last line", 0.0)
        assert store.is_asked.wait(20)
        log.end(run)

    with ThreadPoolExecutor(1) as pool:
        ends = pool.submit(work)
        wait_until(store.is_asked.is_set, description="the line is on its way")
        with pytest.raises(TimeoutError):
            ends.result(0.3)
        store.is_open.set()
        ends.result(20)

        assert store.messages == ["the last line"]


@pytest.mark.usefixtures("threads_that_change_often")
def test_lines_that_threads_print_at_once_stay_whole(store: Store, log: TaskLog) -> None:
    """A line and its end are two writes."""
    store.is_open.set()
    run = log.begin("t", 1)
    stream = Tee(io.StringIO(), "stdout")

    def speak(name: int) -> None:
        for number in range(200):
            print(f"thread {name} line {number}", file=stream)
        print(f"thread {name} ends", file=stream, end="")

    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(speak, name))
        for name in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.end(run)

    for name in range(4):
        said = [f"thread {name} line {n}" for n in range(200)] + [f"thread {name} ends"]
        assert said == [m for m in store.messages if m.startswith(f"thread {name} ")]
    assert len(store.messages) == 4 * 201


def test_threads_of_the_same_number_write_lines_of_their_own(store: Store, log: TaskLog) -> None:
    """The system gives it to the next when one has ended, also one that has not ended its line."""
    store.is_open.set()
    run = log.begin("t", 1)
    stream = Tee(io.StringIO(), "stdout")
    numbers = set()
    for name in range(50):
        context = contextvars.copy_context()
        thread = threading.Thread(
            target=context.run, args=(print, name), kwargs={"file": stream, "end": ""}
        )
        thread.start()
        numbers.add(thread.ident)
        thread.join()
    log.end(run)

    assert len(numbers) < 50
    assert sorted(map(int, store.messages)) == list(range(50))


def test_a_run_that_wrote_nothing_asks_no_store(store: Store, log: TaskLog) -> None:
    log.end(log.begin("t", 1))

    assert not store.is_asked.is_set()
