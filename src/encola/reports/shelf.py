"""The finished reports: a page of them, the newest of a kind, one to read, one removed."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import EncolaError
from ..files import DataFile, FileUnavailable, data_uri, list_data, open_data, remove_data
from .names import FOLDER, ReportName, parse_name


class ReportNotFound(EncolaError):
    """No report has this name: it was never made, or has been removed."""

    code = "report_not_found"


@dataclass(frozen=True, slots=True)
class Shelved:
    """A finished report."""

    name: ReportName
    file: DataFile

    @property
    def order(self) -> tuple[int, str]:
        """Newer is greater; the name decides between two of one moment."""
        return self.file.modified_ns, self.file.name


def list_reports(
    data_dir: Path,
    limit: int,
    cursor: str | None = None,
    *,
    user_id: int | None = None,
    report_type: str | None = None,
) -> tuple[list[Shelved], str | None]:
    """
    One page, newest first, and the cursor of the next; None after the last.

    Raises:
        ValueError: a cursor that is not ours.
    """
    before = _decode(cursor) if cursor else None
    fitting = (
        one
        for one in _all(data_dir)
        if (before is None or one.order < before)
        and (user_id is None or one.name.user_id == user_id)
        and (report_type is None or one.name.report_type == report_type)
    )
    page = heapq.nlargest(limit + 1, fitting, key=lambda one: one.order)
    more = len(page) > limit
    return page[:limit], _encode(page[limit - 1]) if more else None


def find_report(data_dir: Path, name: str) -> ReportName:
    """
    The report of that name; of a name without a task, the newest.

    Raises:
        ReportNotFound
    """
    wanted = parse_name(name)
    if wanted is None:
        raise ReportNotFound
    if wanted.task_part is not None:
        return wanted
    same = [
        one
        for one in _all(data_dir)
        if (one.name.user_id, one.name.report_type) == (wanted.user_id, wanted.report_type)
    ]
    if not same:
        raise ReportNotFound
    return max(same, key=lambda one: one.order).name


def open_report(data_dir: Path, name: ReportName) -> BinaryIO:
    """
    Raises:
        ReportNotFound
    """
    try:
        return open_data(data_dir, data_uri(FOLDER, str(name)))
    except FileUnavailable as error:
        raise ReportNotFound from error


def remove_report(data_dir: Path, name: ReportName) -> None:
    """
    Raises:
        ReportNotFound
    """
    try:
        remove_data(data_dir, data_uri(FOLDER, str(name)))
    except FileUnavailable as error:
        raise ReportNotFound from error


def _all(data_dir: Path) -> Iterator[Shelved]:
    for file in list_data(data_dir, FOLDER):
        name = parse_name(file.name)
        if name is not None and name.task_part is not None:
            yield Shelved(name, file)


def _encode(last: Shelved) -> str:
    return f"{last.file.modified_ns}-{last.file.name}"


def _decode(cursor: str) -> tuple[int, str]:
    found = re.fullmatch(r"(\d{1,20})-(.{1,255})", cursor)
    if found is None or parse_name(found[2]) is None:
        raise ValueError("not a cursor of this list: take next_cursor of an earlier page")
    return int(found[1]), found[2]
