"""Tasks for the engine's tests: Celery as its users know it, and one of ours."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import celery
from celery import chain, current_task, group
from celery.exceptions import Ignore, Reject

from encola.engine import celery_app
from encola.errors import PermanentFailure
from encola.task import RetryPolicy, TaskContext, task
from ledger_tasks import note

RUNS: dict[str, int] = {}


@celery_app.task
def add(x: Any, y: Any) -> Any:
    return x + y


@celery_app.task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@celery_app.task
def fail(text: str = "no") -> None:
    raise ValueError(text)


@celery_app.task
def remember_error(task_id: str) -> str:
    note(f"errback of {task_id}")
    return task_id


@celery_app.task(bind=True)
def flaky(self: Any, times: int) -> int:
    note("start")
    if self.request.retries < times:
        raise self.retry(exc=ConnectionError("later"), countdown=0.05, max_retries=10)
    return int(self.request.retries)


@celery_app.task(bind=True)
def give_up(self: Any) -> None:
    note("start")
    raise self.retry(exc=ConnectionError("never"), countdown=0.01, max_retries=2)


@celery_app.task
def ignore() -> None:
    raise Ignore


@celery_app.task(bind=True)
def declare_and_ignore(self: Any) -> None:
    self.update_state(state="SUCCESS", meta={"by": "hand"})
    raise Ignore


@celery_app.task
def reject() -> None:
    raise Reject("not mine", requeue=False)


@celery_app.task
def reject_once() -> int:
    note("start")
    if not current_task.request.delivery_info["redelivered"]:
        raise Reject("again", requeue=True)
    return 1


@celery_app.task(bind=True)
def replaced(self: Any, x: int) -> Any:
    raise self.replace(add.s(x, 100))


@celery_app.task(bind=True)
def replaced_by_many(self: Any, x: int, how: str) -> Any:
    parts = {
        "chain": chain(add.s(x, 100), add.s(1000)),
        "group": group(add.s(x, 100), add.s(x, 200)),
        "chain of a group": chain(add.s(x, 100), group(add.s(1000), add.s(2000))),
        "broken chain": chain(fail.si("broken"), add.s(1000)),
    }
    raise self.replace(parts[how])


@celery_app.task
def given_back(value: Any) -> Any:
    return value


@celery_app.task
def calls_another() -> None:
    sleep(30)


@celery_app.task(bind=True)
def add_part(self: Any, x: int) -> int:
    self.add_to_chord(add.si(x * 100, 0))
    return x


@celery_app.task(bind=True)
def due(self: Any) -> str:
    return str(self.request.eta)


@celery_app.task(bind=True)
def own_headers(self: Any) -> dict[str, Any]:
    names = ("tries", "is_urgent", "note")
    return {name: self.request.headers[name] for name in names if name in self.request.headers}


@celery_app.task(bind=True)
def sent_by(self: Any) -> str | None:
    properties: dict[str, str] = self.request.properties
    return properties.get("app_id")


@celery_app.task(time_limit=1, soft_time_limit=2)
def upside_down() -> None: ...


@celery_app.task(acks_late=False)
def early() -> str:
    note("start")
    time.sleep(3.0)
    note("end")
    return "late all the same"


class Foreign(celery.Task):
    """A class made without us, as a program that comes from stock Celery has it."""

    name = "engine_tasks.foreign"

    def run(self, how: str) -> str:
        note("start")
        if how == "exit" and not self.request.delivery_info["redelivered"]:
            os._exit(9)
        return type(self).__name__


foreign = celery_app.register_task(Foreign())


class Counting(celery.Task):
    abstract = True
    calls = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return super().__call__(*args, **kwargs)


@celery_app.task(base=Counting, bind=True)
def on_a_base(self: Any) -> int:
    return int(self.calls)


class Alone(celery.Task):
    """Calls nobody else's, as Celery's own are empty."""

    abstract = True

    def before_start(self, *args: Any) -> None: ...

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.run(*args, **kwargs)


class AloneOnOurs(celery_app.Task):  # type: ignore[name-defined, misc]
    abstract = True
    before_start = Alone.before_start
    __call__ = Alone.__call__


@celery_app.task(base=Alone)
def alone() -> str:
    return "alone"


@celery_app.task(base=AloneOnOurs)
def alone_on_ours() -> str:
    return "alone"


class OwnRequest(celery.worker.request.Request):
    """As Celery's documentation shows it."""

    def on_failure(self, *args: Any, **kwargs: Any) -> Any:
        Path(f"{os.environ['LEDGER']}.told").touch()
        return super().on_failure(*args, **kwargs)


class Requested(celery.Task):
    abstract = True
    Request = OwnRequest


@celery_app.task(base=Requested)
def with_own_request(how: str) -> None:
    note("start")
    if how == "exit":
        os._exit(9)
    if how == "fail":
        raise ValueError(how)
    time.sleep(30)


class Forgetful(celery.Task):
    abstract = True

    def on_success(self, *args: Any) -> None:
        raise MemoryError("no more")


@celery_app.task(base=Forgetful)
def out_of_memory_afterwards() -> str:
    return "done"


@celery_app.task(bind=True)
def in_phases(self: Any) -> str:
    self.update_state(state="BAKING", meta={"current": 1, "total": 2})
    time.sleep(1.0)
    return "baked"


@celery_app.task(time_limit=1)
def too_slow() -> None:
    time.sleep(30)


@celery_app.task
def unserializable() -> Any:
    return object()


@celery_app.task(bind=True)
def gives_back(self: Any, value: Any) -> Any:
    """As its progress too."""
    self.update_state(state="LOOKING", meta={"current": value, "total": 2})
    return value


@celery_app.task(bind=True)
def says_until(self: Any, said: Any, gate: str) -> None:
    """Until the file *gate* is there."""
    self.update_state(state="LOOKING", meta=said)
    wait_for(gate)


@celery_app.task(bind=True, ignore_result=True)
def quiet_after_a_retry(self: Any) -> None:
    if self.request.retries == 0:
        raise self.retry(countdown=1.0)


@celery_app.task(ignore_result=True)
def quiet() -> str:
    return "nobody hears"


@celery_app.task
def sleep(seconds: float) -> float:
    note("start")
    time.sleep(seconds)
    return seconds


@task(retry=RetryPolicy(max_retries=2, first_delay=0.05, retry_on=(ConnectionError,)))
def typed(context: TaskContext, number: int, fail_times: int = 0) -> dict[str, int]:
    """A task type of ours, declared by its signature."""
    note("start")
    context.progress(1, 2, "half")
    if context.retries < fail_times:
        raise ConnectionError("try later")
    return {"doubled": number * 2, "attempt": context.attempt}


@task(retry=RetryPolicy(max_retries=5, first_delay=0.01, retry_on=(ConnectionError,)))
def never_gets_through() -> None:
    """Tried more often than the settings would have it."""
    raise ConnectionError("nobody there")


@task
def tells_a_story(context: TaskContext, characters: int) -> int:
    context.progress(1, 2, "x" * characters)
    return characters


@task
def refuses(number: int) -> int:
    raise PermanentFailure(f"{number} is not wanted", "unwanted")


@celery_app.task
def wait_for(gate: str) -> None:
    """Runs until the file *gate* is there."""
    while not os.path.exists(gate):
        time.sleep(0.05)


@celery_app.task(ignore_result=True)
def quiet_failure() -> None:
    raise ValueError("not shown")


@celery_app.task
def state_seen_by_errback(request: Any, error: Any, traceback: Any) -> None:
    """Three arguments: Celery calls it in the child of the task that failed."""
    seen = celery_app.AsyncResult(request.id)
    note(f"errback saw {request.id} {seen.state} {seen.result!r}")


@celery_app.task
def noted(value: Any, text: str) -> Any:
    note(text)
    return value


@celery_app.task
def nothing() -> None:
    pass
