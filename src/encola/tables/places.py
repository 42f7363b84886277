"""
Which file a path means, and its opening.

A path is one of ours (``data://uploads/…``), the bare name of an upload, or an absolute path inside
one of ``ENCOLA_FILE_ROOTS``. The way from the root to the file is walked folder by folder, each
opened inside the one before and never through a link, so a link that is put there between the check
and the opening leads nowhere. What is opened is what is read: nobody looks at the path again.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from ..files import SCHEME, FileUnavailable, opened_folder, parts_of
from ..settings import Settings
from .failures import FileFailed
from .names import UPLOADS

#: Folders of the data folder whose files may be processed.
OWN: Final = (UPLOADS,)
#: Without O_NONBLOCK the opening of a pipe would wait for somebody to write into it.
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
#: Characters of a path that an error shows.
_SHOWN: Final = 300


@dataclass(frozen=True, slots=True)
class Source:
    """An opened regular file."""

    file: BinaryIO
    name: str
    """Its last part."""
    size: int
    """Bytes, when it was opened."""


def open_source(path: str, settings: Settings) -> Source:
    """
    Opens the file that *path* means; the caller closes it.

    Raises:
        FileFailed: it may not be read, is not there, or is no regular file.
    """
    root, parts = _locate(path, settings)
    file = _open(root, parts, path)
    seen = os.fstat(file.fileno())
    if not stat.S_ISREG(seen.st_mode):
        file.close()
        raise _wrong_kind(seen.st_mode, path)
    return Source(file, parts[-1], seen.st_size)


def _locate(path: str, settings: Settings) -> tuple[Path, list[str]]:
    """(root, the way from there to the file)"""
    if "\0" in path or not path.strip():
        raise FileFailed(f"{_shown(path)} is no path of a file.", "file_not_found")
    if path.startswith(SCHEME):
        return _own(path, settings)
    if ".." in PurePosixPath(path).parts:
        raise _not_allowed(path, "it contains '..'; write the way without it")
    if not path.startswith("/"):
        return settings.data_dir / UPLOADS, list(PurePosixPath(path).parts) or [path]
    for root in (str(settings.data_dir.absolute() / UPLOADS), *settings.file_roots):
        found = _below(path, str(Path(root).absolute()))
        if found is not None:
            return Path(root), found
    raise _not_allowed(path, "it is outside of the folders that file tasks may read")


def _own(uri: str, settings: Settings) -> tuple[Path, list[str]]:
    try:
        parts = parts_of(uri)
    except FileUnavailable:
        raise _not_allowed(uri, "it names no file of the data folder") from None
    if parts[0] not in OWN or len(parts) < 2:
        raise _not_allowed(uri, "only uploads are processed from the data folder")
    return settings.data_dir, parts


def _below(path: str, root: str) -> list[str] | None:
    try:
        parts = PurePosixPath(path).relative_to(PurePosixPath(root)).parts
    except ValueError:
        return None
    return list(parts) or None


def _open(root: Path, parts: list[str], path: str) -> BinaryIO:
    *folders, name = parts
    try:
        with opened_folder(root, folders) as folder:
            # Looked at first, because some devices act on being opened.
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            if not stat.S_ISREG(mode):
                raise _wrong_kind(mode, path)
            return os.fdopen(os.open(name, _READ, dir_fd=folder), "rb", buffering=0)
    except PermissionError:
        raise FileFailed(f"The worker may not read {_shown(path)}.", "file_forbidden") from None
    except OSError as error:
        if _has_link(root, parts):
            raise _not_allowed(path, "it leads through a link") from None
        reason = f" ({error.strerror})" if error.errno not in _ABSENT else ""
        raise FileFailed(f"There is no file {_shown(path)}{reason}.", "file_not_found") from None


_ABSENT: Final = {errno.ENOENT, errno.ENOTDIR}


def _has_link(root: Path, parts: list[str]) -> bool:
    """Whether a part of the way is a link: for the words of an error only."""
    way = root
    for part in parts:
        way = way / part
        try:
            if stat.S_ISLNK(os.lstat(way).st_mode):
                return True
        except (OSError, ValueError):
            return False
    return False


def _wrong_kind(mode: int, path: str) -> FileFailed:
    if stat.S_ISLNK(mode):
        return _not_allowed(path, "it is a link")
    if stat.S_ISDIR(mode):
        return FileFailed(f"{_shown(path)} is a folder. Name a file in it.", "file_is_folder")
    kinds = ((stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    kind = next((word for is_kind, word in kinds if is_kind(mode)), "a device")
    return FileFailed(f"{_shown(path)} is {kind}. Expected a regular file.", "file_not_regular")


def _not_allowed(path: str, reason: str) -> FileFailed:
    return FileFailed(
        f"{_shown(path)} may not be processed: {reason}. Upload the file (POST /files), or name "
        "its folder in ENCOLA_FILE_ROOTS.",
        "path_not_allowed",
    )


def _shown(path: str) -> str:
    return repr(path if len(path) <= _SHOWN else f"{path[:_SHOWN]}…")
