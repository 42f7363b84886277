"""What stops a running task."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from celery.worker.request import Request as CeleryRequest

from encola.engine import stopping
from encola.engine.request import Request
from encola.engine.stopping import stop_child


@pytest.mark.parametrize("still_runs", [True, False])
def test_a_child_that_was_quicker_than_the_word_of_it_is_stopped(
    monkeypatch: pytest.MonkeyPatch, still_runs: bool
) -> None:
    """Cancelled after the child has begun and before its worker knows which child that is."""
    ended: list[Any] = []
    request = Request.__new__(Request)
    request.worker_pid = None
    request.terminate = lambda pool, signal: None
    lease = SimpleNamespace(later=lambda seconds, call, *args: call(*args))
    worker = SimpleNamespace(pool=None, encola_lease=lease)
    monkeypatch.setattr(stopping, "end_child", ended.append)
    monkeypatch.setattr(stopping, "_still_runs", lambda request, pid: still_runs)
    monkeypatch.setattr(
        CeleryRequest, "on_accepted", lambda self, pid, at: setattr(self, "worker_pid", pid)
    )
    stop_child(worker, request)
    assert [] == ended
    request.on_accepted(4711, 0.0)

    assert [request] * still_runs == ended
