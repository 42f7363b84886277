"""
The engine's way to the store: one client a process, remade after a fork.

Workers' children inherit the parent's memory but must not share its sockets: a
reply meant for one would be read by the other.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import redis
from redis.exceptions import RedisError, ResponseError

from ..embedded.runfile import resolve_redis_url
from ..errors import StoreError, StoreUnavailable
from ..settings import get_settings
from ..store import Call, Keys, Verbs, connect, run
from ..store.callers import run_on, translate

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Unsent:
    """A call that goes out with the next one."""

    call: Call[Any]
    report: Callable[[Any], None]
    """Is given the reply, or the error."""


class Session:
    """Store access of one process. Not to be shared across a fork; ask :func:`current_session`."""

    def __init__(self) -> None:
        self.unsent: Unsent | None = None
        self.is_next_waiting: Callable[[], bool] = lambda: False
        """Whether another such call is certain to follow at once; a pool's child knows."""
        self.on_sent: Callable[[], None] = lambda: None
        """Called when what was left for later has been answered."""
        settings = get_settings()
        self.keys = Keys(settings.key_prefix, settings.list_prefix)
        self.verbs = Verbs(self.keys)
        self.url = _address or resolve_redis_url(settings)
        # redis-py types each reply as the union of what every protocol may give.
        self.client: Any = connect(self.url, name="encola-engine")
        self._local = threading.local()

    def run(self, call: Call[R]) -> R:
        return run(self.client, call)

    def insist(self, call: Call[R]) -> R:
        """
        Runs a call that may be made twice (start, settle), through an absence of the store.

        For as long as a lease: after that the attempt is not ours any more. What was
        left for later goes first, in the same round trip.

        Raises:
            StoreError
        """
        deadline = time.monotonic() + get_settings().lease_seconds
        pause = 0.05
        while True:
            try:
                return self._run_on_own(call)
            except StoreUnavailable:
                if time.monotonic() + pause > deadline:
                    raise
                time.sleep(pause)
                pause = min(pause * 2, 1.0)

    def insist_later(self, call: Call[R], report: Callable[[R | StoreError], None]) -> None:
        """:meth:`insist`, together with the next call; at once when none is certain to follow."""
        if self.is_next_waiting():
            self.unsent = Unsent(call, report)
        else:
            report(self.insist(call))

    def send_unsent(self) -> None:
        """No other call follows now."""
        unsent, self.unsent = self.unsent, None
        if unsent is not None:
            unsent.report(self.insist(unsent.call))
            self.on_sent()

    def _run_on_own(self, call: Call[R]) -> R:
        """
        On a connection that this thread keeps.

        Two such calls are most of what a short task costs, and redis-py's client, with
        its pool and its retries, would be half of each.
        """
        connection = self._own_connection()
        try:
            if self.unsent is None:
                return run_on(connection, call, self.client)
            return self._run_after_unsent(connection, self.unsent, call)
        except ResponseError as error:
            raise translate(error) from error
        except BaseException as error:
            # A time limit may strike between question and answer: this answer is nobody's.
            connection.disconnect()
            if isinstance(error, (RedisError, OSError)):
                raise translate(error) from error
            raise

    def _run_after_unsent(self, connection: redis.Connection, unsent: Unsent, call: Call[R]) -> R:
        both = self.verbs.both(unsent.call, call)
        outcome, answer = run_on(connection, both, self.client)
        self.unsent = None
        unsent.report(translate(outcome) if isinstance(outcome, ResponseError) else outcome)
        self.on_sent()
        if isinstance(answer, ResponseError):
            raise answer
        return answer

    def _own_connection(self) -> redis.Connection:
        connection: redis.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self.client.connection_pool.get_connection()
        return connection


_session: Session | None = None
_address: str | None = None


def use_address(url: str) -> None:
    """This process works for the server at *url*, whatever the settings say."""
    global _address
    if url != _address:
        forget_session()
    _address = url


def current_session() -> Session:
    """
    This process's session.

    Raises:
        NothingRuns: there is no server to talk to.
    """
    global _session
    if _session is None:
        _session = Session()
    return _session


def forget_session() -> None:
    """Drops the session, so that the next one reads the settings anew (tests)."""
    global _session
    if _session is not None:
        _session.client.close()
    _session = None


def _begin_anew() -> None:
    global _session
    _session = None


os.register_at_fork(after_in_child=_begin_anew)
