"""A whole service for the browser: `encola up` in a folder of its own, with tasks of every kind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from support import wait_until

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


class Service:
    """`encola up` on a free port."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="enc-"))
        self.process: subprocess.Popen[bytes] | None = None
        self.address = ""
        self.smtp = ("", 0)

    def start(self, port: int = 0) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(HERE)]),
            "ENCOLA_TASK_MODULES": "demo_tasks",
            "ENCOLA_DATA_DIR": str(self.folder / "data"),
            "ENCOLA_PORT": str(port),
            "ENCOLA_LOG_LEVEL": "warning",
            "ENCOLA_GRACE_SECONDS": "2",
        }
        environment.pop("REDIS_URL", None)
        log = (self.folder / "log").open("ab")
        with log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "encola", "up"],
                env=environment,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self._ready, description="a worker and the API are up", timeout=60)

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "log").read_text()
        try:
            run = json.loads((self.folder / "data/run.json").read_text())
            self.address = run["api_url"]
            mail = urlsplit(run["smtp_url"])
            self.smtp = (mail.hostname or "", mail.port or 0)
            return bool(self.get("/ready")["workers"])
        except (OSError, KeyError, ValueError, httpx.HTTPError):
            return False

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- the API, as a program uses it ---------------------------------------

    def submit_many(self, count: int, **options: Any) -> list[str]:
        """Ids of small tasks, as fast as one connection takes them."""
        with httpx.Client(base_url=self.address, timeout=10) as client:
            answers = [
                client.post(
                    "/tasks",
                    json={
                        "type": "charge",
                        "input": {"order_id": number, "cents": 1},
                        "options": options,
                    },
                )
                for number in range(count)
            ]
        return [str(answer.json()["task_id"]) for answer in answers]

    def call(self, method: str, path: str, body: object = None) -> Any:
        answer = httpx.request(method, self.address + path, json=body, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def submit(self, type_: str, input_: dict[str, Any], **options: Any) -> str:
        """The id of a task that was accepted."""
        body = {"type": type_, "input": input_, "options": options}
        return str(self.call("POST", "/tasks", body)["task_id"])

    def state(self, task_id: str) -> str:
        return str(self.get(f"/tasks/{task_id}")["state"])

    def wait_for(self, task_id: str, *states: str) -> None:
        wait_until(
            lambda: self.state(task_id) in states,
            description=f"{task_id} is {' or '.join(states)}",
            timeout=30,
        )
