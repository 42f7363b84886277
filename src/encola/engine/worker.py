"""
The worker: Celery's, working under a lease.

    1. ``LeaseStep`` registers the worker before anything is consumed.
    2. ``Consumer`` binds the consumer's channel to the lease: it claims.
    3. Timers renew, adapt and sweep; the inbox says what to stop at once.
    4. At a stop the pool drains first, and the lease is left last of all.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import logging
import os
import signal
import threading
import time
import warnings
from typing import Any, ClassVar

import redis
from celery import bootsteps, signals
from celery.concurrency.solo import TaskPool as SoloPool
from celery.exceptions import ImproperlyConfigured, SecurityWarning
from celery.platforms import set_pdeathsig
from celery.utils.nodenames import default_nodename, host_format
from celery.worker import state as worker_state
from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.consumer.tasks import Tasks

from .. import tasklog
from ..errors import StoreError, StoreRefused, StoreUnavailable, StoreUnsafe
from ..settings import Settings, get_settings
from ..store import connect
from ..store.safety import check_server
from ..store.schema import check_schema
from . import aims
from .lease import KILL_AFTER_SECONDS, Lease
from .listening import FolderWatch, leave_to_others
from .mistakes import NO_SERVER, this_is_a_worker
from .session import current_session
from .transport import Channel, Transport

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


class Inbox:
    """
    Waits on the worker's own list for what to stop at once.

    A thread with a connection of its own, because the consumer's is not read
    while there is no room for more. What is lost here the next renewal finds.
    """

    def __init__(self, lease: Lease, worker: Any) -> None:
        self._lease = lease
        self._worker = worker

    def run(self) -> None:
        session = self._lease.session
        client: Any = connect(session.url, timeout=10, name="encola-inbox")
        key = session.keys.inbox(self._lease.worker_id)
        while not self._lease._stopped.is_set():
            try:
                popped = client.brpop([key], timeout=2)
            except redis.RedisError:
                # The renewals say that the store is away; here it is enough to wait.
                self._lease._stopped.wait(0.5)
                continue
            if popped:
                token, _, task_id = popped[1].decode().partition(" ")
                self._stop(task_id, int(token))

    def _stop(self, task_id: str, token: int) -> None:
        held = self._lease.held.get(task_id)
        if held is None or held.token != token:
            return
        logger.info("Task %s was cancelled; stopping it.", task_id)
        # At once, and not when the event loop comes round to it: two seconds are soon over.
        end_child(held.request)
        if self._worker.hub is not None:
            self._worker.hub.call_soon(self._lease.stop_task, task_id)
        else:
            self._lease.stop_task(task_id)


def stop_child(worker: Any, request: Any) -> None:
    """TERM to the child that runs *request*, and KILL if it is still at it a second later."""
    pid = request.worker_pid
    pool = worker.pool
    if pid is None:
        # Not taken up yet: its start will be refused, but nobody need wait for that.
        worker_state.revoked.add(request.id)
        return
    end_child(request)
    # Celery's own book-keeping. A second TERM would end the child in the middle of tidying up:
    # at the first, billiard gives the signal back its default.
    request.terminate(pool, signal="CONT")


def end_child(request: Any) -> None:
    """TERM now, KILL a second later if the child is still at this task. Once a request."""
    pid = getattr(request, "worker_pid", None)
    if pid is None or request.is_ending:
        return
    request.is_ending = True
    aims.aim(pid, request.id)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)

    def kill() -> None:
        if aims.is_aimed(pid) and _still_runs(request, pid):
            logger.warning(
                "Task %s did not stop within %g s; killing its child.",
                request.id,
                KILL_AFTER_SECONDS,
            )
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return

    timer = threading.Timer(KILL_AFTER_SECONDS, kill)
    timer.daemon = True
    timer.start()


def _still_runs(request: Any, pid: int) -> bool:
    result = request._apply_result() if request._apply_result is not None else None
    if result is not None and result.ready():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


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


class BindLease(bootsteps.StartStopStep):
    """Binds the channel of Celery's task consumer to the lease: from then on it claims."""

    requires = (Tasks,)

    def start(self, c: Any) -> None:
        if not isinstance(c.connection.transport, Transport):
            raise ImproperlyConfigured(
                f"The broker is {c.connection.transport.driver_name!r}; expected encola's transport. "
                "Leave broker_url alone (or drop -b): the address comes from REDIS_URL."
            )
        channel: Channel = c.task_consumer.channel
        # The last of the worker's parts is there, and no task yet.
        keep_what_is_there()
        lease: Lease = c.controller.encola_lease
        lease.begin()
        channel.consume_under(lease)

    def info(self, c: Any) -> dict[str, Any]:
        """
        The broker as ``inspect stats`` and Flower show it, in place of what Celery's own step says.

        That one takes the password out of its parts, and ours is an address that is kept whole.
        """
        if c.connection is None:
            return {}
        shown = {
            k: v for k, v in c.connection.info().items() if k not in ("password", "alternates")
        }
        return {"broker": {**shown, "hostname": c.connection.as_uri()}}


class Consumer(CeleryConsumer):
    """Celery's consumer; what cannot be run is parked in the store, not dropped."""

    class Blueprint(CeleryConsumer.Blueprint):
        default_steps: ClassVar = [
            *CeleryConsumer.Blueprint.default_steps,
            "encola.engine.worker:BindLease",
        ]

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        headers = message.headers
        logger.error(
            "No task is called %r here: %s waits for a worker that knows it. "
            "Is its module in ENCOLA_TASK_MODULES?",
            headers.get("task"),
            headers.get("id"),
        )
        self._end(message, "unknown")
        signals.task_unknown.send(
            sender=self, message=message, exc=exc, name=headers.get("task"), id=headers.get("id")
        )

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
        logger.error("A message cannot be read and is parked: %s", exc)
        self._end(message, "unreadable")
        signals.task_rejected.send(sender=self, message=message, exc=exc)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        logger.error("A message cannot be decoded and is parked: %s", exc)
        self._end(message, "unreadable")

    def add_task_queue(self, queue: Any, *args: Any, **kwargs: Any) -> None:
        lease: Lease = self.controller.encola_lease
        lease.session.keys.check_queue(queue)
        if queue not in lease.queues:
            lease.queues.append(queue)
        super().add_task_queue(queue, *args, **kwargs)

    def cancel_task_queue(self, queue: Any) -> None:
        super().cancel_task_queue(queue)
        lease: Lease = self.controller.encola_lease
        if queue in lease.queues:
            lease.queues.remove(queue)

    def _update_prefetch_count(self, index: int = 0) -> Any:
        """The pool has grown by *index* children, or shrunk: so many more or fewer may run at once."""
        self.controller.encola_lease.slots = self.pool.num_processes
        return super()._update_prefetch_count(index)

    @staticmethod
    def _end(message: Any, how: str) -> None:
        message.channel.qos.end(message.delivery_tag, how)


def run_worker(
    settings: Settings,
    *,
    concurrency: int | None = None,
    queues: list[str] | None = None,
    hostname: str | None = None,
) -> int:
    """
    Runs a worker in this process until it is told to stop; returns its exit code.

    Raises:
        NothingRuns: there is no server to work for.
    """
    from .app import celery_app  # the app names this module

    this_is_a_worker()
    try:
        for warning in check_server(current_session().client, settings.durability):
            logger.warning("%s", warning)
    except (StoreError, redis.RedisError) as error:
        if isinstance(error, (StoreUnsafe, StoreRefused)):
            raise
        # It may be on its way up; the consumer waits for it.
        logger.warning("The server could not be checked yet: %s", error)
    # Celery prints ten lines of it; whoever runs as root in a container knows.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    worker = celery_app.Worker(
        hostname=host_format(default_nodename(hostname or "encola@%h")),
        concurrency=concurrency or settings.concurrency,
        queues=list(queues or settings.queues),
        loglevel=settings.log_level.upper(),
        # Our own logging is set up by then, for this process and its children.
        redirect_stdouts=False,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
    )
    try:
        worker.start()
    except StoreError as error:
        logger.critical("%s", error)
        return 4
    return int(worker.exitcode or 0)
