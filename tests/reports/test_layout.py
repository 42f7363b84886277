"""Every word of a page has its place: inside the margins, and on no other's."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

import pytest
from desk import Desk

from encola.record import TaskState
from encola.reports.drawing import draw
from encola.reports.users import tally, users_document
from encola.reports.wording import Wording
from encola.store.facts import Fact

#: Points: the page's margins at the sides, what the edge of a letter may stand over, and the least
#: between two words.
LEFT, RIGHT, SLACK, SPACE = 51.0, 544.3, 0.7, 1.2

MADE = dt.datetime(2026, 11, 22, 9, tzinfo=dt.UTC)
HEAD = "fecha,producto,cantidad,importe\n"
DAYS = HEAD + "".join(f"2026-01-{day:02},Té-{day},1,{day}000.25\n" for day in range(2, 21))
NAMES = HEAD + "".join(
    f"2026-01-01,{name},1,234863450.81\n"
    for name in (
        "AB-12-34-56-78-90-12-34-56-78-90-12-34-56-78-90-12-34-56-78-90-12-34",
        "lo-que-nunca-se-acaba-de-leer-porque-es-más-largo-que-la-columna-entera",
        "http://example.com/" + "a" * 120,
        "W" * 150,
        "-5 °C",
    )
)
#: As :mod:`encola.tables.names` calls them: the parts after a hyphen begin with figures.
DATASET = "s12.01a22430-1ab4-7604-9671-8e35bd0f4a46"


@dataclass(frozen=True)
class Word:
    text: str
    left: float
    top: float
    right: float
    bottom: float

    def is_too_near(self, other: Word) -> bool:
        """Whether the two share ink, or nearly; lines that are set close share only their white."""
        white = 0.3 * min(self.bottom - self.top, other.bottom - other.top)
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return wide > -SPACE and high > white


def pages_of(pdf: Path) -> list[list[Word]]:
    command = ["pdftotext", "-bbox", "-enc", "UTF-8", str(pdf), "-"]
    found = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    places = r'<word xMin="(\S+)" yMin="(\S+)" xMax="(\S+)" yMax="(\S+)">(.*)</word>'
    return [
        [Word(text, *map(float, where)) for *where, text in re.findall(places, page)]
        for page in found.split("<page ")[1:]
    ]


def assert_in_place(pages: list[list[Word]]) -> None:
    for words in pages:
        assert len(words) > 10
        assert [] == [
            word for word in words if word.left < LEFT - SLACK or word.right > RIGHT + SLACK
        ]
        assert [] == [pair for pair in combinations(words, 2) if pair[0].is_too_near(pair[1])]


@pytest.mark.parametrize("language", ["es", "en"])
@pytest.mark.parametrize("table", [DAYS, NAMES], ids=["days", "names"])
def test_no_word_sticks_out_or_lies_on_another(desk: Desk, table: str, language: str) -> None:
    desk.dataset(7, table, DATASET)
    job = desk.job(7, language=language)
    desk.render(job)

    pages = pages_of(desk.pdf(job))
    assert len(pages) >= 2
    assert_in_place(pages)


@pytest.mark.parametrize("language", ["es", "en"])
def test_nor_do_the_names_of_users_and_of_task_types(tmp_path: Path, language: str) -> None:
    """Whoever enqueues chooses both."""
    names = [
        "0198c0de-7a31-7c2e-9d0b-5a3f1e2d4c6b",
        "un-nombre-larguísimo-que-no-cabe-en-ningún-sitio@ejemplo.com",
        "tareas.muy_largas.de_verdad.recalcular_todo_lo_que_haya",
        "7",
    ]
    facts = [
        Fact(f"{number}", name, "encola", user, TaskState.FAILURE, 0, 0, "failed", 4_200)
        for number, (user, name) in enumerate(product(names, names))
    ]
    path = tmp_path / "users.pdf"
    users = tally(names[0], facts)
    path.write_bytes(draw(users_document(users, Wording(language), MADE), MADE))

    assert_in_place(pages_of(path))


def test_a_name_that_is_broken_at_a_hyphen_stays_itself(desk: Desk) -> None:
    """Spanish begins the next line with the hyphen again; a code would be another one."""
    desk.dataset(7, NAMES, DATASET)
    text = desk.text(desk.job(7))

    assert "-5 °C" in text
    # Nor does it have a sign more for whoever copies it.
    assert "\u200b" not in text
    assert [] == re.findall(r"(?m)(?:^|\s)-\w+", text.replace("-5 °C", ""))
