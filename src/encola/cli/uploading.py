"""
A file named on the command line, brought to where the worker may read it.

It is sent to the API (``POST /files``), whose worker may run on another machine, and its URI takes the place
of the path. Not sent are a file inside one of ``ENCOLA_FILE_ROOTS``, which the worker reads where it is,
a URI, and what is no file here: the worker may know it.
"""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import typer

from encola.settings import Settings

from .client import Api
from .exits import USAGE, CommandError
from .fields import FILE_FIELD

#: Smaller files need no bar.
SHOWN_FROM: Final = 2**22


def send_file(api: Api, task_input: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """
    *task_input* with the path of a file here replaced by that of its upload.

    Raises:
        CommandError: it cannot be read, or the API does not take it.
    """
    path = task_input.get(FILE_FIELD)
    if not isinstance(path, str) or not _is_to_be_sent(path, settings):
        return task_input
    try:
        with open(path, "rb") as file, _watched(file) as watched:
            name = os.path.basename(path)
            sent = api.upload(name, watched)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.", USAGE) from None
    return {**task_input, FILE_FIELD: sent["file_path"]}


def _is_to_be_sent(path: str, settings: Settings) -> bool:
    if "://" in path:
        return False
    try:
        is_file = stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False
    # Not through links, as the worker: ``..`` is text here too.
    absolute = Path(os.path.abspath(path))
    return is_file and not any(absolute.is_relative_to(root) for root in settings.file_roots)


class _Watched(io.RawIOBase):
    """A file that says how much of it was read."""

    def __init__(self, file: io.BufferedReader, told: Callable[[int], None]) -> None:
        self._file = file
        self._told = told

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._told(len(data))
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def fileno(self) -> int:
        return self._file.fileno()


@contextmanager
def _watched(file: io.BufferedReader) -> Iterator[Any]:
    """*file*, with a bar on a terminal while it is read."""
    size = os.fstat(file.fileno()).st_size
    if not sys.stderr.isatty() or size < SHOWN_FROM:
        if size >= SHOWN_FROM:
            typer.echo(f"Sending {os.path.basename(file.name)} …", err=True)
        yield file
        return
    from rich.console import Console  # see the package
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("Sending"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        row = progress.add_task("", total=size)
        yield _Watched(file, lambda count: progress.advance(row, count))
