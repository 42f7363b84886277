"""The programs of bench/: that each starts, whatever its name and wherever it is started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parent.parent / "bench"
PROGRAMS = sorted(program.name for program in BENCH.glob("*.py"))


def run(program: str, *arguments: str) -> str:
    """What it prints, started in its own folder, which is the worst place for it."""
    done = subprocess.run(
        [sys.executable, program, *arguments],
        cwd=BENCH,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_of_the_folder_starts(program: str) -> None:
    """http.py and email.py hide no module of the standard library from it."""
    assert f"usage: {program}" in run(program, "--help")


def test_the_programs_that_the_page_names_are_there() -> None:
    """And no other: a program whose figures stand nowhere is one that nobody runs."""
    page = (BENCH.parent / "docs/benchmarks.md").read_text("utf-8")

    assert [] == [name for name in PROGRAMS if f"python bench/{name}" not in page]


def test_the_processes_that_a_program_starts_find_their_modules() -> None:
    """A worker that is started in the folder imports the standard library's `email`, and works."""
    assert "| 3 |" in run("latency.py", "--tasks", "3")
