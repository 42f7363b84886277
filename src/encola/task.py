"""
Task types: what a typed function declares when it becomes a task.

Owns the registry, the input model made from a function's signature, the retry
policy, and the context that a running task is given. Knows no queue and no
broker: :mod:`encola.engine` turns each type into a Celery task, and whoever can
enqueue installs itself with :func:`install_submitter`.

    @task(queue="reports", retry=RetryPolicy(max_retries=5))
    def thumbnail(path: str, width: int = 200) -> dict[str, int]:
        ...

    thumbnail.enqueue(path="a.png")      # -> task id
"""

from __future__ import annotations

import datetime as dt
import functools
import inspect
import random
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, get_type_hints, overload

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from .errors import InvalidInput, PermanentFailure, TaskTypeNotFound, TooLarge
from .schedule import Schedule, name_schedules

Seconds = dt.timedelta | float


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """
    When a failed attempt is followed by another.

    The cap of the delay doubles from ``first_delay`` (s) up to ``max_delay`` (s); the
    delay is any value from 0 to the cap (full jitter), so that many tasks that
    failed together do not come back together. With the defaults: up to 60, 120, 240 s.

    Source: "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.
    """

    max_retries: int | None = None
    """None: the setting ``ENCOLA_TASK_MAX_RETRIES``."""
    first_delay: float | None = None
    """None: the setting ``ENCOLA_TASK_FIRST_DELAY``."""
    max_delay: float = 3600.0
    retry_on: tuple[type[BaseException], ...] = (Exception,)
    """Only these are retried; never a :class:`~encola.errors.PermanentFailure`, nor input that does not
    fit, nor what is too large to be kept."""

    def admits(self, error: BaseException) -> bool:
        hopeless = isinstance(error, (PermanentFailure, InvalidInput, TooLarge))
        return isinstance(error, self.retry_on) and not hopeless


def next_delay(
    failures: int, first_delay: float, max_delay: float, rng: random.Random | None = None
) -> float:
    """
    Seconds to wait after the *failures*-th failed attempt (counts from 1).

    Args:
        rng: passed in, so that tests can seed it.
    """
    # The exponent is bounded: 2 ** 1100 is no float any more.
    cap = min(max_delay, first_delay * 2 ** min(failures - 1, 60))
    return (rng or random).uniform(0, cap)


class Reporter(Protocol):
    """What a context reports to; the engine and the API each provide one."""

    def report(self, progress: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class TaskContext:
    """What a running task knows of itself. Ask for it by annotating a parameter with it."""

    task_id: str
    attempt: int = 1
    """Counts from 1."""
    retries: int = 0
    """Failed attempts before this one."""
    reporter: Reporter | None = None
    scheduled_at: dt.datetime | None = None
    """The time that a schedule's run is for, in UTC: one that was missed and made up for starts later
    than this. None: no schedule enqueued it."""
    token: int = 0
    """The fencing token of this attempt: it grows with each delivery, so that whoever keeps the highest can
    refuse an attempt that was cut off and goes on all the same. 0: called directly."""

    @property
    def idempotency_key(self) -> str:
        """
        The same in every attempt of this task.

        Give it to whatever must not happen twice (a payment, a mail server's
        own de-duplication): an attempt that was cut off may already have acted.
        """
        return self.task_id

    def progress(self, current: float, total: float, status: str = "", **more: Any) -> None:
        """
        Reports how far the task is: *current* of *total*, and a sentence.

        Raises:
            TooLarge: all of it has more than 2 KB as JSON.
            StoreError
        """
        if self.reporter is not None:
            self.reporter.report({"current": current, "total": total, "status": status, **more})


class Submitter(Protocol):
    """The one thing a task type needs of the outside: somewhere to put a task."""

    def submit(self, task_type: TaskType, values: Mapping[str, Any], options: Options) -> str: ...


@dataclass(frozen=True, slots=True)
class Options:
    """How to enqueue, apart from the input."""

    task_id: str | None = None
    """None: a new UUIDv7."""
    queue: str | None = None
    priority: int = 0
    """0 to 9; 0 is first."""
    user_id: str | None = None
    """None: the input's own ``user_id`` field, where it has one."""
    countdown: Seconds | None = None
    eta: dt.datetime | None = None
    expires: Seconds | dt.datetime | None = None
    idempotency_key: str | None = None
    """A second task with the same key is not accepted: the first one's id comes back."""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    source: str = "python"
    schedule_id: str | None = None
    traceparent: str | None = None
    retried_from: str | None = None


class TaskType:
    """A declared function: name, input model, queue, retry policy, limits."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str,
        wire_name: str,
        queue: str,
        retry: RetryPolicy,
        time_limit: float | None | str,
        soft_time_limit: float | None | str,
        schedule: Schedule | Sequence[Schedule] | None = None,
    ) -> None:
        self.function = function
        self.name = name
        self.wire_name = wire_name
        self.queue = queue
        self.retry = retry
        self.time_limit = time_limit
        """Seconds; ``"default"``: the setting; None: no limit."""
        self.soft_time_limit = soft_time_limit
        functools.update_wrapper(self, function)
        hints = get_type_hints(function, include_extras=True)
        self.context_parameter = next((n for n, h in hints.items() if h is TaskContext), None)
        self.input_model = _input_model(function, hints, self.context_parameter, name)
        self.fields = tuple(self.input_model.model_fields)
        self._result: Any = hints.get("return", Any)
        self.schedules = name_schedules(name, schedule)
        """Its schedules by their ids."""
        for one in self.schedules.values():
            self.validate(one.input)

    def __repr__(self) -> str:
        return f"<task type {self.name!r}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the function here and now, without a queue."""
        return self.function(*args, **kwargs)

    def enqueue(self, *args: Any, **kwargs: Any) -> str:
        """Enqueues a task with this input and returns its id."""
        return self.enqueue_with(Options(), *args, **kwargs)

    def enqueue_with(self, options: Options, *args: Any, **kwargs: Any) -> str:
        """:meth:`enqueue`, with options: when, where, under which key."""
        if _submitter is None:
            raise RuntimeError("Nothing to enqueue with: import encola, which installs its client.")
        return _submitter.submit(self, self.name_arguments(args, kwargs), options)

    def name_arguments(
        self, args: typing.Sequence[Any], kwargs: Mapping[str, Any]
    ) -> dict[str, Any]:
        """
        Positional arguments (as they travel) by the names of the input model.

        Raises:
            InvalidInput: more arguments than fields, or one given twice.
        """
        if len(args) > len(self.fields):
            message = f"expected at most {len(self.fields)} arguments, got {len(args)}"
            raise InvalidInput(self.name, [{"loc": [], "msg": message, "type": "too_many"}])
        values = dict(zip(self.fields, args, strict=False))
        twice = sorted(values.keys() & kwargs.keys())
        if twice:
            message = "given both by position and by name"
            raise InvalidInput(
                self.name,
                [{"loc": [name], "msg": message, "type": "given_twice"} for name in twice],
            )
        return {**values, **kwargs}

    def validate(self, values: Mapping[str, Any]) -> BaseModel:
        """
        Raises:
            InvalidInput: with the path of each field that does not fit.
        """
        try:
            return self.input_model.model_validate(dict(values))
        except ValidationError as error:
            raise InvalidInput(self.name, public_errors(error)) from None

    def wire_arguments(self, values: BaseModel) -> list[Any]:
        """The input as JSON values, in the order of the fields: what travels."""
        dumped = values.model_dump(mode="json")
        return [dumped[name] for name in self.fields]

    def run(
        self, context: TaskContext, args: typing.Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Validates the arguments and runs the function with them."""
        model = self.validate(self.name_arguments(args, kwargs))
        values: dict[str, Any] = {name: getattr(model, name) for name in self.fields}
        if self.context_parameter:
            values[self.context_parameter] = context
        return self.function(**values)

    def input_schema(self) -> dict[str, Any]:
        return self.input_model.model_json_schema()

    def result_schema(self) -> dict[str, Any]:
        """JSON Schema of the return annotation; ``{}`` (anything) where there is none."""
        if self._result in (Any, inspect.Signature.empty):
            return {}
        try:
            return TypeAdapter(self._result).json_schema(mode="serialization")
        except (PydanticSchemaGenerationError, PydanticUserError):
            return {}


def public_errors(error: ValidationError) -> list[dict[str, object]]:
    """A validation error's fields as answers show them: never the input itself, which may be a secret."""
    errors = error.errors(include_url=False, include_input=False, include_context=False)
    return [public_error(one) for one in errors]


def public_error(error: Mapping[str, Any]) -> dict[str, object]:
    """One of Pydantic's errors without the input that it is about."""
    message = error["msg"].removeprefix("Value error, ")
    return {"loc": list(error["loc"]), "msg": message, "type": error["type"]}


def _input_model(
    function: Callable[..., Any], hints: Mapping[str, Any], context: str | None, name: str
) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == context:
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(
                f"Task {name!r}: *{parameter.name} has no name and type to make a form and a check "
                "from. Expected plain parameters, each with an annotation."
            )
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (hints.get(parameter.name, Any), default)
    # Strangers in the input are a mistake worth hearing of.
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=False)
    return create_model(f"{name.title().replace('_', '')}Input", __config__=config, **fields)


_registry: Final[dict[str, TaskType]] = {}
_submitter: Submitter | None = None


@overload
def task(function: Callable[..., Any], /) -> TaskType: ...
@overload
def task(
    *,
    name: str | None = None,
    wire_name: str | None = None,
    queue: str = "encola",
    retry: RetryPolicy = RetryPolicy(),
    time_limit: Seconds | None | str = "default",
    soft_time_limit: Seconds | None | str = "default",
    schedule: Schedule | Sequence[Schedule] | None = None,
) -> Callable[[Callable[..., Any]], TaskType]: ...
def task(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    wire_name: str | None = None,
    queue: str = "encola",
    retry: RetryPolicy = RetryPolicy(),
    time_limit: Seconds | None | str = "default",
    soft_time_limit: Seconds | None | str = "default",
    schedule: Schedule | Sequence[Schedule] | None = None,
) -> TaskType | Callable[[Callable[..., Any]], TaskType]:
    """
    Declares a task type from a typed function.

    Args:
        name: short name of the type; default: the function's.
        wire_name: name of the Celery task; default: module and function.
        queue: where its tasks wait.
        retry: when a failed attempt is followed by another.
        time_limit: after so many seconds the child that runs it is killed;
            None: no limit; ``"default"``: the setting.
        soft_time_limit: after so many seconds it gets ``SoftTimeLimitExceeded``.
        schedule: when tasks of this type are enqueued by themselves:
            :func:`~encola.schedule.cron`, :func:`~encola.schedule.every`, or several of them.

    Raises:
        ValueError: another function has this name, or two of its schedules have the same.
        TypeError: a parameter from which no form can be made.
        InvalidInput: a schedule's input does not fit.
    """

    def declare(target: Callable[..., Any]) -> TaskType:
        declared = TaskType(
            target,
            name=name or target.__name__,
            wire_name=wire_name or f"{target.__module__}.{target.__qualname__}",
            queue=queue,
            retry=retry,
            time_limit=_seconds(time_limit),
            soft_time_limit=_seconds(soft_time_limit),
            schedule=schedule,
        )
        known = _registry.get(declared.name)
        if known is not None and known.wire_name != declared.wire_name:
            raise ValueError(
                f"Two task types are called {declared.name!r}: {known.wire_name} and "
                f"{declared.wire_name}. Give one of them another name."
            )
        _registry[declared.name] = declared
        return declared

    return declare(function) if function is not None else declare


def _seconds(value: Seconds | None | str) -> float | None | str:
    return value.total_seconds() if isinstance(value, dt.timedelta) else value


def get_task_type(name: str) -> TaskType:
    """
    Raises:
        TaskTypeNotFound
    """
    try:
        return _registry[name]
    except KeyError:
        raise TaskTypeNotFound(name, list(_registry)) from None


def task_types() -> list[TaskType]:
    """All declared types, by name."""
    return [_registry[name] for name in sorted(_registry)]


def install_submitter(submitter: Submitter) -> None:
    """Says where :meth:`TaskType.enqueue` puts tasks, in this process."""
    global _submitter
    _submitter = submitter
