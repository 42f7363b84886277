"""`encola up` in a folder of its own, as a newcomer has it: at default settings, on a free port."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from harness import ROOT
from support import wait_until


class Running:
    """A whole service: Valkey, mailbox, worker and API."""

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        # A socket's path has at most 107 bytes; pytest's folders may be longer.
        self.folder = Path(tempfile.mkdtemp(prefix="enc-"))
        self.data_dir = self.folder / ".encola"
        self.log = self.folder / "up.log"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("ENCOLA_", "REDIS_URL"))}
        self.env = kept | {"PYTHONPATH": str(ROOT / "src"), "ENCOLA_PORT": "0"} | dict(env or {})
        self.api_url = ""
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "encola", "up"],
                env=self.env,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._is_ready, description="a worker and the API are up", timeout=60)

    def get(self, path: str) -> Any:
        answer = httpx.get(self.api_url + path, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            self.api_url = json.loads((self.data_dir / "run.json").read_text())["api_url"]
            return bool(self.get("/ready")["workers"])
        except (OSError, KeyError, ValueError, httpx.HTTPError):
            return False
