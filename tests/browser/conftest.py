"""The browser and the service, and a page of the one that shows the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from service import Service
from window import ARGUMENTS, Open, Watched, find_browser


# One a module, not one a run: while it is there, Playwright's event loop counts as running,
# and the tests of other folders start loops of their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = find_browser()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield started
        started.close()


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    """A running service that the tests of this folder share."""
    find_browser()
    running = Service()
    try:
        running.start()
        yield running
    finally:
        running.close()


@pytest.fixture
def opened(browser: Browser, service: Service) -> Iterator[Open]:
    """``opened(path, **options of the context)`` gives a page that shows *path*."""
    contexts: list[Watched] = []

    def open_page(path: str = "/", *, address: str | None = None, **options: Any) -> Page:
        base = address or service.address
        wanted = {"locale": "es-ES", "viewport": {"width": 1440, "height": 900}, **options}
        watched = Watched(browser.new_context(base_url=base, **wanted), base)
        contexts.append(watched)
        page = watched.context.new_page()
        page.set_default_timeout(10_000)
        page.goto(path)
        return page

    yield open_page
    try:
        for each in contexts:
            each.check()
    finally:
        for each in contexts:
            each.context.close()
