"""
The append-only file, flushed to disk once a second by somebody other than the server.

Valkey can do so itself (``appendfsync everysec``). But while such a flush takes long, on a
slow or busy disk, it keeps changes in its memory for up to two seconds and answers
nevertheless: killed in that moment it loses what it has answered. Without a flush of its
own it hands each change to the kernel before it answers, and a killed process loses
nothing. What is left to do is what protects from a power cut, and any process can do it.

Source: ``flushAppendOnlyFile`` in Valkey's aof.c.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

EVERY_SECONDS: Final = 1.0


@contextmanager
def flushed(folder: Path) -> Generator[None]:
    """Flushes every file of *folder*, the append-only directory, each second while inside."""
    over = threading.Event()

    def keep_flushing() -> None:
        failed = False
        while not over.wait(EVERY_SECONDS):
            try:
                flush(folder)
                failed = False
            except OSError as error:
                if not failed:
                    logger.error("%s could not be flushed to disk: %s", folder, error)
                failed = True

    thread = threading.Thread(target=keep_flushing, name="encola-flush", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def flush(folder: Path) -> None:
    """
    Has the disk take what was written; a folder that is not there yet has nothing.

    Raises:
        OSError: the disk did not take it.
    """
    if not folder.exists():
        return
    for file in folder.iterdir():
        try:
            handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # a rewrite has just replaced it
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
