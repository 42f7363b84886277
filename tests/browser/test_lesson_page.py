"""What the lesson's page could do, on the first screen."""

from __future__ import annotations

from playwright.sync_api import Page, expect
from service import Service
from window import Open


def card(page: Page, task_id: str):
    return page.locator(".card", has_text=task_id)


def test_a_student_finds_the_page_of_the_lesson(opened: Open) -> None:
    """Title, subtitle, four figures, the form and the list, in the lesson's words."""
    page = opened("/")

    expect(page.get_by_role("heading", level=1)).to_have_text("Dashboard de Tareas en Background")
    expect(page.get_by_text("Monitoreo y gestión de tareas asíncronas")).to_be_visible()
    for name in ("Tareas Totales", "Tareas Activas", "Completadas", "Fallidas"):
        expect(page.locator("dt", has_text=name)).to_be_visible()
    expect(page.get_by_role("heading", name="Crear Nueva Tarea")).to_be_visible()
    expect(page.get_by_role("heading", name="Tareas Activas")).to_be_visible()


def test_ana_sends_an_email_and_sees_it_arrive(opened: Open, service: Service) -> None:
    """The form submits a real task; its card ends as completed with the result in it."""
    page = opened("/")
    form = page.locator(".task-form")
    form.get_by_label("Tipo de Tarea").select_option(label="Enviar Email")
    form.get_by_label("Email").fill("ana@example.com")
    form.get_by_label("Asunto").fill("Hola desde el formulario")
    form.get_by_label("Mensaje").fill("¿Qué tal?")
    form.get_by_role("button", name="Crear Tarea").click()

    expect(page.locator(".notice", has_text="¡Tarea creada exitosamente!")).to_be_visible()
    done = page.locator(".card", has_text="Hola desde el formulario")
    expect(done.locator(".badge")).to_have_text("Completada")
    expect(done.locator(".json")).to_contain_text("ana@example.com")
    expect(form.get_by_label("Asunto")).to_have_value("")


def test_a_running_task_shows_how_far_it_is(opened: Open, service: Service) -> None:
    """The bar has `current/total - sentence` under it, and moves without a reload."""
    task_id = service.submit("resize_photos", {"album": "Verano", "photos": 40, "seconds": 8})
    page = opened("/")
    words = card(page, task_id).locator(".bar-words")

    expect(words).to_contain_text("/40 - IMG_24")
    first = words.inner_text()
    expect(words).not_to_have_text(first)
    service.call("DELETE", f"/tasks/cancel/{task_id}")


def test_cancel_asks_first(opened: Open, service: Service) -> None:
    """ "No" leaves the task alone; "yes" stops it, and a notice says so."""
    task_id = service.submit("resize_photos", {"album": "Boda", "photos": 100, "seconds": 60})
    service.wait_for(task_id, "PROCESSING")
    page = opened("/")

    card(page, task_id).get_by_role("button", name="Cancelar").click()
    expect(page.get_by_text("¿Estás seguro de que quieres cancelar esta tarea?")).to_be_visible()
    page.get_by_role("button", name="No, volver").click()
    assert "PROCESSING" == service.state(task_id)

    card(page, task_id).get_by_role("button", name="Cancelar").click()
    page.get_by_role("button", name="Sí, cancelar").click()
    expect(page.locator(".notice", has_text="Tarea cancelada").first).to_be_visible()
    expect(card(page, task_id).locator(".badge")).to_have_text("Cancelada")
    expect(card(page, task_id).locator(".card-error")).to_have_text(
        "La canceló una persona o un programa."
    )
    assert "REVOKED" == service.state(task_id)


def test_a_failed_task_says_why(opened: Open, service: Service) -> None:
    """The error is on the card, and refresh asks for the task anew."""
    task_id = service.submit("refuse", {"reason": "sin saldo"})
    service.wait_for(task_id, "FAILURE")
    page = opened("/")

    expect(card(page, task_id)).to_contain_text("sin saldo")
    with page.expect_response(lambda answer: answer.url.endswith(f"/tasks/{task_id}")):
        card(page, task_id).get_by_role("button", name="Actualizar").click()


def test_a_task_that_gives_nothing_back_shows_no_result(opened: Open, service: Service) -> None:
    """No box with `null` in it."""
    task_id = service.submit("talk", {"lines": 1, "seconds": 0})
    service.wait_for(task_id, "SUCCESS")
    page = opened("/")

    expect(card(page, task_id).locator(".badge")).to_have_text("Completada")
    expect(card(page, task_id).locator(".json")).to_have_count(0)


def test_what_is_missing_is_said_at_the_field(opened: Open) -> None:
    """Nothing is sent, and the first field that lacks something has the focus."""
    page = opened("/")
    form = page.locator(".task-form")
    form.get_by_role("button", name="Crear Tarea").click()

    expect(form.locator(".field-problem", has_text="Falta este dato.").first).to_be_visible()
    expect(form.get_by_label("Email")).to_be_focused()


def test_a_wrong_address_is_said_at_the_field(opened: Open) -> None:
    """What the service refuses with 422 stands under the field it is about, in Spanish."""
    page = opened("/")
    form = page.locator(".task-form")
    form.get_by_label("Email").fill("esto no es una dirección")
    form.get_by_label("Asunto").fill("Hola")
    form.get_by_label("Mensaje").fill("x")
    form.get_by_role("button", name="Crear Tarea").click()

    expect(form.locator(".field-email .field-problem")).to_have_text(
        "No es una dirección de correo."
    )
    expect(form.get_by_label("Asunto")).to_have_value("Hola")
