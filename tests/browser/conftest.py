"""
The browser: Debian's Chromium, headless, driven by Playwright.

Every page of every test is watched: an error that nobody caught, a report of the content
security policy, or a request to another host fails the test that opened it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from service import Service

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WATCH = """
    globalThis.violations = [];
    addEventListener('securitypolicyviolation', (event) => {
        violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
    });
    globalThis.scripted = [];
    for (const name of ['alert', 'confirm', 'prompt', 'print']) {
        globalThis[name] = (text) => { scripted.push(`${name} ${text}`); };
    }
"""


def find_browser() -> str:
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        reason = "chromium is not installed (Debian: apt install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


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


class Watched:
    """A context whose pages are watched."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.context = context
        self.address = address
        self.wrong: list[str] = []
        context.add_init_script(WATCH)
        context.on("weberror", lambda error: self.wrong.append(f"uncaught: {error.error}"))
        context.on("response", lambda answer: self._look(answer.request))
        context.on("requestfailed", self._look)

    def _look(self, request: Any) -> None:
        # One that the policy forbade never left the browser.
        blocked = request.failure == "csp"
        if not blocked and not request.url.startswith((self.address, "data:", "about:", "blob:")):
            self.wrong.append(f"asked elsewhere: {request.url}")

    def check(self) -> None:
        for page in self.context.pages:
            seen = page.evaluate(
                "[...(globalThis.violations ?? []), ...(globalThis.scripted ?? [])]"
            )
            self.wrong += [f"in the page: {each}" for each in seen]

        assert [] == self.wrong


Open = Callable[..., Page]


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
