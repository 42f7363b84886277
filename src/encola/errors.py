"""
Every error encola raises on purpose.

    EncolaError
    ├── SettingsError           one or more settings are wrong; all are listed
    ├── StoreError
    │   ├── StoreUnavailable    the store did not answer
    │   │   └── StoreRefused    user, password or certificate are wrong: trying again changes nothing
    │   │       └── StoreNewer  a newer encola has written what the store holds
    │   ├── StoreFull           out of memory, or ENCOLA_MAX_WAITING reached
    │   └── StoreUnsafe         the server would lose data (eviction, no append-only file, …)
    ├── NothingRuns             no REDIS_URL and no running `encola up` in the data folder
    ├── TaskTypeNotFound        no such task type is registered
    ├── TaskNotFound            the id was never accepted, or retention has removed it
    ├── QueueNotFound           nobody listens to a queue of this name
    ├── WorkerNotFound          no worker of this id holds a lease
    ├── ScheduleNotFound        no program declares such a schedule
    ├── ScheduleRefused         a schedule that code declares cannot be kept
    ├── TaskFinished            the task has its outcome already
    ├── TaskActive              the task has no outcome yet
    ├── InvalidInput            the input does not fit the task type's model
    ├── InvalidTaskId           empty, longer than 255 bytes, or starts with "{"
    ├── InvalidQueue            a name that no queue can have
    ├── TooLarge                input or result above its limit
    ├── Fenced                  an attempt that is no longer the current one tried to write
    ├── WorkerUnknown           the store has forgotten this worker: its lease ran out
    └── PermanentFailure        raised by a task: do not retry, the text is the outcome's error

Each carries its values as attributes; its docstring is the default message.
``code`` is the stable word that HTTP answers and the command line show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class EncolaError(Exception):
    """Something went wrong in encola."""

    code = "error"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions cross from a worker's child to its parent as pickles, and the
        # default one would call __init__ with the finished message.
        return (_rebuild, (type(self), self.args, self.__dict__))


def _rebuild(
    cls: type[EncolaError], args: tuple[Any, ...], attributes: dict[str, Any]
) -> EncolaError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


class SettingsError(EncolaError):
    """One or more settings are wrong."""

    code = "settings"

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        noun = "setting is" if len(self.problems) == 1 else "settings are"
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        super().__init__(f"{len(self.problems)} {noun} wrong:\n{lines}")


class StoreError(EncolaError):
    """The store could not do what was asked."""

    code = "store_unavailable"


class StoreUnavailable(StoreError):
    """The store did not answer. Nothing was queued; try again in a moment."""

    code = "store_unavailable"


class StoreRefused(StoreUnavailable):
    """The server of REDIS_URL and this program do not accept each other: user, password or certificate."""


class StoreNewer(StoreRefused):
    """A newer encola has written what the store holds; this one cannot read all of it."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(
            f"A newer encola has written what the store holds (version {found}; this one knows {known}). "
            "Upgrade this program, or name another store in REDIS_URL or ENCOLA_NAMESPACE."
        )


class StoreFull(StoreError):
    """The store takes no more tasks. Nothing was queued; try again when some have run."""

    code = "store_full"
    error_code = code
    """Of a task that runs others again, or queues some, and meets it."""


class StoreUnsafe(StoreError):
    """The server would lose data as it is set up."""

    code = "store_unsafe"


class NothingRuns(EncolaError):
    """Nothing runs here. Start `encola up`, or set REDIS_URL."""

    code = "store_unavailable"

    def __init__(self, data_dir: str) -> None:
        self.data_dir = data_dir
        super().__init__(f"Nothing runs in {data_dir}. Start `encola up`, or set REDIS_URL.")


class TaskTypeNotFound(EncolaError):
    """No such task type."""

    code = "task_type_not_found"

    def __init__(self, name: str, known: Sequence[str] = ()) -> None:
        self.name = name
        self.known = sorted(known)
        listed = f" Known types: {', '.join(self.known)}." if known else ""
        super().__init__(f"Unknown task type {name!r}.{listed}")


class TaskNotFound(EncolaError):
    """No task has this id."""

    code = "task_not_found"

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        super().__init__(
            f"Unknown task {task_id!r}: it was never accepted, or retention removed it."
        )


class QueueNotFound(EncolaError):
    """No queue has this name."""

    code = "queue_not_found"

    def __init__(self, queue: str, known: Sequence[str] = ()) -> None:
        self.queue = queue
        self.known = sorted(known)
        super().__init__(f"Unknown queue {queue[:100]!r}. Known queues: {', '.join(self.known)}.")


class WorkerNotFound(EncolaError):
    """No worker has this id."""

    code = "worker_not_found"

    def __init__(self, worker: str) -> None:
        self.worker = worker
        super().__init__(f"Unknown worker {worker[:300]!r}: it has left, or its lease ran out.")


class ScheduleNotFound(EncolaError):
    """No schedule has this id."""

    code = "schedule_not_found"

    def __init__(self, schedule_id: str) -> None:
        self.schedule_id = schedule_id
        super().__init__(f"Unknown schedule {schedule_id!r}: no program declares it.")


class ScheduleRefused(EncolaError):
    """A schedule cannot be kept as it is declared."""

    code = "schedule_refused"

    def __init__(self, schedule_id: str, reason: str) -> None:
        self.schedule_id = schedule_id
        self.reason = reason
        super().__init__(f"Schedule {schedule_id!r} cannot be kept: {reason.removesuffix('.')}.")


class TaskFinished(EncolaError):
    """The task has finished."""

    code = "task_finished"

    def __init__(self, task_id: str, state: str) -> None:
        self.task_id = task_id
        self.state = state
        super().__init__(f"Task {task_id} has finished ({state}).")


class TaskActive(EncolaError):
    """The task has not finished."""

    code = "task_active"

    def __init__(self, task_id: str, state: str) -> None:
        self.task_id = task_id
        self.state = state
        super().__init__(
            f"Task {task_id} has not finished ({state}); cancel it first, or wait for its outcome."
        )


class InvalidInput(EncolaError):
    """
    The input does not fit the task type's model.

    ``errors``: one dict a field, ``{"loc": [...], "msg": str, "type": str}``; ``fields``: all of them in one line.
    ``type_name``: the task type, or the part of the API that it was sent to.
    """

    code = "validation"

    def __init__(self, type_name: str, errors: Sequence[dict[str, object]]) -> None:
        self.type_name = type_name
        self.errors = list(errors)
        self.fields = "; ".join(
            f"{'.'.join(str(part) for part in _loc(e))}: {e.get('msg')}" for e in self.errors
        )
        super().__init__(f"Invalid input for {type_name!r}: {self.fields}")


def _loc(error: dict[str, object]) -> Sequence[object]:
    loc = error.get("loc")
    return loc if isinstance(loc, (list, tuple)) else (loc,)


class InvalidTaskId(EncolaError):
    """A task id is 1 to 255 bytes of UTF-8 and does not start with "{"."""

    code = "invalid_task_id"


class InvalidQueue(EncolaError):
    """A name that no queue can have."""

    code = "invalid_queue"

    def __init__(self, queue: str, reason: str) -> None:
        self.queue = queue
        self.reason = reason
        super().__init__(f"{queue[:100]!r} cannot be the name of a queue: {reason}.")


class TooLarge(EncolaError):
    """A value is above its limit."""

    code = "too_large"

    def __init__(self, what: str, size: int, limit: int) -> None:
        self.what = what
        self.size = size
        self.limit = limit
        super().__init__(f"The {what} has {size} bytes; at most {limit} are taken.")


class Fenced(EncolaError):
    """This attempt is no longer the current one; what it wrote was refused."""

    code = "fenced"

    def __init__(self, task_id: str, token: int) -> None:
        self.task_id = task_id
        self.token = token
        super().__init__(
            f"Attempt {token} of task {task_id} was fenced: another owns the task now."
        )


class WorkerUnknown(EncolaError):
    """The store does not know this worker; its lease ran out."""

    code = "worker_unknown"


class PermanentFailure(EncolaError):
    """
    Raised by a task to fail at once, whatever its retry policy.

    ``error_code`` is kept in the record.
    """

    code = "failed"

    def __init__(self, message: str, error_code: str = "failed") -> None:
        self.error_code = error_code
        super().__init__(message)
