"""
What a task's code gives to ``logging`` or prints while it runs, kept with its record.

    1. ``begin`` says whose lines come now: a context variable, which threads started with a
       copy of the context and asyncio tasks inherit.
    2. A handler at the root of ``logging``, and a tee before standard output and error, hand
       each line to the run that is current, if there is one. Everything still goes where it went.
    3. A thread, started by the first line, sends what has come together ten times a second.
       The task waits for none of it.
    4. ``end`` sends the rest before the outcome is written: whoever is told of the end finds
       every line.

Bounded here as in the store: of a flood between two sendings the latest lines are kept and
the others counted. A store that is away loses nothing but what is beyond that bound.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, TextIO

import orjson

from .embedded.runfile import resolve_redis_url
from .logs import redact
from .settings import get_settings
from .store import Keys, Verbs, connect, run
from .store.shapes import LogLine

#: Characters of one line that are kept.
LINE_CHARACTERS: Final = 8_000
#: Between two sendings, in seconds.
SEND_SECONDS: Final = 0.1
#: After the store did not answer.
PAUSE_SECONDS: Final = 1.0
#: Lines, and bytes of them, in one call.
BATCH_LINES: Final = 200
BATCH_BYTES: Final = 256 * 1024
#: Lines of all runs that wait to be sent; beyond it the run that has most gives up its oldest.
MOST_PENDING: Final = 20_000

LEVELS: Final = ("debug", "info", "warning", "error", "critical")


@dataclass(eq=False, slots=True)
class Run:
    """One attempt, as far as its lines go."""

    task_id: str
    token: int
    lines: deque[bytes] = field(default_factory=deque[bytes])
    """Not sent yet."""
    skipped: int = 0
    """Lines before these that were too many."""
    has_written: bool = False
    """It may have nothing left to send, and be on its way."""
    unfinished: dict[tuple[str, int], tuple[threading.Thread, str]] = field(
        default_factory=dict[tuple[str, int], tuple[threading.Thread, str]]
    )
    """Of each stream and thread (its number, which is given again when it has ended), text without its end of line."""


_current: ContextVar[Run | None] = ContextVar("encola_run", default=None)


class TaskLog:
    """This process's."""

    def __init__(self) -> None:
        self.is_alone = False
        """One task at a time runs here, so every thread that is born meanwhile is that task's."""
        self._alone: Run | None = None
        self._owners: weakref.WeakKeyDictionary[threading.Thread, Run | None] = (
            weakref.WeakKeyDictionary()
        )
        # A signal's handler may log in the very thread that holds it.
        self._lock = threading.RLock()
        self._sending = threading.Lock()
        self._pending: dict[Run, None] = {}
        self._count = 0
        self._thread: threading.Thread | None = None
        self._has_lines = threading.Event()
        self._client: Any = None

    # --- runs -----------------------------------------------------------------------

    def begin(self, task_id: str, token: int) -> Run:
        """Lines of this context are this attempt's from now on."""
        made = Run(task_id, token)
        _current.set(made)
        if self.is_alone:
            self._own_threads(None)
            self._alone = made
        return made

    def end(self, ended: Run) -> None:
        """Sends what is left. Never raises; what the store does not take now is sent later."""
        _current.set(None)
        if self.is_alone:
            self._own_threads(ended)
            self._alone = None
        with self._lock:
            unfinished, ended.unfinished = ended.unfinished, {}
        for (stream, _), (_, text) in unfinished.items():
            self._take_line(ended, stream, text)
        if ended.has_written:
            # What is being sent at this moment is waited for. Also a soft time limit that strikes just here: the task has ended before it.
            with contextlib.suppress(Exception):
                self.send([ended])

    def current(self) -> Run | None:
        found = _current.get()
        if found is None and self.is_alone:
            return self._owners.get(threading.current_thread(), self._alone)
        return found

    def _own_threads(self, owner: Run | None) -> None:
        """Whoever is here and has no owner yet belongs to *owner*."""
        for thread in threading.enumerate():
            self._owners.setdefault(thread, owner)

    # --- lines ----------------------------------------------------------------------

    def write(self, to: Run, level: str, source: str, message: str, at: float) -> None:
        text = redact(message[:LINE_CHARACTERS]).encode("utf-8", "replace").decode()
        line = {"at": round(at * 1000), "level": level, "source": source, "message": text}
        with self._lock:
            to.lines.append(orjson.dumps(line))
            to.has_written = True
            self._pending[to] = None
            self._count += 1
            if len(to.lines) > get_settings().log_lines:
                self._skip(to)
            elif self._count > MOST_PENDING:
                self._skip(max(self._pending, key=lambda each: len(each.lines)))
        self._wake()

    def take(self, to: Run, stream: str, text: str) -> None:
        """Text of a stream, in pieces as they come."""
        # ``print`` writes the end of its line by itself, and another thread may come in between.
        thread, key = threading.current_thread(), (stream, threading.get_ident())
        with self._lock:
            owner, begun = to.unfinished.pop(key, (thread, ""))
            if owner is not thread:
                self._take_line(to, stream, begun)
                begun = ""
            *whole, rest = (begun + text).split("\n")
            if rest:
                to.unfinished[key] = (thread, rest[-LINE_CHARACTERS:])
        for line in whole:
            self._take_line(to, stream, line)

    def _take_line(self, to: Run, stream: str, line: str) -> None:
        """A carriage return begins it anew."""
        shown = line.rstrip("\r").rpartition("\r")[2]
        if shown.strip():
            self.write(to, "warning" if stream == "stderr" else "info", stream, shown, time.time())

    def _skip(self, of: Run) -> None:
        of.lines.popleft()
        of.skipped += 1
        self._count -= 1

    # --- sending --------------------------------------------------------------------

    def send(self, runs: Iterable[Run] | None = None) -> None:
        """
        Raises:
            StoreError: nothing is lost; what was not sent waits.
        """
        with self._sending:
            with self._lock:
                chosen = list(self._pending) if runs is None else list(runs)
            for batch in self._batches(chosen):
                self._send_batch(batch)

    def _batches(self, runs: list[Run]) -> Iterator[list[tuple[Run, LogLine]]]:
        batch: list[tuple[Run, LogLine]] = []
        size = 0
        for each in runs:
            while (line := self._next(each)) is not None:
                batch.append((each, line))
                size += len(line.line)
                if len(batch) == BATCH_LINES or size > BATCH_BYTES:
                    yield batch
                    batch, size = [], 0
        if batch:
            yield batch

    def _next(self, of: Run) -> LogLine | None:
        with self._lock:
            if not of.lines:
                self._pending.pop(of, None)
                return None
            self._count -= 1
            skipped, of.skipped = of.skipped, 0
            return LogLine(of.task_id, of.token, of.lines.popleft(), skipped)

    def _send_batch(self, batch: list[tuple[Run, LogLine]]) -> None:
        settings = get_settings()
        try:
            if self._client is None:
                self._client = connect(resolve_redis_url(settings), name="encola-log")
            verbs = Verbs(Keys(settings.key_prefix, settings.list_prefix))
            lines = [line for _, line in batch]
            run(self._client, verbs.log(lines, settings.log_lines, settings.log_bytes))
        except BaseException:
            self._put_back(batch)
            raise

    def _put_back(self, batch: list[tuple[Run, LogLine]]) -> None:
        with self._lock:
            for to, line in reversed(batch):
                # What was skipped since then is counted before this line, and not after it: the
                # numbers stay right.
                to.lines.appendleft(line.line)
                to.skipped += line.skipped
                self._pending[to] = None
                self._count += 1
                if len(to.lines) > get_settings().log_lines:
                    self._skip(to)

    def _wake(self) -> None:
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._send_on, name="encola-log", daemon=True
                    )
                    self._owners[self._thread] = None
                    self._thread.start()
        self._has_lines.set()

    def _send_on(self) -> None:
        while True:
            self._has_lines.wait()
            time.sleep(SEND_SECONDS)
            self._has_lines.clear()
            try:
                self.send()
            except Exception:  # noqa: BLE001 - whatever it is, the next sending may succeed
                time.sleep(PAUSE_SECONDS)
                self._has_lines.set()


_log: TaskLog | None = None


def current_task_log() -> TaskLog:
    """This process's; a fork gets its own."""
    global _log
    if _log is None:
        _log = TaskLog()
    return _log


def _begin_anew() -> None:
    global _log
    _log = None


os.register_at_fork(after_in_child=_begin_anew)


class kept:  # noqa: N801 - read as a word: with kept(…)
    """What the block writes is kept as this attempt's."""

    def __init__(self, task_id: str, token: int) -> None:
        self._task_id = task_id
        self._token = token
        self._log: TaskLog | None = None

    def __enter__(self) -> None:
        if get_settings().log_lines:
            self._log = current_task_log()
            self._run = self._log.begin(self._task_id, self._token)

    def __exit__(self, *_: object) -> None:
        if self._log is not None:
            self._log.end(self._run)


# --- where lines come from -------------------------------------------------------------


class TaskLogHandler(logging.Handler):
    """Hands records of a running task to its log."""

    def emit(self, record: logging.LogRecord) -> None:
        log = current_task_log()
        found = log.current()
        if found is None:
            return
        try:
            message = record.getMessage()
            if record.exc_info:
                message += "\n" + (record.exc_text or _formatter.formatException(record.exc_info))
            log.write(found, _level(record.levelno), record.name, message, record.created)
        except Exception:  # noqa: BLE001 - logging must not break what it tells of
            self.handleError(record)


class Tee:
    """A standard stream that also hands what a running task prints to its log."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream = stream
        self._name = name

    def write(self, text: str) -> int:
        written = self._stream.write(text)
        log = current_task_log()
        found = log.current()
        # What a handler of logging writes here has come by the root handler already.
        if found is not None and sys._getframe(1).f_code.co_filename != _LOGGING:
            log.take(found, self._name, text)
        return written

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


_formatter: Final = logging.Formatter()
_LOGGING: Final = logging.__file__


def install(*, streams: bool) -> None:
    """
    Begins to listen in this process; may be called again.

    Args:
        streams: also to what is printed.
    """
    if not get_settings().log_lines:
        return
    root = logging.getLogger()
    if not any(isinstance(handler, TaskLogHandler) for handler in root.handlers):
        root.addHandler(TaskLogHandler())
    for name in ("stdout", "stderr") if streams else ():
        stream = getattr(sys, name)
        # None: the process has none. Celery's proxy hands everything to logging.
        if stream is not None and not isinstance(stream, Tee) and not hasattr(stream, "loglevel"):
            setattr(sys, name, Tee(stream, name))


def _level(number: int) -> str:
    return LEVELS[max(0, min(number // 10 - 1, len(LEVELS) - 1))]
