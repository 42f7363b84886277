"""The JavaScript of docs/live.md and docs/acting.md, as the pages have it; tests/live has the Python."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from examples import acting, example
from live_service import Api, enqueue, new_bench
from playwright.sync_api import Page
from window import Open
from wire import wire_to

from harness import Bench
from support import wait_until

KINDS = ["Server-sent events", "WebSocket"]
START = "globalThis.told = []; globalThis.reloads = 0; listen((task) => told.push(task), () => { reloads += 1; });"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = new_bench(tmp_path)
    yield made
    made.close()


@pytest.fixture
def api(bench: Bench) -> Iterator[Api]:
    started = Api(bench).start()
    yield started
    started.close()


def told(page: Page) -> list[tuple[str, str]]:
    found: list[list[str]] = page.evaluate("told.map((task) => [task.task_id, task.state])")
    return [(task_id, state) for task_id, state in found]


def start(page: Page, kind: str) -> None:
    page.evaluate(f"() => {{ {example('JavaScript', kind)}; {START} }}")
    wait_until(lambda: page.evaluate("reloads") == 1, description="it listens")


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_told_every_change_once(opened: Open, bench: Bench, api: Api, kind: str) -> None:
    """Also of what happened while its line was cut; not what its filter leaves out."""
    with wire_to(api.address) as wire:
        page = opened("/health", address=wire.address)
        start(page, kind)
        ids = enqueue(bench, 3, type_="email")
        wait_until(lambda: len(told(page)) == 3, description="three are told")
        wire.cut()
        enqueue(bench, 3, type_="other")
        ids += enqueue(bench, 3, type_="email")
        wire.mend()
        wait_until(lambda: len(told(page)) >= 6, description="it has come back", timeout=20)

        assert [(task_id, "PENDING") for task_id in ids] == told(page)
        assert 1 == page.evaluate("reloads")
        page.goto("about:blank")


def test_a_page_that_finds_no_store_comes_back(opened: Open, bench: Bench, api: Api) -> None:
    """`EventSource` gives up for good at a 503; the program of the page does not."""
    page = opened("/health", address=api.address)
    bench.server.kill(signal.SIGKILL)
    seen: Counter[int] = Counter()
    page.on("response", lambda answer: seen.update([answer.status]))
    page.evaluate(f"() => {{ {example('JavaScript', KINDS[0])}; {START} }}")
    wait_until(lambda: _look(page) and seen[503] >= 1, description="it is refused")
    bench.server.start()
    wait_until(lambda: page.evaluate("reloads") == 1, description="it listens", timeout=20)
    [task_id] = enqueue(bench, 1, type_="email")

    wait_until(lambda: told(page) == [(task_id, "PENDING")], description="it is told")
    page.goto("about:blank")


def _look(page: Page) -> Any:
    # Playwright hands on what came only while something is asked of it.
    return page.evaluate("true")


def test_a_page_acts(opened: Open, bench: Bench, api: Api) -> None:
    """Again with another input; all that match, after a question with their number; a queue stands still."""
    mail = {"email": "ana@example.com", "subject": "Once", "body": "…"}
    old = api.call("POST", "/tasks/email/celery", mail)["task_id"]
    api.call("DELETE", f"/tasks/cancel/{old}")
    many = enqueue(bench, 2000, type_="t", queue="files")
    page = opened("/health", address=api.address)
    page.evaluate(
        f"() => {{ {acting('JavaScript')}; Object.assign(globalThis, {{ again, cancelAll, pause }}); }}"
    )
    new = page.evaluate("id => again(id, { subject: 'Once more' })", old)
    asked, told, result = page.evaluate(
        """async () => {
          const asked = [];
          const told = [];
          const no = await cancelAll({ type: 't' }, (count) => asked.push(count) && false, () => 0);
          if (no !== null) throw new Error('it was not asked');
          const result = await cancelAll({ type: 't' }, (count) => asked.push(count), (p) => told.push(p));
          return [asked, told, result];
        }"""
    )
    paused = page.evaluate("pause('files')")
    refused = page.evaluate("again('nobody', {}).catch((error) => error.message)")

    assert api.get(f"/tasks/{new['task_id']}")["input"] == mail | {"subject": "Once more"}
    assert asked == [2000, 2000]
    assert told
    assert {progress["total"] for progress in told} == {2000}
    assert result == {"matched": 2000, "changed": 2000, "skipped": 0}
    assert api.get(f"/tasks/{many[-1]}")["state"] == "REVOKED"
    assert paused["paused"] is True
    assert refused in ("Task not found", "Tarea no encontrada")
