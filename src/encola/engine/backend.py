"""
The result backend: Celery's states are the record's.

There is no second store of results. ``mark_as_*`` settle the attempt,
``update_state`` reports progress, and ``AsyncResult`` reads the record. No
subscription is made per result: ``.get()`` looks, at intervals.

What a fenced attempt writes is refused and logged. What an acknowledgement
means where nothing was written is the transport's business, not ours.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Iterator
from typing import Any

import orjson
from celery import current_app, signals, states
from celery.app.trace import task_has_custom
from celery.backends.base import SyncBackendMixin
from celery.exceptions import ChordError
from kombu.utils.encoding import bytes_to_str
from kombu.utils.url import maybe_sanitize_url

from ..errors import StoreError, TooLarge
from ..record import FINISHED, MAX_PROGRESS_BYTES, TaskState
from ..settings import get_settings
from ..store import NewTask, Settled, decode_record, encode_body
from ..store.message import Message
from ..store.plain_json import read_plain
from ..store.records import encode_error
from . import strays
from .envelope import TOKEN_HEADER, type_of
from .groups import GroupBackend
from .guests import take_in
from .outcome import describe, error_code, revoked
from .result_files import put_in_file
from .session import current_session
from .view import meta_of, nothing

logger = logging.getLogger(__name__)


class Backend(SyncBackendMixin, GroupBackend):
    """Celery's result backend on the record."""

    supports_autoexpire = True
    supports_native_join = True
    persistent = True

    def __init__(self, app: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(app, *args, **kwargs)
        take_in(app)

    def as_uri(self, include_password: bool = False) -> str:
        url = current_session().url
        return url if include_password else str(maybe_sanitize_url(url))

    # --- outcomes -------------------------------------------------------------

    def mark_as_done(
        self,
        task_id: str,
        result: Any,
        request: Any = None,
        store_result: bool = True,
        state: str = states.SUCCESS,
    ) -> None:
        """Settles SUCCESS, after the chord has its part: a crash between repeats both."""
        is_kept = store_result and not _ignored(request)
        value = self._encode_value(result) if is_kept else b""
        limit = get_settings().max_result
        if len(value) > limit:
            value = put_in_file(task_id, value)
        if request is not None and request.chord:
            self.on_chord_part_return(request, state, result)
        self._settle(task_id, request, TaskState.SUCCESS, value)

    def mark_as_failure(
        self,
        task_id: str,
        exc: BaseException,
        traceback: str | None = None,
        request: Any = None,
        store_result: bool = True,
        call_errbacks: bool = True,
        state: str = states.FAILURE,
    ) -> None:
        """
        Settles FAILURE; chord, chain and errbacks hear of it first.

        Written first, a crash in between would lose an errback. So it is said before, for those who look at the
        task from there, and counts only when it is settled.
        """
        if request is not None:
            if call_errbacks and request.errbacks:
                self._say_failure(task_id, exc, request)
            if request.chord:
                self.on_chord_part_return(request, state, exc)
            self._fail_chain(
                getattr(request, "chain", None), exc, traceback, store_result=True, state=state
            )
            if call_errbacks and request.errbacks:
                self.app.amqp._retry_publish(self._call_task_errbacks, request, exc, traceback)
        self._settle_error(
            task_id, request, TaskState.FAILURE, exc, traceback, is_kept=store_result
        )

    def _say_failure(self, task_id: str, error: BaseException, request: Any) -> None:
        token = _token(request)
        if token is not None:
            session = current_session()
            said = encode_error(describe(error))
            session.insist(session.verbs.progress(task_id, token, said, states.FAILURE))

    def fail_from_current_stack(self, task_id: str, exc: BaseException | None = None) -> Any:
        """What is called for the body of a chord that failed: it was never sent, and has its end all the same."""
        info = super().fail_from_current_stack(task_id, exc=exc)
        error = exc or info.exception
        self._record_unsent(task_id, error, None, None)
        return info

    def mark_as_retry(
        self,
        task_id: str,
        exc: BaseException | None,
        traceback: str | None = None,
        request: Any = None,
        store_result: bool = True,
        state: str = states.RETRY,
    ) -> None:
        """Settles RETRY: the next delivery was published from inside this attempt."""
        error = exc or Exception("The task asked to be run again.")
        self._settle_error(
            task_id, request, TaskState.RETRY, error, traceback, is_kept=store_result
        )

    def mark_as_revoked(
        self,
        task_id: str,
        reason: str = "",
        request: Any = None,
        store_result: bool = True,
        state: str = states.REVOKED,
    ) -> None:
        session = current_session()
        stored = session.client.hget(session.keys.record(task_id), "st")
        is_revoked = stored is not None and stored.decode() == TaskState.REVOKED
        # A cancel has noted that the chord is to be told (telling.py); twice, its errbacks would run twice.
        if request is not None and request.chord and not is_revoked:
            self.on_chord_part_return(request, state, revoked(reason))
        code = reason if reason in ("expired", "terminated") else "cancelled"
        if _token(request) is None:
            if stored is None:
                self._keep_stray(task_id, state, b"null")
            elif TaskState(stored.decode()) not in FINISHED:
                session.run(session.verbs.cancel(task_id, waiting_only=True, code=code))
            return
        self._settle(task_id, request, TaskState.REVOKED, b"", code)

    def store_result(
        self,
        task_id: str,
        result: Any,
        state: str,
        traceback: str | None = None,
        request: Any = None,
        **kwargs: Any,
    ) -> Any:
        """What ``update_state`` calls: progress, under whatever word the user chose."""
        token = _token(request)
        if isinstance(result, BaseException) or state in (states.FAILURE, states.REVOKED):
            error = result if isinstance(result, BaseException) else Exception(str(result))
            if token is None:
                self._record_unsent(task_id, error, traceback, request)
                return result
        if token is None:
            self._keep_stray(task_id, state, self._encode_value(result))
            return result
        if state == states.STARTED:
            # STARTED is written by the task's own start, with its event.
            return result
        if state in states.READY_STATES:
            # A finished state, declared by a task that still runs: it holds if the
            # task then raises Ignore, and gives way if it ends by itself.
            request.encola_declared = (state, result, traceback)
            return result
        session = current_session()
        phase = "" if state == TaskState.PROCESSING else state
        # Each word of it is an event too, which is answered as it lies in the store.
        progress = orjson.dumps(read_plain(self._encode_value(result)))
        if len(progress) > MAX_PROGRESS_BYTES:
            raise TooLarge("progress", len(progress), MAX_PROGRESS_BYTES)
        session.run(session.verbs.progress(task_id, token, progress, phase))
        return result

    def _keep_stray(self, task_id: str, state: str, value: bytes) -> None:
        """A result that no attempt of a task is about; what is known of a task is its record's alone."""
        session = current_session()
        if session.client.exists(session.keys.record(task_id)):
            logger.debug("%s of %s has no attempt to belong to.", state, task_id)
            return
        limit = get_settings().max_result
        if len(value) > limit:
            raise TooLarge("result", len(value), limit)
        strays.keep(task_id, state, value, int(self.expires or strays.SECONDS))

    def settle_declared(self, task_id: str, request: Any) -> None:
        """The task raised Ignore after it had declared a finished state: that one holds."""
        state, result, traceback = request.encola_declared
        if state == states.SUCCESS:
            self._settle(task_id, request, TaskState.SUCCESS, self._encode_value(result))
            return
        error = result if isinstance(result, BaseException) else Exception(_words(result))
        self._settle_error(task_id, request, TaskState(state), error, traceback)

    # --- reading ----------------------------------------------------------------

    def _get_task_meta_for(self, task_id: str) -> dict[str, Any]:
        session = current_session()
        stored = session.client.hgetall(session.keys.record(str(task_id)))
        if not stored:
            return self._stray(str(task_id)) or nothing(task_id)
        record = decode_record(str(task_id), stored)
        return meta_of(record, stored, self.decode, shows_started=self._shows_started)

    @property
    def _shows_started(self) -> bool:
        return bool(self.app.conf.task_track_started or getattr(self.app, "shows_started", True))

    def _stray(self, task_id: str) -> dict[str, Any] | None:
        stored = strays.read(task_id)
        if stored is None:
            return None
        state, result = stored
        if isinstance(result, str):
            result = self.decode(result)
        return {"status": state, "result": result, "task_id": task_id}

    def get_many(
        self,
        task_ids: Iterable[str],
        timeout: float | None = None,
        interval: float = 0.5,
        no_ack: bool = True,
        on_message: Any = None,
        on_interval: Any = None,
        max_iterations: int | None = None,
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Results as they come; one round trip a look, for all that are missing."""
        missing = {bytes_to_str(task_id) for task_id in task_ids}
        waited, looks = 0.0, 0
        pause = min(interval or 0.5, 0.02)
        while missing:
            for task_id, meta in self._finished(sorted(missing)):
                missing.discard(task_id)
                if on_message is not None:
                    on_message(meta)
                yield task_id, meta
            looks += 1
            if not missing or (max_iterations and looks >= max_iterations):
                return
            if timeout is not None and waited >= timeout:
                raise self.TimeoutError(f"{len(missing)} results were not there after {timeout} s")
            if on_interval:
                on_interval()
            self._sleep(pause)
            waited += pause
            # Quick at first, for what ends at once; then as the caller asked.
            pause = min(pause * 1.5, interval or 0.5)

    def wait_for(
        self,
        task_id: str,
        timeout: float | None = None,
        interval: float = 0.5,
        no_ack: bool = True,
        on_interval: Any = None,
    ) -> dict[str, Any]:
        self._ensure_not_eager()
        for _, meta in self.get_many(
            [task_id], timeout=timeout, interval=interval or 0.5, on_interval=on_interval
        ):
            if on_interval and isinstance(meta["result"], ChordError):
                self._look_for_the_part(on_interval)
            return meta
        raise self.TimeoutError("The operation timed out.")

    def _look_for_the_part(self, on_interval: Any) -> None:
        """
        A chord's body ends a moment before the part that failed: Celery tells of that part, which *on_interval* raises.
        """
        for _ in range(25):
            on_interval()
            self._sleep(0.02)

    def _finished(self, task_ids: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
        session = current_session()
        pipeline = session.client.pipeline(transaction=False)
        for task_id in task_ids:
            pipeline.hget(session.keys.record(task_id), "st")
        for task_id, state in zip(task_ids, pipeline.execute(), strict=True):
            if state is None:
                meta = self._stray(task_id)
                if meta is not None and meta["status"] in states.READY_STATES:
                    yield task_id, meta
            elif TaskState(state.decode()) in FINISHED:
                yield task_id, self.get_task_meta(task_id)

    def _forget(self, task_id: str) -> None:
        """``AsyncResult.forget()``: the result goes, the record stays."""
        session = current_session()
        session.client.hdel(session.keys.record(task_id), "r", "ch")
        strays.forget(task_id)

    # --- inside -----------------------------------------------------------------

    def _settle_error(
        self,
        task_id: str,
        request: Any,
        state: TaskState,
        error: BaseException,
        traceback: Any,
        *,
        is_kept: bool = True,
    ) -> None:
        described = describe(error, None if traceback is None else str(traceback))
        text = encode_error(described, ignored=not is_kept)
        self._settle(task_id, request, state, text, error_code(error))

    def _settle(
        self, task_id: str, request: Any, state: TaskState, value: bytes, code: str = ""
    ) -> None:
        token = _token(request)
        if token is None:
            if state is TaskState.SUCCESS:
                self._keep_stray(task_id, state, value or b"null")
            return
        session = current_session()
        children = self._children(request)
        call = session.verbs.settle(
            task_id, token, state, value, error_code=code, children=children
        )

        def report(settled: Settled | StoreError) -> None:
            if isinstance(settled, StoreError):
                logger.error("Task %s runs again: its outcome was refused: %s", task_id, settled)
            # A cancel has written REVOKED before the worker says so too.
            elif settled is Settled.FENCED and state is not TaskState.REVOKED:
                logger.warning(
                    "Task %s: the outcome %s of attempt under token %d was fenced.",
                    task_id,
                    state,
                    token,
                )

        if state is TaskState.SUCCESS and not _is_heard(request):
            session.insist_later(call, report)
        else:
            report(session.insist(call))

    def _record_unsent(
        self, task_id: str, error: BaseException, traceback: Any, request: Any
    ) -> None:
        """
        A failure for a task that was never sent: a later link of a chain that broke.

        Whoever waits for it must hear of the end, so it gets a record that ends at once.
        """
        name = getattr(request, "task", None) or "unsent"
        message = Message(name, encode_body([]), {"encola": {"source": "celery"}})
        queue = self.app.conf.task_default_queue
        unsent = NewTask(task_id, message.encode(), queue, type_of(name))
        text = encode_error(describe(error, None if traceback is None else str(traceback)))
        session = current_session()
        children = self._children(request)
        session.run(session.verbs.end_unsent(unsent, text, error_code(error), children))

    def _children(self, request: Any) -> bytes:
        """What was sent from inside the attempt, as ``AsyncResult`` reads it."""
        published = self.current_task_children(request)
        return orjson.dumps(published, default=str) if published else b""


def _token(request: Any) -> int | None:
    value = getattr(request, TOKEN_HEADER, None) if request is not None else None
    return int(value) if value else None


def _is_heard(request: Any) -> bool:
    """Whether somebody's code runs between this outcome and the end of the attempt, and may look."""
    if signals.task_success.receivers or signals.task_postrun.receivers:
        return True
    return _looks_at_its_end(current_app.tasks.get(request.task))


@functools.cache
def _looks_at_its_end(task: Any) -> bool:
    return bool(task_has_custom(task, "on_success") or task_has_custom(task, "after_return"))


def _ignored(request: Any) -> bool:
    return bool(request is not None and request.ignore_result)


def _words(value: Any) -> str:
    return value if isinstance(value, str) else str(value)
