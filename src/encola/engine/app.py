"""
The Celery application: one object, its safe defaults, and every declared task.

The address is read when it is first needed, so that importing this module
works where nothing runs.
"""

from __future__ import annotations

import importlib
import logging
import sys
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import click
from celery import Celery
from celery.app.amqp import AMQP
from celery.app.log import Logging
from celery.signals import import_modules, setup_logging
from click.core import ParameterSource
from kombu import Exchange, Queue

from ..embedded.runfile import resolve_redis_url, shown
from ..errors import EncolaError, NothingRuns, SettingsError
from ..logs import configure_logging
from ..settings import Settings, get_settings
from ..store.connection import one_address
from ..task import TaskType, task_types
from . import control as _control
from . import envelope, transport
from .mistakes import is_command, refuse, speak_plainly
from .sending import marked
from .steps import LeaseStep
from .task import Task, as_encola_task, as_limit, celery_function

assert _control  # its command replaces Celery's own "revoke" in the worker's panel


class Amqp(AMQP):
    """Celery's messages, in the one protocol that the store reads: 1 is Celery 3's."""

    def __init__(self, app: Celery) -> None:
        super().__init__(app)
        self.task_protocols: dict[int, Any] = {1: self.as_task_v2, 2: self.as_task_v2}


class OwnLogging(Logging):
    """
    Celery's part of logging, left to ours where the process is a command.

    A program that has a worker inside of it, a test for instance, has logging of its own.
    """

    def setup_logging_subsystem(self, *args: Any, **kwargs: Any) -> Any:
        if not is_command():
            return super().setup_logging_subsystem(*args, **kwargs)
        setup_logging.connect(_own_logging)
        try:
            return super().setup_logging_subsystem(*args, **kwargs)
        finally:
            setup_logging.disconnect(_own_logging)


class EncolaCelery(Celery):
    """A Celery application on encola's transport and backend."""

    log_cls = f"{__name__}:OwnLogging"
    amqp_cls = f"{__name__}:Amqp"
    task_cls = Task
    control_cls = "encola.engine.control:Control"
    shows_started = True
    """``AsyncResult`` says ``STARTED``, whether ``task_track_started`` is on or not."""

    @cached_property
    def Worker(self) -> Any:  # noqa: N802 - Celery's name
        return self.subclass_with_self("encola.engine.controller:Worker")

    def _task_from_fun(self, fun: Any, *args: Any, base: Any = None, **options: Any) -> Any:
        base = as_encola_task(base or self.Task)
        return super()._task_from_fun(fun, *args, base=base, **options)

    def register_task(self, task: Any, **options: Any) -> Any:
        made = task() if isinstance(task, type) else task
        made.__class__ = as_encola_task(type(made))
        return super().register_task(made, **options)

    def send_task(self, *args: Any, **options: Any) -> Any:
        return super().send_task(*args, **marked(options))

    def _connection(self, url: str | None, **kwargs: Any) -> Any:
        if url == NOWHERE:
            raise NothingRuns(shown(get_settings().data_dir))
        return super()._connection(url, **kwargs)


#: Stands for an address where there is none; never connected to.
NOWHERE = f"{transport.SCHEME}+redis://nothing-runs.invalid/0"


#: What a worker under a lease needs, whosever application it runs.
LEASE_SETTINGS: Final[dict[str, Any]] = {
    "task_reject_on_worker_lost": True,
    # The store asks the record itself; Celery's check would ask it once more.
    "worker_deduplicate_successful_tasks": False,
    "worker_prefetch_multiplier": 1,
    # How many are held is the lease's business; a second lock would only leave slots idle.
    "worker_pool_putlocks": False,
    "worker_consumer": "encola.engine.consumer:Consumer",
    "worker_pool": "encola.engine.pool:TaskPool",
    # A lost child is seen by its exit, not by waiting ten seconds for its result.
    "worker_lost_wait": 1.0,
    # The lease outlives a connection: what runs goes on, and is still ours.
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_enable_prefetch_count_reduction": False,
    "broker_connection_max_retries": None,
    # A command that the server refused (full, read-only) is no reason to exit.
    "broker_channel_error_retry": True,
    "worker_soft_shutdown_timeout": 0,
}


def configuration() -> dict[str, Any]:
    """Celery's settings, each with the reason it differs from Celery's own default."""
    settings = get_settings()
    address, options = broker_address(settings)
    return LEASE_SETTINGS | {
        "broker_url": address,
        "broker_transport_options": options,
        "result_backend": "encola.engine.backend:Backend",
        # Only JSON is taken and given: a pickle from the network runs code.
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        # Of crontab() in beat_schedule; messages have UTC in any case.
        "timezone": settings.timezone,
        "enable_utc": True,
        # Acknowledging before running loses the task when the worker dies.
        "task_acks_late": True,
        # STARTED is written by the script that grants the start.
        "task_track_started": False,
        "task_default_queue": "encola",
        "task_default_routing_key": "encola",
        "task_queues": [Queue(name, Exchange(name), routing_key=name) for name in settings.queues],
        "task_create_missing_queues": True,
        "task_routes": (route,),
        "task_time_limit": _limit(settings.task_time_limit),
        "task_soft_time_limit": _limit(settings.task_soft_time_limit),
        "worker_max_tasks_per_child": _limit(settings.max_tasks_per_child),
        "worker_concurrency": settings.concurrency,
        # A worker that starts before its server waits for it.
        "broker_connection_retry_on_startup": True,
        "worker_hijack_root_logger": False,
        "worker_send_task_events": False,
        "beat_scheduler": "encola.engine.beat:StoreScheduler",
        "result_extended": True,
        "result_cache_max": -1,
    }


def route(name: str, args: Any, kwargs: Any, options: Any, task: Any = None, **_: Any) -> Any:
    """A declared task type's own queue."""
    queue = envelope.QUEUES_BY_NAME.get(name)
    return {"queue": queue} if queue else None


def broker_address(settings: Settings) -> tuple[str, dict[str, Any]]:
    """(broker_url, transport options) for the server of this installation."""
    options: dict[str, Any] = {
        "socket_timeout": 5.0,
        "socket_connect_timeout": 5.0,
        "socket_keepalive": True,
        "health_check_interval": 15,
    }
    if settings.list_prefix:
        options["global_keyprefix"] = settings.list_prefix
    try:
        url = resolve_redis_url(settings)
    except NothingRuns:
        return NOWHERE, options
    return f"{transport.SCHEME}+{one_address(url)}", options


def _limit(value: float | str) -> float | None:
    return None if isinstance(value, str) else value


def make_app() -> EncolaCelery:
    """The application with every declared task type; a user's modules are imported by it."""
    transport.install()
    app = EncolaCelery("encola", set_as_current=True)
    app.add_defaults(configuration)
    app.steps["worker"].add(LeaseStep)
    return app


def add_task_type(app: Celery, task_type: TaskType, alias: str | None = None) -> Any:
    """Turns a declared task type into a Celery task of its wire name, and of *alias* too."""
    for name in (task_type.wire_name, alias):
        if name:
            envelope.TYPES_BY_NAME[name] = task_type.name
            envelope.QUEUES_BY_NAME[name] = task_type.queue
    options: dict[str, Any] = {}
    for name in ("time_limit", "soft_time_limit"):
        limit = getattr(task_type, name)
        if limit != "default":
            options[name] = as_limit(limit)
    made = app.task(
        celery_function(task_type),
        bind=True,
        lazy=False,
        name=task_type.wire_name,
        # Ours decide when to retry; this is what Task.retry() falls back on.
        max_retries=get_settings().task_max_retries,
        default_retry_delay=get_settings().task_first_delay,
        **options,
    )
    if alias:
        app.tasks[alias] = made
    return made


@import_modules.connect
def import_task_modules(**_: Any) -> None:
    """Imports our tasks and the modules of ENCOLA_TASK_MODULES, and registers what they declare."""
    try:
        _import_task_modules()
    except EncolaError as error:
        # Celery logs whatever a receiver of its signal raises, with the traceback, and raises it again.
        if is_command():
            refuse(error)
        raise


def _import_task_modules() -> None:
    importlib.import_module("encola.tasks")
    told = _receivers() if celery_app.configured else None
    for name in get_settings().task_modules:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name and not name.startswith(f"{error.name}."):
                raise
            expected = "expected the name of a module that can be imported"
            found = f"there is none called {error.name!r} here or on PYTHONPATH"
            raise SettingsError([f"ENCOLA_TASK_MODULES={name}: {expected}; {found}"]) from None
    for task_type in task_types():
        if task_type.wire_name not in celery_app.tasks:
            add_task_type(celery_app, task_type)
    # Our own tasks have read the configuration by then. A user's module that waits for it, to add
    # periodic tasks as Celery's documentation shows it, would never be called.
    for receiver in [] if told is None else [one for one in _receivers() if one not in told]:
        receiver(signal=celery_app.on_after_configure, sender=celery_app, source=celery_app.conf)


@import_modules.connect
def prepare_flower(**_: Any) -> None:
    """Celery's command line has loaded Flower as a plug-in, if it is installed; Flower asks for our tasks first of all."""
    if "flower.command" in sys.modules:
        importlib.import_module(".flower", __package__).prepare()


def _receivers() -> list[Any]:
    receivers: list[Any] = celery_app.on_after_configure._live_receivers(celery_app)
    return receivers


speak_plainly()
celery_app = make_app()


def _own_logging(loglevel: int | None = None, logfile: str | None = None, **_: Any) -> None:
    """Celery leaves logging alone where the signal has a receiver."""
    context = click.get_current_context(silent=True)
    # Celery gives its own default here, where nobody gave --loglevel: the setting has the word then.
    given = context and context.get_parameter_source("loglevel") is ParameterSource.COMMANDLINE
    configure_logging(
        "beat" if context and context.info_name == "beat" else "worker",
        get_settings(),
        level=loglevel if given else None,
        also_to=Path(logfile) if logfile else None,
    )
    # A line for each task that ended is enough; "received" would be said of each once more.
    is_debug = logging.getLogger().isEnabledFor(logging.DEBUG)
    received = logging.DEBUG if is_debug else logging.WARNING
    logging.getLogger("celery.worker.strategy").setLevel(received)
