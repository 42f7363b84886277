"""What several tests need."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import redis

from encola.store import Keys, Verbs

#: The server lives until the standard input of its guard is closed, which the
#: kernel does when the test run dies, even by SIGKILL.
GUARD = '"$@" & server=$!; cat > /dev/null; kill -9 $server'


def wait_until(predicate: Callable[[], object], *, description: str, timeout: float = 10.0) -> None:
    """Come back when *predicate* is true; fail with *description* after *timeout* seconds."""
    deadline = time.monotonic() + timeout
    while not predicate():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {description}")
        time.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    name: str
    url: str


class Store(NamedTuple):
    """An empty store: a client, the scripts as functions, the names of the keys."""

    client: redis.Redis
    verbs: Verbs
    keys: Keys


def is_listening(path: Path) -> bool:
    """Whether somebody answers at a socket: its file is there a moment before anybody does."""
    with socket.socket(socket.AF_UNIX) as caller:
        return not caller.connect_ex(str(path))


@contextmanager
def running(name: str, binary: str) -> Iterator[Server]:
    """A server that keeps nothing, until the block ends."""
    # Not under pytest's own folder: a socket's path is at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="encola-"))
    path = folder / "s"
    command = [binary, "--port", "0", "--unixsocket", str(path), "--dir", str(folder)]
    command += ["--save", "", "--appendonly", "no", "--daemonize", "no"]
    guard = subprocess.Popen(
        ["/bin/sh", "-c", GUARD, "guard", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: is_listening(path), description=f"{name} listens")
        yield Server(name, f"unix://{path}")
    finally:
        assert guard.stdin
        guard.stdin.close()
        guard.wait(timeout=10)
        shutil.rmtree(folder, ignore_errors=True)
