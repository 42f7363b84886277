"""
What the first paint waits for, in what can be counted without a clock.

How long it takes is measured by `bench/dashboard.py`; here is the budget that makes it short, so that
it is not spent unseen: nothing blocks but a few kilobytes, and no answer grows with the records.
"""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import expect
from service import Service
from window import Open

#: Packed, as they are sent: what the first paint waits for, and the modules that draw it.
MOST_BLOCKING, MOST_MODULES = 20_000, 100_000
MOST_REQUESTS = 100
#: Bytes of the answers that a screen begins with.
MOST_DATA = 120_000
#: Path -> bytes of its largest answer, unpacked; the stream is none.
ANSWERS = """() => {
    const answers = {};
    for (const { name, initiatorType, decodedBodySize } of performance.getEntriesByType('resource')) {
        const { pathname } = new URL(name);
        if (initiatorType !== 'fetch' || pathname === '/events') continue;
        answers[pathname] = Math.max(answers[pathname] ?? 0, decodedBodySize);
    }
    return answers;
}"""


def sent(client: httpx.Client, path: str) -> int:
    """Bytes that cross the line for a file."""
    with client.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as answer:
        answer.raise_for_status()
        return sum(map(len, answer.iter_raw()))


def test_only_a_few_kilobytes_stand_before_the_first_paint(service: Service) -> None:
    """Two style sheets and the choice of theme; every module is named, so that none waits for another."""
    with httpx.Client(base_url=service.address) as client:
        page = client.get("/").text
        scripts = re.findall(r"<script(?! type=\"module\")[^>]*src=\"([^\"]+)\"", page)
        styles = re.findall(r"<link rel=\"stylesheet\" href=\"([^\"]+)\"", page)
        modules = re.findall(r"<link rel=\"modulepreload\" href=\"([^\"]+)\"", page)
        blocking = sum(sent(client, path) for path in ["/", *scripts, *styles])
        drawn = sum(sent(client, path) for path in modules)

    assert ["boot.js"] == [path.rpartition("/")[2] for path in scripts]
    assert 2 == len(styles)
    assert blocking < MOST_BLOCKING
    assert drawn < MOST_MODULES
    assert len(modules) < MOST_REQUESTS


@pytest.mark.parametrize(
    ("path", "content", "asked"),
    [
        ("/#/", ".card", {"/stats", "/tasks", "/tasks/types"}),
        ("/#/tasks", "tr.row", {"/tasks", "/tasks/counts", "/tasks/types"}),
    ],
)
def test_what_a_screen_begins_with_does_not_grow_with_the_records(
    opened: Open, service: Service, path: str, content: str, asked: set[str]
) -> None:
    """It asks for the same, of about as many bytes, with 60 tasks as with 200; nothing asks for them all."""

    def begin() -> dict[str, int]:
        page = opened(path)
        expect(page.locator(content).first).to_be_visible()
        page.wait_for_function(
            f"(asked) => asked.every((path) => path in ({ANSWERS})())", arg=list(asked)
        )
        return dict(page.evaluate(ANSWERS))

    service.wait_for(service.submit_many(60)[-1], "SUCCESS")
    few = begin()
    service.wait_for(service.submit_many(140)[-1], "SUCCESS")
    many = begin()

    assert asked == set(few) == set(many)
    assert sum(many.values()) < MOST_DATA
    assert sum(many.values()) < 1.5 * sum(few.values())
