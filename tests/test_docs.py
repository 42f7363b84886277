"""What a reader relies on is written down: settings, codes, commands, scripts, links, both languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import encola.errors
from encola.cli import app
from encola.settings import Settings

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src/encola"
READMES = ("README.md", "README.es.md")


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def variable(field: str) -> str:
    return "REDIS_URL" if field == "redis_url" else f"ENCOLA_{field.upper()}"


def rows(text: str) -> dict[str, list[str]]:
    """First cell -> the other cells, of every row of every table."""
    found = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {cells[0].strip("`"): cells[1:] for cells in found}


def defaults() -> Iterator[tuple[str, str]]:
    """(variable, default as the page writes it), where it does not depend on the machine."""
    for name, field in Settings.model_fields.items():
        value = field.default
        if field.default_factory is not None:
            continue
        if value is None:
            yield variable(name), "unset"
        elif isinstance(value, tuple):
            yield variable(name), ",".join(value) or "none"
        elif isinstance(value, float):
            yield variable(name), f"{value:g}"
        else:
            yield variable(name), str(value)


def test_every_setting_is_documented() -> None:
    """A setting without a row in docs/settings.md is one that nobody can find."""
    documented = rows(page("docs/settings.md"))
    names = [variable(field) for field in Settings.model_fields]

    assert [] == [name for name in names if name not in documented]


def test_the_documented_defaults_are_the_defaults() -> None:
    """docs/settings.md says what a program without any variable does."""
    documented = rows(page("docs/settings.md"))
    wrong = [
        f"{name}: {default} in settings.py, {documented[name][0]} in the page"
        for name, default in defaults()
        if name in documented and documented[name][0] != default
    ]

    assert [] == wrong


def test_every_error_code_of_the_tree_is_documented() -> None:
    """A program goes by the code; docs/errors.md says what each of errors.py means."""
    text = page("docs/errors.md")
    codes = {
        kind.code
        for kind in vars(encola.errors).values()
        if isinstance(kind, type) and issubclass(kind, encola.errors.EncolaError)
    }

    assert [] == sorted(code for code in codes if f"`{code}`" not in text)


@pytest.mark.parametrize(
    ("files", "pattern"),
    [
        pytest.param("**/*.py", r'^    code = "(\w+)"', id="errors outside of errors.py"),
        pytest.param("api/*.py", r'\bProblem\(\s*\d+,\s*"(\w+)"', id="problems of the API"),
        pytest.param("engine/outcome.py", r'^    "\w+": "(\w+)"', id="exceptions of a task"),
        pytest.param("mail/*.py", r'"(mail_\w+)"', id="mail"),
        pytest.param("tables/failures.py", r'"(\w+)"', id="files"),
        pytest.param("reports/failures.py", r'"(\w+)"', id="reports"),
        pytest.param("store/lua/*.lua", r"\bpark\(\w+, '(\w+)'", id="parked by a script"),
        pytest.param("store/lua/*.lua", r"to_finished\(.*'(\w+)', false\)", id="ended by a script"),
    ],
)
def test_every_code_that_the_source_names_is_documented(files: str, pattern: str) -> None:
    """Codes come from the API, from what a task raised and from the scripts; one page has them all."""
    text = page("docs/errors.md")
    codes = {
        code
        for path in SOURCE.glob(files)
        for code in re.findall(pattern, path.read_text("utf-8"), re.MULTILINE)
    }

    assert codes
    assert [] == sorted(code for code in codes if f"`{code}`" not in text)


@pytest.mark.parametrize("language", ["es", "en"])
def test_the_dashboard_has_a_sentence_for_every_reason(language: str) -> None:
    """Why a task ended, in the reader's language: a code is for programs."""
    reasons = page("docs/errors.md").partition("## Why a task ended")[2]
    codes = {code for first in rows(reasons) for code in re.findall(r"[a-z_]+", first)} - {"code"}
    sentences = page(f"src/encola/dashboard/i18n/{language}.js")
    said = set(re.findall(r"^  'error\.(\w+)':", sentences, re.MULTILINE))

    assert "mail_refused" in codes
    assert set() == codes - said


def test_every_script_says_in_the_page_of_events_what_it_emits() -> None:
    """A verb that is added to the store appears in docs/events.md, also when it emits nothing."""
    text = page("docs/events.md")
    verbs = [path.stem for path in (SOURCE / "store/lua").glob("[!_]*.lua")]

    assert [] == sorted(verb for verb in verbs if f"`{verb}`" not in text)


def test_every_field_of_an_event_is_documented() -> None:
    """The letters that ``emit`` writes are the letters of the table, and no others."""
    script = (SOURCE / "store/lua/_record.lua").read_text("utf-8")
    body = script.partition("local function emit")[2].partition("\nend")[0]
    written = set(re.findall(r"'([a-z])'", body))
    every_script = "\n".join(p.read_text("utf-8") for p in (SOURCE / "store/lua").glob("*.lua"))
    written |= set(re.findall(r"emit\(rec, (?:[^,]* and )?'([a-z])'", every_script))
    documented = {name for name in rows(page("docs/events.md")) if len(name) == 1}

    assert written == documented


def test_every_command_is_documented() -> None:
    """A command that `encola --help` lists has its row in docs/cli.md."""
    documented = rows(page("docs/cli.md"))
    names = [f"encola {command.name}" for command in app.registered_commands]

    assert [] == [name for name in names if name not in documented]


def test_the_walk_through_the_files_names_files_that_exist() -> None:
    """A newcomer who follows docs/internals.md finds each file where the page says."""
    named = re.findall(r"`([\w/]+\.(?:py|lua))`", page("docs/internals.md"))
    gone = [
        name
        for name in named
        if not any((base / name).exists() for base in (SOURCE, SOURCE / "store/lua", ROOT))
    ]

    assert named
    assert [] == gone


def test_relative_links_lead_somewhere() -> None:
    """Each relative link of a page leads to a file, and its #part to a heading there."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    dead = [
        f"{one.relative_to(ROOT)}: {target}"
        for one in pages
        for target in re.findall(r"\]\(([^):]+)\)", one.read_text("utf-8"))
        if not leads_somewhere(one, target)
    ]

    assert [] == dead


def leads_somewhere(source: Path, target: str) -> bool:
    name, _, part = target.partition("#")
    path = source.parent / name if name else source
    return path.exists() and (not part or part in anchors(path.read_text("utf-8")))


def anchors(text: str) -> set[str]:
    """The headings of a page, as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_both_readmes_have_the_same_sections() -> None:
    """The Spanish README is as complete as the English one: no section is missing."""
    english, spanish = (re.findall("^## ", page(name), re.MULTILINE) for name in READMES)

    assert len(english) == len(spanish)


def test_both_readmes_show_the_same_commands() -> None:
    """What can be typed is the same in both languages, character for character."""
    english, spanish = (re.findall("```sh\n(.*?)```", page(name), re.DOTALL) for name in READMES)

    assert english
    assert english == spanish
