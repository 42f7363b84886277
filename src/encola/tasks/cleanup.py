"""
The clean-up task: removes old records, uploads, datasets, rejected rows, reports and mail.

What is old and how it is removed is :mod:`encola.cleaning`; this module says what goes in and what comes out.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import hashlib
import logging
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, Final

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from ..cleaning import RECORDS, Cleaned, Cleaner, Plan, Progress, drop_plan, read_plan, write_plan
from ..client import current_client
from ..disk import DiskFull, telling_of_a_full_disk
from ..errors import StoreError
from ..old_files import KINDS
from ..record import from_ms, iso
from ..settings import get_settings
from ..store import run
from ..submit import new_task_id
from ..task import RetryPolicy, TaskContext, task

logger = logging.getLogger(__name__)

Days = Annotated[float, Field(ge=0, le=3650, allow_inf_nan=False)]
#: Bytes of names that a result lists; the counts are always whole.
LISTED: Final = 100_000
SKIPPED: Final = 200


class Removed(TypedDict):
    """Of one kind."""

    count: int
    bytes: int
    """Of files; 0 for records."""


class Skipped(TypedDict):
    """What is old and stays."""

    path: str
    reason: str
    """``in_use``: a task without an outcome names it; ``link``: a folder is a link; else what the system said."""


class CleanedUp(TypedDict):
    """What the task returns."""

    task_id: str
    dry_run: bool
    days: float
    before: str
    """What was older than this moment."""
    found_count: int
    """What is old, removed or not."""
    deleted_count: int
    """What was removed; in a dry run nothing."""
    freed_bytes: int
    by_kind: dict[str, Removed]
    """Removed, or in a dry run to be removed: records and each folder's files."""
    items: list[str]
    """The same by name, as ``records/<id>`` and paths, in the order of removal."""
    items_cut: bool
    """There are more than are listed."""
    skipped: list[Skipped]
    timestamp: str


@task(
    name="cleanup",
    wire_name="encola.tasks.cleanup_old_data",
    retry=RetryPolicy(retry_on=(StoreError, OSError)),
)
def cleanup_old_data(
    context: TaskContext, days: Days | None = None, dry_run: bool = False
) -> CleanedUp:
    """Removes what is older than *days* (none: ``ENCOLA_RETENTION_DAYS``); a dry run only lists it."""

    def tell(current: int, total: int) -> None:
        context.progress(current, total)

    return clean_up(context.task_id, days, tell, dry_run=dry_run)


async def cleanup_old_data_task(days: float | None = None, dry_run: bool = False) -> dict[str, Any]:
    """
    The lesson's coroutine: cleans up now, without a queue.

    Returns:
        ``{"deleted_count": …, "timestamp": …, …}``, as the queued task does.

    Raises:
        ValueError: *days* is below 0 or above 3,650.
        StoreError, OSError
    """
    fitting = None if days is None else TypeAdapter(Days).validate_python(days)
    # In a thread: the disk and the store must not hold up the event loop.
    found = await asyncio.to_thread(
        clean_up, new_task_id(), fitting, lambda *_: None, dry_run=dry_run
    )
    return dict(found)


def clean_up(task_id: str, days: float | None, progress: Progress, *, dry_run: bool) -> CleanedUp:
    """Makes the plan, or finds that of an earlier attempt, and carries it out."""
    settings = get_settings()
    data_dir = settings.data_dir.absolute()
    wanted = settings.retention_days if days is None else days
    client = current_client()
    cleaner = Cleaner(data_dir, client.redis, client.verbs, lambda call: run(client.redis, call))
    if dry_run:
        plan = cleaner.plan(wanted)
        return _told(task_id, wanted, plan, Cleaned(plan.records, plan.files), is_trial=True)
    name = hashlib.sha256(task_id.encode("utf-8", "surrogatepass")).hexdigest() + ".json"
    earlier = read_plan(data_dir, name)
    plan = earlier or cleaner.plan(wanted)
    if earlier is None:
        # A full disk is what this mends. Without a plan an attempt after it counts only what it finds.
        with contextlib.suppress(DiskFull), telling_of_a_full_disk():
            write_plan(data_dir, name, plan)
    cleaned = cleaner.carry_out(plan, progress, is_resumed=earlier is not None)
    drop_plan(data_dir, name)
    told = _told(task_id, wanted, plan, cleaned, is_trial=False)
    logger.info("Removed %d old records and files.", told["deleted_count"])
    return told


def _told(task_id: str, days: float, plan: Plan, cleaned: Cleaned, *, is_trial: bool) -> CleanedUp:
    counts = Counter({RECORDS: len(cleaned.records)})
    sizes: Counter[str] = Counter()
    for file in cleaned.files:
        counts[file.kind] += 1
        sizes[file.kind] += file.size
    done = Plan(0, 0, cleaned.records, cleaned.files)
    items = list(_listed(done.items()))
    removed = counts.total()
    return {
        "task_id": task_id,
        "dry_run": is_trial,
        "days": days,
        "before": iso(from_ms(plan.before_ms)),
        "found_count": len(plan.records) + len(plan.files),
        "deleted_count": 0 if is_trial else removed,
        "freed_bytes": 0 if is_trial else sizes.total(),
        "by_kind": {
            kind: {"count": counts[kind], "bytes": sizes[kind]} for kind in (RECORDS, *KINDS)
        },
        "items": items,
        "items_cut": len(items) < removed,
        "skipped": [
            {"path": _shown(path), "reason": reason} for path, reason in plan.skipped[:SKIPPED]
        ],
        "timestamp": iso(dt.datetime.now(dt.UTC)),
    }


def _listed(items: Iterable[str]) -> Iterable[str]:
    room = LISTED
    for item in items:
        shown = _shown(item)
        room -= len(shown.encode()) + 3
        if room < 0:
            return
        yield shown


def _shown(path: str) -> str:
    # A file's name may hold bytes that are no UTF-8, and JSON may not.
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
