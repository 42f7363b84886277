"""Run ``encola …`` as a person would, in an empty folder where nothing runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment in which nothing runs."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ENCOLA_", "FLOWER_")) and name not in ("REDIS_URL", "COLUMNS")
    }
    # The commands run in a folder of their own, so a relative path to the sources would be lost.
    paths = [
        str(Path(part).absolute()) for part in os.environ.get("PYTHONPATH", "").split(":") if part
    ]
    return {**kept, "PYTHONPATH": ":".join(paths)}


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str]) -> Run:
    """Run ``encola …`` in an empty folder."""

    def ran(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "encola", *arguments],
            cwd=tmp_path,
            env={**environment, **more},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return ran
