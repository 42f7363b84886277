"""Modules with a user's tasks are found in the folder in which a command is started."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]
NOBODY = "redis://127.0.0.1:1"


@pytest.fixture
def installed(tmp_path: Path, environment: dict[str, str]) -> Run:
    """As the installed ``encola`` runs: Python itself does not look in the current folder then."""

    def ran(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-m", "encola", *arguments],
            cwd=tmp_path,
            env={**environment, "REDIS_URL": NOBODY, "ENCOLA_PORT": "0", **more},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return ran


@pytest.mark.parametrize("command", ["worker", "beat", "api", "flower"])
def test_a_module_beside_the_user_is_imported(installed: Run, tmp_path: Path, command: str) -> None:
    """A file of the folder is enough, as for `encola up`; nothing need be installed."""
    (tmp_path / "shop_tasks.py").write_text("raise SystemExit(77)")

    assert 77 == installed(command, ENCOLA_TASK_MODULES="shop_tasks").returncode


def test_the_doctor_looks_there_too(installed: Run, tmp_path: Path) -> None:
    """It would not find what the worker finds."""
    (tmp_path / "shop_tasks.py").touch()

    assert "ok      task modules" in installed("doctor", ENCOLA_TASK_MODULES="shop_tasks").stdout


def test_a_file_of_the_folder_hides_nothing(installed: Run, tmp_path: Path) -> None:
    """Whatever else lies there, such as an ``email.py``."""
    for name in ("email", "http", "redis", "shop_tasks"):
        (tmp_path / f"{name}.py").write_text(
            f"raise SystemExit({77 if name == 'shop_tasks' else 1})"
        )

    assert 77 == installed("beat", ENCOLA_TASK_MODULES="shop_tasks").returncode
