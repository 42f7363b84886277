"""One task: what it says, and what can be done with it."""

from __future__ import annotations

import json
import shlex

from playwright.sync_api import expect
from service import Service
from window import Open


def test_a_failed_task_tells_its_story(opened: Open, service: Service) -> None:
    """Error with its traceback, each attempt in the timeline, the input as it came."""
    task_id = service.submit("refuse", {"reason": "sin saldo"})
    service.wait_for(task_id, "FAILURE")
    page = opened(f"/#/task/{task_id}")

    expect(page.locator(".error-text")).to_have_text("sin saldo")
    page.get_by_text("Traza del error").click()
    expect(page.locator(".traceback")).to_contain_text("raise ValueError(reason)")
    expect(page.locator(".timeline")).to_contain_text("Intento 1")
    expect(page.locator(".timeline")).to_contain_text("falló")
    expect(page.locator(".json").last).to_contain_text('"reason": "sin saldo"')


def test_retry_runs_it_again_under_the_same_id(opened: Open, service: Service) -> None:
    """The second attempt appears in the timeline without a reload."""
    task_id = service.submit("refuse", {"reason": "otra vez"})
    service.wait_for(task_id, "FAILURE")
    page = opened(f"/#/task/{task_id}")
    page.get_by_role("button", name="Reintentar", exact=True).click()

    expect(page.locator(".notice").first).to_contain_text("La tarea vuelve a la cola")
    expect(page.locator(".timeline")).to_contain_text("Intento 2")


def test_edit_and_retry_makes_a_new_task_that_names_the_old(opened: Open, service: Service) -> None:
    """The form is filled with the old input; the new task links back."""
    old = service.submit("refuse", {"reason": "mal"})
    service.wait_for(old, "FAILURE")
    page = opened(f"/#/task/{old}")
    page.get_by_role("button", name="Editar y reintentar").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Reason")).to_have_value("mal")
    dialog.get_by_label("Reason").fill("peor")
    dialog.get_by_role("button", name="Ejecutar con estos datos").click()

    expect(page.locator(".error-text")).to_have_text("peor")
    page.get_by_role("link", name=old).first.click()
    expect(page.locator(".error-text")).to_have_text("mal")


def test_copy_as_curl_gives_a_line_that_a_shell_takes(opened: Open, service: Service) -> None:
    """Quotes and all: read back by shell rules it holds the same input, and whose task it is."""
    nasty = {"reason": 'it\'s "quoted" $HOME `id`\nand two lines'}
    options = {"user_id": "o'hara", "priority": 3, "labels": {"why": "a test"}}
    task_id = service.submit("refuse", nasty, **options)
    page = opened(f"/#/task/{task_id}")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copiar como curl").click()
    expect(page.locator(".notice").first).to_contain_text("Copiado")
    words = shlex.split(page.evaluate("navigator.clipboard.readText()"))

    assert words[:4] == ["curl", "-X", "POST", f"{service.address}/tasks"]
    assert {"type": "refuse", "input": nasty, "options": options} == json.loads(words[-1])


def test_a_result_is_saved_as_it_is(opened: Open, service: Service) -> None:
    """As a JSON file named for the task."""
    task_id = service.submit("charge", {"order_id": 12, "cents": 34})
    service.wait_for(task_id, "SUCCESS")
    page = opened(f"/#/task/{task_id}")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Descargar el resultado").click()

    assert f"{task_id}.json" == saved.value.suggested_filename
    assert {"order_id": 12, "charged": 34} == json.loads(saved.value.path().read_text())


def test_an_unknown_task_is_said_to_be_unknown(opened: Open) -> None:
    """No empty shell of a task."""
    page = opened("/#/task/never-accepted")

    expect(page.get_by_text("Tarea no encontrada")).to_be_visible()


def test_a_task_that_waits_for_its_time_can_be_cancelled(opened: Open, service: Service) -> None:
    """From its page, with the question first."""
    task_id = service.submit("charge", {"order_id": 9, "cents": 1}, countdown=600)
    page = opened(f"/#/task/{task_id}")
    expect(page.locator(".detail .badge")).to_have_text("Programada")
    page.get_by_role("button", name="Cancelar").click()
    page.get_by_role("button", name="Sí, cancelar").click()

    expect(page.locator(".detail .badge")).to_have_text("Cancelada")


def test_a_traceback_is_scrolled_in_its_box(opened: Open, service: Service) -> None:
    """Its lines are long; the page of a phone stays as wide as it is."""
    task_id = service.submit("refuse", {"reason": "sin espacios".replace(" ", "-") * 40})
    service.wait_for(task_id, "FAILURE")
    page = opened(f"/#/task/{task_id}", viewport={"width": 390, "height": 844}, is_mobile=True)
    page.get_by_text("Traza del error").click()
    box = page.locator(".traceback")
    expect(box).to_be_visible()

    assert box.evaluate("(box) => box.scrollWidth > box.clientWidth")
    assert 390 >= box.evaluate("(box) => box.getBoundingClientRect().right")
    assert 390 >= page.evaluate("document.documentElement.scrollWidth")
