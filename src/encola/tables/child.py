"""The process that reads one file: ``python -m encola.tables.child``. See :mod:`encola.apart`."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ..apart import Tell, serve, throttled
from ..disk import check_room
from ..extras import install, lacking
from .failures import FileFailed

if TYPE_CHECKING:
    from .reading import Outcome

#: Seconds between two words on how far it is.
TELL_SECONDS: Final = 0.2


def work(job: dict[str, Any], tell: Tell) -> Mapping[str, Any]:
    """
    Reads the file.

    Args:
        job: descriptors ``source``, ``out`` and ``rejected``; ``size`` and ``most_unpacked`` in bytes;
            ``language`` of the reasons.

    Raises:
        FileFailed, DiskFull
    """
    if missing := lacking("files"):
        raise FileFailed(
            f"The worker lacks {', '.join(missing)}. {install('files')}", "files_not_installed"
        )
    # Late, and after the limits: Polars starts its threads with this.
    from .reading import read_table
    from .rejected import RejectedFile

    tell_now = throttled(tell, TELL_SECONDS)

    def how_far(read: int, records: int, rejected: int) -> None:
        check_room(job["out"])
        tell_now({"read": read, "records": records, "rejected": rejected})

    with (
        io.FileIO(job["source"]) as source,
        os.fdopen(job["out"], "w+b") as out,
        os.fdopen(job["rejected"], "w+b") as rejected,
    ):
        rejects = RejectedFile(rejected, job["language"])
        outcome = read_table(source, job["size"], out, rejects, job["most_unpacked"], how_far)
        return _told(outcome)


def _told(outcome: Outcome) -> dict[str, Any]:
    table = outcome.table
    return {
        "records": outcome.records,
        "rejected": outcome.rejected,
        "columns": outcome.columns,
        "encoding": table.encoding,
        "packing": table.packing,
        "separator": table.dialect.separator,
        "has_header": table.dialect.has_header,
    }


if __name__ == "__main__":
    serve(work)
