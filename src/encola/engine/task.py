"""
The Celery task class of every task here, ours and a user's plain ones.

Round the function it asks the store whether this attempt may start, turns what
would kill the worker into a failure, and makes the ids of links before they are
sent, so that a repeated attempt sends the same ones. :func:`celery_function`
makes the function of a declared task type.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import random
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson
from celery import Task as CeleryTask
from celery.exceptions import Ignore, Reject, Retry
from kombu.utils.imports import symbol_by_name

from .. import tasklog
from ..errors import EncolaError, PermanentFailure, StoreError, TooLarge
from ..logs import current_task_id
from ..record import MAX_PROGRESS_BYTES
from ..settings import get_settings
from ..store import NextDelivery, Start
from ..task import TaskContext, TaskType, next_delay
from .envelope import TOKEN_HEADER
from .sending import mark_of
from .session import current_session

logger = logging.getLogger(__name__)

#: Makes the ids of links from (parent, position).
_LINKS = uuid.UUID("0d6b7b62-3f8e-5e0b-9f0e-6f1d1c1b2a10")


class TaskOutOfMemory(EncolaError):
    """The task asked for more memory than there is."""

    code = "out_of_memory"


class TaskTooDeep(EncolaError):
    """The task recursed too deeply."""

    code = "recursion"


class TaskExited(EncolaError):
    """The task called sys.exit()."""

    code = "exited"


class Task(CeleryTask):
    """What every Celery task of ``celery_app`` is."""

    abstract = True
    Request: Any = "encola.engine.request:Request"
    # A failure that the task declares is an answer, not a surprise: a line in the log, no traceback.
    throws = (PermanentFailure,)
    #: Its author asked for ``acks_late=True``. Every task is late here; only what is shown of it follows that.
    is_shown_as_late = False

    @classmethod
    def bind(cls, app: Any) -> Any:
        # Before it takes the word of the settings; a class may be bound again.
        if "is_shown_as_late" not in cls.__dict__:
            cls.is_shown_as_late = bool(cls.acks_late)
        return super().bind(app)

    @classmethod
    def on_bound(cls, app: Any) -> None:
        # One that declares a short hard limit does not want the settings' longer soft one. A longer
        # soft one of its own is refused when it is sent, as Celery has it.
        soft = cls.app.conf.task_soft_time_limit
        if cls.time_limit and soft and cls.soft_time_limit == soft > cls.time_limit:
            cls.soft_time_limit = 0
        # Let go of before it ends, it would be lost with its worker, or taken for a lost delivery.
        cls.acks_late = True
        if cls.Request != Task.Request:
            cls.Request = _with_ours(symbol_by_name(cls.Request))

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        self._begin(task_id)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._is_begun:
            return super().__call__(*args, **kwargs)
        return self._attempt(self.run, args, kwargs)

    def on_replace(self, sig: Any) -> Any:
        """
        Sends *sig*, in whose last part this task lives on, and ends this attempt.

        The last part of a chain is sent by another task, under this one's id.
        """
        token = self.request.get(TOKEN_HEADER)
        if token is not None and not self.request.is_eager:
            session = current_session()
            if (
                session.insist(session.verbs.expect(self.request.id, int(token)))
                < NextDelivery.KEPT
            ):
                raise Ignore(f"attempt under token {token} may not replace its task")
        return super().on_replace(sig)

    def _begin(self, task_id: str) -> None:
        """
        Asks whether this attempt may start, and names its links; once an attempt.

        Raises:
            Ignore: it was cancelled, has finished, or was given to another worker in the meantime.
            Reject: the store could not be asked. It has not begun, so it has not failed.
        """
        request = self.request
        if getattr(request, "encola_asked", False):
            return
        request.encola_asked = True
        token = request.get(TOKEN_HEADER)
        if token is not None and not request.is_eager:
            session = current_session()
            try:
                started = session.insist(session.verbs.start(request.id, int(token)))
            except StoreError as error:
                raise Reject(f"its start could not be asked for: {error}", requeue=True) from error
            if started in (Start.REFUSED, Start.UNKNOWN):
                raise Ignore(f"attempt under token {token} may not start")
        if request.callbacks or request.errbacks:
            name_links(task_id, request)

    @property
    def _is_begun(self) -> bool:
        """Called directly, or from inside of :meth:`_attempt`."""
        request = self.request
        return (
            request.called_directly
            or request.get(TOKEN_HEADER) is None
            or getattr(request, "encola_runs", False)
        )

    def _attempt(self, call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """The task itself, by *call*; what would kill the worker comes out as a failure."""
        # Celery looks through two stacks for it each time.
        request = self.request
        request.encola_runs = True
        if request.eta is None:
            request.eta = (request.get("encola") or {}).get("eta")
        reset = current_task_id.set(request.id)
        try:
            with _failing(), tasklog.kept(request.id, int(request.get(TOKEN_HEADER))):
                return call(*args, **kwargs)
        except Ignore:
            if getattr(request, "encola_declared", None):
                self.backend.settle_declared(request.id, request)
            raise
        finally:
            current_task_id.reset(reset)


class Foremost:
    """
    Put before a user's own class of tasks, whose ``before_start`` or ``__call__`` may call no other.

    Without it nobody would ask the store whether an attempt may start.
    """

    def before_start(self: Any, task_id: str, args: Any, kwargs: Any) -> None:
        self._begin(task_id)
        with _failing():
            super().before_start(task_id, args, kwargs)  # type: ignore[misc]

    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self._is_begun:
            return super().__call__(*args, **kwargs)  # type: ignore[misc]
        return self._attempt(super().__call__, args, kwargs)  # type: ignore[misc]


def as_encola_task(base: type) -> type:
    """
    A class of tasks made without us (``class Mine(celery.Task)``), with what ours does put round it.

    Without it nobody would report its lost child, nor ask for its start.
    """
    if base is Task or issubclass(base, Foremost):
        return base
    parts = (Foremost, base) if issubclass(base, Task) else (Foremost, base, Task)
    return type(base.__name__, parts, {"__module__": base.__module__, "__doc__": base.__doc__})


def _with_ours(theirs: type) -> type:
    """A user's own class of requests, with ours before it: without it no lost child is counted, and no cancel stops one."""
    ours: type = symbol_by_name(Task.Request)
    return theirs if issubclass(theirs, ours) else type(theirs.__name__, (ours, theirs), {})


@contextlib.contextmanager
def _failing() -> Iterator[None]:
    """What would end the worker is a failure of the task."""
    try:
        yield
    except MemoryError as error:
        # Celery raises a MemoryError again in the parent: the worker would exit,
        # and the next one too.
        raise TaskOutOfMemory(str(error) or None) from error
    except RecursionError as error:
        raise TaskTooDeep(str(error)) from error
    except SystemExit as error:
        if _is_termination(error):
            raise
        raise TaskExited(f"The task called sys.exit({error.code!r}).") from error


def _is_termination(error: SystemExit) -> bool:
    """Whether billiard's handler for SIGTERM raised it, in which case the child must go."""
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_globals.get("__name__") in ("billiard.common", "billiard.pool"):
            return True
        traceback = traceback.tb_next
    return False


def name_links(task_id: str, request: Any) -> None:
    """Each link of a task gets the same id whenever it is sent."""
    # Sent on purpose once more, the task sends its links once more too.
    run = f"{task_id}:{mark}" if (mark := mark_of(request)) else task_id
    for position, link in enumerate(request.callbacks or ()):
        _name_link(link, f"{run}:{position}")
    for position, link in enumerate(request.errbacks or ()):
        _name_link(link, f"{run}:error:{position}")


def _name_link(link: dict[str, Any], position: str) -> None:
    """Gives a link its id, unless it has one; a group's tasks one each."""
    if link.get("subtask_type") == "group":
        for index, part in enumerate((link.get("kwargs") or {}).get("tasks") or ()):
            _name_link(part, f"{position}:{index}")
        return
    options = link.setdefault("options", {})
    if not options.get("task_id"):
        options["task_id"] = str(uuid.uuid5(_LINKS, position))


def as_limit(value: float | str | None) -> float:
    """A limit in seconds as Celery's classes take it here: 0 for none."""
    return 0 if value is None or isinstance(value, str) else value


class StoreReporter:
    """Reports a running attempt's progress to its record."""

    def __init__(self, task_id: str, token: int) -> None:
        self._task_id = task_id
        self._token = token

    def report(self, progress: Mapping[str, Any]) -> None:
        """
        Raises:
            TooLarge: more than :data:`MAX_PROGRESS_BYTES`.
            StoreError
        """
        encoded = orjson.dumps(dict(progress))
        if len(encoded) > MAX_PROGRESS_BYTES:
            raise TooLarge("progress", len(encoded), MAX_PROGRESS_BYTES)
        session = current_session()
        session.run(session.verbs.progress(self._task_id, self._token, encoded))


def celery_function(task_type: TaskType) -> Callable[..., Any]:
    """The body of the Celery task (``bind=True``) that runs a task type."""

    def run(self: Task, *args: Any, **kwargs: Any) -> Any:
        request = self.request
        token = request.get(TOKEN_HEADER)
        reporter = StoreReporter(request.id, int(token)) if token else None
        context = TaskContext(
            task_id=request.id or "direct",
            attempt=(request.retries or 0) + 1,
            retries=request.retries or 0,
            reporter=reporter,
            scheduled_at=_scheduled_at(request.get("encola")),
            token=int(token or 0),
        )
        try:
            return task_type.run(context, args, kwargs)
        except (Ignore, Reject, Retry):
            raise
        except Exception as error:
            if request.called_directly or not task_type.retry.admits(error):
                raise
            _retry(self, task_type, error)
            raise

    run.__name__ = task_type.name
    run.__doc__ = task_type.function.__doc__
    run.__module__ = task_type.function.__module__
    return run


def _scheduled_at(ours: object) -> dt.datetime | None:
    """From our own part of the headers."""
    moment = ours.get("scheduled_at") if isinstance(ours, dict) else None
    return dt.datetime.fromisoformat(moment) if isinstance(moment, str) else None


def _retry(task: Task, task_type: TaskType, error: Exception) -> None:
    """Raises Retry where the policy leaves an attempt; returns where none is left."""
    settings, policy = get_settings(), task_type.retry
    most = settings.task_max_retries if policy.max_retries is None else policy.max_retries
    done = task.request.retries or 0
    if done >= most:
        return
    first = policy.first_delay or settings.task_first_delay
    delay = next_delay(done + 1, first, policy.max_delay, random.SystemRandom())
    # None would mean the task's own, which is the settings' number.
    raise task.retry(exc=error, countdown=delay, max_retries=most)
