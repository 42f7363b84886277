"""The form of any task type, made from its schema."""

from __future__ import annotations

import json
import shlex

from playwright.sync_api import expect
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
