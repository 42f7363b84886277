"""Celery's JSON takes what is no JSON: it comes back as it was, can be answered, and stops no worker."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from encola.api import views
from encola.api.answers import answer
from encola.engine.session import current_session
from encola.record import TaskState
from encola.store import Message, NewTask
from encola.store.events import decode_event
from encola.submit import new_task_id
from harness import Bench
from support import wait_until

LIMIT = 20


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "shown"),
    [(math.inf, None), ("half \ud83d", "half ?"), (10**30, 1e30)],
    ids=["infinity", "surrogate", "large"],
)
def test_a_value_that_is_no_json_comes_back_and_can_be_answered(
    tasks: Any, bench: Bench, value: object, shown: object
) -> None:
    """One such result must not spoil the answer of every list that it stands in."""
    result = tasks.gives_back.delay(value)

    assert value == result.get(timeout=LIMIT)
    record = bench.record(result.id)
    assert record is not None
    told = orjson.loads(orjson.dumps(views.full(record, "en")))
    assert ([shown], shown) == (told["input"]["args"], told["result"])


def test_an_event_of_progress_that_is_no_number_is_json(tasks: Any, bench: Bench) -> None:
    result = tasks.gives_back.delay(math.nan)
    result.get(timeout=LIMIT)
    told = [entry[b"p"] for _, entry in bench.client.xrevrange("encola:events") if b"p" in entry]

    assert {"current": None, "total": 2} == orjson.loads(told[0])


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("half way", {"status": "half way"}),
        ([1, 2], {"value": [1, 2]}),
        (None, None),
        ({"current": 1}, {"current": 1}),
    ],
)
def test_progress_that_is_no_object_is_told_as_one(
    tasks: Any, bench: Bench, tmp_path: Path, said: object, shown: object
) -> None:
    """`update_state(meta=…)` takes anything, and `AsyncResult.info` gives that back."""
    gate = tmp_path / "gate"
    result = tasks.says_until.delay(said, str(gate))
    wait_until(lambda: result.state == "LOOKING", description="the task says how far it is")
    record = bench.record(result.id)

    assert record is not None
    assert said == result.info
    assert shown == views.full(record, "en")["progress"]
    assert 200 == answer(views.running(record)).status_code
    (event,) = [
        decode_event(*entry)
        for entry in bench.client.xrevrange("encola:events", count=5)
        if entry[1][b"t"].decode() == result.id and b"p" in entry[1]
    ]
    assert shown == orjson.loads(event.encode())["progress"]
    gate.touch()
    result.get(timeout=LIMIT)


def test_a_deep_result_comes_back_whole_and_is_answered_in_part(tasks: Any, bench: Bench) -> None:
    value = nested(300)
    result = tasks.add.delay(value, [])

    assert value == result.get(timeout=LIMIT)
    record = bench.record(result.id)
    assert record is not None
    assert b"\xe2\x80\xa6" in orjson.dumps(views.full(record, "en"))


@pytest.mark.parametrize(
    "send",
    [
        lambda tasks: tasks.add.delay(nested(800), []).id,
        lambda tasks: tasks.add.apply_async((nested(800), []), compression="gzip").id,
        # No program in Python writes that; others do.
        lambda tasks: push("engine_tasks.add", "[" * 5_000 + "]" * 5_000),
    ],
    ids=["sent", "compressed", "pushed"],
)
def test_arguments_too_deep_for_a_worker_are_parked_and_the_worker_lives(
    tasks: Any, bench: Bench, send: Callable[[Any], str]
) -> None:
    """They would end each worker that claims them, one after the other, for ever."""
    (worker,) = bench.workers
    poison = send(tasks)
    bench.wait_finished(LIMIT, [poison])
    record = bench.record(poison)

    assert record is not None
    assert (TaskState.FAILURE, "undeliverable") == (record.state, record.error_code)
    assert 3 == tasks.add.delay(1, 2).get(timeout=LIMIT)
    assert worker.process.poll() is None


def push(name: str, argument: str) -> str:
    task_id = new_task_id()
    message = Message(name, f"[[{argument}, []], {{}}, {{}}]")
    session = current_session()
    session.run(session.verbs.enqueue([NewTask(task_id, message.encode(), "encola", name)], 10**6))
    return task_id
