"""
The file of rejected rows: ``line, code, reason, text``, in the order of the lines.

A person opens it in a spreadsheet, which takes a cell that begins with ``=``, ``+``, ``-`` or ``@``
for a formula and runs it. So an apostrophe goes before each such sign: at the beginning of a cell, and
after whatever some spreadsheet takes for the end of one, because a program set to semicolons parts this
file elsewhere than we did. Plain numbers such as -5 are no formulas and stay.

Source: OWASP, "CSV Injection".
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from typing import BinaryIO, Final

from .lines import Rejected
from .wording import say_reason

#: Characters of a line that are kept.
MOST_TEXT: Final = 4_000
COLUMNS: Final = ("line", "code", "reason", "text")
_FORMULA: Final = re.compile(
    r"""(^|[,;\t|\r\n"'])([\s\x00]*)(?=[=+\-@＝＋－＠])"""
    r"""(?![+-]?[0-9]*[.,]?[0-9]+(?:[eE][+-]?[0-9]+)?(?:[,;\t|\r\n"]|$))"""
)
_SIGN: Final = re.compile("[=+@＝＋－＠-]")
_CONTROL: Final = {n: "\ufffd" for n in range(32) if chr(n) not in "\t\n\r"}


class RejectedFile:
    """Rejected rows, written as they come."""

    def __init__(self, file: BinaryIO, language: str) -> None:
        self._file = file
        self._language = language
        self.count = 0

    def add(self, rejected: Iterable[Rejected]) -> None:
        """Writes rows, in the order of their lines."""
        if not self.count:
            self._write([COLUMNS])
        rows = [
            (
                one.line.number,
                one.reason.key,
                escape(say_reason(one.reason, self._language)),
                escape(_text(one.line.raw)),
            )
            for one in rejected
        ]
        self.count += len(rows)
        self._write(rows)

    def clear(self) -> None:
        """Forgets all rows: the file is read anew."""
        self._file.seek(0)
        self._file.truncate()
        self.count = 0

    def _write(self, rows: Iterable[Iterable[object]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        self._file.write(text.getvalue().encode("utf-8", "replace"))


def escape(text: str) -> str:
    """*text* with an apostrophe before each sign with which a formula could begin."""
    if not _SIGN.search(text):
        return text
    return _FORMULA.sub(r"\1\2'", text)


def _text(raw: bytes) -> str:
    text = raw.rstrip(b"\r\n").decode("utf-8", "replace")
    if not text.isprintable():
        text = text.translate(_CONTROL)
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}…"
