"""The page of the API at /docs: from this service alone, under the strict policy, readable by everybody."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from service import Service
from window import Open

#: WCAG A and AA but for two rules that Swagger UI's own markup breaks: a button in its rows'
#: headers, and examples that scroll and cannot be focused. The stylesheet mends the contrast.
RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
    "rules": {
        "nested-interactive": {"enabled": False},
        "scrollable-region-focusable": {"enabled": False},
    },
}


def test_a_route_is_tried_from_the_page(opened: Open, service: Service) -> None:
    """Its script runs and its request is answered, all under the policy."""
    page = opened("/docs")
    page.locator("#operations-health-read_health_health_get .opblock-summary-control").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()

    expect(page.locator(".live-responses-table .response-col_status").last).to_contain_text("200")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_can_be_read(opened: Open, theme: str) -> None:
    """In both themes; and a link leads back to the dashboard."""
    page = opened("/docs", color_scheme=theme)
    page.locator(".opblock-post .opblock-summary-control").first.click()
    expect(page.locator(".opblock-body").first).to_be_visible()
    found = Axe().run(page, options=RULES).response["violations"]
    assert [] == [(each["id"], node["target"]) for each in found for node in each["nodes"]]

    page.get_by_role("link", name="encola").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dashboard de Tareas en Background")
