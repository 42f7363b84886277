"""
Old files of the data folder: which there are, and taking them away.

Only what lies in the folders of :data:`KINDS` is looked at, each reached from the data folder
step by step and never through a link: one of these that is a link is left out and told, a
folder or a file in them that is one stays. A file counts as old by the time at which it was last written.
What begins with a dot is still being written, or was when its writer died: it must be a day old at least.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .files import opened_folder

#: Kinds of old files, each the name of a folder in the data folder, in the order of removal.
KINDS: Final = ("uploads", "datasets", "rejected", "reports", "mail", "results", "cleanup")
DAY_NS: Final = 86_400 * 10**9
#: Kept longer by so much: a large result is written before its record has its outcome.
_GRACE_NS: Final = {"results": DAY_NS}


@dataclass(frozen=True, slots=True, order=True)
class OldFile:
    """A file that is old enough."""

    path: str
    """From the data folder on: ``uploads/a.csv``."""
    size: int
    """Bytes."""

    @property
    def kind(self) -> str:
        return self.path.partition("/")[0]

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Age:
    """What is old."""

    before_ns: int
    """Last written before this, in nanoseconds since 1970."""
    now_ns: int

    def is_old(self, path: str, modified_ns: int) -> bool:
        """Whether the file at *path* is old enough."""
        kind, *rest = path.split("/")
        before = self.before_ns - _GRACE_NS.get(kind, 0)
        if any(part.startswith(".") for part in rest):
            before = min(before, self.now_ns - DAY_NS)
        return modified_ns < before


def find_old(data_dir: Path, kind: str, age: Age) -> Iterator[OldFile]:
    """
    The old files of one kind, by path.

    Raises:
        OSError: the folder is a link, or may not be read.
    """
    for path, seen in _walk(data_dir, kind):
        if age.is_old(path, seen.st_mtime_ns):
            yield OldFile(path, seen.st_size)


def remove_old(data_dir: Path, file: OldFile, age: Age) -> bool:
    """
    Removes a file if it is still there and still old. False: it is not removed by this call.

    Raises:
        OSError: a folder on the way has become a link, or may not be written to.
    """
    *folders, name = file.path.split("/")
    try:
        with opened_folder(data_dir, folders) as folder:
            seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(seen.st_mode) or not age.is_old(file.path, seen.st_mtime_ns):
                return False
            os.unlink(name, dir_fd=folder)
            return True
    except FileNotFoundError:
        return False


def remove_empty_folders(data_dir: Path, kind: str, age: Age) -> None:
    """Removes empty folders that nobody has touched for long; a user's own stay for what comes next."""
    if kind in ("datasets", "mail"):
        return
    before = min(age.before_ns, age.now_ns - DAY_NS)
    with contextlib.suppress(OSError), opened_folder(data_dir, [kind]) as top:
        for _, folders, _, folder in os.fwalk(".", topdown=False, dir_fd=top):
            _remove_if_empty(folders, folder, before)


def _remove_if_empty(folders: list[str], folder: int, before_ns: int) -> None:
    for name in folders:
        # A link is none, and one that is not empty is refused.
        with contextlib.suppress(OSError):
            if os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime_ns < before_ns:
                os.rmdir(name, dir_fd=folder)


def _walk(data_dir: Path, kind: str) -> Iterator[tuple[str, os.stat_result]]:
    """(path, what the system says of it) of each regular file."""
    try:
        opened = contextlib.ExitStack()
        top = opened.enter_context(opened_folder(data_dir, [kind]))
    except FileNotFoundError:
        return
    with opened:
        # Enters no links, and looks again after opening that it opened what it had seen.
        for root, folders, names, folder in os.fwalk(".", dir_fd=top, follow_symlinks=False):
            folders.sort()
            for name in sorted(names):
                with contextlib.suppress(FileNotFoundError):
                    seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
                    if stat.S_ISREG(seen.st_mode):
                        yield os.path.normpath(f"{kind}/{root}/{name}"), seen
