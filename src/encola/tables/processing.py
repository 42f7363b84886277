"""
The worker's side of a file: opened here, read apart, named at the end.

1. The file is opened (:mod:`.places`), and two files under other names beside where their results belong.
2. A process of its own (:mod:`.child`) reads the one and writes the others; it has them by
   descriptor, and opens no path.
3. Both get their names when it has ended well. Anything else, a cancel included, leaves neither.

What an attempt left behind that was killed together with its worker is removed by the next one.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from ..apart import ApartFailed, ApartLost, ApartOutOfMemory, run_apart
from ..disk import telling_of_a_full_disk
from ..files import opened_folder, parts_of, remove_data, writing_data
from ..settings import Settings
from .failures import FileFailed, ReaderLost
from .names import UPLOAD_ID, dataset_uri, rejected_uri
from .places import Source, open_source

CHILD: Final = "encola.tables.child"
#: Threads that Polars may use; each has blocks of its own in memory.
THREADS: Final = 4


@dataclass(frozen=True, slots=True)
class HowFar:
    """How far the reading of a file is."""

    name: str
    """As its owner called it."""
    read: int
    """Bytes."""
    size: int
    """Bytes."""
    records: int
    rejected: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Processed:
    """A file that was processed."""

    records: int
    rejected: int
    columns: list[dict[str, Any]]
    dataset: str
    """``data://datasets/…``"""
    rejects: str | None
    """``data://rejected/…``; None: no row was rejected."""
    size: int
    """Bytes of the file as it lay there."""
    encoding: str
    packing: str
    separator: str
    has_header: bool
    seconds: float


def process(
    path: str,
    user_id: int | str,
    task_id: str,
    settings: Settings,
    tell: Callable[[HowFar], None],
    is_wanted: Callable[[], bool] = lambda: True,
) -> Processed:
    """
    Reads the file that *path* means, and writes its clean and its rejected rows.

    Raises:
        FileFailed: another attempt would end alike.
        ReaderLost, DiskFull, OSError: another may do better.
        Unwanted: *is_wanted* said no.
    """
    started = time.monotonic()
    source = open_source(path, settings)
    dataset = dataset_uri(user_id, source.name, task_id)
    rejects = rejected_uri(task_id)
    with source.file:
        if not source.size:
            raise FileFailed("The file is empty.", "file_empty")
        for uri in (dataset, rejects):
            _remove_leftovers(settings, uri)
        with (
            telling_of_a_full_disk(),
            writing_data(settings.data_dir, rejects) as aside,
            writing_data(settings.data_dir, dataset) as out,
        ):
            how_far = _teller(source, tell, started)
            done = _read(source, out, aside, settings, how_far, is_wanted)
    if not done["rejected"]:
        remove_data(settings.data_dir, rejects)
    return Processed(
        dataset=dataset,
        rejects=rejects if done["rejected"] else None,
        size=source.size,
        seconds=time.monotonic() - started,
        **done,
    )


def _read(
    source: Source,
    out: BinaryIO,
    aside: BinaryIO,
    settings: Settings,
    tell: Callable[[Mapping[str, Any]], None],
    is_wanted: Callable[[], bool],
) -> dict[str, Any]:
    descriptors = source.file.fileno(), out.fileno(), aside.fileno()
    job = {
        **dict(zip(("source", "out", "rejected"), descriptors, strict=True)),
        "size": source.size,
        "most_unpacked": settings.max_unpacked,
        "language": settings.language,
    }
    try:
        return run_apart(
            CHILD,
            job,
            memory=settings.file_memory,
            descriptors=descriptors,
            environment={"POLARS_MAX_THREADS": str(min(THREADS, os.cpu_count() or 1))},
            tell=tell,
            is_wanted=is_wanted,
        )
    except ApartFailed as failed:
        raise FileFailed(str(failed), failed.error_code) from None  # type: ignore[arg-type]  # one of ours
    except ApartOutOfMemory:
        raise FileFailed(
            f"Reading the file needs more memory than the {settings.file_memory // 2**20} MiB that it "
            "may have. Split its longest rows, or raise ENCOLA_FILE_MEMORY.",
            "file_memory",
        ) from None
    except ApartLost as lost:
        raise ReaderLost(f"The process that reads the file {lost}") from None


def _teller(
    source: Source, tell: Callable[[HowFar], None], started: float
) -> Callable[[Mapping[str, Any]], None]:
    name = UPLOAD_ID.sub("", source.name, count=1)

    def told(words: Mapping[str, Any]) -> None:
        read, records, rejected = words["read"], words["records"], words["rejected"]
        seconds = time.monotonic() - started
        tell(HowFar(name, read, source.size, records, rejected, seconds))

    return told


def _remove_leftovers(settings: Settings, uri: str) -> None:
    """Files under the temporary names of an earlier attempt at *uri*, which nobody will finish."""
    *folders, name = parts_of(uri)
    beginning = f".{name[:236]}."
    with contextlib.suppress(OSError), opened_folder(settings.data_dir, folders) as folder:
        for found in os.listdir(folder):
            if found.startswith(beginning):
                os.unlink(found, dir_fd=folder)
