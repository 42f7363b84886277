"""
What makes Celery's worker one that works under a lease.

    1. ``LeaseStep`` registers the worker before anything is consumed.
    2. The consumer (:mod:`.consumer`) binds its channel to the lease: it claims.
    3. Timers renew, adapt and sweep; the inbox (:mod:`.stopping`) says what to stop at once.
    4. At a stop the pool drains first, and the lease is left last of all.
"""

from __future__ import annotations

import gc
import heapq
import logging
import threading
import time
from typing import Any

from celery import bootsteps, signals
from celery.concurrency import get_implementation
from celery.concurrency.solo import TaskPool as SoloPool
from celery.platforms import set_pdeathsig
from celery.worker import state as worker_state

from .. import tasklog
from ..errors import SettingsError, StoreRefused, StoreUnavailable
from ..settings import get_settings
from ..store.schema import check_schema
from .lease import Lease
from .listening import FolderWatch, leave_to_others
from .mistakes import NO_SERVER
from .session import current_session
from .stopping import Inbox, stop_child
from .telling import tell
from .transport import Channel

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.2
#: New objects before the main process looks for garbage among them. Each request is some hundred that
#: end by themselves, and Python's 700 would have it look at every seventh one.
GARBAGE_THRESHOLD = 20_000
_USUAL_THRESHOLDS = gc.get_threshold()
REAP_SECONDS = 0.1
FORGET_SECONDS = 0.5


class LeaseStep(bootsteps.StartStopStep):
    """Gives the worker its lease. In a child there is none: children inherit no timers."""

    requires = ("celery.worker.components:Hub", "celery.worker.components:Timer")

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        worker.pool_cls = checked_pool(worker.pool_cls, worker.app.conf.worker_pool)
        worker.encola_lease = None
        # The settings' limits reach each task by its class. As the pool's default too, the
        # longer soft limit would come before a task's own short hard one, and put it off.
        for name in ("time_limit", "soft_time_limit"):
            if getattr(worker, name, None) == worker.app.conf[f"task_{name}"]:
                setattr(worker, name, None)

    def create(self, worker: Any) -> None:
        leave_to_others(worker.app.amqp.queues)
        settings = get_settings()
        lease = Lease(current_session(), settings, worker.hostname, worker.concurrency)
        worker.encola_lease = lease
        worker.app.encola_lease = lease
        worker.encola_folder = FolderWatch(worker)
        lease.queues = list(worker.app.amqp.queues.consume_from)
        for queue in lease.queues:
            lease.session.keys.check_queue(queue)
        lease.kill_child = lambda request: stop_child(worker, request)
        lease.tell = lambda: tell(worker.app, lease.session)
        make_ready_for_children(worker.app)

    def start(self, worker: Any) -> None:
        # For pools that run tasks in this very process; children listen for themselves.
        tasklog.install(streams=True)
        lease: Lease = worker.encola_lease
        _register(lease)
        inbox = Inbox(lease, worker)
        threading.Thread(target=inbox.run, name="encola-inbox", daemon=True).start()
        if worker.hub is None or worker.pool_cls is SoloPool:
            # Nothing but a thread goes on while a task runs in this very process.
            threading.Thread(target=_renew_in_thread, args=(lease,), daemon=True).start()

        def leave(**_: Any) -> None:
            lease.leave()

        # After the pool has drained: whatever has no end by then goes back.
        signals.worker_shutdown.connect(leave, sender=worker, weak=False)
        worker.encola_folder.look_first()

    def register_with_event_loop(self, worker: Any, hub: Any) -> None:
        lease: Lease = worker.encola_lease
        hub.call_repeatedly(lease.settings.heartbeat_seconds, lease.renew)
        hub.call_repeatedly(TICK_SECONDS, lease.tick)
        lease.later = hub.call_later
        hub.call_repeatedly(lease.sweep_seconds, lease.sweep)
        loads = getattr(getattr(worker.pool, "_pool", None), "loads", None)
        if loads is not None:
            loads.most = lambda: lease.jobs_a_child
        maintain = getattr(worker.pool, "maintain_pool", None)
        if maintain is not None:
            # Celery looks when a child's pipe closes, which is a moment before the child can
            # be waited for, and then only every five seconds: the slot would stand idle.
            hub.call_repeatedly(REAP_SECONDS, maintain)
        hub.call_repeatedly(lease.settings.heartbeat_seconds, hush, worker)
        hub.call_repeatedly(lease.settings.heartbeat_seconds, worker.encola_folder.look)
        hub.call_repeatedly(FORGET_SECONDS, forget_cancelled, hub.timer)
        # The loop may have stood still while it reconnected.
        lease.renew()


def checked_pool(asked: type, ours: str) -> type:
    """
    The pool of ``-P``: *ours* for prefork, or Celery's solo, in which a mistake is easily looked for.

    Raises:
        SettingsError: one that a cancel could stop only with all that runs beside it.
    """
    prefork: type = get_implementation(ours)
    if asked.__module__ == "celery.concurrency.prefork":
        return prefork
    if not issubclass(asked, (prefork, SoloPool)):
        found = (
            f"--pool: expected prefork, or solo to look for a mistake; found {asked.__module__}."
        )
        why = "A task needs a process, which a cancel or a time limit can stop without the others."
        raise SettingsError([f"{found} {why}"])
    return asked


def make_ready_for_children(app: Any) -> None:
    """Does once, here, what each child would do for itself: a new one comes every thousand tasks."""
    assert app.backend is not None  # made by being looked at
    keep_what_is_there()
    gc.set_threshold(GARBAGE_THRESHOLD, *_USUAL_THRESHOLDS[1:])


def keep_what_is_there() -> None:
    """
    What was imported and made by now stays.

    No process need look through it for garbage, or copy its pages for that; and Celery looks
    through all before it makes a child.
    """
    gc.collect()
    gc.freeze()


def forget_cancelled(timer: Any) -> None:
    """
    Drops the cancelled entries of Kombu's *timer*, which would keep them until their time comes.

    Each task's time limit is one, for half an hour: of a thousand short tasks a second, a million
    and more would lie there, and each new one be sorted in among them.
    """
    timer._queue[:] = [event for event in timer._queue if not event.entry.cancelled]
    heapq.heapify(timer._queue)


def _register(lease: Lease) -> None:
    """Registers; where the server is away, once it is back. What it refuses for good ends the worker."""
    said = False
    while True:
        try:
            check_schema(lease.session.client, lease.session.keys)
            lease.register()
        except StoreRefused as error:
            logger.critical("%s", error)
            raise SystemExit(NO_SERVER) from None
        except StoreUnavailable as error:
            if not said:
                logger.warning("%s Waiting for the server.", error)
            said = True
            time.sleep(TICK_SECONDS)
            worker_state.maybe_shutdown()
        else:
            return


def hush(worker: Any) -> None:
    """
    Switches the events of tasks off again when nobody has listened to them for two leases.

    Celery leaves them on for ever once Flower has asked, and short tasks feel what they cost. A worker
    that was started with them on (``-E``) keeps them.
    """
    dispatcher = getattr(worker.consumer, "event_dispatcher", None)
    if dispatcher is None or dispatcher.producer is None or "task" not in dispatcher.groups:
        return
    channel: Channel = dispatcher.producer.channel
    since, patience = channel.unheard_since, 2 * worker.encola_lease.settings.lease_seconds
    if since is not None and time.monotonic() - since > patience:
        logger.info("Nobody listens to the events of tasks; they are off until asked for.")
        dispatcher.groups.discard("task")
        channel.unheard_since = None


def _renew_in_thread(lease: Lease) -> None:
    beat = min(lease.sweep_seconds, lease.settings.heartbeat_seconds)
    while not lease._stopped.wait(beat):
        lease.renew()
        lease.tick()
        lease.sweep()


@signals.worker_process_init.connect
def _listen_in_child(**_: Any) -> None:
    """A child runs one task at a time: what its threads write is that task's."""
    gc.set_threshold(*_USUAL_THRESHOLDS)
    tasklog.install(streams=True)
    tasklog.current_task_log().is_alone = True


@signals.beat_embedded_init.connect
def _end_with_worker(**_: Any) -> None:
    """``worker -B``: as Celery has it for the pool's children. Left alone it would go on for ever."""
    set_pdeathsig("SIGKILL")
