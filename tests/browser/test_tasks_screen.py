"""All tasks: finding them, selecting them, acting on them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from service import Service
from window import Open

from support import wait_until


def row(page: Page, task_id: str):
    return page.locator(f'tr[data-id="{task_id}"]')


def test_luis_looks_for_what_failed(opened: Open, service: Service) -> None:
    """A state's chip filters, the address holds the filter, and "back" takes it off again."""
    failed = service.submit("refuse", {"reason": "tarjeta caducada"}, user_id="luis")
    good = service.submit("charge", {"order_id": 1, "cents": 100}, user_id="luis")
    service.wait_for(failed, "FAILURE")
    service.wait_for(good, "SUCCESS")
    page = opened("/#/tasks")
    expect(row(page, good)).to_be_visible()

    page.get_by_role("button", name=re.compile("^Fallida")).click()
    expect(row(page, failed)).to_be_visible()
    expect(row(page, good)).to_have_count(0)
    assert page.url.endswith("#/tasks?state=FAILURE")

    page.go_back()
    expect(row(page, good)).to_be_visible()


def test_a_view_can_be_sent_to_a_colleague(opened: Open, service: Service) -> None:
    """Filters and the open task come out of the address."""
    task_id = service.submit("charge", {"order_id": 2, "cents": 100}, user_id="marta")
    service.wait_for(task_id, "SUCCESS")
    page = opened(f"/#/tasks?type=charge&user_id=marta&task={task_id}")

    expect(row(page, task_id)).to_have_attribute("aria-current", "true")
    expect(page.get_by_label("Todos los tipos")).to_have_value("charge")
    expect(page.locator(".side-panel .detail-type")).to_have_text("charge")


def test_a_pasted_id_opens_the_task(opened: Open, service: Service) -> None:
    """Whatever the filter shows; what is no id of a task, nor its beginning, finds nothing."""
    task_id = service.submit("charge", {"order_id": 3, "cents": 100})
    page = opened("/#/tasks?state=REVOKED")
    search = page.get_by_label("Id, o su comienzo")
    search.fill(task_id)
    search.press("Enter")
    expect(page.locator(".side-panel")).to_contain_text(task_id)

    search.fill("no-such-task")
    search.press("Enter")
    expect(page.locator(".list-body")).to_contain_text("Ninguna tarea coincide")


def test_escape_closes_the_task_and_gives_the_focus_back(opened: Open, service: Service) -> None:
    """Who works by keyboard goes on where they were."""
    task_id = service.submit("charge", {"order_id": 4, "cents": 100})
    page = opened("/#/tasks")
    row(page, task_id).locator(".row-id").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".side-panel")).to_be_visible()
    page.keyboard.press("Escape")

    expect(page.locator(".side-panel")).to_be_hidden()
    expect(row(page, task_id).locator(".row-id")).to_be_focused()


def test_two_failed_tasks_are_run_again_together(opened: Open, service: Service) -> None:
    """Ticked, asked about with their number, retried: each has a second attempt."""
    ids = [service.submit("refuse", {"reason": "x"}, user_id="bulk") for _ in range(2)]
    for task_id in ids:
        service.wait_for(task_id, "FAILURE")
    page = opened("/#/tasks?user_id=bulk")
    for task_id in ids:
        row(page, task_id).get_by_role("checkbox").check()
    expect(page.locator(".bulk")).to_contain_text("2 seleccionadas")
    page.locator(".bulk").get_by_role("button", name="Reintentar").click()
    expect(page.get_by_role("heading", name="¿Reintentar 2 tareas?")).to_be_visible()
    page.get_by_role("button", name="Sí, reintentar").click()

    expect(page.locator(".notice").first).to_contain_text("Reintentando 2 tareas")
    for task_id in ids:
        wait_until(
            lambda each=task_id: len(service.get(f"/tasks/{each}")["attempts"]) == 2,
            description="it ran a second time",
        )


def test_all_that_match_are_cancelled_not_only_those_in_sight(
    opened: Open, service: Service
) -> None:
    """70 match, 50 are shown; one press, one question with the number, one task that does it."""
    ids = service.submit_many(70, user_id="sweep", countdown=3600)
    page = opened("/#/tasks?user_id=sweep")
    expect(page.locator("tr.row")).to_have_count(50)
    page.get_by_label("Seleccionar todas las que se ven").check()
    everything = page.get_by_role("button", name="Seleccionar todas las que coinciden")
    everything.click()
    expect(page.locator(".bulk")).to_contain_text("Todas las que coinciden")
    # One that is taken out is not acted on with the others.
    row(page, ids[-1]).get_by_role("checkbox").uncheck()
    expect(page.locator(".bulk")).to_contain_text("49 seleccionadas")
    row(page, ids[-1]).get_by_role("checkbox").check()
    everything.click()
    page.locator(".bulk").get_by_role("button", name="Cancelar").click()
    expect(page.get_by_role("heading", name="¿Cancelar 70 tareas?")).to_be_visible()
    page.get_by_role("button", name="Sí, cancelar").click()

    for task_id in (ids[0], ids[-1]):
        service.wait_for(task_id, "REVOKED")
    expect(page.locator(".notice", has_text="Completada: Cancelar varias")).to_be_visible()


def test_a_beginning_of_an_id_narrows_the_list(opened: Open, service: Service) -> None:
    """Enter on what is no whole id."""
    task_id = service.submit("charge", {"order_id": 77, "cents": 1})
    page = opened("/#/tasks")
    search = page.get_by_label("Id, o su comienzo")
    search.fill(task_id[:-3])
    search.press("Enter")

    expect(page.locator("tr.row")).to_have_count(1)
    assert f"search={task_id[:-3]}" in page.url


def test_an_empty_filter_says_so(opened: Open) -> None:
    """And offers the way out."""
    page = opened("/#/tasks?user_id=nobody-at-all")
    expect(page.get_by_text("Ninguna tarea coincide con estos filtros")).to_be_visible()
    page.get_by_role("link", name="Quitar los filtros").click()
    expect(page.locator("tr.row").first).to_be_visible()


def test_a_long_list_is_loaded_in_pages(opened: Open, service: Service) -> None:
    """Fifty at first, the older ones on demand, none twice."""
    for order in range(60):
        service.submit("charge", {"order_id": order, "cents": 1}, user_id="many")
    page = opened("/#/tasks?user_id=many")
    expect(page.locator("tr.row")).to_have_count(50)
    page.get_by_role("button", name="Cargar más antiguas").click()

    expect(page.locator("tr.row")).to_have_count(60)


def test_back_finds_the_place_in_the_list(opened: Open, service: Service) -> None:
    """From the page of a task; a screen that is gone to begins at its top, and its address is right."""
    ids = service.submit_many(40, user_id="place")
    page = opened("/#/tasks?user_id=place")
    expect(page.locator("tr.row")).to_have_count(40)
    page.evaluate("scrollTo(0, 700)")
    wait_until(lambda: page.evaluate("history.state?.y") == 700, description="it is kept")
    page.goto(f"/#/task/{ids[5]}")
    expect(page.locator(".detail-id")).to_contain_text(ids[5])
    assert 0 == page.evaluate("scrollY")

    page.go_back()
    wait_until(lambda: page.evaluate("scrollY") == 700, description="the place is found")
    page.reload()
    wait_until(lambda: page.evaluate("scrollY") == 700, description="the place is found")


@pytest.mark.parametrize("width", [760, 900, 1100])
def test_half_a_screen_shows_what_each_task_is(opened: Open, service: Service, width: int) -> None:
    """The less telling columns make room, and nothing lies beyond the edge."""
    service.submit("echo", {"text": "x"})
    page = opened("/#/tasks", viewport={"width": width, "height": 800})
    expect(page.locator("tr.row").first).to_be_visible()

    assert 180 <= page.locator("td.cell-type").first.evaluate("(cell) => cell.offsetWidth")
    assert width >= page.evaluate("document.documentElement.scrollWidth")
