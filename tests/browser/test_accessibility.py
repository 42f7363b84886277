"""axe-core on every screen, in both themes and both languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from service import Service
from window import Open

#: WCAG 2.2 A and AA, and axe's own good practice.
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
#: What another theme can change.
COLOURS = {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
Theme = Literal["light", "dark"]
#: As a reader chooses it, and painted.
CHOOSE = """(theme) => {
    document.documentElement.dataset.theme = theme;
    return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""
LOOKS: list[tuple[str, Theme]] = [("es-ES", "light"), ("en-GB", "dark")]


@pytest.fixture(scope="module")
def screens(service: Service) -> Iterator[dict[str, str]]:
    """Name -> path of every screen, with something on it; a task runs as long as it is looked at."""
    failed = service.submit("refuse", {"reason": "para axe"})
    running = service.submit("resize_photos", {"album": "Axe", "photos": 900, "seconds": 900})
    mail = {"email": "axe@example.com", "subject": "Hola", "body": "x"}
    service.wait_for(service.submit("email", mail), "SUCCESS")
    talked = service.submit("talk", {"lines": 3, "seconds": 0})
    service.wait_for(talked, "SUCCESS")
    service.wait_for(failed, "FAILURE")
    table = {"file": ("axe.csv", b"a,b\n1,2\n")}
    httpx.post(f"{service.address}/files", files=table).raise_for_status()
    first_mail = service.get("/mailbox")["items"][0]["id"]
    yield {
        "home": "/",
        "tasks": "/#/tasks",
        "panel": f"/#/tasks?task={running}",
        "running": f"/#/task/{running}",
        "failed": f"/#/task/{failed}",
        "log": f"/#/task/{talked}",
        "new": "/#/new?type=every_field",
        "boxes": "/#/new?type=ship",
        "queues": "/#/queues",
        "workers": "/#/workers",
        "schedules": "/#/schedules",
        "files": "/#/files",
        "reports": "/#/reports",
        "mailbox": f"/#/mailbox?mail={first_mail}",
    }
    service.call("DELETE", f"/tasks/cancel/{running}")


def visit(page: Page, name: str, path: str) -> None:
    """Until all of it is there."""
    page.goto(path)
    expect(page.locator(".situation-loading")).to_have_count(0)
    if name == "log":
        expect(page.locator(".log-line")).to_have_count(4)


def complaints(page: Page, options: dict[str, Any] = RULES) -> list[str]:
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in found
        for node in each["nodes"]
    ]


def in_both_themes(page: Page, theme: Theme) -> list[str]:
    """All rules in *theme*, in which the page is; in the other one those that a colour can break."""
    found = complaints(page)
    page.evaluate(CHOOSE, "dark" if theme == "light" else "light")
    found += complaints(page, COLOURS)
    page.evaluate(CHOOSE, theme)
    return found


@pytest.mark.parametrize(("locale", "theme"), LOOKS)
def test_every_screen_in(opened: Open, screens: dict[str, str], locale: str, theme: Theme) -> None:
    """No complaint, with the keys and the palette open besides."""
    page = opened("/", locale=locale, color_scheme=theme, reduced_motion="reduce")
    wrong: dict[str, list[str]] = {}
    for name, path in screens.items():
        visit(page, name, path)
        wrong[name] = in_both_themes(page, theme)
    page.goto("/")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    wrong["keys"] = in_both_themes(page, theme)
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox").first).to_be_visible()
    wrong["palette"] = in_both_themes(page, theme)
    page.keyboard.press("Escape")
    page.goto(screens["running"])
    page.get_by_role("button", name=re.compile("^Cancel")).click()
    expect(page.get_by_role("dialog").locator(".button.danger")).to_be_visible()
    wrong["question"] = in_both_themes(page, theme)

    assert {} == {name: found for name, found in wrong.items() if found}


def test_a_phone(opened: Open, screens: dict[str, str]) -> None:
    """Targets are large enough, the drawer says what it is."""
    page = opened("/", viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    wrong: dict[str, list[str]] = {}
    for name, path in screens.items():
        visit(page, name, path)
        wrong[name] = complaints(page)

    assert {} == {name: found for name, found in wrong.items() if found}
