"""Is work flowing, what fails, who waits too long."""

from __future__ import annotations

import re

from playwright.sync_api import expect
from service import Service
from window import Open


def test_the_figures_and_the_charts_are_the_service_s(opened: Open, service: Service) -> None:
    """What the page says is what `GET /stats` says, and follows it."""
    failed = service.submit("refuse", {"reason": "x"})
    service.wait_for(failed, "FAILURE")
    page = opened("/")
    total = page.locator('[data-figure="total"] dd')
    expect(page.locator(".uplot canvas")).to_have_count(3)
    before = service.get("/stats")["totals"]["total"]
    expect(total).to_have_text(f"{before:,}".replace(",", ".") if before > 9999 else str(before))
    service.submit_many(3)
    after = before + 3
    expect(total).to_have_text(f"{after:,}".replace(",", ".") if after > 9999 else str(after))
    expect(page.locator(".chart-place").first).to_have_attribute(
        "aria-label", re.compile("Ritmo: .* por minuto")
    )


def test_the_minute_under_way_is_drawn_apart(opened: Open, service: Service) -> None:
    """Its figures are not final: the line is dashed there, and the legend says so."""
    service.submit_many(3)
    page = opened("/#/?minutes=15")
    page.add_init_script(
        """
        globalThis.dashes = [];
        const set = CanvasRenderingContext2D.prototype.setLineDash;
        CanvasRenderingContext2D.prototype.setLineDash = function (dash) {
            if (dash.length) dashes.push(dash.length);
            return set.call(this, dash);
        };
        """
    )
    page.reload()
    time = page.locator(".chart-time").first
    expect(time).to_have_text("en curso")
    assert page.evaluate("dashes.length")
    page.locator(".chart-place").first.hover(position={"x": 80, "y": 60})
    expect(time).to_have_text(re.compile(r"^\d\d:\d\d$"))


def test_what_fails_leads_to_the_tasks(opened: Open, service: Service) -> None:
    """By type and reason, with the number."""
    service.wait_for(service.submit("refuse", {"reason": "x"}), "FAILURE")
    page = opened("/")
    page.locator(".failures").get_by_role("link", name="refuse").click()

    expect(page.locator("tr.row").first).to_contain_text("refuse")
    assert "state=FAILURE&type=refuse" in page.url


def test_the_period_is_in_the_address(opened: Open) -> None:
    """And the charts follow it."""
    page = opened("/")
    with page.expect_request(lambda request: "/stats?minutes=15" in request.url):
        page.get_by_role("button", name="15 min").click()
    assert page.url.endswith("#/?minutes=15")
    expect(page.get_by_role("button", name="15 min")).to_have_attribute("aria-pressed", "true")


def test_a_service_without_workers_does_not_look_calm(opened: Open, service: Service) -> None:
    """It says so over everything else."""
    page = opened("/#/new")
    stats = service.get("/stats") | {"workers": 0, "slots": 0, "busy": 0}
    page.route("**/stats?*", lambda route: route.fulfill(json=stats))
    page.evaluate("location.hash = '#/'")

    expect(page.get_by_role("alert").filter(has_text="No hay ningún worker")).to_be_visible()


def test_busy_slots_are_shown(opened: Open, service: Service) -> None:
    """As many as there are, of as many as there could be."""
    task_id = service.submit("resize_photos", {"album": "x", "photos": 50, "seconds": 30})
    service.wait_for(task_id, "PROCESSING")
    page = opened("/")

    expect(page.locator(".capacity p").first).to_have_text(
        re.compile(r"Puestos ocupados[1-9] de \d")
    )
    service.call("DELETE", f"/tasks/cancel/{task_id}")
