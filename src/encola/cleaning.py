"""
The clean-up: records and files that are older than so many days.

1. A plan is made: what is old now. A dry run ends here; its list is the plan's.
2. The plan is written down, under the task's id.
3. What it names is removed, if it is still there and still old.

An attempt that was cut off is followed by one that finds its plan, and not only what is left: what
is gone by then was removed by the task, so its counts are those of the whole.

Uploads that a task without an outcome names in its input stay: it was accepted, so it must be able to run.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from .files import FileUnavailable, data_uri, read_data, remove_data, write_data
from .old_files import KINDS, Age, OldFile, find_old, remove_empty_folders, remove_old
from .store import Call
from .store.facts import active_inputs
from .store.keys import Keys
from .store.scripts import Verbs

logger = logging.getLogger(__name__)

RECORDS: Final = "records"
PLANS: Final = "cleanup"
#: Entries of the store's list that one step looks at.
_STEP: Final = 500
#: Seconds between two words on the progress.
_TELL_EVERY: Final = 0.5

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Plan:
    """What is to be removed."""

    before_ms: int
    """Older than this, in ms since 1970."""
    now_ms: int
    """When the plan was made."""
    records: list[str] = field(default_factory=list[str])
    """Ids, the longest finished first."""
    files: list[OldFile] = field(default_factory=list[OldFile])
    skipped: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """(path, reason): ``link``, ``in_use``, or what the system said."""

    @property
    def age(self) -> Age:
        return Age(self.before_ms * 10**6, self.now_ms * 10**6)

    def items(self) -> Iterator[str]:
        """All of it in the order of removal, as ``records/<id>`` and paths."""
        yield from (f"{RECORDS}/{task_id}" for task_id in self.records)
        yield from (file.path for file in self.files)


@dataclass(slots=True)
class Cleaned:
    """What was removed."""

    records: list[str] = field(default_factory=list[str])
    files: list[OldFile] = field(default_factory=list[OldFile])


class Cleaner:
    """One clean-up of one installation."""

    def __init__(
        self, data_dir: Path, redis: Any, verbs: Verbs, run: Callable[[Call[Any]], Any]
    ) -> None:
        """*run*: carries a call to the store."""
        self._data_dir = data_dir
        self._redis = redis
        self._verbs = verbs
        self._run = run

    @property
    def _keys(self) -> Keys:
        return self._verbs.keys

    def plan(self, days: float) -> Plan:
        """What is older than *days*, now."""
        now_ms = time.time_ns() // 10**6
        plan = Plan(round(now_ms - days * 86_400_000), now_ms)
        plan.records = self._old_records(plan.before_ms)
        for kind in KINDS:
            try:
                plan.files += find_old(self._data_dir, kind, plan.age)
            except OSError as error:
                plan.skipped.append((kind, _reason(error)))
        self._spare_what_is_in_use(plan)
        return plan

    def carry_out(self, plan: Plan, progress: Progress, *, is_resumed: bool) -> Cleaned:
        """Removes what *plan* names. *is_resumed*: an earlier attempt has removed a part of it."""
        cleaned = Cleaned(self._remove_records(plan, is_resumed=is_resumed))
        done, total, told = len(cleaned.records), len(plan.records) + len(plan.files), 0.0
        for number, file in enumerate(plan.files, 1):
            if self._remove(file, plan, is_resumed=is_resumed):
                cleaned.files.append(file)
            if time.monotonic() - told > _TELL_EVERY:
                told = time.monotonic()
                progress(done + number, total)
        for kind in KINDS:
            remove_empty_folders(self._data_dir, kind, plan.age)
        return cleaned

    # --- records --------------------------------------------------------------------

    def _old_records(self, before_ms: int) -> list[str]:
        found: list[str] = []
        after, looked = "", _STEP
        while looked == _STEP:
            step = self._run(
                self._verbs.prune_listed(before_ms, is_trial=True, after=after, limit=_STEP)
            )
            found += step.ids
            after, looked = step.last, step.looked
        # One that ended twice may stand on the list twice.
        return list(dict.fromkeys(found))

    def _remove_records(self, plan: Plan, *, is_resumed: bool) -> list[str]:
        removed: set[str] = set()
        looked = _STEP
        while looked == _STEP:
            step = self._run(self._verbs.prune_listed(plan.before_ms, is_trial=False, limit=_STEP))
            removed.update(step.ids)
            looked = step.looked
        if is_resumed:
            removed.update(
                self._gone(task_id for task_id in plan.records if task_id not in removed)
            )
        planned = [task_id for task_id in plan.records if task_id in removed]
        # The clock of the store and ours may differ by a little; what came on top is told too.
        return planned + sorted(removed.difference(planned))

    def _gone(self, task_ids: Iterable[str]) -> list[str]:
        ids = list(task_ids)
        gone: list[str] = []
        for start in range(0, len(ids), _STEP):
            portion = ids[start : start + _STEP]
            pipeline = self._redis.pipeline(transaction=False)
            for task_id in portion:
                pipeline.exists(self._keys.record(task_id))
            gone += [i for i, there in zip(portion, pipeline.execute(), strict=True) if not there]
        return gone

    # --- files ----------------------------------------------------------------------

    def _remove(self, file: OldFile, plan: Plan, *, is_resumed: bool) -> bool:
        try:
            if remove_old(self._data_dir, file, plan.age):
                return True
        except OSError as error:
            plan.skipped.append((file.path, _reason(error)))
            return False
        return is_resumed and not os.path.lexists(self._data_dir / file.path)

    def _spare_what_is_in_use(self, plan: Plan) -> None:
        if not any(file.kind == "uploads" for file in plan.files):
            return
        in_use = {
            text.rpartition("/")[2]
            for arguments in active_inputs(self._redis, self._keys)
            for text in _texts(arguments)
        }
        spared = {f for f in plan.files if f.kind == "uploads" and f.name in in_use}
        plan.files = [file for file in plan.files if file not in spared]
        plan.skipped += [(file.path, "in_use") for file in sorted(spared)]


# --- the plan on the disk -------------------------------------------------------------


def write_plan(data_dir: Path, name: str, plan: Plan) -> None:
    """Keeps the plan for the next attempt."""
    content = {
        "before_ms": plan.before_ms,
        "now_ms": plan.now_ms,
        "records": plan.records,
        "files": [[file.path, file.size] for file in plan.files],
        "skipped": plan.skipped,
    }
    # Names of files may hold what is no UTF-8; this writes it in ASCII.
    write_data(data_dir, data_uri(PLANS, name), json.dumps(content).encode())


def read_plan(data_dir: Path, name: str) -> Plan | None:
    """The plan of an earlier attempt; None: there is none."""
    try:
        content = json.loads(read_data(data_dir, data_uri(PLANS, name)))
        files = [OldFile(path, size) for path, size in content.pop("files")]
        skipped = [(path, reason) for path, reason in content.pop("skipped")]
        return Plan(**content, files=files, skipped=skipped)
    except (FileUnavailable, ValueError, TypeError, KeyError):
        return None


def drop_plan(data_dir: Path, name: str) -> None:
    """The task is done: asked to run again, it looks anew."""
    with contextlib.suppress(FileUnavailable):
        remove_data(data_dir, data_uri(PLANS, name))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def _reason(error: OSError) -> str:
    if isinstance(error, NotADirectoryError):
        return "link"
    return os.strerror(error.errno) if error.errno else type(error).__name__
