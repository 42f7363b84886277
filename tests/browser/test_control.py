"""Queues, task types and workers: seeing them, holding them, letting them go."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from service import Service
from window import Open


@pytest.fixture(autouse=True)
def let_go(service: Service) -> Iterator[None]:
    """Whatever a test held is let go."""
    yield
    for path in ("/queues/encola/resume", "/tasks/types/charge/resume"):
        service.call("POST", path)
    for worker in service.get("/workers")["items"]:
        service.call("POST", f"/workers/{worker['id'].replace('/', '%2F')}/resume")


def queue(page: Page, name: str):
    return page.locator(".queue").filter(has=page.get_by_role("link", name=name, exact=True))


def test_a_queue_is_paused_and_resumed(opened: Open, service: Service) -> None:
    """Tasks wait meanwhile, say why, and run afterwards."""
    page = opened("/#/queues")
    encola = queue(page, "encola")
    encola.get_by_role("button", name="Pausar").click()
    expect(encola.locator(".mark")).to_have_text("En pausa")
    task_id = service.submit("charge", {"order_id": 1, "cents": 1})
    expect(encola.locator(".numbers dd").first).to_have_text("1")

    task = opened(f"/#/task/{task_id}")
    expect(task.locator(".waiting")).to_contain_text("La cola encola está en pausa")
    encola.get_by_role("button", name="Reanudar").click()
    expect(encola.locator(".mark")).to_be_hidden()
    expect(task.locator(".detail .badge")).to_have_text("Completada")
    expect(task.locator(".waiting")).to_be_hidden()


def test_emptying_a_queue_says_how_many_first(opened: Open, service: Service) -> None:
    """Then they are cancelled."""
    service.call("POST", "/queues/encola/pause")
    ids = service.submit_many(7)
    page = opened("/#/queues")
    queue(page, "encola").get_by_role("button", name="Vaciar").click()
    expect(page.get_by_text("Se cancelan 7 tareas que esperan.")).to_be_visible()
    page.get_by_role("button", name="Sí, vaciar").click()

    service.wait_for(ids[-1], "REVOKED")
    expect(queue(page, "encola").get_by_role("button", name="Vaciar")).to_be_disabled()


def test_one_task_type_is_paused(opened: Open, service: Service) -> None:
    """Its tasks wait, and those of other types do not."""
    page = opened("/#/queues")
    line = page.locator(".line", has=page.get_by_role("link", name="charge", exact=True))
    line.get_by_role("button", name="Pausar").click()
    expect(line.locator(".mark")).to_be_visible()
    held = service.submit("charge", {"order_id": 1, "cents": 1})
    other = service.submit("echo", {"text": "x"})
    service.wait_for(other, "SUCCESS")
    assert "PENDING" == service.state(held)
    task = opened(f"/#/task/{held}")
    expect(task.locator(".waiting")).to_contain_text("Este tipo de tarea está en pausa")

    line.get_by_role("button", name="Reanudar").click()
    expect(task.locator(".detail .badge")).to_have_text("Completada")


def test_a_waiting_task_says_how_many_are_ahead(opened: Open, service: Service) -> None:
    """In the true order: the first is next, the fourth has three ahead."""
    service.call("POST", "/queues/encola/pause")
    ids = service.submit_many(4)
    for worker in service.get("/workers")["items"]:
        service.call("POST", f"/workers/{worker['id'].replace('/', '%2F')}/drain")
    places = [service.get(f"/tasks/{each}")["waiting"]["ahead"] for each in ids]
    assert [0, 1, 2, 3] == places

    page = opened(f"/#/task/{ids[3]}")
    expect(page.locator(".waiting")).to_be_visible()


def test_a_worker_shows_what_it_runs_and_is_drained(opened: Open, service: Service) -> None:
    """It ends what it runs, takes nothing new, and is let work again."""
    task_id = service.submit("resize_photos", {"album": "x", "photos": 40, "seconds": 12})
    service.wait_for(task_id, "PROCESSING")
    page = opened("/#/workers")
    worker = page.locator(".queue", has=page.get_by_role("button", name="Retirar"))
    # Another test's task may still run beside it.
    line = worker.locator(".running-line", has_text="/40")
    expect(line).to_contain_text("resize_photos")
    worker.get_by_role("button", name="Retirar").click()
    page.get_by_role("button", name="Sí, retirar").click()
    expect(page.locator(".mark", has_text="Retirándose").first).to_be_visible()
    service.wait_for(task_id, "SUCCESS")
    waits = service.submit("charge", {"order_id": 1, "cents": 1})
    assert "PENDING" == service.state(waits)

    page.get_by_role("button", name="Reanudar").click()
    service.wait_for(waits, "SUCCESS")
