"""
Celery's prefork pool, whose children find their next short task waiting for them.

Celery's fair scheduling hands a child its next job when the last one's end has come
back: right for long tasks, for nothing then waits behind one while another child is
idle. For tasks of a millisecond the way to the parent and back is half of a child's
time. Here a child may have as many jobs as the lease says: one, and more while tasks
are short. One that comes to wait behind a long task all the same is given back to
the store by the lease, and its late start refused.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
from collections.abc import Callable, Iterable
from typing import Any, Final

import billiard.pool
from billiard.pool import READY, TERMINATE, WorkersJoined
from celery.concurrency.asynpool import AsynPool as CeleryAsynPool
from celery.concurrency.asynpool import ResultHandler as CeleryResultHandler
from celery.concurrency.asynpool import Worker as CeleryChild
from celery.concurrency.prefork import TaskPool as CeleryTaskPool

from . import aims
from .adding_once import AddingOnce
from .session import Session, current_session

#: A child's message to its parent that holds several of its words, beside billiard's own kinds.
WORDS: Final = "encola.words"
#: After a child has closed its pipe, look so many seconds later whether it can be waited for.
#: It closes it a moment before; Celery would look again five seconds later.
REAP_AFTER: Final = (0.002, 0.01, 0.05)

#: A child whose task is over its hard limit has so long (s) to go at a TERM.
TERM_SECONDS: Final = 0.1

# A child that has run its thousand tasks looks at this interval (s) whether the parent has read
# its last word: at billiard's 0.1 s the slot would stand idle a tenth of each second of short tasks.
billiard.pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_INTERVAL = 0.002
billiard.pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = 15_000


class Loads:
    """How many jobs each child has, by its pipe. Stands in for Celery's set of busy children."""

    def __init__(self) -> None:
        self.most: Callable[[], int] = lambda: 1
        """How many one may have."""
        self._jobs: dict[int, int] = {}

    def add(self, pipe: int) -> None:
        """It was sent a job."""
        self._jobs[pipe] = self._jobs.get(pipe, 0) + 1

    def end(self, pipe: int) -> None:
        """One of its jobs has ended."""
        left = self._jobs.get(pipe, 0) - 1
        if left > 0:
            self._jobs[pipe] = left
        else:
            self._jobs.pop(pipe, None)

    def discard(self, pipe: int) -> None:
        """The child is gone, and what it had not begun goes to another."""
        self._jobs.pop(pipe, None)

    def intersection_update(self, pipes: Iterable[int]) -> None:
        """Of all, only these run something: the rest was forgotten with a broken connection."""
        kept = set(pipes)
        self._jobs = {pipe: 1 for pipe in self._jobs if pipe in kept}

    def __contains__(self, pipe: int) -> bool:
        """Whether it has as many as it may."""
        return self._jobs.get(pipe, 0) >= self.most()

    def __len__(self) -> int:
        most = self.most()
        return sum(jobs >= most for jobs in self._jobs.values())


class Outbox:
    """A child's words to its parent. While an outcome is unsent they wait: it comes before them."""

    def __init__(self, outq: Any, session: Session) -> None:
        self._outq = outq
        self._session = session
        self._waiting: list[Any] = []
        self.ended = 0
        """Jobs that have ended in this child."""

    def put(self, word: Any) -> None:
        if word[0] == READY:
            self.ended += 1
        if self._session.unsent is None:
            self._outq.put(word)
        else:
            self._waiting.append(word)

    def flush(self) -> None:
        """All that waits in one message: the parent wakes up once."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            # As its put() does, without billiard's pickler, which is made anew each time for
            # what these words never hold: sockets and methods.
            self._outq.send_payload(pickle.dumps((WORDS, waiting)))


class Child(CeleryChild):
    """
    What runs in a child.

    The outcome of a short task goes to the store together with the start of the next,
    in one round trip, where the next is there already. The parent hears of the end only
    then: until the outcome is written the task is held, and nobody else runs it.
    """

    outq: Any
    _outbox: Outbox
    _jobs_in_pipe: select.poll

    def workloop(self, *args: Any, **kwargs: Any) -> Any:
        aims.forget(os.getpid())
        aims.listen(signal.SIGTERM)
        aims.listen(signal.SIGUSR1)
        session = current_session()
        self._jobs_in_pipe = select.poll()
        self._jobs_in_pipe.register(self.inq._reader.fileno(), select.POLLIN)
        self.outq = self._outbox = Outbox(self.outq, session)
        session.is_next_waiting = self._is_next_waiting
        session.on_sent = self._outbox.flush
        return super().workloop(*args, **kwargs)

    def _is_next_waiting(self) -> bool:
        """Asked while a job is about to end."""
        is_last = self.maxtasks is not None and self._outbox.ended + 1 >= self.maxtasks
        return not is_last and not self.max_memory_per_child and self._is_job_there()

    def _is_job_there(self) -> bool:
        # One object for all times: billiard's own look makes one anew, twice a task.
        return bool(self._jobs_in_pipe.poll(0))

    def _make_protected_receive(self, conn: Any) -> Callable[[], Any]:
        receive: Callable[[], Any] = super()._make_protected_receive(conn)

        def receive_or_send() -> Any:
            if current_session().unsent is not None and not self._is_job_there():
                current_session().send_unsent()
            return receive()

        return receive_or_send

    def _ensure_messages_consumed(self, completed: int) -> bool:
        current_session().send_unsent()
        return bool(super()._ensure_messages_consumed(completed=completed))


class ResultHandler(CeleryResultHandler):
    """
    Reads what children say; their pipes stay with the event loop from message to message.

    When the pool stops, Celery's reads until all jobs that it remembers have ended. It forgets
    those that wait in the children's pipes, and a child that has run one of them stays, for up to
    thirty seconds, until its last word has been read: here all are.
    """

    def register_with_event_loop(self, hub: Any) -> None:
        super().register_with_event_loop(AddingOnce(hub))

    def on_stop_not_started(self) -> None:
        super().on_stop_not_started()
        pipes = set(self.fileno_to_outq)
        while pipes and self._state != TERMINATE:
            ended: set[int] = set()
            for pipe in pipes:
                self._flush_outqueue(pipe, ended.add, self.fileno_to_outq, self.on_state_change)
                try:
                    self.join_exited_workers(shutdown=True)
                except WorkersJoined:
                    return
            pipes -= ended


class AsynPool(CeleryAsynPool):
    """Celery's pool of forked children."""

    Worker = Child
    ResultHandler = ResultHandler

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Before the event loop's handlers are made, each of which keeps a reference.
        self.loads = self._busy_workers = Loads()
        self._mark_worker_as_available = self.loads.end
        self._result_handler.state_handlers[WORDS] = self._on_words

    def apply_async(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().apply_async(*args, **kwargs)
        except RecursionError:
            # It was noted before it was seen to be nested too deep to be sent, and no end of it will come.
            self._cache.popitem()
            raise

    def on_soft_timeout(self, job: Any) -> None:
        self._aim(job)
        super().on_soft_timeout(job)

    def on_hard_timeout(self, job: Any) -> None:
        self._aim(job)
        super().on_hard_timeout(job)

    @staticmethod
    def _aim(job: Any) -> None:
        if job._worker_pid and job.correlation_id:
            aims.aim(job._worker_pid, job.correlation_id)

    def _trywaitkill(self, worker: Any) -> None:
        """TERM, and KILL a moment later unless the child is at another task by now."""
        with contextlib.suppress(OSError):
            worker.terminate()
            if worker._popen.wait(timeout=TERM_SECONDS) is None and aims.is_aimed(worker.pid):
                os.kill(worker.pid, signal.SIGKILL)

    def _on_words(self, *words: Any) -> None:
        for word in words:
            self._result_handler.on_state_change(word)

    def process_flush_queues(self, proc: Any) -> None:
        """What *proc* has said and nobody has read. From one that has ended no more will come: it is not waited for."""
        words = proc.outq._reader
        # Celery may have closed its pipe already, when it saw the other end go.
        if not words.closed and (proc.exitcode is None or words.poll(0)):
            super().process_flush_queues(proc)

    def _event_process_exit(self, hub: Any, proc: Any) -> None:
        super()._event_process_exit(hub, proc)
        for seconds in REAP_AFTER:
            hub.call_later(seconds, self.maintain_pool)


class TaskPool(CeleryTaskPool):
    """What ``worker_pool`` names."""

    Pool = AsynPool
