"""
Files of the data folder, by the names that records have for them: ``data://results/…``.

The one module that opens them. A name never leads out of the data folder: its
parts are plain names, and links are not followed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from .errors import EncolaError

SCHEME: Final = "data://"
_PART: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")


class FileUnavailable(EncolaError):
    """The file is not in this process's data folder."""

    code = "file_unavailable"


def data_uri(*parts: str) -> str:
    """The name of a file in records."""
    return SCHEME + "/".join(parts)


def write_data(data_dir: Path, uri: str, content: bytes) -> None:
    """Writes a file whole or not at all: under another name first, synced, then renamed."""
    path = _path(data_dir, uri)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def read_data(data_dir: Path, uri: str) -> bytes:
    """
    Raises:
        FileUnavailable: it is not there, or the name is none of ours.
    """
    try:
        descriptor = os.open(_path(data_dir, uri), os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise FileUnavailable(f"{uri} is not in this process's data folder.") from error
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def _path(data_dir: Path, uri: str) -> Path:
    parts = uri.removeprefix(SCHEME).split("/")
    if not uri.startswith(SCHEME) or not all(_PART.fullmatch(part) for part in parts):
        raise FileUnavailable(f"{uri!r} names no file of the data folder.")
    return data_dir.joinpath(*parts)
