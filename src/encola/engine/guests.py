"""
Applications of other people on this transport and backend: ``Celery("mine", broker="encola+redis://…")``.

A program that has an application of its own need not move its tasks to ours. It imports ``encola.engine``, which
makes the names known, and gives both addresses as ``encola+`` and the plain Redis address. Its worker, and
whatever asks for its results, then does as ours does:

    1. The backend, when it is made, takes its application in.
    2. A worker does so too before it reads its settings, and gets the settings that a lease needs.

What is the program's own stays its own: queues, limits, serializers, logging, and whether it sees ``STARTED``.
"""

from __future__ import annotations

import functools
from typing import Any

from celery import Celery
from celery.exceptions import ImproperlyConfigured
from celery.signals import import_modules

from .app import LEASE_SETTINGS, EncolaCelery
from .session import use_address
from .steps import LeaseStep
from .task import as_encola_task
from .transport import SCHEME


def take_in(app: Celery) -> None:
    """From here on *app* is one of ours, with its own settings; nothing happens where it is one already."""
    if isinstance(app, EncolaCelery):
        return
    kind: Any = type(app)
    app.__class__ = _as_guest(kind)
    protocol_2 = app.amqp.as_task_v2
    app.amqp.task_protocols = {1: protocol_2, 2: protocol_2}
    # Made before, of the classes of before.
    for name in ("control", "Task"):
        app.__dict__.pop(name, None)
    app.amqp.__dict__.pop("create_task_message", None)
    address = _address(app)
    if address:
        use_address(address)
    for task in app.tasks.values():
        task.__class__ = as_encola_task(type(task))
        type(task).on_bound(app)


@functools.cache
def _as_guest(kind: Any) -> Any:
    own = {"shows_started": False, "log_cls": kind.log_cls}
    return type(kind.__name__, (EncolaCelery, kind), own)


def _address(app: Celery) -> str | None:
    """The plain address of its broker where that is ours."""
    url = str(app.conf.broker_url or "")
    return url.removeprefix(f"{SCHEME}+") if url.startswith(f"{SCHEME}+") else None


@import_modules.connect
def take_in_worker(sender: Any = None, **_: Any) -> None:
    """
    A program is about to import its tasks: it may become a worker, which reads its settings after that.

    Raises:
        ImproperlyConfigured: its outcomes would not come into the records.
    """
    if not isinstance(sender, Celery) or isinstance(sender, EncolaCelery) or not _address(sender):
        return
    backend = sender.backend
    # Ours has taken it in.
    if not isinstance(sender, EncolaCelery):
        raise ImproperlyConfigured(
            f"The result backend is {type(backend).__name__}; expected encola's, which writes each outcome into its "
            "record. Set result_backend to the address of the broker, encola+ included."
        )
    is_prefork = sender.conf.worker_pool == "prefork"
    sender.conf.update(
        {k: v for k, v in LEASE_SETTINGS.items() if k != "worker_pool" or is_prefork}
    )
    sender.steps["worker"].add(LeaseStep)
