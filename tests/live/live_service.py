"""An API process and its store, and people who listen to it."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import uuid_utils

from encola.store import Message, NewTask, encode_body, run
from harness import Bench, Server
from support import wait_until

MESSAGE = Message("t.task", encode_body([])).encode()


class Api:
    """``encola api`` in a process of its own."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.address = f"http://127.0.0.1:{self.port}"
        self.log_path = bench.folder / "api.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Api:
        environment = {**self.bench.env(), "ENCOLA_PORT": str(self.port)}
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "encola", "api"],
                env=environment,
                cwd=self.bench.folder,
                stdout=log,
                stderr=log,
            )
        try:
            wait_until(self._answers, description="the API answers", timeout=60)
        except BaseException:
            self.close()
            raise
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log_path.read_text()
        try:
            return httpx.get(self.address + "/health", timeout=2).is_success
        except httpx.HTTPError:
            return False

    def stop(self, how: int = signal.SIGTERM, timeout: float = 20) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(timeout)

    def was_held_up(self) -> bool:
        """Whether its stop waited for open connections until the time for that was over, and cut them."""
        return "graceful shutdown exceeded" in self.log_path.read_text()

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def call(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        answer = httpx.request(
            method, self.address + path, json=body, headers=headers or None, timeout=20
        )
        assert answer.is_success, (answer.status_code, answer.text)
        return answer.json()

    def get(self, path: str) -> Any:
        return self.call("GET", path)


class Listener:
    """Reads server-sent events in a thread, and comes back after a drop as a browser does."""

    def __init__(self, address: str, path: str = "/events", *, comes_back: bool = True) -> None:
        self.address, self.path, self.comes_back = address, path, comes_back
        self.last_id: str | None = None
        self.events: list[tuple[str, str | None, Any]] = []
        """(name, id, data) in the order in which they came."""
        self.connections = 0
        self.heartbeats = 0
        self._is_over = False
        self._response: httpx.Response | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def tasks(self) -> list[tuple[str, str]]:
        """(id, state) of each event of a task."""
        return [(e["task_id"], e["state"]) for name, _, e in list(self.events) if name == "task"]

    def ids(self) -> list[str]:
        return [str(i) for name, i, _ in list(self.events) if name == "task"]

    def names(self) -> list[str]:
        return [name for name, _, _ in list(self.events)]

    def wait_for(self, count: int, timeout: float = 20) -> None:
        wait_until(
            lambda: len(self.ids()) >= count,
            description=f"{count} events came, not {len(self.ids())}",
            timeout=timeout,
        )

    def wait_open(self, connections: int = 1) -> Listener:
        wait_until(
            lambda: self.names().count("hello") >= connections,
            description="the stream is open",
            timeout=20,
        )
        return self

    def drop(self) -> None:
        """The connection breaks."""
        response = self._response
        if response is not None:
            stream = response.extensions["network_stream"]
            with contextlib.suppress(OSError):  # gone already
                stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._is_over = True
        self.drop()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._is_over:
            with contextlib.suppress(httpx.HTTPError, OSError):
                self._listen()
            if not self.comes_back:
                return
            threading.Event().wait(0.05)

    def _listen(self) -> None:
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        timeout = httpx.Timeout(5, read=30)
        with httpx.stream(
            "GET", self.address + self.path, headers=headers, timeout=timeout
        ) as response:
            self._response = response
            response.raise_for_status()
            self.connections += 1
            name, data, event_id = "", "", None
            for line in response.iter_lines():
                field, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if line.startswith(":"):
                    self.heartbeats += 1
                elif field == "event":
                    name = value
                elif field == "data":
                    data = value
                elif field == "id":
                    event_id = value
                elif not line:
                    self.last_id = event_id or self.last_id
                    if data:
                        self.events.append((name, event_id, json.loads(data)))
                    name, data, event_id = "", "", None


Listen = Callable[..., Listener]
"""Opens a stream that is closed after the test."""


def enqueue(bench: Bench, count: int = 1, type_: str = "t", **values: Any) -> list[str]:
    """Accepts tasks that no worker here knows; their ids."""
    ids = [str(uuid_utils.uuid7()) for _ in range(count)]
    tasks = [
        NewTask(i, MESSAGE, values.get("queue", "encola"), type_, **_rest(values)) for i in ids
    ]
    for start in range(0, count, 200):
        run(bench.client, bench.verbs.enqueue(tasks[start : start + 200], 10**9))
    return ids


def _rest(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != "queue"}


def new_bench(folder: Path, **values: Any) -> Bench:
    store = folder / "valkey"
    store.mkdir()
    server = Server(store)
    server.start()
    return Bench(server, folder, **values)
