"""What can be wrong with a report, told so that a person can do something about it."""

from __future__ import annotations

from typing import Literal

from ..errors import PermanentFailure

#: ``error_code`` of a report that cannot be made; docs/errors.md says what each means.
Code = Literal[
    "no_datasets",
    "no_sales_columns",
    "no_sales",
    "numbers_too_large",
    "report_memory",
    "report_time_limit",
    "reports_not_installed",
]


class ReportFailed(PermanentFailure):
    """The report cannot be made, and another attempt would end alike."""

    def __init__(self, message: str, error_code: Code) -> None:
        super().__init__(message, error_code)


class RendererLost(Exception):
    """The process that draws the report ended without a word; another attempt may do better."""

    error_code = "report_crashed"
