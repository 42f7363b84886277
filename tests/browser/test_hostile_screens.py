"""
Every screen of a service in which everything that a stranger can name is hostile.

What the API would not take is written straight into the store, as a program that shares it could:
ids, task types, queues, users, workers, phases, error codes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import orjson
import pytest
import redis
from playwright.sync_api import Page, expect
from service import Service
from test_hostile import ALL, ATTACKS, calm
from window import Open, find_browser

from encola.store import Keys, Verbs, run
from encola.store.message import Message, encode_body
from encola.store.shapes import LogLine, NewTask

SHORT = ATTACKS[1]
TASK = f"id-1 {SHORT}"
RUNNING = f"id-2 {SHORT}"
COLUMNS = [f"name {SHORT}", f"age {ATTACKS[0]}", f"town {ATTACKS[2]}"]
#: Screen -> where the text is read as it is. Reports are not here: the service itself names them.
SCREENS = {
    "/#/": [".card-type", ".card-id", ".card-error", ".failures li", ".card .bar-words"],
    "/#/tasks": [".row-type", ".row-id", ".row-queue", ".row-user", ".row-input"],
    f"/#/tasks?task={quote(TASK, safe='')}": [".side-panel .facts", ".side-panel .error-text"],
    f"/#/task/{quote(TASK, safe='')}": [
        ".detail-type", ".detail-id", ".error-text", ".code-tag", ".time-worker", ".facts", ".json",
        ".log-source", ".log-message",
    ],
    f"/#/task/{quote(RUNNING, safe='')}": [".bar-words", ".facts"],
    "/#/queues": [".queue h2"],
    "/#/workers": [".queue h2", ".queue .facts", ".running-head"],
    "/#/files": [".line-name"],
    "/#/mailbox": [".mail-subject"],
}  # fmt: skip


@pytest.fixture(scope="module")
def hostile() -> Iterator[Service]:
    find_browser()
    running = Service()
    try:
        running.start()
        write(running)
        yield running
    finally:
        running.close()


def write(service: Service) -> None:
    """One task that failed and one that runs, of a worker of its own; and a mail, and files."""
    said = json.loads((service.folder / "data/run.json").read_text())
    client = redis.Redis.from_url(said["redis_url"])
    verbs = Verbs(Keys("encola:"))
    worker = f"{SHORT}/1"
    info = {"hostname": SHORT, "pid": 1, "queues": [ALL], "slots": 2}
    run(client, verbs.heartbeat(worker, 600_000, info=json.dumps(info), register=True))
    body = encode_body([], {ALL: ALL, "nested": {SHORT: [ALL]}})
    named = {"labels": {SHORT: ALL}, "schedule_id": ALL, "traceparent": ALL, "retried_from": SHORT}
    headers = {"encola": named, "root_id": SHORT, "parent_id": ATTACKS[0], "group": ALL}
    message = Message(SHORT, body, headers).encode()
    for task_id in (TASK, RUNNING):
        new = NewTask(task_id, message, SHORT, SHORT, user_id=SHORT, lease_to=worker)
        run(client, verbs.enqueue([new], 1000))
        run(client, verbs.start(task_id, 1))
        progress = {"current": 1, "total": 2, "status": ALL}
        run(client, verbs.progress(task_id, 1, orjson.dumps(progress), SHORT))
        line = {"at": 1_700_000_000_000, "level": "info", "source": SHORT, "message": ALL}
        run(client, verbs.log([LogLine(task_id, 1, orjson.dumps(line))], 100, 100_000))
    error = {"type": SHORT, "module": SHORT, "message": ALL, "args": [ALL], "traceback": ALL}
    run(client, verbs.settle(TASK, 1, "FAILURE", orjson.dumps(error), error_code=SHORT))
    client.close()
    mail = {"email": "ana@example.com", "subject": SHORT, "body": ALL}
    service.wait_for(service.submit("email", mail), "SUCCESS")


def store_table(service: Service, name: str) -> str:
    """A table whose columns, values and rejected rows are hostile; its path."""
    rows = [[ALL.replace('"', "'"), "41", "x"] for _ in range(20)]
    rows += [["a", SHORT, "x"], ["a", "1", "x", SHORT]]
    quoted = [
        ",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in [COLUMNS, *rows]
    ]
    table = {"file": (name, "\n".join(quoted).encode())}
    stored = httpx.post(f"{service.address}/files", files=table).raise_for_status().json()
    return str(stored["file_path"])


def shown(page: Page, path: str) -> None:
    page.goto(path)
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator(".situation-loading")).to_have_count(0)


def test_every_screen_shows_what_is_hostile_as_text(opened: Open, hostile: Service) -> None:
    """It can be read where it belongs, nothing runs, and the policy has nothing to report."""
    store_table(hostile, "<img src=x onerror=alert(1)>.csv")
    page = opened("/", address=hostile.address)
    for path, places in SCREENS.items():
        shown(page, path)
        for place in places:
            text = page.locator(place).filter(has_text=re.compile(r"onerror|img'\)"))
            expect(text.first, f"{place} of {path}").to_be_visible()
        calm(page)


def test_an_event_brings_hostile_text_too(opened: Open, hostile: Service) -> None:
    """As it comes while the page is open; and what is pressed leads to it, and is as calm."""
    page = opened(f"/#/tasks?user_id={quote(SHORT, safe='')}", address=hostile.address)
    expect(page.locator("tr.row")).to_have_count(2)
    hostile.submit("charge", {"order_id": 1, "cents": 1}, user_id=SHORT, labels={SHORT: SHORT})
    page.locator(".fresh").click()
    expect(page.locator("tr.row")).to_have_count(3)
    page.locator(".row-id", has_text=SHORT[-8:]).last.click()
    expect(page.locator(".side-panel .detail-id")).to_contain_text(SHORT)
    page.keyboard.press("Control+k")
    page.get_by_role("dialog").get_by_role("combobox").fill(TASK.replace(" ", "-"))
    expect(page.get_by_role("dialog").get_by_role("option").first).to_contain_text("onerror")
    calm(page)


def test_a_hostile_table_is_processed_and_read(opened: Open, hostile: Service) -> None:
    """The names of its columns, the reason for what was rejected, and the file of that."""
    path = store_table(hostile, f"{SHORT}.csv")
    task_id = hostile.submit("file", {"file_path": path, "user_id": SHORT})
    hostile.wait_for(task_id, "SUCCESS")
    page = opened(f"/#/task/{task_id}", address=hostile.address)
    expect(page.locator(".part", has_text="Resultado").locator(".json")).to_contain_text("onerror")
    calm(page)
    with page.expect_download() as saved:
        page.locator(".json a", has_text="rejected").click()

    assert "onerror" in Path(saved.value.path()).read_text("utf-8-sig")
    calm(page)
