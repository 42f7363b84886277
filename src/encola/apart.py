"""
Work in a process of its own, which can at worst end itself: never the worker that asked for it.

The worker's side is :func:`run_apart`, the other :func:`serve`:

1. A fresh Python (no fork of a process with threads) limits its own memory and processor time, and
   dies with the one that started it.
2. It is told what to do in a line of JSON, and tells in such lines, on a pipe of their own, how far it
   is (``told``), what came of it (``done``), or why nothing did (``failed``: code and sentence).
3. When the task is cancelled, or its time is up, it is killed.

An end without a last word is a crash, unless what it printed, or how much it held when it fell over,
says that there was no more memory.
"""

from __future__ import annotations

import logging
import math
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, Final

import orjson

from .disk import DiskFull, telling_of_a_full_disk
from .embedded.guard import die_with_parent
from .errors import PermanentFailure

logger = logging.getLogger(__name__)

#: The code of its failing for want of memory.
_MEMORY: Final = "memory"
#: In what a process says that could get no more memory.
_OUT_OF_MEMORY: Final = (
    *("memory allocation", "bad_alloc", "allocate memory", "out of memory", "memoryerror"),
    *("failed to map segment", "can't start new thread", "resource temporarily unavailable"),
)
#: What it says when it has lost its way; some libraries then wait for themselves without end.
_LOST: Final = (*_OUT_OF_MEMORY, "panicked at", "fatal python error")
#: How a library ends that does not look whether it was given the memory that it asked for.
_FALLS: Final = (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS)
#: Part of its memory that it must have held for its fall to be laid to want of memory.
_MUCH: Final = 0.5
#: Bytes in the unit in which the system tells memory.
_MAXRSS_UNIT: Final = 1 if sys.platform == "darwin" else 1024
#: Bytes of the child's last words that are looked at.
_WORDS: Final = 8_000
#: Seconds that it may still take to end by itself once it has said so.
_LAST_SECONDS: Final = 2.0
#: Seconds between two looks at how much memory it has.
_WEIGH: Final = 0.05
#: The kernel's limit is so many times ours: it ends in mid-sentence, ours with a word.
_KERNELS_SHARE: Final = 2
#: Seconds between two looks at whether the work is still wanted.
_LOOK: Final = 0.2
#: Seconds between two looks at whether it has ended, once it has closed its pipe.
_LAST_LOOK: Final = 0.005

Tell = Callable[[Mapping[str, Any]], None]


class ApartFailed(Exception):
    """The work cannot be done: raised by it, and again to the one that asked for it."""

    def __init__(self, error_code: str, message: str) -> None:
        self.error_code = error_code
        super().__init__(message)


class ApartOutOfMemory(Exception):
    """It needed more memory than it may have."""


class ApartLost(Exception):
    """It ended without a last word."""


class ApartOutOfTime(ApartLost):
    """It needed more time, by the clock or the processor's, than it may take."""


class Unwanted(Exception):
    """Nobody waits for the work any more."""


def run_apart(
    module: str,
    job: Mapping[str, Any],
    *,
    memory: int,
    time_limit: float | None = None,
    descriptors: Sequence[int] = (),
    environment: Mapping[str, str] | None = None,
    tell: Tell,
    is_wanted: Callable[[], bool] = lambda: True,
) -> dict[str, Any]:
    """
    What ``python -m module`` (see :func:`serve`) says of the *job* when it is done.

    Args:
        memory: bytes that it may have.
        time_limit: seconds that it may take; None: any number.
        descriptors: open files that it inherits, under the same numbers.
        tell: called with what it tells on the way.
        is_wanted: asked several times a second; when it says no, the work is stopped.

    Raises:
        ApartFailed, ApartOutOfMemory, ApartOutOfTime, ApartLost, Unwanted, DiskFull
    """
    until = math.inf if time_limit is None else time.monotonic() + time_limit
    reading, writing = os.pipe()
    limits = {"parent": os.getpid(), "memory": memory, "time_limit": time_limit}
    told = orjson.dumps({**limits, "pipe": writing, "job": dict(job)}).decode()
    with tempfile.TemporaryFile() as last_words, open(reading, "rb", buffering=0) as words:
        try:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", module, told],
                stdin=subprocess.DEVNULL,
                # What anything else prints must not get between the lines.
                stdout=last_words,
                stderr=last_words,
                pass_fds=(writing, *descriptors),
                env={**os.environ, **(environment or {})},
            )
        finally:
            # The child's alone: when it ends, the pipe does.
            os.close(writing)

        def go_on() -> float:
            return _go_on(last_words, until, is_wanted)

        try:
            said = _listen(words, tell, go_on)
            held = _wait(child, go_on)
            code = child.returncode
        except _LostItsWay:
            said, held, code = {}, 0, -signal.SIGABRT
        finally:
            # Also where the task is cancelled or runs out of its time.
            if child.poll() is None:
                child.kill()
                child.wait()
        if "done" in said and code == 0:
            done: dict[str, Any] = said["done"]
            return done
        raise _what_happened(said, code, held > memory * _MUCH, _end_of(last_words))


class _LostItsWay(Exception):
    """It has said so, and does not end."""


def _go_on(last_words: IO[bytes], until: float, is_wanted: Callable[[], bool]) -> float:
    """
    Seconds after which to ask again.

    Raises:
        Unwanted, ApartOutOfTime, _LostItsWay
    """
    if not is_wanted():
        raise Unwanted
    left = until - time.monotonic()
    if left <= 0:
        raise ApartOutOfTime("was stopped when its time was up.")
    said = os.fstat(last_words.fileno())
    if said.st_size and time.time() - said.st_mtime > _LAST_SECONDS:
        words = _end_of(last_words).lower()
        if any(sign in words for sign in _LOST):
            raise _LostItsWay
    return min(_LOOK, left)


def _end_of(last_words: IO[bytes]) -> str:
    # By position: the child writes at the place where this descriptor stands.
    size = os.fstat(last_words.fileno()).st_size
    return os.pread(last_words.fileno(), _WORDS, max(0, size - _WORDS)).decode("utf-8", "replace")


def _listen(said: IO[bytes], tell: Tell, go_on: Callable[[], float]) -> dict[str, Any]:
    """The last line that was said; ``{}``: none."""
    last: dict[str, Any] = {}
    rest = b""
    while True:
        if not select.select([said], [], [], go_on())[0]:
            continue
        heard = os.read(said.fileno(), 65_536)
        if not heard:
            return last
        *lines, rest = (rest + heard).split(b"\n")
        for line in lines:
            last = orjson.loads(line)
            if "told" in last:
                tell(last["told"])


def _wait(child: subprocess.Popen[bytes], go_on: Callable[[], float]) -> int:
    """Waits for its end; bytes of memory that it held at most, 0 where that cannot be told."""
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            child.returncode = os.waitstatus_to_exitcode(status)
            # What the system says begins with the size of the process that started it: ours.
            ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            return usage.ru_maxrss * _MAXRSS_UNIT if usage.ru_maxrss > ours else 0
        time.sleep(min(_LAST_LOOK, go_on()))


def _what_happened(said: Mapping[str, Any], code: int, much: bool, last_words: str) -> Exception:
    """*much*: it held so much that its fall may be for want of memory."""
    if "failed" in said:
        return _told_failure(*said["failed"])
    if code == -signal.SIGXCPU:
        return ApartOutOfTime(f"ended {_how_it_ended(code)}.")
    words = last_words.lower()
    if (much and code in _FALLS) or any(sign in words for sign in _OUT_OF_MEMORY):
        return ApartOutOfMemory()
    logger.error("A process apart ended with %d: %s", code, last_words[-2000:].strip())
    return ApartLost(f"ended {_how_it_ended(code)}.")


def _told_failure(code: str, message: str) -> Exception:
    if code == _MEMORY:
        return ApartOutOfMemory()
    return DiskFull() if code == DiskFull.code else ApartFailed(code, message)


def _how_it_ended(code: int) -> str:
    """A process's end in words. *code*: below 0 the signal that ended it, as :mod:`subprocess` has it."""
    if code >= 0:
        return f"with exit code {code}"
    # Its own limit ends it otherwise: the machine as a whole has no memory left, or somebody ended it.
    why = ", as the system does where memory runs out" if code == -signal.SIGKILL else ""
    return f"by signal {signal.Signals(-code).name}{why}"


# --- the other side ---------------------------------------------------------------


def serve(work: Callable[[dict[str, Any], Tell], Mapping[str, Any]]) -> None:
    """
    Does the job that this process was started for, and says what came of it.

    What *work* raises is told as it is where it is an :class:`ApartFailed`, a ``PermanentFailure``,
    a full disk or want of memory; anything else is a crash.
    """
    told = orjson.loads(sys.argv[1])
    _limit(told["parent"], told["memory"], told["time_limit"])
    pipe = told["pipe"]

    def tell(progress: Mapping[str, Any]) -> None:
        _say(pipe, {"told": progress})

    weighing = threading.Thread(target=_weigh, args=(pipe, told["memory"]), daemon=True)
    weighing.start()
    try:
        with telling_of_a_full_disk():
            done = work(told["job"], tell)
        _say(pipe, {"done": done})
    except (ApartFailed, PermanentFailure, DiskFull) as error:
        _say(pipe, {"failed": [error.error_code, str(error)]})
    except MemoryError:
        _say(pipe, {"failed": [_MEMORY, ""]})


def _limit(parent: int, memory: int, time_limit: float | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the worker's business
    die_with_parent(parent, signal.SIGKILL)
    # What is written to, not what is only reserved: threads reserve far more than they use.
    kind = resource.RLIMIT_DATA if sys.platform.startswith("linux") else resource.RLIMIT_AS
    most = memory * _KERNELS_SHARE
    resource.setrlimit(kind, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if time_limit is not None:
        # The worker looks at the clock; this holds where the worker is gone and could not tell.
        seconds = math.ceil(time_limit * (os.cpu_count() or 1)) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))


def _weigh(pipe: int, memory: int) -> None:
    """Ends this process when it has more memory than it may have: libraries fail at it in many ways."""
    while _weight() <= memory:
        time.sleep(_WEIGH)
    _say(pipe, {"failed": [_MEMORY, ""]})
    os._exit(1)


def _weight() -> int:
    """Bytes of memory that this process has."""
    if not sys.platform.startswith("linux"):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Not getrusage: what it says begins with the size of the process that started this one.
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def _say(pipe: int, words: Mapping[str, Any]) -> None:
    line = orjson.dumps(words) + b"\n"
    while line:
        line = line[os.write(pipe, line) :]


def throttled(tell: Tell, seconds: float) -> Tell:
    """*tell*, called at most once in so many seconds; what comes in between is left out."""
    last = -seconds

    def told(progress: Mapping[str, Any]) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= seconds:
            last = now
            tell(progress)

    return told
