"""What runs by itself: read in words, held, and run now."""

from __future__ import annotations

from playwright.sync_api import Page, expect
from service import Service
from window import Open


def card(page: Page, name: str):
    return page.locator(".queue").filter(has=page.get_by_role("link", name=name, exact=True))


def test_a_schedule_is_read_in_words_with_its_next_five_times(opened: Open) -> None:
    """In the reader's language, with the rule and the time zone under it."""
    north = card(opened("/#/schedules"), "collect:north")
    expect(north.locator(".schedule-words")).to_have_text("de lunes a viernes a las 09:00")
    expect(north.locator(".schedule-rule")).to_have_text("0 9 * * mon-fri · Europe/Madrid")
    expect(north.locator(".schedule-times li")).to_have_count(5)


def test_run_now_makes_a_task_that_names_its_schedule(opened: Open, service: Service) -> None:
    """It runs, and its record says what it belongs to."""
    page = opened("/#/schedules")
    card(page, "collect:south").get_by_role("button", name="Ejecutar ahora").click()
    expect(page.locator(".notice").first).to_contain_text("¡Tarea creada exitosamente!")
    page.locator(".notice").get_by_role("link", name="Ver la tarea").first.click()
    expect(page.locator(".detail .badge")).to_have_text("Completada")
    expect(page.locator(".facts")).to_contain_text("collect:south")


def test_a_paused_schedule_has_no_next_time(opened: Open, service: Service) -> None:
    """Until it is resumed."""
    page = opened("/#/schedules")
    north = card(page, "collect:north")
    north.get_by_role("button", name="Pausar").click()
    expect(north.locator(".mark")).to_have_text("En pausa")
    expect(north.locator(".schedule-times")).to_have_text("Ninguna")
    north.get_by_role("button", name="Reanudar").click()
    expect(north.locator(".schedule-times li")).to_have_count(5)


def test_times_say_whose_clock_they_are_by(opened: Open) -> None:
    """The browser's own; and where the schedule goes by another one, that one's too."""
    page = opened("/#/schedules", timezone_id="America/New_York")
    expect(page.locator(".subtitle")).to_contain_text("America/New_York")
    card = page.locator(".queue", has_text="north")
    expect(card.locator(".schedule-times li").first).to_contain_text("09:00 en Europe/Madrid")
    south = page.locator(".queue", has_text="south")
    expect(south.locator(".schedule-times li").first).to_be_visible()
    page.close()

    page = opened("/#/schedules", timezone_id="Europe/Madrid")
    card = page.locator(".queue", has_text="north")
    expect(card.locator(".schedule-times li").first).to_contain_text("09:00")
    expect(card.locator(".schedule-times")).not_to_contain_text("en Europe/Madrid")
