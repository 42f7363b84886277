"""
The walk through the lesson, in both languages: every command of the page is run, in order.

A block of Python that begins with ``# name.py`` is that file; one of JSON or text after commands is
what they print, where ``…`` stands for anything.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

import httpx
import pytest

from encola.embedded.ports import free_port
from harness import ROOT
from running import Running
from support import wait_until

PAGES = {"es": "docs/es/practica-36.md", "en": "docs/en/practica-36.md"}
READMES = {"es": "README.es.md", "en": "README.md"}
#: The commands that go on until somebody stops them; each begins a block of its own.
START = "ENCOLA_TASK_MODULES=lesson_tasks make up"
FLOWER = ".venv/bin/encola flower"
FILE_PATH = re.compile(r"data://uploads/[\w.-]+")
TASK_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass
class Block:
    language: str
    text: str


def blocks(language: str, pages: dict[str, str] = PAGES) -> list[Block]:
    page = (ROOT / pages[language]).read_text("utf-8")
    return [
        Block(*found)
        for found in re.findall(r"^```(\w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    ]


@dataclass
class Student:
    """Somebody who types what the page says, in the folder of the repository."""

    running: Running
    flower_port: int = 0
    task_id: str = ""
    file_path: str = ""
    printed: str = ""
    flower: subprocess.Popen[bytes] | None = None
    ran: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """Of another terminal: the variables before `make up` are not set there."""
        return {k: v for k, v in self.running.env.items() if not k.startswith("ENCOLA_")}

    def follow(self, block: Block) -> None:
        if block.language == "python":
            name = block.text.splitlines()[0].removeprefix("# ")
            (self.running.folder / name).write_text(block.text, "utf-8")
        elif block.language == "sh":
            self.ran.append(block.text)
            self.type(block.text)
        else:
            self.compare(block.text)

    def type(self, commands: str) -> None:
        if commands.strip() == START:
            self.running.start()
        elif commands.startswith(FLOWER):
            self.start_flower(commands)
        else:
            if "/tasks/status/TASK_ID" in commands:
                wait_until(self.is_ended, description="the task has ended")
            self.printed = self.run(commands)
            found = TASK_ID.findall(self.printed)
            # The answer of a submit names one task; a list is no answer to go on with.
            self.task_id = found[0] if len(set(found)) == 1 else self.task_id
            files = FILE_PATH.findall(self.printed)
            self.file_path = files[0] if files else self.file_path

    def is_ended(self) -> bool:
        """As it is for a person, who is slower than a mail."""
        state: str = self.running.get(f"/tasks/status/{self.task_id}")["state"]
        return state == "SUCCESS"

    def run(self, commands: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.here(commands)],
            cwd=self.running.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start_flower(self, command: str) -> None:
        self.flower_port = free_port("127.0.0.1")
        with self.running.log.open("ab") as log:
            self.flower = subprocess.Popen(
                ["bash", "-c", f"exec {self.here(command)}"],
                cwd=self.running.folder,
                env=self.environment,
                start_new_session=True,
                stdout=log,
                stderr=log,
            )
        wait_until(self.sees_workers, description="Flower shows the worker", timeout=60)

    def sees_workers(self) -> bool:
        try:
            api = f"http://127.0.0.1:{self.flower_port}/api/workers"
            known = httpx.get(api, timeout=5)
            # Flower knows a worker at once, and as there when it has heard its heart beat.
            heard = httpx.get(api, params={"status": 1}, timeout=5)
        except httpx.HTTPError:
            return False
        return bool(
            known.is_success and known.json() and heard.is_success and any(heard.json().values())
        )

    def here(self, commands: str) -> str:
        """The addresses of this test's own service, and the task or file that the last answer named."""
        if "TASK_ID" in commands.replace("ENCOLA_TASK", ""):
            assert self.task_id, commands
        return (
            commands.replace("http://127.0.0.1:8000", self.running.api_url)
            .replace("5555", str(self.flower_port))
            .replace("TASK_ID", self.task_id)
            .replace("FILE_PATH", self.file_path)
        )

    def compare(self, expected: str) -> None:
        """Spaces aside: the page shows JSON as a person would write it."""
        parts = re.sub(r"\s", "", expected).split("…")
        pattern = ".*?".join(re.escape(part) for part in parts)
        printed = re.sub(r"\s", "", self.printed)

        assert re.fullmatch(pattern, printed, re.DOTALL), (
            f"expected\n{expected}\ngot\n{self.printed}"
        )

    def close(self) -> None:
        if self.flower is not None:
            os.killpg(self.flower.pid, signal.SIGTERM)
            self.flower.wait(20)
        self.running.close()


@pytest.fixture
def student() -> Iterator[Student]:
    running = Running({"ENCOLA_TASK_MODULES": "lesson_tasks,shop_tasks"})
    # What `make up` makes in a clone, and what pytest reads there.
    (running.folder / ".venv").symlink_to(Path(sys.prefix), target_is_directory=True)
    (running.folder / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
    made = Student(running)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("language", PAGES)
def test_every_command_of_the_page_does_what_the_page_says(student: Student, language: str) -> None:
    """From the first section of the lesson to the last; and before it what a README shows first."""
    file, start, *rest = blocks(language)
    # `make up` is how a README begins too; it goes on with a task of one's own.
    readme = iter(blocks(language, READMES))
    _, *curls = takewhile(lambda b: b.language != "python", readme)
    [own] = [b for b in blocks(language, READMES) if b.text.startswith("# shop_tasks.py")]
    [submit] = [b for b in readme if b.text.startswith(".venv/bin/encola submit charge")]
    for block in (file, own, start, *curls, submit):
        student.follow(block)
    assert {"charged": 1250} == student.running.get(f"/tasks/{student.task_id}")["result"]
    for block in rest:
        student.follow(block)

    assert START == student.ran[0].strip()
    assert student.flower is not None
    report = student.running.folder / "report.pdf"
    assert report.read_bytes().startswith(b"%PDF-")
    mails = student.running.get("/mailbox")["items"]
    assert {"Hola", "Pedido 36"} <= {mail["subject"] for mail in mails}


def test_both_pages_have_the_same_commands_and_sections() -> None:
    """What a student types is the same in both languages, character for character."""
    spanish, english = ([b.text for b in blocks(page) if b.language == "sh"] for page in PAGES)
    sections = [
        re.findall(r"^## (\d*)", (ROOT / page).read_text("utf-8"), re.MULTILINE)
        for page in PAGES.values()
    ]

    assert spanish == english
    assert sections[0] == sections[1]
    assert ["1", "2", "3", "4", "5", "6", "7", ""] == sections[0]


def test_json_in_the_pages_is_json() -> None:
    """Apart from what stands for anything."""
    for page in PAGES:
        for block in blocks(page):
            if block.language == "json":
                json.loads(re.sub(r"([{\[])…([}\]])", r"\1\2", block.text))
