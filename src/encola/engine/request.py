"""
A task in the worker's main process: how its end reaches the store.

The child writes the outcome of what it ran. The parent speaks only for a child
that cannot: one that was lost, or whose task raised Ignore, Reject or Retry.
An acknowledgement of what is settled costs no round trip.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

from billiard.einfo import ExceptionWithTraceback
from celery.exceptions import Ignore, Reject, Retry, WorkerLostError
from celery.utils.collections import LimitedSet
from celery.utils.saferepr import saferepr
from celery.worker import state
from celery.worker.request import Request as CeleryRequest
from kombu.exceptions import OperationalError

from ..errors import StoreError
from .envelope import read_tag
from .qos import QoS
from .session import current_session

logger = logging.getLogger(__name__)

PARKED = 2
#: So much of the arguments is shown, as Celery's own clients have it.
SHOWN_CHARACTERS = 1024


#: Ids that were revoked here and have their outcome in the store, which Celery's own memory of
#: revoked ids does not tell from those that the store has never heard of.
ended_in_store = LimitedSet(maxlen=state.REVOKES_MAX, expires=state.REVOKE_EXPIRES)


class Request(CeleryRequest):
    """Celery's request, ended by the store's rules."""

    #: The child ended without writing an outcome: the store decides what it means.
    _undecided = False
    #: Its child has been told to stop.
    is_ending = False
    #: Waits for its rate limit, so that it is not late.
    is_rate_limited = False
    #: Its attempt was given to another worker, or may have been: nobody is told of an end here.
    is_anothers = False
    #: Called when a child has taken it up.
    when_accepted: Callable[[], None] | None = None

    def __init_subclass__(cls) -> None:
        """Celery makes a class of each task, with an ``on_success`` of its own."""
        celerys: Callable[..., Any] = cls.on_success

        def on_success(self: Request, told: tuple[Any, Any, Any], **kwargs: Any) -> Any:
            answer = celerys(self, told, **kwargs)
            if told[1] is None and self._claim:
                # Of what has a result its text is told. Celery's child has found nothing in the
                # message that it could have begun, and says no more than this.
                self._park()
            return answer

        cls.on_success = on_success

    def __init__(self, message: Any, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        if not self._decoded:
            # The child is sent what was read here anyway; the text too would be to read it twice.
            self._body = message.payload
            self._content_type = self._content_encoding = None
        self._claim = read_tag(str(message.delivery_tag))
        qos = getattr(message.channel, "qos", None)
        self._encola_qos = qos if isinstance(qos, QoS) else None
        lease = getattr(message.channel, "lease", None)
        if self._claim and lease is not None:
            held = lease.held.get(self._claim[0])
            if held is not None and held.token == self._claim[1]:
                held.request = self
            self.is_rate_limited = bool(getattr(self.task, "rate_limit", None))

    @property
    def argsrepr(self) -> str:
        """Positional arguments as Flower shows them. Empty while nobody asks for the events of tasks."""
        return self._shown(self._argsrepr, self._args) if self._is_watched else self._argsrepr

    @property
    def kwargsrepr(self) -> str:
        return self._shown(self._kwargsrepr, self._kwargs) if self._is_watched else self._kwargsrepr

    def info(self, safe: bool = False) -> dict[str, Any]:
        found: dict[str, Any] = super().info(safe)
        if self.time_start is not None and not self.task.is_shown_as_late:
            # It has left its queue for good: under its lease it is the worker's, or given back.
            found["acknowledged"] = True
        if safe:
            found["args"] = self._shown(self._argsrepr, self._args)
            found["kwargs"] = self._shown(self._kwargsrepr, self._kwargs)
        return found

    @property
    def _is_watched(self) -> bool:
        groups = getattr(self._eventer, "groups", ())
        return not groups or "task" in groups

    @staticmethod
    def _shown(given: str, value: Any) -> str:
        # Celery's clients write it into the headers. Ours do not: it would be kept with each
        # record, for the few that somebody looks at in Flower.
        return given or str(saferepr(value, SHOWN_CHARACTERS))

    def revoked(self) -> bool:
        if self.id in ended_in_store:
            # It was claimed all the same: a person has run it again.
            state.revoked.discard(self.id)
        return bool(super().revoked())

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        super().on_accepted(pid, time_accepted)
        if self.when_accepted is not None:
            self.when_accepted()

    def _announce_revoked(self, reason: str, *told: Any) -> None:
        if not self.is_anothers:
            super()._announce_revoked(reason, *told)
            return
        state.task_ready(self)
        self.acknowledge()
        self._already_revoked = True

    def on_failure(
        self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False
    ) -> Any:
        error = exc_info.exception
        if isinstance(error, ExceptionWithTraceback):
            error = error.exc
        if isinstance(error, (Ignore, Reject, Retry)):
            self._undecided = True
        stopped = self._already_revoked or self._already_cancelled
        lost = isinstance(error, (WorkerLostError, SystemExit, KeyboardInterrupt))
        if self._claim and lost and not return_ok and not stopped:
            self._on_lost_child(error, exc_info)
            return None
        if isinstance(error, MemoryError):
            # Celery raises it again here, which ends the worker. It came from round the task, whose
            # own are failures by then: what has no outcome runs again, and its crashes are counted.
            logger.error("Task %s: its child ran out of memory: %s", self.id, error)
            state.task_ready(self)
            self.acknowledge()
            return None
        with self._ending():
            return super().on_failure(exc_info, send_failed_event, return_ok)

    def on_retry(self, exc_info: Any) -> Any:
        if self._encola_qos is not None and not self.acknowledged:  # type: ignore[has-type]  # Celery's attribute
            # Celery's child writes nothing of it where the task ignores its result.
            self._encola_qos.end(self._message.delivery_tag, "retried")
            self.acknowledged = True
        return super().on_retry(exc_info)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        with self._ending():
            super().on_timeout(soft, timeout)

    @contextlib.contextmanager
    def _ending(self) -> Iterator[None]:
        """An end that cannot be told to all who are named in the message, or written, leaves nothing held for ever."""
        try:
            yield
        except (StoreError, OperationalError) as error:
            logger.warning("The end of task %s could not be written: %s", self.id, error)
            if self._encola_qos is not None:
                # It stays leased and is no longer held: the next renewal gives it back.
                self._encola_qos.drop(self._message.delivery_tag)
        except Exception as error:
            if self._claim is None:
                raise
            logger.exception("Task %s has a message that cannot be followed: %s", self.id, error)
            self._park()

    def _park(self) -> None:
        if self._encola_qos is not None:
            self._encola_qos.end(self._message.delivery_tag, "unreadable")

    def acknowledge(self) -> None:
        if self.acknowledged:
            return
        if self._claim is None or self._encola_qos is None or self._undecided:
            super().acknowledge()
            return
        self.acknowledged = True
        self._encola_qos.drop(self._message.delivery_tag)

    def _on_lost_child(self, error: BaseException, exc_info: Any) -> None:
        """The child died under the task: given back with a crash counted, or parked."""
        assert self._claim is not None
        state.task_ready(self)
        session = current_session()
        parked = False
        try:
            (result,) = session.run(session.verbs.release([self._claim], crashed=True))
            parked = result == PARKED
        except StoreError as store_error:
            # It stays leased and is no longer held: the next renewal gives it back.
            logger.warning(
                "Task %s: its lost child could not be reported: %s", self.id, store_error
            )
        if self._encola_qos is not None:
            self._encola_qos.drop(self._message.delivery_tag)
        self.acknowledged = True
        if parked:
            logger.error("Task %s killed its child three times and is parked: %s", self.id, error)
            # The record has its end; who waits for it hears of it from a worker that sweeps.
            self.send_event("task-failed", exception=repr(error), traceback=exc_info.traceback)
        else:
            logger.warning("Task %s lost its child and will be run again: %s", self.id, error)
