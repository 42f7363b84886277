"""The form of any task type, made from its schema."""

from __future__ import annotations

import json
import shlex

from playwright.sync_api import Locator, expect
from service import Service
from window import Open


def test_every_kind_of_field_arrives_as_its_type_wants_it(opened: Open, service: Service) -> None:
    """Numbers as numbers, dates, a choice, a switch, a list, JSON."""
    page = opened("/#/new?type=every_field")
    page.get_by_label("Name").fill("Ana")
    page.get_by_label("Age").fill("41")
    page.get_by_label("Weight").fill("61.5")
    page.get_by_label("Newsletter").check()
    page.get_by_label("Size").select_option(label="large")
    page.get_by_label("Birthday").fill("1985-03-09")
    page.get_by_label("Tags").fill("uno\ndos")
    page.get_by_label("Extra").fill('{"a": [1, 2]}')
    page.get_by_role("button", name="Crear Tarea").click()
    page.wait_for_url("**/#/task/*")
    task_id = page.url.rpartition("/")[2]

    expected = {
        "name": "Ana", "age": 41, "weight": 61.5, "newsletter": True, "size": "large",
        "birthday": "1985-03-09", "tags": ["uno", "dos"], "extra": {"a": [1, 2]},
    }  # fmt: skip
    got = service.get(f"/tasks/{task_id}")["input"]
    assert expected == {name: got[name] for name in expected}


def test_the_shown_line_does_what_the_form_does(opened: Open) -> None:
    """It follows what is typed."""
    page = opened("/#/new?type=charge")
    page.get_by_label("Order Id").fill("7")
    page.get_by_label("Cents").fill("1250")
    words = shlex.split(page.locator(".form-curl code").inner_text())

    assert {"type": "charge", "input": {"order_id": 7, "cents": 1250}} == json.loads(words[-1])


def test_what_the_service_refuses_stands_at_the_field(opened: Open) -> None:
    """A 422 names the field; what was typed stays."""
    page = opened("/#/new?type=every_field")
    page.get_by_label("Name").fill("Ana")
    page.get_by_label("Age").fill("200")
    page.get_by_role("button", name="Crear Tarea").click()

    expect(
        page.locator(".field-problem", has_text="El número es demasiado grande.")
    ).to_be_visible()
    expect(page.get_by_label("Age")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Name")).to_have_value("Ana")


def test_wrong_json_is_said_before_anything_is_sent(opened: Open) -> None:
    """The field says what it is."""
    page = opened("/#/new?type=every_field")
    page.get_by_label("Name").fill("Ana")
    page.get_by_label("Age").fill("1")
    page.get_by_label("Extra").fill("{nope")
    page.get_by_role("button", name="Crear Tarea").click()

    expect(page.get_by_text("Esto no es JSON válido.")).to_be_visible()


def fill_box(box: Locator, **values: str) -> None:
    for name, value in values.items():
        box.get_by_label(name.capitalize()).fill(value)


def test_boxes_and_rows_arrive_as_they_were_filled_in(opened: Open, service: Service) -> None:
    """An object, one that may be left out, lists of objects, choices and numbers, an amount."""
    page = opened("/#/new?type=ship")
    page.get_by_label("Name").first.fill("Ana")
    fill_box(page.get_by_role("group", name="Ship To"), name="Luis", zip="28001")
    lines = page.get_by_role("group", name="Lines")
    for sku in ("tea", "coffee", "milk"):
        lines.get_by_role("button", name="Añadir: Lines").click()
        lines.get_by_role("listitem").last.get_by_label("Sku").fill(sku)
    lines.get_by_role("button", name="Quitar: Lines").nth(1).click()
    page.get_by_label("Price").fill("12.50")
    page.get_by_label("Marks").fill("3\n5")
    page.get_by_role("button", name="Añadir: Colours").click()
    page.get_by_role("combobox", name="Colours").select_option("green")
    words = shlex.split(page.locator(".form-curl code").inner_text())
    page.get_by_role("button", name="Crear Tarea").click()
    page.wait_for_url("**/#/task/*")

    expected = {
        "name": "Ana", "ship_to": {"name": "Luis", "zip": "28001"}, "price": "12.50", "marks": [3, 5],
        "lines": [{"sku": "tea", "count": 1}, {"sku": "milk", "count": 1}], "colours": ["green"],
    }  # fmt: skip
    task = service.get(f"/tasks/{page.url.rpartition('/')[2]}")
    assert expected == json.loads(words[-1])["input"]
    assert {**expected, "bill_to": None} == task["input"]


def test_a_refusal_stands_at_the_field_within(opened: Open) -> None:
    """In the row and the box that it is about, not at one of the same name elsewhere."""
    page = opened("/#/new?type=ship")
    name = page.get_by_label("Name").first
    name.fill("Ana")
    page.get_by_role("button", name="Añadir: Bill To").click()
    fill_box(page.get_by_role("group", name="Ship To"), name="Luis", zip="28001")
    bill_to = page.get_by_role("group", name="Bill To")
    fill_box(bill_to, zip="x")
    lines = page.get_by_role("group", name="Lines")
    for count in ("9", "500"):
        lines.get_by_role("button", name="Añadir: Lines").click()
        fill_box(lines.get_by_role("listitem").last, sku="tea", count=count)
    page.get_by_role("button", name="Crear Tarea").click()
    expect(bill_to.get_by_label("Name")).to_be_focused()
    expect(page.locator(".field-problem:not(:empty)")).to_have_text(["Falta este dato."])

    fill_box(bill_to, name="Marta")
    page.get_by_role("button", name="Crear Tarea").click()
    expect(lines.get_by_role("listitem").last.get_by_label("Count")).to_have_attribute(
        "aria-invalid", "true"
    )
    expect(page.locator(".field-problem:not(:empty)")).to_have_text(
        ["El número es demasiado grande.", "El texto no tiene la forma que se pide."]
    )
    expect(name).not_to_have_attribute("aria-invalid", "true")
    bill_to.get_by_role("button", name="Quitar: Bill To").click()
    fill_box(lines.get_by_role("listitem").last, count="5")
    page.get_by_role("button", name="Crear Tarea").click()
    page.wait_for_url("**/#/task/*")


def test_an_order_is_edited_as_it_was(opened: Open, service: Service) -> None:
    """Edit and retry fills in the boxes and the rows."""
    order = {
        "name": "Ana", "ship_to": {"name": "Luis", "zip": "28001"}, "bill_to": {"name": "Marta", "zip": "28002"},
        "lines": [{"sku": "tea", "count": 2}], "price": "1.10", "marks": [1], "colours": ["green"],
    }  # fmt: skip
    task_id = service.submit("ship", order)
    service.wait_for(task_id, "SUCCESS")
    page = opened(f"/#/task/{task_id}")
    page.get_by_role("button", name="Editar y reintentar").click()
    page.get_by_role("group", name="Ship To").get_by_label("Zip").fill("08001")
    page.get_by_role("button", name="Ejecutar con estos datos").click()
    page.wait_for_url(lambda url: "#/task/" in url and task_id not in url)

    expected = {**order, "ship_to": {"name": "Luis", "zip": "08001"}}
    assert expected == service.get(f"/tasks/{page.url.rpartition('/')[2]}")["input"]


def test_what_has_a_button_of_its_own_is_in_no_form(opened: Open, service: Service) -> None:
    """Cancelling and retrying of many starts on the list of tasks, after a question."""
    page = opened("/#/new")
    choices = page.get_by_label("Tipo de Tarea").locator("option")
    expect(choices.filter(has_text="Enviar Email")).to_have_count(1)

    assert {"bulk_cancel", "bulk_retry"} <= {
        each["name"] for each in service.get("/tasks/types")["types"]
    }
    assert set() == {"bulk_cancel", "bulk_retry"} & set(
        choices.evaluate_all("(options) => options.map((option) => option.value)")
    )
