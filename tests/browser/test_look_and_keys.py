"""Language, theme, width, keyboard, and what is shown when there is nothing or nobody answers."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect
from service import Service
from window import Open


def test_a_browser_in_english_gets_english(opened: Open) -> None:
    """By the browser's language; a press changes it, and it is remembered."""
    page = opened("/", locale="en-GB")
    expect(page.get_by_role("heading", level=1)).to_have_text("Background task dashboard")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.get_by_title("Cambiar a español").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dashboard de Tareas en Background")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dashboard de Tareas en Background")


def test_both_languages_say_everything(opened: Open) -> None:
    """Same keys, same places for values, no empty sentence."""
    page = opened("/")
    missing = page.evaluate(
        """async () => {
            const base = document.querySelector('script[type=module]').src.replace('app.js', 'i18n/');
            const {es} = await import(base + 'es.js');
            const {en} = await import(base + 'en.js');
            const holes = (value) => [...new Set(JSON.stringify(value).match(/\\{\\w+\\}/g))].sort().join();
            const wrong = [];
            for (const key of new Set([...Object.keys(es), ...Object.keys(en)])) {
                if (!es[key] || !en[key]) wrong.push(key);
                else if (holes(es[key]) !== holes(en[key])) wrong.push(`${key}: ${holes(es[key])} / ${holes(en[key])}`);
            }
            return wrong;
        }"""
    )

    assert [] == missing


@pytest.mark.parametrize(
    ("locale", "day"), [("en-GB", r"\d+ [A-Z][a-z]+,"), ("en-US", r"[A-Z][a-z]+ \d+,")]
)
def test_dates_are_the_reader_s_own(opened: Open, locale: str, day: str) -> None:
    """29 Nov in London, Nov 29 in New York."""
    page = opened("/#/schedules", locale=locale)

    expect(page.locator(".schedule-times time").nth(3)).to_have_text(re.compile(day))


def test_the_theme_goes_round_and_is_remembered(opened: Open) -> None:
    """System, light, dark; no flash of the other one after a reload."""
    page = opened("/", color_scheme="light")
    page.get_by_label("Tema: el del sistema").click()
    page.get_by_label("Tema: claro").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.reload()
    assert dark == page.evaluate("getComputedStyle(document.body).backgroundColor")


@pytest.mark.parametrize(
    "path", ["/", "/#/tasks", "/#/new?type=every_field", "/#/queues", "/#/workers", "/#/mailbox"]
)
def test_a_phone_needs_no_sideways_scrolling(opened: Open, path: str) -> None:
    """390 pixels wide; the navigation is a drawer."""
    page = opened(path, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator(".situation-loading")).to_have_count(0)

    assert 390 >= page.evaluate("document.documentElement.scrollWidth")
    expect(page.get_by_role("navigation", name="Pantallas")).to_be_hidden()
    page.get_by_role("button", name="Menú").click()
    expect(page.get_by_role("navigation", name="Pantallas")).to_be_visible()


def test_the_palette_opens_a_pasted_id(opened: Open, service: Service) -> None:
    """Ctrl K, paste, Enter."""
    task_id = service.submit("charge", {"order_id": 5, "cents": 5})
    page = opened("/")
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Buscar y ejecutar").fill(task_id)
    page.keyboard.press("Enter")

    expect(page.locator(".detail-id")).to_contain_text(task_id)


def test_the_palette_finds_without_accents_and_moves_by_arrows(opened: Open) -> None:
    """ "buzon" finds "Buzón"."""
    page = opened("/")
    page.keyboard.press("Control+k")
    page.keyboard.type("buzon")
    expect(page.get_by_role("option", name="Buzón")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Buzón")


def test_keys_lead_everywhere_and_can_be_switched_off(opened: Open) -> None:
    """`g t`, `j`, `Enter`, `?`; after switching them off a letter is a letter."""
    page = opened("/")
    page.keyboard.press("g")
    page.keyboard.press("t")
    expect(page.get_by_role("heading", level=1)).to_have_text("Tareas")
    expect(page.locator("tr.row").first).to_be_visible()
    page.keyboard.press("j")
    expect(page.locator(".row-id").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".side-panel")).to_be_visible()
    page.keyboard.press("Escape")

    page.keyboard.press("?")
    page.get_by_label("Atajos de una sola tecla").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    assert page.url.endswith("#/tasks")


def test_the_first_tab_skips_to_the_content(opened: Open) -> None:
    """Past the navigation, for who goes by Tab."""
    page = opened("/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


@pytest.mark.parametrize(
    "screen", ["tasks", "queues", "workers", "schedules", "files", "reports", "mailbox"]
)
def test_a_service_that_does_not_answer_is_said_so(
    opened: Open, service: Service, screen: str
) -> None:
    """The screen says what is wrong and offers another try, which then works."""
    page = opened("/#/new?type=charge")
    # From here on no line comes up, after which a screen tries again by itself.
    expect(page.locator(".live")).to_have_attribute("data-live", "live")
    route = re.compile(rf"/{screen}(\?|$)")
    page.route(route, lambda route: route.abort())
    page.evaluate(f"location.hash = '#/{screen}'")
    expect(page.get_by_text("Error al comunicarse con el servidor")).to_be_visible()
    page.unroute(route)
    with page.expect_response(route) as answer:
        page.get_by_role("button", name="Volver a intentar").click()

    assert answer.value.ok
    expect(page.get_by_text("Error al comunicarse con el servidor")).to_have_count(0)
    expect(page.locator(".situation-loading")).to_have_count(0)


def test_a_service_that_has_done_nothing_shows_how_to_begin(browser: Browser, opened: Open) -> None:
    """The line for a terminal, and a button that does the same and leads to a completed task."""
    fresh = Service()
    try:
        fresh.start()
        page = opened("/", address=fresh.address)
        expect(page.get_by_text("No hay tareas")).to_be_visible()
        expect(page.locator(".situation code")).to_contain_text(f"{fresh.address}/tasks")
        page.get_by_role("button", name="Ejecutar este ejemplo").click()
        expect(page.locator(".card .badge")).to_have_text("Completada")

        page.goto("/#/mailbox")
        expect(page.locator(".mail")).to_contain_text("ana@example.com")
    finally:
        fresh.close()


def test_ana_works_without_a_mouse(opened: Open, service: Service) -> None:
    """A task is submitted, found in the list and cancelled, by keys alone."""
    service.submit("resize_photos", {"album": "Busy", "photos": 5, "seconds": 1})
    page = opened("/")
    page.keyboard.press("n")
    page.get_by_label("Tipo de Tarea").focus()
    page.keyboard.type("resize")
    page.keyboard.press("Tab")
    page.keyboard.type("Sin ratón")
    for value in ("100", "60"):
        page.keyboard.press("Tab")
        page.keyboard.press("Control+a")
        page.keyboard.type(value)
    page.keyboard.press("Enter")
    expect(page.locator(".detail .badge")).to_have_text("En proceso", timeout=20_000)
    page.keyboard.press("g")
    page.keyboard.press("t")
    expect(page.locator("tr.row").first).to_contain_text("Sin ratón")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Cerrar", exact=True)).to_be_focused()
    cancel = page.locator(".side-panel").get_by_role("button", name="Cancelar")
    expect(cancel).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(cancel).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".side-panel .badge").first).to_have_text("Cancelada")


def test_the_drawer_of_a_phone_takes_the_focus_and_gives_it_back(opened: Open) -> None:
    """Opened by a key, the next Tab is in it; Escape closes it."""
    page = opened("/#/queues", viewport={"width": 390, "height": 844})
    menu = page.get_by_role("button", name="Menú")
    menu.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Resumen")).to_be_focused()
    page.keyboard.press("Escape")
    expect(menu).to_be_focused()


def test_a_phone_too_says_how_old_its_data_is(opened: Open) -> None:
    """Paused, beside the word."""
    page = opened("/", viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    expect(page.locator(".live-word")).to_have_text("En vivo")
    page.locator(".live").click()
    expect(page.locator(".live-age")).to_be_visible()
    expect(page.locator(".live-age")).to_contain_text("datos de hace")
    assert 390 >= page.evaluate("document.documentElement.scrollWidth")


def test_a_change_of_screen_is_said(opened: Open, service: Service) -> None:
    """By the title, and to who cannot see it; the next Tab is in the new screen."""
    task_id = service.submit("charge", {"order_id": 1, "cents": 1})
    page = opened("/")
    expect(page).to_have_title("Dashboard de Tareas en Background · encola")
    expect(page.locator(".live-word")).to_have_text("En vivo")
    page.get_by_role("link", name="Ver todas").first.click()
    expect(page).to_have_title("Tareas · encola")
    expect(page.locator("#announcer")).to_have_text("Tareas")
    expect(page.locator("main")).to_be_focused()
    page.goto(f"/#/task/{task_id}")
    expect(page).to_have_title(f"Tarea {task_id} · encola")
