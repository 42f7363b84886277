"""A task's log, as it is written."""

from __future__ import annotations

from playwright.sync_api import expect
from service import Service
from window import Open


def test_lines_appear_while_the_task_runs(opened: Open, service: Service) -> None:
    """From `print` and from `logging`, in order, without a reload; the level narrows them."""
    task_id = service.submit("talk", {"lines": 8, "seconds": 4})
    page = opened(f"/#/task/{task_id}")
    messages = page.locator(".log-message")
    expect(messages.first).to_have_text("line 1")
    assert "SUCCESS" != service.state(task_id)
    expect(page.locator(".log-message", has_text="line 8")).to_be_visible()
    expect(page.locator(".log-line[data-level=warning] .log-message")).to_have_text("almost done")

    page.get_by_label("Nivel mínimo").select_option(label="Avisos")
    expect(messages).to_have_text(["almost done"])


def test_a_hostile_line_is_text(opened: Open, service: Service) -> None:
    """Markup that was printed is read, and nothing else."""
    task_id = service.submit(
        "talk", {"lines": 1, "seconds": 0, "text": "<img src=x onerror=alert(1)>"}
    )
    page = opened(f"/#/task/{task_id}")

    expect(page.locator(".log-message").first).to_have_text("<img src=x onerror=alert(1)> 1")
    assert 0 == page.locator("main img").count()


def test_what_each_attempt_wrote_stands_apart(opened: Open, service: Service) -> None:
    """From the second on its number is above its lines."""
    task_id = service.submit("talk", {"lines": 1, "seconds": 0})
    service.wait_for(task_id, "SUCCESS")
    page = opened(f"/#/task/{task_id}")
    expect(page.locator(".log-line")).to_have_count(2)
    expect(page.locator(".log-attempt")).to_have_count(0)
    page.get_by_role("button", name="Reintentar", exact=True).click()
    expect(page.locator(".log-line")).to_have_count(4)
    expect(page.locator(".log-attempt")).to_have_text(["Intento 2"])
