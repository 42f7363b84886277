"""Completion in real shells: what is offered, and that nothing of it is more than a word."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_cli import SCHEMA, FakeApi, api

from encola.cli.completion import PLAIN

assert api  # the stand-in, as a fixture here too

Run = Callable[..., "subprocess.CompletedProcess[str]"]
TASKS = [
    {"task_id": "01a2-new", "type": "file", "state": "STARTED"},
    {"task_id": "01a2-old", "type": "email", "state": "SUCCESS"},
    {"task_id": "x$(touch pwned)\\$(touch pwned)", "type": "file", "state": "PENDING"},
    {"task_id": "x`touch pwned`", "type": "a' b", "state": "PENDING"},
    {"task_id": "*", "type": "file", "state": "PENDING"},
]
COMMANDS = {"up", "submit", "status", "cancel", "worker", "doctor", "monitor", "flower"}


@pytest.fixture
def home(tmp_path: Path, environment: dict[str, str], api: FakeApi) -> Iterator[dict[str, str]]:
    """The environment of somebody who has ``encola`` on the path; none of the ids was evaluated."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "encola"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m encola "$@"\n')
    program.chmod(0o755)
    api.answers["GET /tasks?limit=20"] = (200, {"items": TASKS, "next_cursor": None})
    yield {
        **environment,
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "ENCOLA_URL": api.url,
    }
    assert not (tmp_path / "pwned").exists()


@pytest.fixture
def press(tmp_path: Path, home: dict[str, str]) -> Callable[..., set[str]]:
    """What bash offers when the tabulator key is pressed after these words."""

    def pressed(*words: str, **more: str) -> set[str]:
        script = (
            "source <(encola completion bash)\n"
            f"COMP_WORDS=({' '.join(shlex.quote(word) for word in ('encola', *words))})\n"
            f"COMP_CWORD={len(words)}\n"
            "_encola_completion encola\n"
            'printf "%s\\n" "${COMPREPLY[@]}"\n'
        )
        done = subprocess.run(
            ["bash", "--norc", "-c", script],
            env={**home, **more},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "" == done.stderr
        return set(done.stdout.split())

    return pressed


Press = Callable[..., set[str]]

#: How each of the other shells is asked what it would offer behind the last word. What zsh has for
#: a person's screen is replaced by a line of text.
SHELLS = {
    "fish": """
        encola completion fish | source
        for line in 'encola sta' 'encola submit ' 'encola status '
            complete -C $line
        end
    """,
    "zsh": """
        compdef() { : }
        _arguments() { print -r -- "$@" }
        source <(encola completion zsh)
        for words in 'sta' 'submit ' 'status '; do
            words=(encola "${(@s: :)words}") CURRENT=$#words
            _encola_completion
        done
    """,
}


def test_commands_are_offered(press: Press) -> None:
    """All of them."""
    assert COMMANDS <= press("")
    assert {"status"} == press("sta")


def test_task_types_fields_and_values_come_from_the_api(press: Press, api: FakeApi) -> None:
    """With the command's own options; a field with a few values offers these."""
    types = [{"name": name, "queue": "q", "input_schema": SCHEMA} for name in ("file", "email")]
    api.answers["GET /tasks/types"] = (200, {"types": types})

    assert {"file", "email"} == press("submit", "")
    assert {"--user-id", "--report-type", "--wait", "--html"} <= press("submit", "file", "--")
    assert {"--user-id"} == press("submit", "file", "--us")
    assert {"a", "b"} == press("submit", "file", "--kind", "")


def test_ids_of_the_newest_tasks_are_offered(press: Press) -> None:
    """To `cancel` only those that have not ended."""
    assert {"01a2-new", "01a2-old"} == press("status", "")
    assert {"01a2-new"} == press("cancel", "01")


def test_what_is_no_plain_word_is_not_offered(press: Press) -> None:
    """A shell may evaluate what it is given; the fixture looks whether anything was run."""
    assert {"01a2-new", "01a2-old"} == press("status", "")
    hostile: list[Any] = [task["task_id"] for task in TASKS[2:]]
    assert [None] * 3 == [PLAIN.fullmatch(word) for word in hostile]


def test_without_an_api_nothing_is_offered_and_nothing_is_said(press: Press) -> None:
    """File names are left to the shell."""
    assert set() == press("submit", "", ENCOLA_URL="http://127.0.0.1:1")
    assert set() == press("status", "", ENCOLA_URL="http://127.0.0.1:1")


@pytest.mark.parametrize("shell", SHELLS)
def test_other_shells_offer_the_same(
    shell: str, home: dict[str, str], api: FakeApi, tmp_path: Path
) -> None:
    """Commands, task types and ids, from the script that they have read themselves."""
    if shutil.which(shell) is None:
        reason = f"{shell} is not installed (Debian: apt install {shell})"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    types = [{"name": name, "queue": "q", "input_schema": SCHEMA} for name in ("file", "email")]
    api.answers["GET /tasks/types"] = (200, {"types": types})
    done = subprocess.run(
        [shell, "-f" if shell == "zsh" else "--no-config", "-c", SHELLS[shell]],
        env=home,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert "" == done.stderr
    found = re.findall(r"^[\w-]+(?=\t)|(?<=\")[\w-]+(?=\":)", done.stdout, re.MULTILINE)
    assert {"status", "email", "file", "01a2-new", "01a2-old"} == set(found), done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(run: Run, shell: str) -> None:
    """It calls the command back."""
    done = run("completion", shell)

    assert (0, "") == (done.returncode, done.stderr)
    assert f"_ENCOLA_COMPLETE=complete_{shell}" in done.stdout


def test_an_unknown_shell_is_exit_code_2(run: Run) -> None:
    """With those that there are."""
    done = run("completion", "tcsh")

    assert (2, "") == (done.returncode, done.stdout)
    assert "'bash', 'zsh', 'fish'" in done.stderr


def test_it_can_be_installed_for_the_shell_in_use(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """Into the home folder of whoever asks."""
    done = subprocess.run(
        [
            "bash",
            "--norc",
            "-c",
            f"{shlex.quote(sys.executable)} -m encola --install-completion; true",
        ],
        env={**environment, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "bash completion installed" in done.stdout
    installed = tmp_path / ".bash_completions/encola.sh"
    assert "_ENCOLA_COMPLETE=complete_bash" in installed.read_text()
    assert str(installed) in (tmp_path / ".bashrc").read_text()
