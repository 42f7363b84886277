"""
The names of report files, which are the last part of their addresses too.

``report_{user_id}_{report_type}_{task_id}.pdf`` is one report for ever;
``report_{user_id}_{report_type}.pdf`` stands for the newest of them.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final, Literal, get_args

ReportType = Literal["sales", "analytics", "users"]
REPORT_TYPES: Final[tuple[str, ...]] = get_args(ReportType)
#: The folder inside the data folder, and the first part of the address.
FOLDER: Final = "reports"
#: The largest number that every reader of JSON keeps exact.
MAX_USER_ID: Final = 2**53 - 1

_ID: Final = r"[A-Za-z0-9][A-Za-z0-9.-]{0,127}"
_TYPES: Final = "|".join(REPORT_TYPES)
_NAME: Final = re.compile(rf"report_(\d{{1,16}})_({_TYPES})(?:_({_ID}))?\.pdf")


@dataclass(frozen=True, slots=True)
class ReportName:
    """What a file's name says."""

    user_id: int
    report_type: str
    task_part: str | None
    """The task's id, or what stands for it; None: the newest."""

    def __str__(self) -> str:
        task = "" if self.task_part is None else f"_{self.task_part}"
        return f"report_{self.user_id}_{self.report_type}{task}.pdf"


def report_name(user_id: int, report_type: str, task_id: str) -> ReportName:
    """The name of the report that a task makes."""
    return ReportName(user_id, report_type, task_part(task_id))


def task_part(task_id: str) -> str:
    """The id as it may stand in a name: ours unchanged, a stranger's by its digest."""
    if re.fullmatch(_ID, task_id):
        return task_id
    return hashlib.sha256(task_id.encode("utf-8", "surrogatepass")).hexdigest()


def parse_name(name: str) -> ReportName | None:
    """None: it is no report's name."""
    found = _NAME.fullmatch(name)
    return ReportName(int(found[1]), found[2], found[3]) if found else None


def address(name: ReportName) -> str:
    """Where the API serves it."""
    return f"/{FOLDER}/{name}"
