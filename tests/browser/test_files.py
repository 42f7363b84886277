"""Files: dropped, processed, their results saved."""

from __future__ import annotations

from pathlib import Path

import httpx
from playwright.sync_api import Page, expect
from service import Service
from window import Open

TABLE = "nombre,edad\nAna,41\nLuis,no\nMarta,35\n"


def drop(page: Page, selector: str, name: str, text: str) -> None:
    """As a person drops a file from their desk."""
    page.locator(selector).evaluate(
        """(zone, [name, text]) => {
            const data = new DataTransfer();
            data.items.add(new File([text], name));
            zone.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true}));
        }""",
        [name, text],
    )


def test_a_file_is_dropped_processed_and_its_rows_are_saved(opened: Open, service: Service) -> None:
    """From the list of files to the dataset, each step a press."""
    page = opened("/#/files")
    drop(page, ".drop", "clientes.csv", TABLE)
    line = page.locator(".line", has_text="clientes.csv").first
    line.get_by_role("link", name="Procesar").click()
    form = page.locator(".task-form")
    form.get_by_label("ID Usuario").fill("7")
    form.get_by_role("button", name="Crear Tarea").click()
    expect(page.locator(".detail .badge")).to_have_text("Completada", timeout=30_000)
    with page.expect_download() as saved:
        page.locator(".json a", has_text="parquet").click()

    assert b"PAR1" == Path(saved.value.path()).read_bytes()[:4]


def test_the_beginning_of_a_file_is_read_as_text(opened: Open, service: Service) -> None:
    """As it is, whatever it says; of a long one so much, and in the letters of an old spreadsheet."""
    rows = "<img src=x onerror=alert(1)>;Málaga\n".encode("cp1252") * 5000
    for name, content in (("largo.csv", rows), ("imagen.csv", b"\x89PNG\x00\x00")):
        file = {"file": (name, content)}
        httpx.post(f"{service.address}/files", files=file).raise_for_status()
    page = opened("/#/files")
    page.locator(".line", has_text="largo.csv").get_by_role("button", name="Ver").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".file-text")).to_contain_text("<img src=x onerror=alert(1)>;Málaga")
    expect(dialog).to_contain_text("Los primeros 64 KB de")
    assert 0 == dialog.locator("img").count()
    page.keyboard.press("Escape")
    page.locator(".line", has_text="imagen.csv").get_by_role("button", name="Ver").click()
    expect(dialog).to_contain_text("No es un archivo de texto.")


def test_a_file_dropped_on_the_form_fills_in_its_path(opened: Open) -> None:
    """The lesson's form too takes a file."""
    page = opened("/#/new?type=file")
    drop(page, ".field-file .drop", "ventas.csv", TABLE)

    expect(page.locator(".drop-button")).to_contain_text("ventas.csv subido")
    assert page.get_by_label("Ruta del Archivo").input_value()


def test_a_hostile_name_is_a_name(opened: Open, service: Service) -> None:
    """It is shown as it is, or in plain letters, and does nothing."""
    page = opened("/#/files")
    drop(page, ".drop", "<img src=x onerror=alert(1)>.csv", TABLE)
    expect(page.locator(".line", has_text="onerror")).to_have_count(1)
    assert 0 == page.locator("main img").count()


def test_a_file_is_removed_after_a_question(opened: Open) -> None:
    """And is gone from the list."""
    page = opened("/#/files")
    drop(page, ".drop", "fuera.csv", TABLE)
    line = page.locator(".line", has_text="fuera.csv")
    line.get_by_role("button", name="Borrar el archivo").click()
    page.get_by_role("button", name="Sí, borrar").click()

    expect(line).to_have_count(0)
