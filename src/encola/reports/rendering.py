"""
The worker's side of a report: opened here, drawn apart, named at the end.

1. A file under another name is opened in the reports' folder, and a folder made for what does not fit
   in memory.
2. A process of its own (:mod:`.child`) draws the report and writes it to the file, which it has by
   descriptor.
3. The file gets its name when that process has ended well. Any other end is one of the errors of
   :mod:`.failures`, and nothing is left.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from ..apart import ApartFailed, ApartLost, ApartOutOfMemory, ApartOutOfTime, run_apart
from ..disk import telling_of_a_full_disk
from ..errors import StoreUnavailable
from ..files import writing_data
from .failures import RendererLost, ReportFailed
from .names import FOLDER

CHILD: Final = "encola.reports.child"

Progress = Callable[[int, int, str], None]
"""Which step of how many, and the key of a sentence of :mod:`encola.wording`."""


@dataclass(frozen=True, slots=True)
class Job:
    """What the child is told."""

    report_type: str
    user_id: int
    language: str
    data_dir: str
    """Absolute."""
    memory: int
    """Bytes that it may have."""
    time_limit: float
    """Seconds that it may take."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A finished report."""

    size: int
    """Bytes."""
    seconds: float


def render(job: Job, uri: str, progress: Progress) -> Rendered:
    """
    Makes the report and puts it under *uri*.

    Raises:
        ReportFailed: another attempt would fail alike.
        RendererLost, StoreUnavailable, DiskFull, OSError: another may do better.
    """
    started = time.monotonic()
    with telling_of_a_full_disk(), writing_data(Path(job.data_dir), uri) as file:
        with _scratch(Path(job.data_dir)) as scratch:
            _draw(job, file, scratch, progress)
        size = os.fstat(file.fileno()).st_size
        if not size:
            raise RendererLost("The process that draws the report wrote nothing.")
    return Rendered(size, time.monotonic() - started)


@contextlib.contextmanager
def _scratch(data_dir: Path) -> Iterator[Path]:
    """A folder for what does not fit in memory; the clean-up removes one that was left behind."""
    folder = tempfile.mkdtemp(prefix=".scratch-", dir=data_dir / FOLDER)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _draw(job: Job, out: BinaryIO, scratch: Path, progress: Progress) -> None:
    def tell(far: Mapping[str, Any]) -> None:
        progress(far["current"], far["total"], far["key"])

    try:
        run_apart(
            CHILD,
            {**asdict(job), "scratch": str(scratch), "out": out.fileno()},
            memory=job.memory,
            time_limit=job.time_limit,
            descriptors=(out.fileno(),),
            tell=tell,
        )
    except ApartFailed as failed:
        if failed.error_code == StoreUnavailable.code:
            raise StoreUnavailable(str(failed)) from None
        raise ReportFailed(str(failed), failed.error_code) from None  # type: ignore[arg-type]  # one of ours
    except ApartOutOfMemory:
        raise _too_large(job) from None
    except ApartOutOfTime:
        raise _too_long(job) from None
    except ApartLost as lost:
        raise RendererLost(f"The process that draws the report {lost}") from None


def _too_long(job: Job) -> ReportFailed:
    return ReportFailed(
        f"The report took longer than {job.time_limit:g} s. Ask for it when less runs on the machine, "
        "or raise ENCOLA_REPORT_TIME_LIMIT.",
        "report_time_limit",
    )


def _too_large(job: Job) -> ReportFailed:
    return ReportFailed(
        f"The report needs more memory than the {job.memory // 2**20} MiB that it may have. "
        "Remove datasets that are no longer needed, or raise ENCOLA_REPORT_MEMORY.",
        "report_memory",
    )
