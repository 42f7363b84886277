"""The programs of docs/live.md and docs/acting.md."""

from __future__ import annotations

import re

from harness import ROOT


def example(language: str, kind: str) -> str:
    """Of docs/live.md; *language*: JavaScript or Python; *kind*: the heading under it."""
    return _first(_part("live.md", language).partition(f"\n### {kind}\n")[2])


def acting(language: str) -> str:
    """The one of docs/acting.md."""
    return _first(_part("acting.md", language))


def _part(page: str, language: str) -> str:
    text = (ROOT / "docs" / page).read_text("utf-8")
    return text.partition(f"\n## {language}\n")[2].partition("\n## ")[0]


def _first(part: str) -> str:
    found = re.search(r"^```\w+\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]
