"""
The engine's way to the store: one client a process, remade after a fork.

Workers' children inherit the parent's memory but must not share its sockets: a
reply meant for one would be read by the other.
"""

from __future__ import annotations

import os
import time
from typing import Any, TypeVar

from ..embedded.runfile import resolve_redis_url
from ..errors import StoreUnavailable
from ..settings import get_settings
from ..store import Call, Keys, Verbs, connect, run

R = TypeVar("R")


class Session:
    """Store access of one process. Not to be shared across a fork; ask :func:`current_session`."""

    def __init__(self) -> None:
        settings = get_settings()
        self.pid = os.getpid()
        self.keys = Keys(settings.key_prefix, settings.list_prefix)
        self.verbs = Verbs(self.keys)
        self.url = resolve_redis_url(settings)
        # redis-py types each reply as the union of what every protocol may give.
        self.client: Any = connect(self.url, name="encola-engine")

    def run(self, call: Call[R]) -> R:
        return run(self.client, call)

    def insist(self, call: Call[R]) -> R:
        """
        Runs a call that may be made twice (start, settle), through an absence of the store.

        For as long as a lease: after that the attempt is not ours any more.

        Raises:
            StoreError
        """
        deadline = time.monotonic() + get_settings().lease_seconds
        pause = 0.05
        while True:
            try:
                return self.run(call)
            except StoreUnavailable:
                if time.monotonic() + pause > deadline:
                    raise
                time.sleep(pause)
                pause = min(pause * 2, 1.0)


_session: Session | None = None


def current_session() -> Session:
    """
    This process's session.

    Raises:
        NothingRuns: there is no server to talk to.
    """
    global _session
    if _session is None or _session.pid != os.getpid():
        _session = Session()
    return _session


def forget_session() -> None:
    """Drops the session, so that the next one reads the settings anew (tests)."""
    global _session
    if _session is not None and _session.pid == os.getpid():
        _session.client.close()
    _session = None
