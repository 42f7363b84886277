"""
Logging of every process: one line an event, on standard error and in the data folder.

Owns the form of a line, its file and what must not stand in it. The process calls
:func:`configure_logging` once at its start; everybody else uses ``logging`` as usual.

    2026-11-22T09:00:00.123456Z INFO worker[812] encola.engine: claimed task=0192…

One file a role, ``<data>/logs/<process>.log``. Several processes of one role write to
the same file, a worker and its children among them: each line is one ``write`` to a
file opened for appending, and the rotation happens under a lock that all of them see.
(The handler in the standard library rotates per process, so the children of a worker
would rename the file under each other.)
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import re
import sys
import time
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from .settings import Settings

MAX_BYTES = 10 * 1024 * 1024
"""Size at which a log file is rotated."""
KEPT_FILES = 5
"""Rotated files kept beside the current one."""
LOOK_SECONDS = 0.05
"""How often to look whether another process has rotated the file, and how large it is."""

#: The task that this thread or coroutine works for; in each line when it is set.
current_task_id: ContextVar[str | None] = ContextVar("encola_task_id", default=None)

#: The scheme is bounded: looked for without end from each of its letters, a long word would take minutes.
_URL_PASSWORD = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]{0,30}://[^\s/?#:@]*):[^\s/?#]+@")
_QUERY_SECRET = re.compile(
    r"(?i)([?&][a-z_]*(?:password|passwd|secret|token|api_?key)=)[^&\s#\"']+"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

_installed: list[logging.Handler] = []
#: Passwords of this process's settings, which stand in no text.
_secrets: list[str] = []
#: A shorter password would be found in every other word.
SHORTEST_SECRET = 4


def configure_logging(
    process: str,
    settings: Settings,
    *,
    stderr: bool = True,
    level: int | None = None,
    also_to: Path | None = None,
) -> None:
    """
    Send what this process logs to standard error and to ``<data>/logs/<process>.log``.

    *process*: the role, such as ``worker``; also the name of the file.
    *stderr* False: to the file alone. Can be called again: handlers are replaced.
    *level*: one of ``logging``'s, from a command line; it goes before ENCOLA_LOG_LEVEL.
    *also_to*: a file more, in a folder that there is, from a command line too.
    Where the file cannot be written to, a line says so and standard error has it all.
    """
    formatter = _formatter(settings.log_format, process)
    handlers: list[logging.Handler] = []
    problem: OSError | None = None
    try:
        handlers.append(SharedFileHandler(settings.data_dir.absolute() / "logs" / f"{process}.log"))
    except OSError as error:
        problem = error
    if also_to:
        handlers.append(logging.FileHandler(also_to, encoding="utf-8"))
    if stderr or problem:
        handlers.append(logging.StreamHandler(sys.stderr))

    keep_secret(settings)
    root = logging.getLogger()
    while _installed:
        old = _installed.pop()
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
        _installed.append(handler)
    root.setLevel(level or settings.log_level.upper())
    _calm_libraries()
    if problem:
        logging.getLogger(__name__).warning("no log file: %s", problem)


def keep_secret(settings: Settings) -> None:
    """From here on :func:`redact` knows the passwords of *settings*, wherever they stand."""
    found: set[str] = set()
    for address in (settings.redis_url, settings.smtp_url):
        # Some of a Sentinel's addresses may each have one.
        for part in (address or "").split(";"):
            written = urlsplit(part).password if "://" in part else None
            found |= {written, unquote(written)} if written else set()
    # A longer one may hold a shorter one.
    _secrets[:] = sorted((s for s in found if len(s) >= SHORTEST_SECRET), key=len, reverse=True)


def redact(text: str) -> str:
    """*text* without passwords: those of addresses, ``redis://user:***@host``, and those of the settings."""
    for secret in _secrets:
        if secret in text:
            text = text.replace(secret, "***")
    if "://" in text:
        text = _URL_PASSWORD.sub(r"\1:***@", text)
    return _QUERY_SECRET.sub(r"\1***", text) if "?" in text or "&" in text else text


def one_line(text: str) -> str:
    r"""
    *text* with its control characters written out: a line break becomes ``\n``.

    What a task logs is a stranger's text; it must not forge a second line nor
    steer the terminal.
    """
    return text if text.isprintable() else _CONTROL.sub(_written_out, text)


class TextFormatter(logging.Formatter):
    """One line of text an event."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, process, logger, message, task, error."""
        # Standard error and the file ask one after the other.
        line: str | None = record.__dict__.get("_encola_line")
        if line is None:
            line = record.__dict__["_encola_line"] = self._line(record)
        return line

    def _line(self, record: logging.LogRecord) -> str:
        line = (
            f"{_utc(record.created)} {record.levelname} {self._process}[{record.process}] "
            f"{record.name}: {record.getMessage()}"
        )
        task_id = _task_id(record)
        if task_id:
            line += f" task={task_id}"
        trace = _trace(self, record)
        if trace:
            line += f" | {trace}"
        return one_line(redact(line))


class JsonFormatter(logging.Formatter):
    """One JSON object an event: ``time level process pid logger message task_id? error?``."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """The object in one line, keys always in the same order."""
        event: dict[str, object] = {
            "time": _utc(record.created),
            "level": record.levelname.lower(),
            "process": self._process,
            "pid": record.process,
            "logger": record.name,
            "message": redact(record.getMessage()),
        }
        task_id = _task_id(record)
        if task_id:
            event["task_id"] = task_id
        trace = _trace(self, record)
        if trace:
            event["error"] = redact(trace)
        return json.dumps(event, ensure_ascii=True)


class SharedFileHandler(logging.Handler):
    """
    Appends to one file together with other processes, and rotates it with them.

    1. Where the file was rotated by another process, open the new one.
    2. Where this line would make it too large, rotate it under the lock, after
       looking again: another process may have done so in the meantime.
    3. Write the line in one call, which the kernel appends as a whole.

    The first two only every LOOK_SECONDS: for a worker's short tasks they would take as
    long as the rest of it. A line written between another's rename and our step 1 lands
    at the end of ``<name>.log.1``; it is never lost.
    """

    def __init__(
        self, path: Path, *, max_bytes: int = MAX_BYTES, kept_files: int = KEPT_FILES
    ) -> None:
        super().__init__()
        self._path = path
        self._name = str(path)
        self._max_bytes = max_bytes
        self._kept_files = kept_files
        # Its parent apart: mkdir gives folders that it makes on the way the usual mode.
        path.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        self._descriptor: int | None = self._open()
        self._held = 0
        self._look_at = 0.0
        self._has_told = False

    def emit(self, record: logging.LogRecord) -> None:
        """
        Write *record*; an error in doing so is never raised.

        A disk that takes no line (it is full, say) takes none of the next thousand either: that is told
        once, until it does again.
        """
        try:
            line = self.format(record).encode("utf-8", "backslashreplace") + b"\n"
            os.write(self._file_for(len(line)), line)
            self._has_told = False
        except OSError as error:
            self._tell_once(error)
        except Exception:  # noqa: BLE001  # logging must not break what it tells of
            self.handleError(record)

    def _tell_once(self, error: OSError) -> None:
        if not self._has_told and sys.stderr:
            sys.stderr.write(
                f"{self._name} lacks lines from here on; they are on standard error alone: "
                f"{error.strerror}\n"
            )
        self._has_told = True

    @property
    def stream(self) -> SharedFileHandler:
        """Where `logging`'s own handlers have theirs: Celery keeps it open in a child that it starts."""
        return self

    def fileno(self) -> int:
        """
        Raises:
            ValueError: the file is closed.
        """
        if self._descriptor is None:
            raise ValueError("the file is closed")
        return self._descriptor

    def close(self) -> None:
        """Close the file; a later line opens it again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
        super().close()

    def _file_for(self, size: int) -> int:
        if self._descriptor is None or self._is_full(size) or time.monotonic() > self._look_at:
            self._look()
            if self._is_full(size):
                with _Locked(self._path.with_name(f".{self._path.name}.lock")):
                    self._look()
                    if self._is_full(size):
                        rotate(self._path, self._kept_files)
                        self._look()
        self._held += size
        return self.fileno()

    def _look(self) -> None:
        """Opens the file that has the name now, unless it is ours, and notes its size in bytes."""
        self._look_at = time.monotonic() + LOOK_SECONDS
        if self._descriptor is not None:
            ours = os.fstat(self._descriptor)
            try:
                there = os.stat(self._name)
            except FileNotFoundError:
                there = None
            if there and os.path.samestat(there, ours):
                self._held = ours.st_size
                return
            os.close(self._descriptor)
        self._descriptor = self._open()
        self._held = os.fstat(self._descriptor).st_size

    def _is_full(self, size: int) -> bool:
        return self._held > 0 and self._held + size > self._max_bytes

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def rotate(path: Path, kept_files: int = KEPT_FILES) -> None:
    """Rename ``x.log`` to ``x.log.1``, ``x.log.1`` to ``x.log.2`` …; the oldest goes."""
    for number in range(kept_files - 1, 0, -1):
        with suppress(FileNotFoundError):
            path.with_name(f"{path.name}.{number}").replace(f"{path}.{number + 1}")
    with suppress(FileNotFoundError):
        path.replace(f"{path}.1")


class _Locked:
    """Holds an exclusive lock on a file of its own for the block."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> None:
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in (
                errno.ENOLCK,
                errno.ENOTSUP,
            ):  # a file system without locks
                os.close(self._descriptor)
                raise

    def __exit__(self, *exc: object) -> None:
        os.close(self._descriptor)


def _formatter(kind: Literal["text", "json"], process: str) -> logging.Formatter:
    return JsonFormatter(process) if kind == "json" else TextFormatter(process)


def _calm_libraries() -> None:
    # uvicorn brings handlers of its own, which would print each line twice.
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
    # One line per request of ours, and the address may hold a password.
    for name in ("httpx", "httpcore", "asyncio", "mail.log"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # At "debug" it writes down the arguments of every task.
    logging.getLogger("celery.pool").setLevel(logging.INFO)


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def _task_id(record: logging.LogRecord) -> str | None:
    # A record that crossed a thread carries its task as an attribute.
    found = getattr(record, "task_id", None) or current_task_id.get()
    return str(found) if found else None


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts: list[str] = []
    if record.exc_info:
        parts.append(record.exc_text or formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(record.stack_info)
    return "\n".join(parts)


def _written_out(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
