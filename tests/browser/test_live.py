"""The page moves by itself: nothing is missed, nothing is told twice, nothing jumps."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import httpx
from playwright.sync_api import Page, expect
from service import Service
from window import Open
from wire import wire_to

from support import wait_until

#: Seconds for which the network is away. The promise is 20; try it with ENCOLA_TEST_CUT=20.
CUT = float(os.environ.get("ENCOLA_TEST_CUT", "4"))
LISTEN = """async () => {
    const base = document.querySelector('script[type=module]').src.replace('app.js', '');
    const live = await import(base + 'live.js');
    globalThis.told = [];
    globalThis.reloads = 0;
    live.listen('events', (events) => told.push(...events));
    live.listen('reload', () => { reloads += 1; });
}"""


def listening(opened: Open, path: str, **options: Any) -> Page:
    """A page that notes what its own stream tells it."""
    page = opened(path, **options)
    expect(page.locator(".live-word")).to_have_text("En vivo")
    page.evaluate(LISTEN)
    return page


def story(page: Page, ids: set[str]) -> list[tuple[str, str, str]]:
    told = page.evaluate("told.map(({task_id, state, at}) => [task_id, state, at])")
    return [tuple(each) for each in told if each[0] in ids]


def stream(service: Service, since: str | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Id and data of each event, over a line that nobody cuts; what came after *since*, and what comes."""
    with httpx.stream(
        "GET",
        f"{service.address}/events",
        headers={"Last-Event-ID": since} if since else {},
        timeout=10,
    ) as answer:
        event_id = ""
        for line in answer.iter_lines():
            if line.startswith("id:"):
                event_id = line[3:].strip()
            elif line.startswith("data:"):
                yield event_id, json.loads(line[5:])


def what_was_said(service: Service, since: str, ids: set[str]) -> list[tuple[str, str, str]]:
    """The story that the service itself tells of *ids*, up to the end of the last."""
    said, ended = [], 0
    for _, event in stream(service, since):
        if event.get("task_id") not in ids:
            continue
        said.append((event["task_id"], event["state"], event["at"]))
        ended += event["state"] == "SUCCESS"
        if ended == len(ids):
            break
    return said


def test_a_cut_network_loses_nothing_and_repeats_nothing(opened: Open, service: Service) -> None:
    """500 tasks, the line cut in the middle of them: each change is told once and in order, without a reload."""
    since = next(stream(service))[0]
    with wire_to(service.address) as wire:
        page = listening(opened, "/#/tasks?user_id=cut", address=wire.address)
        before = service.submit_many(200, user_id="cut")
        wire.cut()
        expect(page.locator(".live-word")).to_have_text("Reconectando")
        ids = set(before) | set(service.submit_many(200, user_id="cut"))
        time.sleep(CUT)
        expect(page.locator(".live-age")).to_contain_text("datos de hace")
        wire.mend()
        ids |= set(service.submit_many(100, user_id="cut"))
        expect(page.locator(".live-word")).to_have_text("En vivo", timeout=20_000)
        wait_until(
            lambda: (
                page.evaluate("told.filter(({state}) => state === 'SUCCESS').length") >= len(ids)
            ),
            description="every end was told",
            timeout=30,
        )

        # A task that a worker gave back says PENDING again: what is right is what the service said.
        told = story(page, ids)
        assert what_was_said(service, since, ids) == told
        assert len(set(told)) == len(told)
        for state in ("PENDING", "STARTED", "SUCCESS"):
            assert ids == {task_id for task_id, known, _ in told if known == state}
        assert 0 == page.evaluate("reloads")
        expect(page.locator(".fresh")).to_have_text("500 nuevas")


def test_new_rows_gather_and_never_jump(opened: Open, service: Service) -> None:
    """ "12 nuevas" stands over the list; the rows below stay until it is pressed."""
    first = service.submit_many(3, user_id="calm")
    page = listening(opened, "/#/tasks?user_id=calm")
    rows = page.locator("tr.row")
    expect(rows).to_have_count(3)
    service.submit_many(12, user_id="calm")
    expect(page.locator(".fresh")).to_have_text("12 nuevas")
    assert [*reversed(first)] == rows.evaluate_all("(rows) => rows.map((row) => row.dataset.id)")

    page.locator(".fresh").click()
    expect(rows).to_have_count(15)
    expect(page.locator(".fresh")).to_be_hidden()


def test_a_row_changes_in_its_place(opened: Open, service: Service) -> None:
    """From waiting to completed, with the same element, so a selection in it stays."""
    service.call("POST", "/tasks/types/resize_photos/pause")
    task_id = service.submit("resize_photos", {"album": "x", "photos": 20, "seconds": 3})
    page = listening(opened, f"/#/tasks?task={task_id}")
    row = page.locator(f'tr[data-id="{task_id}"]')
    expect(row.locator(".badge")).to_have_text("Pendiente")
    row.evaluate("(row) => { globalThis.kept = row; }")
    service.call("POST", "/tasks/types/resize_photos/resume")
    expect(row.locator(".badge")).to_have_text("En proceso")
    expect(row.locator(".badge")).to_have_text("Completada", timeout=20_000)
    expect(page.locator(".side-panel .badge").first).to_have_text("Completada")

    assert row.evaluate("(row) => row === kept && row.isConnected")


#: Keeps back the first answer to *path*, once it has come, until `letGo()`.
HOLD = """(path) => {
    const now = fetch;
    let isFirst = true;
    const { promise, resolve } = Promise.withResolvers();
    globalThis.letGo = resolve;
    globalThis.isHeld = false;
    globalThis.fetch = async (...asked) => {
        const isHeld = isFirst && `${asked[0]}&`.startsWith(`${path}&`);
        isFirst &&= !isHeld;
        const answer = await now(...asked);
        globalThis.isHeld ||= isHeld;
        if (isHeld) await promise;
        return answer;
    };
}"""


def test_what_happens_while_a_task_is_asked_for_is_not_lost(opened: Open, service: Service) -> None:
    """Its first answer is older than the event that comes before it."""
    task_id = service.submit("talk", {"lines": 1, "seconds": 600})
    service.wait_for(task_id, "STARTED")
    page = listening(opened, "/")
    page.evaluate(HOLD, f"/tasks/{task_id}")
    page.evaluate(f"location.hash = '#/task/{task_id}'")
    wait_until(lambda: page.evaluate("isHeld"), description="it was asked for")
    service.call("DELETE", f"/tasks/cancel/{task_id}")
    wait_until(lambda: story(page, {task_id}), description="its end was told")
    page.evaluate("letGo()")

    expect(page.locator(".detail .badge").first).to_have_text("Cancelada")


def test_what_happens_while_the_list_is_asked_for_is_not_lost(
    opened: Open, service: Service
) -> None:
    """A row that ends meanwhile, and a task that is new since the list was read."""
    task_id = service.submit("charge", {"order_id": 1, "cents": 1}, user_id="race", countdown=3600)
    page = listening(opened, "/")
    page.evaluate(HOLD, "/tasks?user_id=race")
    page.evaluate("location.hash = '#/tasks?user_id=race'")
    wait_until(lambda: page.evaluate("isHeld"), description="it was asked for")
    service.call("DELETE", f"/tasks/cancel/{task_id}")
    [new] = service.submit_many(1, user_id="race", countdown=3600)
    wait_until(
        lambda: {task_id, new} <= {told[0] for told in story(page, {task_id, new})},
        description="both were told",
    )
    page.evaluate("letGo()")

    expect(page.locator(f'tr[data-id="{task_id}"] .badge')).to_have_text("Cancelada")
    expect(page.locator(".fresh")).to_have_text("1 nueva")


def test_what_is_being_typed_stays(opened: Open, service: Service) -> None:
    """Text, focus and caret, while tasks come and go around the form."""
    page = listening(opened, "/")
    field = page.locator(".task-form").get_by_label("Asunto")
    field.press_sequentially("Ho")
    service.submit_many(40)
    wait_until(lambda: page.evaluate("told.length") > 100, description="events came")
    field.press_sequentially("la")

    expect(field).to_have_value("Hola")
    expect(field).to_be_focused()


def test_pause_keeps_the_page_still_and_resume_catches_up(opened: Open, service: Service) -> None:
    """Paused it says how old the data is; resumed it has missed nothing."""
    page = listening(opened, "/#/tasks?user_id=pause")
    page.locator(".live").click()
    expect(page.locator(".live-word")).to_have_text("En pausa")
    ids = set(service.submit_many(5, user_id="pause"))
    for task_id in ids:
        service.wait_for(task_id, "SUCCESS")
    assert [] == story(page, ids)

    page.locator(".live").click()
    expect(page.locator(".fresh")).to_have_text("5 nuevas")
    ends = [task_id for task_id, state, _ in story(page, ids) if state == "SUCCESS"]
    assert sorted(ids) == sorted(ends)


def test_a_store_that_is_away_is_no_calm(opened: Open, service: Service) -> None:
    """The line stands and nothing comes: the badge does not say "live"; when it is back all is loaded."""
    page = listening(opened, "/#/new?type=charge")
    away = {"code": "store_unavailable", "detail": "The store did not answer."}
    page.route("**/tasks?*", lambda route: route.fulfill(status=503, json=away))
    page.route("**/ready", lambda route: route.fulfill(status=503, json={}))
    page.evaluate("location.hash = '#/tasks'")
    expect(page.get_by_text("El almacén no responde.")).to_be_visible()
    expect(page.locator(".live-word")).to_have_text("Reconectando")
    expect(page.locator(".live-age")).to_contain_text("datos de hace")

    page.unroute("**/tasks?*")
    service.submit("charge", {"order_id": 1, "cents": 1})
    page.unroute("**/ready")
    expect(page.locator("tr.row").first).to_be_visible()
    expect(page.locator(".live-word")).to_have_text("En vivo")
    assert 1 == page.evaluate("reloads")


def test_a_hidden_tab_rests(opened: Open, service: Service) -> None:
    """It holds no connection while nobody looks, and catches up when somebody does."""
    page = opened("/#/tasks?user_id=hidden")
    expect(page.locator(".live-word")).to_have_text("En vivo")
    page.clock.install()
    show = """(hidden) => {
        Object.defineProperty(document, 'hidden', {configurable: true, value: hidden});
        document.dispatchEvent(new Event('visibilitychange'));
    }"""
    page.evaluate(show, True)
    page.clock.fast_forward(25_000)
    expect(page.locator(".live-word")).to_have_text("En pausa")
    service.submit_many(4, user_id="hidden")
    page.evaluate(show, False)
    page.clock.resume()

    expect(page.locator(".live-word")).to_have_text("En vivo")
    expect(page.locator(".fresh")).to_have_text("4 nuevas")


def test_who_submitted_is_told_of_the_end_wherever_they_are(opened: Open, service: Service) -> None:
    """A notice on another screen, that leads to the task."""
    page = opened("/#/new?type=refuse")
    page.get_by_label("Reason").fill("para avisar")
    page.get_by_role("button", name="Crear Tarea").click()
    page.wait_for_url("**/#/task/*")
    page.goto("/#/mailbox")

    expect(page.locator(".notice-error", has_text="Falló: refuse")).to_be_visible()


def test_a_hidden_page_tells_by_a_notification(opened: Open, service: Service) -> None:
    """Where it was allowed; and the tab keeps its line until the task has ended."""
    page = opened("/#/new?type=resize_photos")
    page.evaluate(
        """() => {
            globalThis.shown = [];
            globalThis.Notification = class extends EventTarget {
                static permission = 'granted';
                constructor(title, {body}) { super(); shown.push(body); }
            };
        }"""
    )
    page.get_by_label("Album").fill("Verano")
    page.get_by_role("button", name="Crear Tarea").click()
    page.wait_for_url("**/#/task/*")
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true})")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    wait_until(lambda: page.evaluate("shown.length"), description="a notification is shown")
    assert ["Completada: resize_photos"] == page.evaluate("shown")


def test_a_flood_does_not_hold_up_the_page(opened: Open, service: Service) -> None:
    """Hundreds of changes a second are shown together, once a frame, and ask the service for little."""
    page = listening(opened, "/#/tasks")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate(
        """async () => {
            const base = document.querySelector('script[type=module]').src.replace('app.js', '');
            const live = await import(base + 'live.js');
            globalThis.frames = 0;
            globalThis.handed = 0;
            const frame = () => { frames += 1; requestAnimationFrame(frame); };
            requestAnimationFrame(frame);
            live.listen('events', () => { handed += 1; });
        }"""
    )
    ids = service.submit_many(400)
    service.wait_for(ids[-1], "SUCCESS")
    wait_until(lambda: page.evaluate("told.length") >= 1200, description="all was told", timeout=20)
    frames, handed, rows = page.evaluate(
        "[frames, handed, document.querySelectorAll('[data-key]').length]"
    )

    assert 0 < handed <= frames
    assert len(asked) < 1200 / 10
    assert rows <= 100
