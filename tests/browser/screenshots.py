"""
`make screenshots`: every screen in both themes, wide and on a phone, full and empty.

Starts two real services, gives one of them real work, and leaves the pictures in
``build/screenshots``. Nothing on them is made up: what the charts show has run.
``MINUTES`` is for how long there is work before the pictures are taken.
"""

from __future__ import annotations

import os
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright
from service import Service
from window import ARGUMENTS, find_browser

FOLDER = Path(__file__).parents[2] / "build/screenshots"
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
SCREENS = ("", "tasks", "new?type=email", "queues", "workers", "schedules", "reports", "mailbox")
#: The language in which a theme is shown; both are seen of every screen.
LANGUAGES = {"light": "es-ES", "dark": "en-GB"}


@dataclass(frozen=True)
class Shot:
    name: str
    path: str
    theme: str
    phone: bool = False
    press: str = ""


def shots(full: dict[str, str], *, empty: bool) -> list[Shot]:
    """What to take of a service; *full* names the tasks and the mail that are opened."""
    paths = {path.partition("?")[0] or "home": f"#/{path}" for path in SCREENS}
    if not empty:
        paths |= full
    kind = "empty" if empty else "full"
    taken = [
        Shot(f"{kind}-{name}-{theme}-{'phone' if phone else 'wide'}", path, theme, phone)
        for name, path in paths.items()
        for theme in LANGUAGES
        for phone in (False, True)
    ]
    if not empty:
        taken += [Shot(f"keys-{theme}-wide", "#/tasks", theme, press="?") for theme in LANGUAGES]
        taken += [
            Shot(f"palette-{theme}-wide", "#/tasks", theme, press="Control+k")
            for theme in LANGUAGES
        ]
    return taken


def take(browser: Browser, address: str, wanted: list[Shot]) -> None:
    for shot in wanted:
        context = browser.new_context(
            base_url=address,
            viewport=PHONE if shot.phone else WIDE,
            is_mobile=shot.phone,
            has_touch=shot.phone,
            locale=LANGUAGES[shot.theme],
            color_scheme=shot.theme,  # type: ignore[arg-type]
            reduced_motion="reduce",
        )
        page = context.new_page()
        page.goto(f"/{shot.path}")
        settle(page)
        if shot.press:
            page.keyboard.press(shot.press)
            page.wait_for_selector("dialog[open]")
        page.screenshot(path=FOLDER / f"{shot.name}.png")
        context.close()


def settle(page: Page) -> None:
    """Loaded, live, and the frames painted."""
    page.wait_for_selector("h1")
    page.wait_for_selector(".live[data-live='live']")
    expect(page.locator(".situation-loading")).to_have_count(0)
    page.wait_for_timeout(400)


def work(service: Service, minutes: float) -> dict[str, str]:
    """Real tasks of every kind, some every second; returns the addresses of those to be opened."""
    chance = random.Random(7)
    people = ["ana", "luis", "marta", "iker", "nuria"]
    end = time.monotonic() + minutes * 60
    number = 1040
    while time.monotonic() < end:
        for _ in range(chance.randint(1, 6)):
            number += 1
            user = chance.choice(people)
            cents = 250_000 if chance.random() < 0.03 else chance.randint(500, 20_000)
            service.submit("charge", {"order_id": number, "cents": cents}, user_id=user)
        if chance.random() < 0.2:
            subject = f"Tu pedido {number}"
            text = f"Hola, {user}:\n\nTu pedido {number} ya va de camino.\n\nUn saludo."
            mail = {"email": f"{user}@example.com", "subject": subject, "body": text}
            service.submit("email", mail, user_id=user)
        if chance.random() < 0.06:
            service.submit("refuse", {"reason": "el banco no responde"}, user_id=user)
        time.sleep(1)
    return last_ones(service)


def last_ones(service: Service) -> dict[str, str]:
    for kind in ("sales", "analytics", "users"):
        report = service.submit("report", {"user_id": 7, "report_type": kind})
    service.wait_for(report, "SUCCESS", "FAILURE")
    failed = service.submit("refuse", {"reason": "la tarjeta ha caducado"}, user_id="ana")
    service.wait_for(failed, "FAILURE")
    service.submit("sync_stock", {"warehouse": "Valencia"})
    later = {"email": "luis@example.com", "subject": "Informe semanal", "body": "…"}
    scheduled = service.submit("email", later, countdown=3600, user_id="luis")
    running = [
        service.submit(
            "resize_photos", {"album": album, "photos": count, "seconds": 900}, user_id=user
        )
        for album, count, user in (("Boda de Marta", 2400, "marta"), ("Verano", 1600, "iker"))
    ]
    service.wait_for(running[-1], "PROCESSING")
    for order in range(5):
        service.submit("charge", {"order_id": 9000 + order, "cents": 1999}, user_id="nuria")
    mail = service.get("/mailbox")["items"][0]["id"]
    time.sleep(15)
    return {
        "panel": f"#/tasks?task={running[0]}",
        "task-running": f"#/task/{running[0]}",
        "task-failed": f"#/task/{failed}",
        "task-scheduled": f"#/task/{scheduled}",
        "mail": f"#/mailbox?mail={mail}",
        "fields": "#/new?type=every_field",
    }


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.png"):
        old.unlink()
    full, empty = Service(), Service()
    try:
        empty.start()
        full.start()
        paths = work(full, float(os.environ.get("MINUTES", "1")))
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=find_browser(), args=[*ARGUMENTS])
            take(browser, empty.address, shots({}, empty=True))
            take(browser, full.address, shots(paths, empty=False))
            browser.close()
    finally:
        full.close()
        empty.close()
    sys.stdout.write(f"{len(list(FOLDER.glob('*.png')))} pictures in {FOLDER}\n")


if __name__ == "__main__":
    main()
