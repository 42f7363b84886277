"""
The file task: a table of text becomes a dataset of the user's.

How it is read is :mod:`encola.tables`; this module says what goes in, what comes out, how the
progress reads, and when another attempt makes sense.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import threading
from typing import Annotated, Any, Final

from pydantic import Field
from typing_extensions import TypedDict

from ..apart import Unwanted
from ..disk import DiskFull
from ..errors import StoreError
from ..record import iso
from ..reports.names import MAX_USER_ID
from ..settings import get_settings
from ..submit import new_task_id
from ..tables.failures import FileFailed, ReaderLost
from ..tables.processing import HowFar, process
from ..task import RetryPolicy, TaskContext, task
from ..wording import say_progress

logger = logging.getLogger(__name__)

#: The lesson's ids are numbers; others have names.
UserId = (
    Annotated[int, Field(strict=True, ge=0, le=MAX_USER_ID)]
    | Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]
)
FilePath = Annotated[str, Field(min_length=1, max_length=4_096)]
#: Seconds between two reports of progress.
REPORT_SECONDS: Final = 0.5
#: Characters of a file's name that a report of progress has: it is bounded as a whole.
NAME_SHOWN: Final = 100
#: Progress is counted in hundredths, as in the lesson.
TOTAL: Final = 100


class Column(TypedDict):
    """What there is to say of a column."""

    name: str
    type: str
    """text, integer, decimal, date, datetime or boolean."""
    nulls: int
    distinct: int
    """Different values: exact up to 2,000, right to about 2 in 100 above."""
    min: Any
    max: Any
    mean: float | None


class Files(TypedDict):
    """What was written, in the data folder; the same name below ``/files`` is its address."""

    dataset: str
    rejected: str | None


class ProcessedFile(TypedDict):
    """What the queued task returns: the lesson's six fields, and what else there is to say."""

    task_id: str
    file_path: str
    user_id: int | str
    records_processed: int
    status: str
    completed_at: str
    records_rejected: int
    columns: list[Column]
    files: Files
    size: int
    """Bytes of the file as it lay there."""
    encoding: str
    packing: str
    separator: str
    has_header: bool
    seconds: float


@task(
    name="file",
    wire_name="encola.tasks.process_large_file",
    queue="files",
    retry=RetryPolicy(retry_on=(ReaderLost, DiskFull, StoreError, OSError)),
)
def process_large_file(context: TaskContext, file_path: FilePath, user_id: UserId) -> ProcessedFile:
    """Reads a table of any size (CSV, TSV; also gzip, zstd), profiles it and keeps its rows as Parquet."""
    settings = get_settings()
    progress = _Progress(context, settings.language)
    done = process(file_path, user_id, context.task_id, settings, progress.report)
    logger.info(
        "File processed in %.1f s: %d records, %d rejected.",
        *(done.seconds, done.records, done.rejected),
    )
    return {
        "task_id": context.task_id,
        "file_path": file_path,
        "user_id": user_id,
        "records_processed": done.records,
        "status": "completed",
        "completed_at": _now(),
        "records_rejected": done.rejected,
        "columns": done.columns,  # type: ignore[typeddict-item]  # as profile.py writes them
        "files": {"dataset": done.dataset, "rejected": done.rejects},
        "size": done.size,
        "encoding": done.encoding,
        "packing": done.packing,
        "separator": done.separator,
        "has_header": done.has_header,
        "seconds": round(done.seconds, 3),
    }


async def process_file_task(file_path: str, user_id: int | str) -> dict[str, Any]:
    """
    The lesson's coroutine: processes a file now, without a queue. Never raises.

    Returns:
        ``{"status": "completed", "file_path", "user_id", "processed_at", "records_processed",
        "records_rejected"}`` or ``{"status": "failed", "file_path", "user_id", "error", "failed_at",
        "error_code"}``
    """
    about = {"file_path": file_path, "user_id": user_id}
    stop = threading.Event()
    try:
        done = await asyncio.to_thread(
            lambda: process(
                str(file_path),
                user_id,
                new_task_id(),
                get_settings(),
                lambda _: None,
                lambda: not stop.is_set(),
            )
        )
    except Exception as error:
        code = str(getattr(error, "error_code", "failed"))
        if not isinstance(error, (FileFailed, DiskFull, Unwanted)):
            logger.exception("A file could not be processed.")
        failed = {"error": str(error) or type(error).__name__, "failed_at": _now()}
        return {"status": "failed", **about, **failed, "error_code": code}
    finally:
        # Also where this coroutine is cancelled: the thread ends the reading process.
        stop.set()
    return {
        "status": "completed",
        **about,
        "processed_at": _now(),
        "records_processed": done.records,
        "records_rejected": done.rejected,
    }


class _Progress:
    """Reports how far a file is: hundredths, and a sentence with speed and time left."""

    def __init__(self, context: TaskContext, language: str) -> None:
        self._context = context
        self._language = language
        self._current = 0
        self._next = 0.0

    def report(self, far: HowFar) -> None:
        """Reports, unless it has just done so."""
        if far.seconds < self._next:
            return
        self._next = far.seconds + REPORT_SECONDS
        # A file that is begun anew (see reading) does not go back for whoever looks.
        self._current = max(self._current, min(TOTAL, far.read * TOTAL // max(1, far.size)))
        rate = far.read / far.seconds if far.seconds else 0.0
        left = (far.size - far.read) / rate if rate else None
        values = {
            "name": far.name[:NAME_SHOWN],
            "read": far.read,
            "size": far.size,
            "rate": round(rate),
            "seconds_left": None if left is None else round(left, 1),
            "records": far.records,
            "rejected": far.rejected,
        }
        said = say_progress("file_reading", values, self._language) or ""
        self._context.progress(
            self._current, TOTAL, said, key="file_reading", values=values, unit="percent"
        )


def _now() -> str:
    return iso(dt.datetime.now(dt.UTC))
