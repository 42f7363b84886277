"""An acknowledgement never ends a task by itself: one test a row of that table."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from celery.exceptions import Reject

from encola.engine.session import current_session
from encola.engine.task import _LINKS
from encola.errors import StoreError
from encola.record import TaskRecord, TaskState
from encola.store import run
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
    """
    `acks_late=False` loses a task with its worker; here it does not.

    It runs for several heartbeats: let go of early, it would be taken for one that was
    never delivered, and run again.
    """
    record = ended(bench, tasks.early.delay().id)

    assert (TaskState.SUCCESS, 1, 0) == (record.state, len(record.attempts), record.crashes)


def test_a_class_of_tasks_made_without_us_is_run_by_our_rules(tasks: Any, bench: Bench) -> None:
    """Its start is asked for, and its lost child counted, as for any other."""
    record = ended(bench, tasks.foreign.delay("exit").id)

    assert (TaskState.SUCCESS, "Foreign", ["crashed", "SUCCESS"]) == (
        record.state,
        record.result,
        [attempt.outcome for attempt in record.attempts],
    )


def test_a_base_class_of_a_users_own_still_wraps_the_call(tasks: Any, bench: Bench) -> None:
    record = ended(bench, tasks.on_a_base.delay().id)

    assert (TaskState.SUCCESS, 1) == (record.result and record.state, len(record.attempts))


@pytest.mark.parametrize("name", ["alone", "alone_on_ours"])
def test_a_class_that_calls_no_other_is_asked_for_all_the_same(
    tasks: Any, bench: Bench, name: str
) -> None:
    """Its attempt starts, and what is linked to it gets the same id each time."""
    sent = getattr(tasks, name).apply_async(link=tasks.quiet.si())
    record = ended(bench, sent.id)

    assert (TaskState.SUCCESS, "alone", 1) == (record.state, record.result, len(record.attempts))
    assert [str(uuid.uuid5(_LINKS, f"{sent.id}:0"))] == [child.id for child in sent.children]


def test_a_request_class_of_a_users_own_is_told_and_ends_by_our_rules(
    tasks: Any, bench: Bench
) -> None:
    """Its lost children are counted, and a cancel stops it."""
    lost = ended(bench, tasks.with_own_request.delay("exit").id)
    failed = ended(bench, tasks.with_own_request.delay("fail").id)
    running = tasks.with_own_request.delay("run").id
    wait_until(lambda: running in bench.ledger.started(), description="it runs", timeout=LIMIT)
    run(bench.client, bench.verbs.cancel(running))
    [row] = [row for row in bench.ledger.rows() if row["id"] == running]
    wait_until(
        lambda: row["pid"] not in bench.workers[0].children(), description="its child is gone"
    )

    assert ("worker_lost", 3) == (lost.error_code, lost.crashes)
    assert "ValueError" == (failed.error and failed.error.type)
    assert Path(f"{bench.ledger.path}.told").exists()


def test_a_child_without_memory_after_its_task_ends_no_worker(tasks: Any, bench: Bench) -> None:
    """Celery raises a MemoryError again in the main process, which then exits."""
    record = ended(bench, tasks.out_of_memory_afterwards.delay().id)

    assert TaskState.SUCCESS is record.state
    assert TaskState.SUCCESS is ended(bench, tasks.alone.delay().id).state
    assert bench.workers[0].process.poll() is None


def test_an_attempt_whose_start_cannot_be_asked_for_has_not_failed(
    tasks: Any, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store would not answer: the task is given back, and keeps its chance."""

    def refuse(call: Any) -> Any:
        raise StoreError("The store refused a command: MISCONF")

    monkeypatch.setattr(current_session(), "insist", refuse)
    tasks.alone.push_request(id="a", encola_token=1)
    try:
        with pytest.raises(Reject) as refused:
            tasks.alone.before_start("a", (), {})
    finally:
        tasks.alone.pop_request()

    assert refused.value.requeue


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


@pytest.mark.parametrize(
    "strange",
    [
        {"id": "\ud800"},
        {"task": "engine_tasks.\udfff"},
        {"group": "\udc80"},
        {"retries": "many"},
    ],
)
def test_what_no_reader_can_read_is_parked_and_nothing_else_happens(
    bench: Bench, tasks: Any, strange: dict[str, Any]
) -> None:
    """Half characters pass a producer's JSON; the worker must outlive them."""
    before = bench.client.zcard(bench.keys.named("dead"))
    headers = {"id": str(uuid.uuid4()), "task": "engine_tasks.add", **strange}
    bench.client.lpush(
        "encola", envelope(headers.pop("id"), headers.pop("task"), "[[1,2],{},{}]", **headers)
    )
    wait_until(
        lambda: bench.client.zcard(bench.keys.named("dead")) == before + 1,
        description="it is parked",
        timeout=LIMIT,
    )

    assert 3 == tasks.add.delay(1, 2).get(timeout=LIMIT)
    assert bench.workers[0].process.poll() is None


@pytest.mark.parametrize(
    ("body", "strange"),
    [
        ("", {}),
        ("[[1,2],[],[]]", {}),
        ("[[1,2],{},[[1]]]", {}),
        ('[[1,2],{},{"chain":[1]}]', {}),
        ("[[1,2],{},{}]", {"timelimit": 5}),
        ("[[1,2],{},{}]", {"stamped_headers": 1e308}),
    ],
)
def test_what_celery_can_make_nothing_of_is_ended_and_ends_no_worker(
    bench: Bench, tasks: Any, body: str, strange: dict[str, Any]
) -> None:
    """In the worker or in its child: it was claimed again and again, by one that is started for it each time."""
    task_id = str(uuid.uuid4())
    bench.client.lpush("encola", envelope(task_id, "engine_tasks.add", body, **strange))
    wait_until(lambda: bench.record(task_id), description="it is adopted", timeout=LIMIT)
    record = ended(bench, task_id)

    assert len(record.attempts) <= 1
    assert 3 == tasks.add.delay(1, 2).get(timeout=LIMIT)
    assert bench.workers[0].process.poll() is None


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


def test_a_policy_may_allow_more_retries_than_the_settings(bench: Bench, tasks: Any) -> None:
    record = ended(bench, tasks.never_gets_through.enqueue())

    assert (TaskState.FAILURE, 6) == (record.state, len(record.attempts))


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


def test_progress_is_bounded(bench: Bench, tasks: Any) -> None:
    """Each word of it is an event, of which a hundred thousand are kept."""
    told = ended(bench, tasks.tells_a_story.enqueue(1_900))
    refused = ended(bench, tasks.tells_a_story.enqueue(2_100))

    assert TaskState.SUCCESS == told.state
    assert (TaskState.FAILURE, "too_large", 1) == (
        refused.state,
        refused.error_code,
        len(refused.attempts),
    )


def test_a_permanent_failure_keeps_its_code(bench: Bench, tasks: Any) -> None:
    from encola.engine import celery_app

    record = ended(bench, celery_app.send_task("engine_tasks.refuses", (7,)).id)

    assert ("unwanted", "7 is not wanted") == (
        record.error_code,
        record.error.message if record.error else "",
    )
