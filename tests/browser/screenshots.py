"""
`make screenshots`: every screen in both themes, wide and on a phone, full and empty.

Starts two real services, gives one of them real work, and leaves the pictures in
``build/screenshots``; those that the READMEs show are renewed in ``docs/images``, in the
language of each. Nothing on them is made up: what the charts show has run.
``MINUTES`` is for how long there is work before the pictures are taken.
"""

from __future__ import annotations

import datetime as dt
import os
import random
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
from playwright.sync_api import Browser, Page, expect, sync_playwright
from service import Service
from window import ARGUMENTS, find_browser

FOLDER = Path(__file__).parents[2] / "build/screenshots"
IMAGES = Path(__file__).parents[2] / "docs/images"
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
SCREENS = (
    "",
    "tasks",
    "new?type=email",
    "queues",
    "workers",
    "schedules",
    "files",
    "reports",
    "mailbox",
)
#: The language in which a theme is shown; both are seen of every screen.
LANGUAGES = {"light": "es-ES", "dark": "en-GB"}


@dataclass(frozen=True)
class Shot:
    name: str
    address: str
    theme: str
    phone: bool = False
    press: str = ""
    click: str = ""
    locale: str = ""

    @property
    def path(self) -> Path:
        if self.locale:
            return IMAGES / f"{self.name}-{self.locale[:2]}-{self.theme}.png"
        return FOLDER / f"{self.name}.png"


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


def shown(full: dict[str, str]) -> list[Shot]:
    """For the READMEs, in the language of each, and for the page of the dashboard; both themes."""
    opened, phone = full["panel"].partition("task=")[2], full["task-running"]
    spanish, english = LANGUAGES.values()
    # The list first: what is opened in it sinks while others come.
    wanted = [
        Shot("tasks", "#/tasks", "", click=opened, locale=english),
        Shot("overview", "#/?minutes=15", "", locale=english),
        Shot("overview", "#/?minutes=15", "", locale=spanish),
        Shot("phone", phone, "", phone=True, locale=english),
    ]
    return [replace(shot, theme=theme) for shot in wanted for theme in LANGUAGES]


def take(browser: Browser, address: str, wanted: list[Shot]) -> None:
    for shot in wanted:
        context = browser.new_context(
            base_url=address,
            viewport=PHONE if shot.phone else WIDE,
            is_mobile=shot.phone,
            has_touch=shot.phone,
            locale=shot.locale or LANGUAGES[shot.theme],
            color_scheme=shot.theme,  # type: ignore[arg-type]
            reduced_motion="reduce",
        )
        page = context.new_page()
        page.goto(f"/{shot.address}")
        settle(page)
        if shot.click:
            page.locator(f"[data-id='{shot.click}'] .cell-time").click()
            page.wait_for_selector(".side-panel .timeline")
            page.mouse.move(0, 0)
            page.evaluate("scrollTo(0, 0)")
        if shot.press:
            page.keyboard.press(shot.press)
            page.wait_for_selector("dialog[open]")
        page.screenshot(path=shot.path)
        context.close()


def settle(page: Page) -> None:
    """Loaded, live, and the frames painted."""
    page.wait_for_selector("h1")
    page.wait_for_selector(".live[data-live='live']")
    expect(page.locator(".situation-loading")).to_have_count(0)
    page.wait_for_timeout(400)


def work(service: Service, stopping: threading.Event) -> None:
    """Real tasks of every kind, some every second, until it is told to stop."""
    chance = random.Random(7)
    people = ["ana", "luis", "marta", "iker", "nuria"]
    number, user = 1040, "ana"
    while not stopping.wait(1):
        for _ in range(chance.randint(0, 3)):
            number += 1
            user = chance.choice(people)
            cents = 250_000 if chance.random() < 0.03 else chance.randint(500, 20_000)
            service.submit("charge", {"order_id": number, "cents": cents}, user_id=user)
        if chance.random() < 0.2:
            subject = f"Tu pedido {number}"
            text = f"Hola, {user}:\n\nTu pedido {number} ya va de camino.\n\nUn saludo."
            mail = {"email": f"{user}@example.com", "subject": subject, "body": text}
            service.submit("email", mail, user_id=user)
        if chance.random() < 0.04:
            service.submit("refuse", {"reason": "el banco no responde"}, user_id=user)


def sales(service: Service) -> None:
    """A year of sales in a table that a user's sales report adds up."""
    day = dt.date(2025, 1, 1)
    lines = ["fecha,producto,cantidad,importe"]
    for number in range(365):
        for product, price in (("café", 2.5), ("té", 1.75)):
            count = 1 + (number * 7 + len(product)) % 5
            date = day + dt.timedelta(days=number)
            lines.append(f"{date},{product},{count},{price * count:.2f}")
    table = ("ventas.csv", "\n".join(lines).encode())
    stored = httpx.post(f"{service.address}/files", files={"file": table}).raise_for_status()
    done = service.submit("file", {"file_path": stored.json()["file_path"], "user_id": 7})
    service.wait_for(done, "SUCCESS")


def reports(service: Service) -> None:
    sales(service)
    for kind in ("sales", "analytics", "users"):
        report = service.submit("report", {"user_id": 7, "report_type": kind})
    service.wait_for(report, "SUCCESS", "FAILURE")


def last_ones(service: Service) -> dict[str, str]:
    failed = service.submit("refuse", {"reason": "la tarjeta ha caducado"}, user_id="ana")
    service.wait_for(failed, "FAILURE")
    for number, user in enumerate(("luis", "nuria", "ana"), start=2001):
        service.submit("charge", {"order_id": number, "cents": 4250}, user_id=user)
    service.submit("sync_stock", {"warehouse": "Valencia"})
    hello = {"email": "iker@example.com", "subject": "Tu álbum", "body": "Ya casi está."}
    service.submit("email", hello, user_id="iker")
    later = {"email": "luis@example.com", "subject": "Informe semanal", "body": "…"}
    scheduled = service.submit("email", later, countdown=3600, user_id="luis")
    mail = service.get("/mailbox")["items"][0]["id"]
    return {
        "task-failed": f"#/task/{failed}",
        "task-scheduled": f"#/task/{scheduled}",
        "mail": f"#/mailbox?mail={mail}",
        "fields": "#/new?type=every_field",
        "boxes": "#/new?type=ship",
    }


def album(service: Service, name: str, photos: int, seconds: float, user: str) -> str:
    """The id of a task that runs so long, once it runs."""
    task_id = service.submit(
        "resize_photos", {"album": name, "photos": photos, "seconds": seconds}, user_id=user
    )
    service.wait_for(task_id, "PROCESSING")
    return task_id


def open_at(task_id: str) -> dict[str, str]:
    return {"panel": f"#/tasks?task={task_id}", "task-running": f"#/task/{task_id}"}


def main() -> None:
    for folder in (FOLDER, IMAGES):
        folder.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.png"):
        old.unlink()
    # Room for small tasks beside the long ones of the pictures.
    os.environ["ENCOLA_CONCURRENCY"] = "4"
    full, empty = Service(), Service()
    stopping = threading.Event()
    try:
        empty.start()
        full.start()
        working = threading.Thread(target=work, args=(full, stopping), daemon=True)
        working.start()
        time.sleep(float(os.environ.get("MINUTES", "1")) * 60)
        # Half done in the pictures for the READMEs, which take less time than these do.
        album(full, "Verano", 1600, 150, "iker")
        time.sleep(30)
        stopping.set()
        working.join()
        opened = album(full, "Boda de Marta", 2400, 100, "marta")
        paths = last_ones(full)
        # Long enough for a pace to be told of them.
        time.sleep(5)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=find_browser(), args=[*ARGUMENTS])
            take(browser, full.address, shown(open_at(opened)))
            reports(full)
            paths |= open_at(album(full, "Boda de Nuria", 2400, 1800, "nuria"))
            take(browser, full.address, shots(paths, empty=False))
            take(browser, empty.address, shots({}, empty=True))
            browser.close()
    finally:
        full.close()
        empty.close()
    sys.stdout.write(f"{len(list(FOLDER.glob('*.png')))} pictures in {FOLDER}\n")


if __name__ == "__main__":
    main()
