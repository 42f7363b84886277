"""
The worker's side of a report: a child with limits draws it, and it gets its name at the end.

1. A file under another name is opened in the reports' folder; it is the child's standard output.
2. The child (:mod:`.child`) is started. It limits its own memory and processor time, and dies with us.
3. It tells how far it is, and how it ended, in lines of JSON on a pipe.
4. When its time is up, or the task is cancelled, it is killed.
5. A child that ended well: the file gets its name. Any other end is one of the errors of
   :mod:`.failures`, and nothing is left.

Data of any size and a page of any length can at worst kill that child, never the worker.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from ..apart import OUT_OF_MEMORY, how_it_ended
from ..disk import DiskFull, telling_of_a_full_disk
from ..errors import StoreUnavailable
from ..files import writing_data
from .failures import RendererLost, ReportFailed
from .names import FOLDER

logger = logging.getLogger(__name__)

#: What the child is.
COMMAND: Final = (sys.executable, "-P", "-m", "encola.reports.child")
#: Part of its memory that a child must have held for its fall to be laid to want of memory.
_MUCH: Final = 0.5
#: Bytes in the unit in which the system tells memory.
_MAXRSS_UNIT: Final = 1 if sys.platform == "darwin" else 1024
#: Bytes of the child's last words that are looked at.
_WORDS: Final = 8_000

Progress = Callable[[int, int, str], None]
"""Which step of how many, and the key of a sentence of :mod:`encola.wording`."""


@dataclass(frozen=True, slots=True)
class Job:
    """What the child is told."""

    report_type: str
    user_id: int
    language: str
    data_dir: str
    """Absolute."""
    memory: int
    """Bytes that it may have."""
    time_limit: float
    """Seconds that it may take."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A finished report."""

    size: int
    """Bytes."""
    seconds: float


def render(job: Job, uri: str, progress: Progress, command: Sequence[str] = COMMAND) -> Rendered:
    """
    Makes the report and puts it under *uri*.

    Raises:
        ReportFailed: another attempt would fail alike.
        RendererLost, StoreUnavailable, DiskFull, OSError: another may do better.
    """
    started = time.monotonic()
    with telling_of_a_full_disk(), writing_data(Path(job.data_dir), uri) as file:
        with _scratch(Path(job.data_dir)) as scratch:
            _run(job, file, scratch, progress, command)
        size = os.fstat(file.fileno()).st_size
        if not size:
            raise RendererLost("The process that draws the report wrote nothing.")
    return Rendered(size, time.monotonic() - started)


@contextlib.contextmanager
def _scratch(data_dir: Path) -> Iterator[Path]:
    """A folder for what does not fit in memory; the clean-up removes one that was left behind."""
    folder = tempfile.mkdtemp(prefix=".scratch-", dir=data_dir / FOLDER)
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(
    job: Job, out: BinaryIO, scratch: Path, progress: Progress, command: Sequence[str]
) -> None:
    told = orjson.dumps({**asdict(job), "scratch": str(scratch), "parent": os.getpid()}).decode()
    deadline = time.monotonic() + job.time_limit
    words, said_to = os.pipe()
    with tempfile.TemporaryFile() as last_words, open(words, "rb", buffering=0) as said:
        try:
            child = subprocess.Popen(
                [*command, str(said_to), told],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=last_words,
                pass_fds=(said_to,),
            )
        finally:
            # The child's alone: when it ends, the pipe does.
            os.close(said_to)
        try:
            outcome = _listen(said, deadline, progress)
            peak = _wait(child, deadline)
        except TimeoutError:
            raise _too_long(job) from None
        finally:
            # Also where the task is cancelled or runs out of its own time.
            if child.returncode is None:
                child.kill()
                child.wait()
        if outcome.get("done") and child.returncode == 0:
            return
        last_words.seek(max(0, last_words.seek(0, os.SEEK_END) - _WORDS))
        words_left = last_words.read().decode("utf-8", "replace")
        raise _failure(job, outcome, child.returncode, peak, words_left)


def _wait(child: subprocess.Popen[bytes], deadline: float) -> int:
    """
    Waits for the end, and says how many bytes of memory the child held at most.

    Raises:
        TimeoutError
    """
    while time.monotonic() < deadline:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            # KiB on Linux, bytes on macOS.
            return usage.ru_maxrss * _MAXRSS_UNIT
        time.sleep(0.005)
    raise TimeoutError


def _listen(said: Any, deadline: float, progress: Progress) -> dict[str, Any]:
    """What the child said last, once it has closed the pipe; ``{}``: nothing."""
    outcome: dict[str, Any] = {}
    rest = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([said], [], [], left)[0]:
            raise TimeoutError
        heard = said.read(65_536)
        if not heard:
            return outcome
        *lines, rest = (rest + heard).split(b"\n")
        for line in lines:
            outcome = orjson.loads(line)
            if "progress" in outcome:
                progress(*outcome["progress"])


def _failure(job: Job, outcome: dict[str, Any], code: int, peak: int, last_words: str) -> Exception:
    """The error for an end that was none. *peak*: bytes of memory that the child held at most."""
    if "failed" in outcome:
        return _told_failure(job, outcome)
    text = last_words.lower()
    if code == -signal.SIGXCPU:
        return _too_long(job)
    # Not every library looks whether it was given the memory that it asked for: some just fall over.
    fell_over = code in (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS)
    if (fell_over and peak > job.memory * _MUCH) or any(sign in text for sign in OUT_OF_MEMORY):
        return _too_large(job)
    logger.error("The process that draws reports ended with %s: %s", code, last_words[-2000:])
    return RendererLost(f"The process that draws the report ended {how_it_ended(code)}.")


def _told_failure(job: Job, outcome: dict[str, Any]) -> Exception:
    code, message = outcome["failed"]
    if code == "report_memory":
        return _too_large(job)
    if code == DiskFull.code:
        return DiskFull()
    return StoreUnavailable(message) if code == "store_unavailable" else ReportFailed(message, code)


def _too_long(job: Job) -> ReportFailed:
    return ReportFailed(
        f"The report took longer than {job.time_limit:g} s. Ask for it when less runs on the machine, "
        "or raise ENCOLA_REPORT_TIME_LIMIT.",
        "report_time_limit",
    )


def _too_large(job: Job) -> ReportFailed:
    return ReportFailed(
        f"The report needs more memory than the {job.memory // 2**20} MiB that it may have. "
        "Remove datasets that are no longer needed, or raise ENCOLA_REPORT_MEMORY.",
        "report_memory",
    )
