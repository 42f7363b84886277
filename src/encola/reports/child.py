"""
The process that makes one report: ``python -m encola.reports.child PIPE JOB``.

It limits itself first, so that nothing of what follows can take the machine along, then reads,
adds up and draws, and writes the PDF to its standard output. How far it is and how it
ended go to the pipe, in lines of JSON: ``{"progress": [1, 3, "…"]}``, ``{"done": true}``,
``{"failed": [code, message]}``. An end without either is a crash.
"""

from __future__ import annotations

import datetime as dt
import math
import os
import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from ..disk import DiskFull, telling_of_a_full_disk
from ..embedded.guard import die_with_parent
from ..embedded.runfile import resolve_redis_url
from ..errors import NothingRuns, StoreError
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


def main(pipe: int, job: dict[str, Any]) -> None:
    """Makes the report, or says why not."""
    limit(job)
    try:
        check_installed()
        with telling_of_a_full_disk():
            make(pipe, job)
        say(pipe, {"done": True})
    except (ReportFailed, DiskFull) as error:
        say(pipe, {"failed": [error.error_code, str(error)]})
    except (StoreError, NothingRuns) as error:
        say(pipe, {"failed": ["store_unavailable", str(error)]})
    except Exception as error:
        if is_memory(error):
            say(pipe, {"failed": ["report_memory", ""]})
        else:
            raise


def limit(job: dict[str, Any]) -> None:
    """Puts the limits on this process, and on what it may start."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the worker's business
    die_with_parent(job["parent"], signal.SIGKILL)
    memory = job["memory"]
    # What is written to, not what is only reserved: threads reserve far more than they use.
    kind = resource.RLIMIT_DATA if sys.platform.startswith("linux") else resource.RLIMIT_AS
    resource.setrlimit(kind, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # The worker looks at the clock; this holds where the worker is gone and could not tell.
    seconds = math.ceil(job["time_limit"] * (os.cpu_count() or 1)) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))


def check_installed() -> None:
    """
    Raises:
        ReportFailed: ``reports_not_installed``
    """
    if missing := lacking("reports"):
        raise ReportFailed(
            f"The worker lacks {', '.join(missing)}. {install('reports')}", "reports_not_installed"
        )


def make(pipe: int, job: dict[str, Any]) -> None:
    """Reads, adds up, draws."""
    # Late, and after the limits: all that is heavy comes along with these.
    from .drawing import draw
    from .wording import Wording

    wording = Wording(job["language"])
    now = dt.datetime.now(dt.UTC)
    say(pipe, {"progress": [0, STEPS, "report_reading"]})
    document = read(job, wording, now)
    say(pipe, {"progress": [1, STEPS, "report_drawing"]})
    pdf = draw(document, now)
    say(pipe, {"progress": [2, STEPS, "report_drawing"]})
    with open(sys.stdout.fileno(), "wb", closefd=False) as out:
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
    """Whether *error* says that there was no more memory to be had."""
    duckdb = sys.modules.get("duckdb")
    kinds = (MemoryError, duckdb.OutOfMemoryException) if duckdb else (MemoryError,)
    return isinstance(error, kinds)


def say(pipe: int, words: dict[str, Any]) -> None:
    """One line on the pipe."""
    os.write(pipe, orjson.dumps(words) + b"\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), orjson.loads(sys.argv[2]))
