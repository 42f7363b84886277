"""What ``AsyncResult`` shows, as Celery's users know it, of what the record keeps."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from celery import chord, states

from encola.engine import celery_app
from encola.errors import TooLarge
from encola.record import TaskState
from harness import Bench
from support import wait_until

LIMIT = 20


@pytest.mark.parametrize(
    ("name", "state"), [("quiet", TaskState.SUCCESS), ("quiet_failure", TaskState.FAILURE)]
)
def test_nobody_hears_by_its_result_how_a_task_ended_that_ignores_it(
    tasks: Any, bench: Bench, name: str, state: TaskState
) -> None:
    """The record says it all the same."""
    result = getattr(tasks, name).delay()
    bench.wait_finished(LIMIT, [result.id])

    assert (states.PENDING, None) == (result.state, result.info)
    assert state == getattr(bench.record(result.id), "state", None)


def test_a_task_that_returns_nothing_has_succeeded(tasks: Any) -> None:
    result = tasks.nothing.delay()

    assert result.get(timeout=LIMIT) is None
    assert states.SUCCESS == result.state


def test_a_forgotten_result_is_nothing(tasks: Any, bench: Bench) -> None:
    """The task is still known to have succeeded."""
    result = tasks.add.delay(1, 2)
    result.get(timeout=LIMIT)
    result.forget()

    assert (states.PENDING, None) == (result.state, result.info)
    assert TaskState.SUCCESS == getattr(bench.record(result.id), "state", None)


@pytest.mark.parametrize("state", [states.SUCCESS, states.STARTED, "BAKING"])
def test_a_result_that_a_program_stores_by_itself_is_read_back(
    tasks: Any, bench: Bench, state: str
) -> None:
    """No task was ever accepted under its id: nobody else knows it."""
    backend, task_id = celery_app.backend, str(uuid.uuid4())
    backend.store_result(task_id, {"n": 1}, state)
    result = celery_app.AsyncResult(task_id)

    assert (state, {"n": 1}) == (result.state, result.info)
    assert bench.record(task_id) is None
    if state == states.SUCCESS:
        assert {"n": 1} == result.get(timeout=LIMIT)
    result.forget()
    assert states.PENDING == celery_app.AsyncResult(task_id).state


def test_what_a_program_stores_has_an_end_and_a_bound(tasks: Any, bench: Bench) -> None:
    backend, task_id = celery_app.backend, str(uuid.uuid4())
    backend.store_result(task_id, 1, states.SUCCESS)
    (key,) = bench.client.keys(f"*stray:{task_id}")

    assert 0 < bench.client.ttl(key) <= 86_400
    with pytest.raises(TooLarge):
        backend.store_result(task_id, "x" * 2_000_000, states.SUCCESS)


def test_what_a_program_stores_says_nothing_of_a_task(tasks: Any) -> None:
    result = tasks.add.delay(1, 2)
    result.get(timeout=LIMIT)
    celery_app.backend.store_result(result.id, 100, states.SUCCESS)

    assert 3 == celery_app.AsyncResult(result.id).result


def test_a_revoke_of_an_id_that_nobody_knows_is_remembered_as_a_result(tasks: Any) -> None:
    """And one that another worker is said to have started is left to that one."""
    started, unknown = str(uuid.uuid4()), str(uuid.uuid4())
    celery_app.backend.store_result(started, {"hostname": "other@host"}, states.STARTED)
    assert celery_app.control.revoke([started, unknown], reply=True, timeout=10, limit=1)

    assert states.STARTED == celery_app.AsyncResult(started).state
    assert states.REVOKED == celery_app.AsyncResult(unknown).state


def test_an_errback_sees_that_its_task_has_failed(tasks: Any, bench: Bench) -> None:
    failed = tasks.fail.apply_async(("oven",), link_error=tasks.state_seen_by_errback.s())
    seen = f"errback saw {failed.id} FAILURE ValueError('oven')"

    wait_until(
        lambda: any(seen == row["what"] for row in bench.ledger.rows()),
        description="the errback saw the failure",
        timeout=LIMIT,
    )
    bench.wait_finished(LIMIT, [failed.id])
    assert TaskState.FAILURE == getattr(bench.record(failed.id), "state", None)


def test_the_body_of_a_failed_chord_names_its_errback_as_a_child(tasks: Any) -> None:
    body = tasks.total.s().on_error(tasks.remember_error.s())
    result = chord([tasks.add.s(1, 1), tasks.fail.s("part")])(body)
    with pytest.raises(ValueError, match="part"):
        result.get(timeout=LIMIT)

    (errbacks,) = result.children
    assert [result.id] == errbacks.get(timeout=LIMIT)
