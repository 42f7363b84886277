"""What a reader relies on is written down: settings, error codes, links, both languages."""

from __future__ import annotations

import re
from pathlib import Path

import encola.errors
from encola.settings import Settings

ROOT = Path(__file__).parent.parent


def test_every_setting_is_documented() -> None:
    """A new setting without a row in docs/settings.md fails here."""
    text = (ROOT / "docs/settings.md").read_text()
    names = [
        "REDIS_URL" if name == "redis_url" else f"ENCOLA_{name.upper()}"
        for name in Settings.model_fields
    ]

    assert [] == [name for name in names if f"`{name}`" not in text]


def test_every_error_code_is_documented() -> None:
    text = (ROOT / "docs/errors.md").read_text()
    codes = {
        kind.code
        for kind in vars(encola.errors).values()
        if isinstance(kind, type) and issubclass(kind, encola.errors.EncolaError)
    }

    assert [] == sorted(code for code in codes if f"`{code}`" not in text)


def test_relative_links_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    dead = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]

    assert [] == dead


def test_both_readmes_have_the_same_sections() -> None:
    """The Spanish README is as complete as the English one: sections and commands alike."""
    english, spanish = ((ROOT / name).read_text() for name in ("README.md", "README.es.md"))

    assert len(re.findall("^## ", english, re.MULTILINE)) == len(
        re.findall("^## ", spanish, re.MULTILINE)
    )
    assert re.findall("```sh\n(.*?)```", english, re.DOTALL) == re.findall(
        "```sh\n(.*?)```", spanish, re.DOTALL
    )
