"""What can be wrong with a file, told so that a person can do something about it."""

from __future__ import annotations

from typing import Literal

from ..errors import PermanentFailure

#: ``error_code`` of a file that cannot be processed; docs/errors.md says what each means.
Code = Literal[
    "path_not_allowed",
    "file_not_found",
    "file_forbidden",
    "file_is_folder",
    "file_not_regular",
    "file_empty",
    "file_header_only",
    "file_binary",
    "file_damaged",
    "file_encoding",
    "file_changed",
    "file_line_too_long",
    "file_too_many_columns",
    "file_unpacks_too_large",
    "file_all_rejected",
    "file_memory",
    "files_not_installed",
]


class FileFailed(PermanentFailure):
    """The file cannot be processed, and another attempt would end alike."""

    def __init__(self, message: str, error_code: Code) -> None:
        super().__init__(message, error_code)


class ReaderLost(Exception):
    """The process that reads the file ended without a word; another attempt may do better."""

    error_code = "file_reader_lost"
