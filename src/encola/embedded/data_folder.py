"""
The data folder: its sub-folders, its marker file, and the lock that lets one `encola up` in.

Owns nothing inside the sub-folders; each belongs to the part that it is named for.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import threading
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from encola.errors import EncolaError

from .runfile import shown, write_private

FOLDERS = ("valkey", "mail", "uploads", "datasets", "rejected", "reports", "logs")
MARKER = "installation.json"
LOCK = "up.lock"


class CannotStart(EncolaError):  # named as those in encola.errors
    """`encola up` could not start, or could not go on."""

    code = "cannot_start"

    def __init__(self, message: str, *, exit_code: int = 4) -> None:
        #: As the command line documents them: 2 wrong input, 4 nothing runs, 5 conflict.
        self.exit_code = exit_code
        super().__init__(message)


def prepare(data_dir: Path) -> Path:
    """
    Make the folder with all it needs, readable by its owner alone; the absolute path comes back.

    Raises:
        CannotStart: it cannot be made or written to.
    """
    folder = data_dir.absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in FOLDERS:
            (folder / name).mkdir(mode=0o700, exist_ok=True)
            (folder / name).chmod(0o700)
        # A folder that exists may still be on a read-only or full disk.
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"encola")
        mark(folder)
    except OSError as error:
        raise CannotStart(
            f"The data folder {shown(data_dir)} cannot be written to ({error.strerror}). "
            "Make it writable, or name another in ENCOLA_DATA_DIR.",
            exit_code=2,
        ) from None
    return folder


def installation_id(data_dir: Path) -> str | None:
    """
    The id in the marker file, made once for the life of the folder; None where there is none.

    A worker that reads another id than the store names does not see the same folder: :mod:`encola.installation`.
    """
    try:
        return str(json.loads((data_dir / MARKER).read_text(encoding="utf-8"))["id"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def only_one(data_dir: Path) -> Generator[None]:
    """
    Hold the folder's lock. The kernel frees it when the process ends, however it ends.

    Raises:
        CannotStart: another `encola up` holds it.
    """
    # The file stays when the lock goes: removing it would let two processes
    # hold locks on two files of the same name.
    descriptor = os.open(data_dir / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise CannotStart(
                f"Another `encola up` (pid {pid}) runs on {shown(data_dir)}. "
                "Stop it first, or name another folder in ENCOLA_DATA_DIR.",
                exit_code=5,
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def mark(data_dir: Path) -> str:
    """
    The folder's id; the folder and its marker are made where they are not there.

    Raises:
        OSError: it cannot be written to.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (known := installation_id(data_dir)) is not None:
        return known
    text = json.dumps({"id": str(uuid.uuid4())}) + "\n"
    marker, new = data_dir / MARKER, data_dir / f".{MARKER}.{os.getpid()}.{threading.get_ident()}"
    write_private(new, text)
    try:
        # Of two that mark it at once one is the first, and the other takes its id.
        os.link(new, marker)
    except FileExistsError:
        if installation_id(data_dir) is None:  # a torn or emptied one
            new.replace(marker)
    finally:
        new.unlink(missing_ok=True)
    return installation_id(data_dir) or mark(data_dir)
