"""
The browser: Debian's Chromium, headless, driven by Playwright.

Every page of every test is watched: an error that nobody caught, a report of the content
security policy, or a request to another host fails the test that opened it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

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
#: Addresses that lead nowhere; the last two are the browser's own viewer of PDF files.
INSIDE = ("data:", "about:", "blob:", "chrome:", "chrome-extension:")
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


class Watched:
    """A context whose pages are watched."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.context = context
        self.address = address
        self.wrong: list[str] = []
        context.add_init_script(WATCH)
        context.on("weberror", lambda error: self.wrong.append(f"uncaught: {error.error}"))
        context.on("requestfinished", self._look)
        context.on("requestfailed", self._look)

    def _look(self, request: Any) -> None:
        # One that the policy forbade never left the browser.
        if not request.url.startswith((self.address, *INSIDE)) and request.failure != "csp":
            self.wrong.append(f"asked elsewhere: {request.url}")

    def check(self) -> None:
        for page in self.context.pages:
            seen = page.evaluate(
                "[...(globalThis.violations ?? []), ...(globalThis.scripted ?? [])]"
            )
            self.wrong += [f"in the page: {each}" for each in seen]

        if self.wrong:
            pytest.fail("\n".join(self.wrong))


Open = Callable[..., Page]
