"""
The worker's consumer: Celery's, claiming under the lease. What it cannot run is parked, not dropped.
"""

from __future__ import annotations

import logging
import warnings
from typing import Any, ClassVar

from celery import bootsteps, signals
from celery.exceptions import CPendingDeprecationWarning, ImproperlyConfigured
from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.consumer.tasks import Tasks

from .lease import Lease
from .steps import keep_what_is_there
from .transport import Channel, Transport

logger = logging.getLogger(__name__)

# Celery says at each loss of a connection that its next release will stop what runs unless it is told:
# it is told (worker_cancel_long_running_tasks_on_connection_loss, in app.py).
warnings.filterwarnings("ignore", r"\s*In Celery 5\.1 we introduced", CPendingDeprecationWarning)


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
            "encola.engine.consumer:BindLease",
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
