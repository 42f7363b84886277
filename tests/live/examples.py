"""The programs of docs/live.md."""

from __future__ import annotations

import re

from harness import ROOT


def example(language: str, kind: str) -> str:
    """*language*: JavaScript or Python; *kind*: the heading under it."""
    page = (ROOT / "docs/live.md").read_text("utf-8")
    part = page.partition(f"\n## {language}\n")[2].partition("\n## ")[0]
    found = re.search(rf"^### {kind}\n.*?^```\w+\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)
    assert found, f"docs/live.md has no {kind} in {language}"
    return found[1]
