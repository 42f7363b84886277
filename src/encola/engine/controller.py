"""Celery's worker as a program, which signs off however it is stopped."""

from __future__ import annotations

from celery.apps.worker import Worker as CeleryWorker


class Worker(CeleryWorker):
    """One that is told to stop at once (SIGQUIT) gives back what it ran, as after a warm stop."""

    def terminate(self, in_sighandler: bool = False) -> None:
        super().terminate(in_sighandler)
        if not in_sighandler:
            # Celery says it after a warm stop alone. The pool has ended by now: nothing runs any more.
            self._send_worker_shutdown()
