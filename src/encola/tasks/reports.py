"""
The report task: a PDF of a user's sales, of the service's work, or of its users.

What it says and how it looks is :mod:`encola.reports`; this module says what goes in, what
comes out, and when another attempt makes sense.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from ..disk import DiskFull
from ..errors import StoreError
from ..files import data_uri
from ..record import iso
from ..reports.failures import RendererLost
from ..reports.names import FOLDER, MAX_USER_ID, ReportType, address, report_name
from ..reports.rendering import Job, render
from ..settings import get_settings
from ..task import RetryPolicy, TaskContext, task
from ..wording import say_progress

logger = logging.getLogger(__name__)

UserId = Annotated[int, Field(ge=0, le=MAX_USER_ID)]
Language = Literal["es", "en"]


class Report(TypedDict):
    """What the task returns: the lesson's four fields, and what else there is to say of the file."""

    task_id: str
    user_id: int
    report_type: str
    file_url: str
    """Address of the PDF, below that of the API; for ever the same file."""
    generated_at: str
    language: str
    file: str
    """Its name in the data folder: ``data://reports/…``."""
    size: int
    """Bytes."""
    seconds: float


@task(
    name="report",
    wire_name="encola.tasks.generate_report",
    queue="reports",
    retry=RetryPolicy(retry_on=(RendererLost, DiskFull, StoreError, OSError)),
)
def generate_report(
    context: TaskContext,
    user_id: UserId,
    report_type: ReportType,
    language: Language | None = None,
) -> Report:
    """Makes a PDF report; without a *language*, in that of ``ENCOLA_LANGUAGE``."""
    settings = get_settings()
    name = report_name(user_id, report_type, context.task_id)
    uri = data_uri(FOLDER, str(name))
    job = Job(
        report_type=report_type,
        user_id=user_id,
        language=language or settings.language,
        data_dir=str(settings.data_dir.absolute()),
        memory=settings.report_memory,
        time_limit=settings.report_time_limit,
    )
    rendered = render(job, uri, lambda *far: _report(context, job.language, *far))
    logger.info("Report %s made: %d bytes in %.1f s.", name, rendered.size, rendered.seconds)
    return {
        "task_id": context.task_id,
        "user_id": user_id,
        "report_type": report_type,
        "file_url": address(name),
        "generated_at": iso(dt.datetime.now(dt.UTC)),
        "language": job.language,
        "file": uri,
        "size": rendered.size,
        "seconds": round(rendered.seconds, 3),
    }


def _report(context: TaskContext, language: str, current: int, total: int, key: str) -> None:
    said = say_progress(key, {}, language) or ""
    context.progress(current, total, said, key=key, values={})
