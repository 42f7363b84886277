"""The process that makes one report: ``python -m encola.reports.child``. See :mod:`encola.apart`."""

from __future__ import annotations

import datetime as dt
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..apart import ApartFailed, Tell, serve
from ..embedded.runfile import resolve_redis_url
from ..errors import NothingRuns, StoreError, StoreUnavailable
from ..extras import install, lacking
from ..settings import get_settings
from ..store import Keys, connect
from .failures import ReportFailed

if TYPE_CHECKING:
    import redis

    from .document import Document
    from .wording import Wording

#: Part of the memory that the database may fill before it puts aside on disk; the rest is for drawing.
DATABASE_SHARE: Final = 0.4
STEPS: Final = 3


def work(job: dict[str, Any], tell: Tell) -> Mapping[str, Any]:
    """
    Makes the report.

    Args:
        job: what a :class:`.rendering.Job` holds; descriptor ``out``; path of the folder ``scratch``.

    Raises:
        ReportFailed, DiskFull, MemoryError
        ApartFailed: ``store_unavailable``
    """
    check_installed()
    try:
        make(job, tell)
    except (StoreError, NothingRuns) as error:
        raise ApartFailed(StoreUnavailable.code, str(error)) from error
    except Exception as error:
        if is_memory(error):
            raise MemoryError from error
        raise
    return {}


def check_installed() -> None:
    """
    Raises:
        ReportFailed: ``reports_not_installed``
    """
    if missing := lacking("reports"):
        raise ReportFailed(
            f"The worker lacks {', '.join(missing)}. {install('reports')}", "reports_not_installed"
        )


def make(job: dict[str, Any], tell: Tell) -> None:
    """Reads, adds up, draws."""
    # Late, and after the limits: all that is heavy comes along with these.
    from .drawing import draw
    from .wording import Wording

    wording = Wording(job["language"])
    now = dt.datetime.now(dt.UTC)
    tell({"current": 0, "total": STEPS, "key": "report_reading"})
    document = read(job, wording, now)
    tell({"current": 1, "total": STEPS, "key": "report_drawing"})
    pdf = draw(document, now)
    tell({"current": 2, "total": STEPS, "key": "report_drawing"})
    with os.fdopen(job["out"], "wb") as out:
        out.write(pdf)


def read(job: dict[str, Any], wording: Wording, now: dt.datetime) -> Document:
    """The report's document."""
    if job["report_type"] == "sales":
        from .sales import read_sales, sales_document

        memory = int(job["memory"] * DATABASE_SHARE)
        sales = read_sales(Path(job["data_dir"]), job["user_id"], memory, Path(job["scratch"]))
        return sales_document(sales, job["user_id"], wording, now)
    client, keys = store()
    if job["report_type"] == "users":
        from .users import read_users, users_document

        return users_document(read_users(client, keys, job["user_id"], now), wording, now)
    from .analytics import analytics_document, read_work

    return analytics_document(read_work(client, keys, now), wording, now)


def store() -> tuple[redis.Redis, Keys]:
    """
    A client of this installation's server, and the names of its keys.

    Raises:
        StoreError, NothingRuns
    """
    settings = get_settings()
    client = connect(resolve_redis_url(settings), timeout=30, name="encola-report")
    return client, Keys(settings.key_prefix, settings.list_prefix)


def is_memory(error: Exception) -> bool:
    """Whether *error* is the database's way to say that there was no more memory to be had."""
    duckdb = sys.modules.get("duckdb")
    return duckdb is not None and isinstance(error, duckdb.OutOfMemoryException)


if __name__ == "__main__":
    serve(work)
