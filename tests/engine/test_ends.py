"""An acknowledgement never ends a task by itself: one test a row of that table."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from encola.record import TaskRecord, TaskState
from harness import Bench
from support import wait_until

LIMIT = 20


def ended(bench: Bench, task_id: str) -> TaskRecord:
    bench.wait_finished(LIMIT, [task_id])
    record = bench.record(task_id)
    assert record is not None
    return record


def test_ignore_is_revoked(tasks: Any, bench: Bench) -> None:
    record = ended(bench, tasks.ignore.delay().id)

    assert (TaskState.REVOKED, "ignored") == (record.state, record.error_code)


def test_ignore_after_a_finished_state_is_that_state(tasks: Any, bench: Bench) -> None:
    record = ended(bench, tasks.declare_and_ignore.delay().id)

    assert (TaskState.SUCCESS, {"by": "hand"}) == (record.state, record.result)


def test_reject_is_a_failure(tasks: Any, bench: Bench) -> None:
    record = ended(bench, tasks.reject.delay().id)

    assert (TaskState.FAILURE, "rejected") == (record.state, record.error_code)


def test_reject_with_requeue_runs_again(tasks: Any, bench: Bench) -> None:
    record = ended(bench, tasks.reject_once.delay().id)

    assert (TaskState.SUCCESS, ["requeued", "SUCCESS"]) == (
        record.state,
        [a.outcome for a in record.attempts],
    )


def test_early_acknowledgement_is_treated_as_late(tasks: Any, bench: Bench) -> None:
    """`acks_late=False` loses a task with its worker; here it does not."""
    record = ended(bench, tasks.early.delay().id)

    assert TaskState.SUCCESS == record.state


def test_a_name_that_nobody_knows_waits(bench: Bench, tasks: Any) -> None:
    """A rolling deploy: it goes to the delayed set instead of being dropped."""
    (task_id,) = bench.send("not_yet_deployed")
    bench.sent.remove(task_id)

    wait_until(
        lambda: getattr(bench.record(task_id), "place", "") == "delayed",
        description="it waits",
        timeout=LIMIT,
    )
    assert 0 == getattr(bench.record(task_id), "crashes", None)


def envelope(task_id: str, name: str, body: str, **headers: Any) -> str:
    return json.dumps(
        {
            "body": body,
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "headers": {"id": task_id, "task": name, "lang": "py", **headers},
            "properties": {"delivery_info": {}, "priority": 0, "correlation_id": task_id},
        }
    )


def test_a_body_that_cannot_be_decoded_is_parked(bench: Bench, tasks: Any) -> None:
    task_id = str(uuid.uuid4())
    bench.client.lpush("encola", envelope(task_id, "engine_tasks.add", "[[1, 2"))
    wait_until(lambda: bench.record(task_id), description="it is adopted", timeout=LIMIT)
    record = ended(bench, task_id)

    assert TaskState.FAILURE == record.state


def test_a_stock_producers_envelope_runs_like_any_other(bench: Bench, tasks: Any) -> None:
    task_id = str(uuid.uuid4())
    body = json.dumps([[20, 22], {}, {"callbacks": None, "errbacks": None, "chain": None}])
    bench.client.lpush("encola", envelope(task_id, "engine_tasks.add", body))
    wait_until(lambda: bench.record(task_id), description="it is adopted", timeout=LIMIT)
    record = ended(bench, task_id)

    assert (TaskState.SUCCESS, 42, "stock") == (record.state, record.result, record.source)


def test_a_task_type_of_ours_is_retried_by_its_policy(bench: Bench, tasks: Any) -> None:
    record = ended(bench, tasks.typed.enqueue(21, fail_times=2))

    assert (TaskState.SUCCESS, {"doubled": 42, "attempt": 3}) == (record.state, record.result)


@pytest.mark.parametrize("arguments", [["x"], [1, 2, 3], []])
def test_input_that_does_not_fit_fails_at_once(
    bench: Bench, tasks: Any, arguments: list[Any]
) -> None:
    """A stock client can send anything; it is checked in the worker, and not retried."""
    from encola.engine import celery_app

    record = ended(bench, celery_app.send_task("engine_tasks.refuses", arguments).id)

    assert (TaskState.FAILURE, "validation", 1) == (
        record.state,
        record.error_code,
        len(record.attempts),
    )


def test_a_permanent_failure_keeps_its_code(bench: Bench, tasks: Any) -> None:
    from encola.engine import celery_app

    record = ended(bench, celery_app.send_task("engine_tasks.refuses", (7,)).id)

    assert ("unwanted", "7 is not wanted") == (
        record.error_code,
        record.error.message if record.error else "",
    )
