"""
Files of the data folder, by the names that records have for them: ``data://results/…``.

The one module that opens them. A name never leads out of the data folder: its
parts are plain names, and no link is followed on the way, not even in the middle:
each folder is opened inside the one before.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from .errors import EncolaError

SCHEME: Final = "data://"
_PART: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
#: Without O_NONBLOCK the opening of a pipe would wait for somebody to write into it.
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class FileUnavailable(EncolaError):
    """The file is not in this process's data folder."""

    code = "file_unavailable"


@dataclass(frozen=True, slots=True)
class DataFile:
    """A regular file of the data folder."""

    uri: str
    name: str
    size: int
    """Bytes."""
    modified_ns: int
    """Nanoseconds since 1970."""


def data_uri(*parts: str) -> str:
    """The name of a file in records."""
    return SCHEME + "/".join(parts)


def parts_of(uri: str) -> list[str]:
    """
    ``data://a/b`` as ``["a", "b"]``.

    Raises:
        FileUnavailable: it names no file of the data folder.
    """
    parts = uri.removeprefix(SCHEME).split("/")
    if not uri.startswith(SCHEME) or not all(_PART.fullmatch(part) for part in parts):
        raise FileUnavailable(f"{uri!r} names no file of the data folder.")
    return parts


def write_data(data_dir: Path, uri: str, content: bytes) -> None:
    """Writes a file whole or not at all: under another name first, synced, then renamed."""
    with writing_data(data_dir, uri) as file:
        file.write(content)


@contextlib.contextmanager
def writing_data(data_dir: Path, uri: str) -> Iterator[BinaryIO]:
    """
    A file to write to; it gets its name when the block ends, and is gone if it raises.

    Until then it is called ``.name.pid``: whoever lists a folder leaves out names with a dot.
    """
    *folders, name = parts_of(uri)
    # Room for the dot and the pid: 255 bytes is the most a name may have.
    temporary = f".{name[:236]}.{os.getpid()}"
    with opened_folder(data_dir, folders, create=True) as folder:
        descriptor = os.open(temporary, _NEW, 0o600, dir_fd=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)
            raise


def read_data(data_dir: Path, uri: str) -> bytes:
    """
    Raises:
        FileUnavailable: it is not there, or the name is none of ours.
    """
    with open_data(data_dir, uri) as file:
        return file.read()


def open_data(data_dir: Path, uri: str) -> BinaryIO:
    """
    The file, to be read and closed.

    Raises:
        FileUnavailable: it is not there, no regular file, or the name is none of ours.
    """
    *folders, name = parts_of(uri)
    try:
        with opened_folder(data_dir, folders) as folder:
            descriptor = os.open(name, _READ, dir_fd=folder)
    except OSError as error:
        raise FileUnavailable(f"{uri} is not in this process's data folder.") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileUnavailable(f"{uri} is no regular file.")
    return os.fdopen(descriptor, "rb")


def remove_data(data_dir: Path, uri: str) -> None:
    """
    Raises:
        FileUnavailable: it is not there, no regular file, or the name is none of ours.
    """
    *folders, name = parts_of(uri)
    try:
        with opened_folder(data_dir, folders) as folder:
            if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                raise FileUnavailable(f"{uri} is no regular file.")
            os.unlink(name, dir_fd=folder)
    except OSError as error:
        raise FileUnavailable(f"{uri} is not in this process's data folder.") from error


def list_data(data_dir: Path, *folders: str) -> list[DataFile]:
    """The regular files of one folder, in no order; none where there is no such folder."""
    found: list[DataFile] = []
    try:
        with opened_folder(data_dir, folders) as folder:
            for name in os.listdir(folder):
                # What is being written has a dot in front, and what a person laid there may be anything.
                if not _PART.fullmatch(name):
                    continue
                with contextlib.suppress(FileNotFoundError):
                    seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
                    if stat.S_ISREG(seen.st_mode):
                        uri = data_uri(*folders, name)
                        found.append(DataFile(uri, name, seen.st_size, seen.st_mtime_ns))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return found


@contextlib.contextmanager
def opened_folder(data_dir: Path, folders: Sequence[str], *, create: bool = False) -> Iterator[int]:
    """
    A descriptor of a folder inside the data folder, for the ``dir_fd`` of :mod:`os`.

    Raises:
        OSError: it is not there, or a part of the way is a link.
    """
    if create:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    # The data folder itself may be reached through a link: its owner chose that.
    descriptor = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in folders:
            if create:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=descriptor)
            inner = os.open(name, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)
