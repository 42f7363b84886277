"""Reports: made by the form of the lesson, seen and saved in the browser."""

from __future__ import annotations

from playwright.sync_api import expect
from service import Service
from window import Open


def test_luis_makes_a_report_and_saves_it(opened: Open, service: Service) -> None:
    """The form, the finished task with its PDF, the list of reports, and out it goes again."""
    page = opened("/#/reports")
    page.get_by_role("link", name="Nuevo informe").first.click()
    form = page.locator(".task-form")
    form.get_by_label("ID Usuario").fill("7")
    form.get_by_label("Tipo de Reporte").select_option(label="Analytics")
    form.get_by_role("button", name="Crear Tarea").click()
    with page.expect_download() as saved:
        page.get_by_role("link", name="Descargar").click(timeout=60_000)
    assert b"%PDF-" == saved.value.path().read_bytes()[:5]

    page.goto("/#/reports")
    line = page.locator(".line", has_text="Analytics")
    expect(line).to_contain_text("Usuario 7")
    line.get_by_role("button", name="Ver").click()
    expect(page.get_by_role("dialog").locator("iframe")).to_be_visible()
    page.keyboard.press("Escape")
    line.get_by_role("button", name="Borrar el informe").click()
    page.get_by_role("button", name="Sí, borrar").click()
    expect(page.get_by_text("No hay informes")).to_be_visible()
