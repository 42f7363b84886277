"""
A worker's lease: what it holds, and its right to run it.

    1. ``register`` makes the worker known; claims go under its lease.
    2. ``hold`` notes each claimed message; ``drop`` when its end is settled.
    3. ``renew`` every heartbeat. What is no longer ours is stopped; what is
       ours in the store and not here (a lost reply), or could not be given
       back while the store was away, is given back.
    4. ``tick`` five times a second: how many messages to hold, and what was
       claimed and does not start is given back to others.
    5. The watchdog thread ends the process when no renewal was confirmed for
       0.8 of the lease: by then others may soon run what it runs.

Owns no socket of Celery's: a broken consumer connection costs no lease.
"""

from __future__ import annotations

import logging
import math
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from ..errors import StoreError
from ..record import TaskState
from ..settings import Settings
from .session import Session

logger = logging.getLogger(__name__)

#: A renewal must be confirmed within this part of the lease, or the worker ends itself.
FENCE_AFTER: Final = 0.8
#: Hold as much as the pool ends in this time (s) while tasks are short…
AHEAD_SECONDS: Final = 0.2
#: …and never more than this many.
MOST_HELD: Final = 512
#: A child has as many jobs waiting as it ends in this time (s): none when one takes longer…
WAITING_SECONDS: Final = 0.05
#: …and never more than this many.
MOST_WAITING: Final = 63
#: What was claimed and has not started after this time (s) is given back.
STALE_SECONDS: Final = 1.0
#: What was sent to a child ahead of its turn, while tasks were short, and has not started after
#: this time (s) has come to wait behind a long one: it is given back as well.
BEHIND_SECONDS: Final = 0.25
#: A child that was told to stop gets so long (s) before it is killed.
KILL_AFTER_SECONDS: Final = 1.0
#: The word of a child that its task has ended takes less than this (s) to reach the parent.
WORD_SECONDS: Final = 0.25
#: The store's answer for a task that was to be given back and has started.
RUNS: Final = 3
#: Exit code of a worker that fenced itself (EX_TEMPFAIL): start another.
EXIT_FENCED: Final = 75


@dataclass(slots=True)
class Held:
    """A claimed message that has no end yet."""

    token: int
    claimed_at: float
    """``time.monotonic()``"""
    request: Any = None
    """Celery's request for it, once there is one."""
    is_left_behind: bool = False
    """Nobody here will run it, and the store could not be told."""


class Lease:
    """One worker process's lease. All but the watchdog runs on the worker's event loop."""

    def __init__(self, session: Session, settings: Settings, hostname: str, slots: int) -> None:
        self.session = session
        self.settings = settings
        self.hostname = hostname
        # A new id each start: what an earlier process of this name held must be rescued.
        self.worker_id = f"{hostname}/{secrets.token_hex(4)}"
        self.slots = slots
        self.held: dict[str, Held] = {}
        self.queues: list[str] = []
        self.is_draining = False
        """Told to take nothing more: it ends what it runs, and stays."""
        self.is_claiming = False
        """The answer of a claim is on its way: what it brings is leased by now, and not lost."""
        self.started_ms = round(time.time() * 1000)
        self.rate = 0.0
        """Messages ended a second, smoothed."""
        self.kill_child: Callable[[Any], None] = lambda request: None
        self.tell: Callable[[], None] = lambda: None
        """Tells of the ends that no worker has written."""
        self.later: Callable[..., Any] = lambda seconds, call, *args: call(*args)
        """Calls back after some seconds; the event loop's own, once there is one."""
        self._ended = 0
        self._ticked_at = time.monotonic()
        self._renewed_at = time.monotonic()
        self._stopped = threading.Event()
        self._is_watched = False

    # --- what it holds ------------------------------------------------------

    @property
    def limit(self) -> int:
        """How many messages it may hold now: one a slot while they are long."""
        return max(self.slots, min(MOST_HELD, math.ceil(self.rate * AHEAD_SECONDS)))

    @property
    def room(self) -> int:
        return self.limit - len(self.held)

    @property
    def jobs_a_child(self) -> int:
        """The one it runs, and those that it ends in a moment."""
        return 1 + min(MOST_WAITING, int(self.rate / self.slots * WAITING_SECONDS))

    @property
    def is_hungry(self) -> bool:
        """Whether to claim now: a slot is free, or half of what it may hold; not for each task that ends."""
        is_slot_free = len(self.held) < self.slots
        return not self.is_draining and (is_slot_free or self.room >= max(1, self.limit // 2))

    @property
    def sweep_seconds(self) -> float:
        """How often to ask for a sweep: well within the third of a lease that counts as sleep."""
        return min(1.0, self.settings.lease_seconds / 10)

    def hold(self, task_id: str, token: int) -> None:
        self.held[task_id] = Held(token, time.monotonic())

    def holds(self, task_id: str, token: int) -> bool:
        """Whether this message is still ours: it was neither given back nor ended."""
        held = self.held.get(task_id)
        return held is not None and held.token == token

    def drop(self, task_id: str, token: int) -> None:
        """The end of this message is settled, or is no longer ours to settle."""
        if self.holds(task_id, token):
            del self.held[task_id]
            self._ended += 1

    def leave_behind(self, tasks: list[tuple[str, int]]) -> None:
        """Nobody here will run these; they go back with the next renewal that is answered."""
        for task_id, token in tasks:
            if self.holds(task_id, token):
                self.held[task_id].is_left_behind = True

    # --- life -----------------------------------------------------------------

    def register(self) -> None:
        """
        Raises:
            StoreError
        """
        asked_at = time.monotonic()
        verbs, lease_ms = self.session.verbs, self.settings.lease_ms
        self.session.run(
            verbs.heartbeat(self.worker_id, lease_ms, info=self._info(), register=True)
        )
        if self.is_draining:
            # Forgotten with the worker; whoever said so has not taken it back.
            self.session.run(verbs.drain(self.worker_id, on=True))
        self._renewed_at = asked_at

    def begin(self) -> None:
        """
        From here on tasks are claimed, so the watchdog begins, with a fresh renewal.

        Not earlier: a start may take long on a busy machine, and has nothing to be stopped for.
        May be called again, after a reconnection.
        """
        self.is_claiming = False
        self.renew()
        if not self._is_watched:
            self._is_watched = True
            threading.Thread(target=self._watch, name="encola-lease", daemon=True).start()

    def renew(self) -> None:
        """One heartbeat. A store that does not answer is left to the watchdog."""
        asked_at = time.monotonic()
        verbs = self.session.verbs
        held = [(task_id, h.token) for task_id, h in self.held.items()]
        try:
            renewal = self.session.run(
                verbs.heartbeat(self.worker_id, self.settings.lease_ms, held, info=self._info())
            )
            if not renewal.known:
                logger.warning("The store has forgotten this worker; what it ran is stopped.")
                for task_id in list(self.held):
                    self.stop_task(task_id, is_anothers=True)
                self.register()
                return
            # Counted from before the call: the store's clock started no later.
            self._renewed_at = asked_at
            self.drain(on=renewal.drains)
            self._release_left_behind()
            for task_id, state in renewal.lost.items():
                held_now = self.held.get(task_id)
                if held_now is not None:
                    # Most have just been settled by their child, and the word is on its way.
                    is_anothers = state != TaskState.REVOKED
                    self.later(WORD_SECONDS, self._stop_if_held, task_id, held_now, is_anothers)
            if renewal.leased > len(self.held) and not self.is_claiming:
                given = self.session.run(verbs.resync(self.worker_id, list(self.held)))
                if given:
                    logger.warning("Gave back %d messages whose delivery was lost.", given)
        except StoreError as error:
            logger.warning("The lease could not be renewed: %s", error)

    def tick(self) -> None:
        """Adapts the limit to how fast tasks end, and gives back what does not start."""
        now = time.monotonic()
        elapsed = now - self._ticked_at
        if elapsed <= 0:
            return
        # Up at once, so that a burst is soon under way; down by half a tick, so that a pause is none.
        ended = self._ended / elapsed
        self.rate = max(ended, (self.rate + ended) / 2)
        self._ended, self._ticked_at = 0, now
        more_than_slots = len(self.held) > self.slots
        late = [
            (task_id, h.token)
            for task_id, h in self.held.items()
            if not self._is_busy(h)
            and (
                (now - h.claimed_at > STALE_SECONDS and more_than_slots)
                or (now - h.claimed_at > BEHIND_SECONDS and self._is_sent(h))
            )
        ]
        if late:
            self.release(late)

    def sweep(self) -> None:
        """Asks for the store's housekeeping; one asker a second does it."""
        verbs, settings = self.session.verbs, self.settings
        try:
            swept = self.session.run(verbs.sweep(settings.lease_ms, self.queues))
            if swept.rescued:
                logger.warning("Rescued %d tasks of a lost worker.", swept.rescued)
            if swept.untold:
                self.tell()
        except StoreError as error:
            logger.warning("The store could not be swept: %s", error)

    def release(self, tasks: list[tuple[str, int]]) -> None:
        """
        Gives messages back that no child has taken up. If one does so later, its start is refused.

        The store knows what has started: a child's word of it may still be on its way to us.
        """
        try:
            replies = self.session.run(self.session.verbs.release(tasks, only_waiting=True))
        except StoreError as error:
            logger.warning("Messages could not be given back: %s", error)
            self.leave_behind(tasks)
            return
        for (task_id, token), reply in zip(tasks, replies, strict=True):
            if reply != RUNS:
                self.drop(task_id, token)

    def release_unstarted(self) -> None:
        """The consumer's connection has gone and Celery forgets what it had not started."""
        waiting = [(task_id, h.token) for task_id, h in self.held.items() if not self._is_busy(h)]
        if waiting:
            self.release(waiting)

    def _release_left_behind(self) -> None:
        left = [(task_id, h.token) for task_id, h in self.held.items() if h.is_left_behind]
        for task_id, _ in left:
            self.held[task_id].is_left_behind = False
        if left:
            self.release(left)

    def drain(self, *, on: bool = True) -> None:
        """Takes nothing more and gives back what has not begun; or takes tasks again."""
        if on == self.is_draining:
            return
        self.is_draining = on
        logger.warning("This worker %s.", "drains" if on else "takes tasks again")
        if on:
            self.release_unstarted()

    def stop_task(self, task_id: str, *, is_anothers: bool = False) -> None:
        """
        Stops the child that runs a task which is no longer ours. TERM, then KILL.

        *is_anothers*: it was not cancelled, so that its end is not ours to tell.
        """
        held = self.held.pop(task_id, None)
        if held is not None and held.request is not None:
            held.request.is_anothers = is_anothers
            self.kill_child(held.request)

    def _stop_if_held(self, task_id: str, held: Held, is_anothers: bool) -> None:
        if self.held.get(task_id) is held:
            logger.warning("Task %s is no longer ours; stopping it.", task_id)
            self.stop_task(task_id, is_anothers=is_anothers)

    def leave(self) -> None:
        """Stops in good order: what is still held goes back to its queues."""
        self._stopped.set()
        try:
            given = self.session.run(self.session.verbs.leave(self.worker_id))
            if given:
                logger.info("Gave back %d unfinished tasks.", given)
        except StoreError as error:
            logger.warning("The worker could not sign off: %s", error)

    # --- inside -----------------------------------------------------------------

    @staticmethod
    def _is_busy(held: Held) -> bool:
        """Running, or held back on purpose by a rate limit."""
        request = held.request
        return request is not None and (
            request.time_start is not None or request.is_rate_limited or request.acknowledged
        )

    @staticmethod
    def _is_sent(held: Held) -> bool:
        """In the pipe of a child, which has not taken it up."""
        result = getattr(held.request, "_apply_result", None)
        job = result() if result is not None else None
        return job is not None and getattr(job, "_scheduled_for", None) is not None

    def _info(self) -> str:
        return orjson.dumps(
            {
                "hostname": self.hostname,
                "pid": os.getpid(),
                "queues": self.queues,
                "slots": self.slots,
                "held": len(self.held),
                "started_ms": self.started_ms,
            }
        ).decode()

    def _watch(self) -> None:
        limit = self.settings.lease_seconds * FENCE_AFTER
        while not self._stopped.wait(min(0.5, limit / 10)):
            if time.monotonic() - self._renewed_at > limit:
                logger.critical(
                    "No renewal of the lease was confirmed for %.0f s: stopping this worker and its "
                    "children before others run what they run.",
                    limit,
                )
                self._end_process()

    def _end_process(self) -> None:
        for held in list(self.held.values()):
            pid = getattr(held.request, "worker_pid", None)
            if pid:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        # Not sys.exit: the event loop may be stuck in the very call that failed.
        # The other children die with this process (PR_SET_PDEATHSIG, set by Celery).
        os._exit(EXIT_FENCED)
