"""Celery as its users know it, on encola's transport and backend."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from typing import Any

import pytest
import uuid_utils
from celery import chain, chord, group, states
from celery.exceptions import TaskRevokedError, TimeLimitExceeded

from encola.engine import celery_app
from encola.engine.task import _LINKS
from encola.record import TaskState
from encola.store import Message, NewTask, encode_body, run
from harness import Bench
from support import wait_until

LIMIT = 20


def test_delay_and_get(tasks: Any) -> None:
    result = tasks.add.delay(1, 2)

    assert 3 == result.get(timeout=LIMIT)
    assert (states.SUCCESS, 3) == (result.state, result.info)


def test_every_call_has_a_record(tasks: Any, bench: Bench) -> None:
    """`.delay()` is a road like the API's: a record from the moment it returns."""
    task_id = tasks.add.apply_async((1, 2), priority=3).id
    record = bench.record(task_id)

    assert record is not None
    assert ("engine_tasks.add", "celery", 3, [1, 2]) == (
        record.name,
        record.source,
        record.priority,
        record.args,
    )


def test_an_exception_comes_back_as_itself(tasks: Any) -> None:
    result = tasks.fail.delay("kaput")

    with pytest.raises(ValueError, match="kaput"):
        result.get(timeout=LIMIT)
    assert "ValueError" in result.traceback


def test_countdown_waits_in_the_store(tasks: Any, bench: Bench) -> None:
    """SCHEDULED in the record, PENDING to Celery, and not started before its time."""
    sent_at = time.time()
    result = tasks.sleep.apply_async((0,), countdown=1.2)

    assert TaskState.SCHEDULED == getattr(bench.record(result.id), "state", None)
    assert states.PENDING == result.state
    result.get(timeout=LIMIT)
    record = bench.record(result.id)
    assert record is not None
    assert record.started_at is not None
    waited = record.started_at.timestamp() - sent_at
    assert 1.2 <= waited < 4


def test_an_expired_task_is_revoked(tasks: Any, bench: Bench) -> None:
    expires = dt.datetime.now(dt.UTC) + dt.timedelta(milliseconds=300)
    result = tasks.add.apply_async((1, 1), countdown=0.8, expires=expires)

    with pytest.raises(TaskRevokedError):
        result.get(timeout=LIMIT)
    assert "expired" == getattr(bench.record(result.id), "error_code", None)


def test_chain(tasks: Any) -> None:
    assert 10 == chain(tasks.add.s(1, 2), tasks.add.s(3), tasks.add.s(4))().get(timeout=LIMIT)


def test_group(tasks: Any) -> None:
    numbers = group(tasks.add.s(n, n) for n in range(8))().get(timeout=LIMIT)

    assert [n * 2 for n in range(8)] == numbers


def test_chord(tasks: Any) -> None:
    result = chord([tasks.add.s(n, n) for n in range(8)])(tasks.total.s())

    assert 56 == result.get(timeout=LIMIT)


def test_the_body_of_a_failed_chord_has_its_end(tasks: Any, bench: Bench) -> None:
    """It was never sent; who asks for it alone, or for a group that was the body, hears of the failure."""
    header = [tasks.add.s(1, 1), tasks.fail.s("part")]
    body = chord(header)(tasks.total.s())
    parts = (group(header) | group(tasks.given_back.s(), tasks.given_back.s())).delay()
    for result in (body, *parts.results):
        wait_until(result.ready, description="it has its end", timeout=LIMIT)

        assert states.FAILURE == celery_app.AsyncResult(result.id).state
    assert "chord" == getattr(bench.record(body.id), "error_code", None)


def test_a_chord_takes_a_generator_as_it_comes(tasks: Any, bench: Bench) -> None:
    """Its first task is sent while the last is not made yet."""
    seen: list[int] = []

    def parts() -> Any:
        for n in range(4):
            seen.append(len(bench.client.keys(bench.keys.record("*"))))  # type: ignore[arg-type]
            yield tasks.add.si(n, 0)

    assert 6 == chord(parts(), tasks.total.s())().get(timeout=LIMIT)
    assert seen[-1] > seen[0]


def test_a_chord_keeps_the_order_of_its_parts(tasks: Any) -> None:
    """The first part's place is 0, which is not the same as none."""
    made = chord([tasks.sleep.si(0.3 if n == 0 else 0) | tasks.add.si(n, 0) for n in range(4)])

    assert [0, 1, 2, 3] == made(tasks.given_back.s()).get(timeout=LIMIT)


def test_a_chord_gives_the_shape_of_its_header(tasks: Any) -> None:
    """A chain in it that ends in a group is a list; its last part has not settled when they are joined."""
    inner = chain(tasks.add.si(0, 0), group(tasks.add.si(1, 1), tasks.add.si(2, 2)))
    made = chain(group(tasks.add.si(0, 1), inner), tasks.given_back.s())

    assert [1, [2, 4]] == made().get(timeout=LIMIT)


def test_a_part_adds_another_to_its_chord(tasks: Any) -> None:
    made = chord([tasks.add_part.s(5), tasks.add.si(1, 1)], tasks.given_back.s())

    assert [2, 5, 500] == sorted(made().get(timeout=LIMIT))


def test_a_task_knows_when_it_was_due(tasks: Any) -> None:
    due = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=0.5)
    eta = tasks.due.apply_async(eta=due).get(timeout=LIMIT)

    assert due == dt.datetime.fromisoformat(eta)


def test_a_callers_own_header_comes_as_it_was_sent(tasks: Any) -> None:
    sent = {"tries": 0, "is_urgent": False, "note": ""}

    assert sent == tasks.own_headers.apply_async(headers=sent).get(timeout=LIMIT)


def test_a_chord_of_chains_in_a_chain(tasks: Any) -> None:
    header = [chain(tasks.add.s(n, 1), tasks.add.s(1)) for n in range(3)]
    result = chain(chord(header, tasks.total.s()), tasks.add.s(100))()

    assert 109 == result.get(timeout=LIMIT)


def test_a_failed_part_fails_the_chord(tasks: Any) -> None:
    """`.get()` raises what the part raised, and not that a part raised."""
    result = chord([tasks.add.s(1, 1), tasks.fail.s("part")])(tasks.total.s())

    with pytest.raises(ValueError, match="part"):
        result.get(timeout=LIMIT)


@pytest.mark.parametrize("how", ["cancelled", "parked"])
def test_a_chord_hears_of_a_part_that_no_worker_ended(tasks: Any, bench: Bench, how: str) -> None:
    """Cancelled while it waited, or parked when its third worker was lost: told by one that sweeps."""
    part = tasks.add.si(2, 2).set(queue=f"elsewhere-{how}")
    made = chord([tasks.add.si(1, 1), part])(tasks.total.s())
    part_id = made.parent.results[1].id
    end_elsewhere(bench, part_id, how)

    bench.wait_finished(LIMIT, [made.id])
    assert "chord" == getattr(bench.record(made.id), "error_code", None)
    wait_until(lambda: not bench.client.exists(bench.keys.untold()), description="all is told")


def test_a_chord_hears_once_of_a_part_that_is_cancelled_while_it_runs(
    tasks: Any, bench: Bench
) -> None:
    """By who sweeps, and not by its worker too: an errback of the body is called once."""
    errbacks = bench.keys.index("type", "engine_tasks.quiet")
    before = bench.client.xlen(errbacks)
    body = tasks.total.s().on_error(tasks.quiet.si())
    made = chord([tasks.add.si(1, 1), tasks.sleep.si(30.0)])(body)
    part_id = made.parent.results[1].id
    # Its record says so a moment before its function begins.
    wait_until(lambda: part_id in bench.ledger.started(), description="it runs")
    [row] = [row for row in bench.ledger.rows() if row["id"] == part_id]
    run(bench.client, bench.verbs.cancel(part_id))
    bench.wait_finished(LIMIT, [made.id])
    wait_until(
        lambda: (
            row["pid"] not in bench.workers[0].children()
            and not bench.client.exists(bench.keys.untold())
        ),
        description="its child is gone, and all is told",
    )

    assert "chord" == getattr(bench.record(made.id), "error_code", None)
    assert before + 1 == bench.client.xlen(errbacks)


def test_a_later_link_and_an_errback_hear_of_a_parked_task(tasks: Any, bench: Bench) -> None:
    errback = tasks.quiet.si()
    first = tasks.add.si(2, 2).set(queue="elsewhere-parked", link_error=errback)
    made = (first | tasks.add.si(1, 1))()
    end_elsewhere(bench, made.parent.id, "parked")

    with pytest.raises(Exception, match="The worker was lost 3 times"):
        made.get(timeout=LIMIT)
    stored: Any = bench.client.hget(bench.keys.record(made.parent.id), "m")
    run_of_it = f"{made.parent.id}:{Message.decode(stored).ours['send']}"
    expected = str(uuid.uuid5(_LINKS, f"{run_of_it}:error:0"))
    wait_until(lambda: {"SUCCESS": 1} == bench.states([expected]), description="it was called")


def end_elsewhere(bench: Bench, task_id: str, how: str) -> None:
    """On a queue that no worker of the test listens to."""
    if how == "cancelled":
        run(bench.client, bench.verbs.cancel(task_id))
        return
    for _ in range(3):
        run(bench.client, bench.verbs.heartbeat("doomed", 60_000, register=True))
        [message] = run(bench.client, bench.verbs.claim("doomed", 1, [f"elsewhere-{how}"])).messages
        run(bench.client, bench.verbs.start(message.id, message.token))
        run(bench.client, bench.verbs.release([(message.id, message.token)], crashed=True))
    run(bench.client, bench.verbs.leave("doomed"))


def test_a_broken_chain_ends_its_later_links(tasks: Any) -> None:
    """Whoever waits for the last link hears of the failure of the first."""
    result = chain(tasks.fail.si("first"), tasks.add.si(1, 1), tasks.add.si(2, 2))()

    with pytest.raises(ValueError, match="first"):
        result.get(timeout=LIMIT)


def test_a_broken_chain_ends_the_group_that_was_to_come(tasks: Any) -> None:
    """Also what stands in it as a chain of its own."""
    last = group(tasks.add.s(1), chain(tasks.add.s(1), tasks.add.s(2)))
    result = chain(tasks.add.si(1, 1), tasks.fail.si("second"), last).delay()

    with pytest.raises(ValueError, match="second"):
        result.get(timeout=LIMIT)
    wait_until(result.ready, description="each of them has its end", timeout=LIMIT)
    assert [states.FAILURE, states.FAILURE] == [part.state for part in result.results]


def test_link_and_link_error(tasks: Any, bench: Bench) -> None:
    tasks.add.apply_async((1, 2), link=tasks.sleep.si(0))
    failed = tasks.fail.apply_async(link_error=tasks.remember_error.s())

    wait_until(
        lambda: any(f"errback of {failed.id}" == row["what"] for row in bench.ledger.rows()),
        description="the errback ran",
        timeout=LIMIT,
    )


def test_retry_keeps_its_id_and_counts(tasks: Any, bench: Bench) -> None:
    result = tasks.flaky.delay(3)

    assert 3 == result.get(timeout=LIMIT)
    record = bench.record(result.id)
    assert record is not None
    assert ["RETRY", "RETRY", "RETRY", "SUCCESS"] == [a.outcome for a in record.attempts]
    assert 4 == len([r for r in bench.ledger.rows() if r["id"] == result.id])


def test_a_retried_task_says_where_it_first_came_from(bench: Bench) -> None:
    message = Message("engine_tasks.flaky", encode_body([1])).encode()
    task = NewTask(str(uuid_utils.uuid7()), message, "encola", "engine_tasks.flaky")
    run(bench.client, bench.verbs.enqueue([task], 10**9))
    bench.wait_finished(LIMIT, [task.id])

    record = bench.record(task.id)
    assert record is not None
    assert ("api", ["RETRY", "SUCCESS"]) == (record.source, [a.outcome for a in record.attempts])


def test_retries_end(tasks: Any, bench: Bench) -> None:
    result = tasks.give_up.delay()

    with pytest.raises(ConnectionError, match="never"):
        result.get(timeout=LIMIT)
    assert 3 == len([r for r in bench.ledger.rows() if r["id"] == result.id])


def test_update_state_gives_the_users_word_back(tasks: Any, bench: Bench) -> None:
    result = tasks.in_phases.delay()
    wait_until(lambda: result.state == "BAKING", description="it says BAKING", timeout=LIMIT)

    assert {"current": 1, "total": 2} == result.info
    assert TaskState.PROCESSING == getattr(bench.record(result.id), "state", None)
    assert "baked" == result.get(timeout=LIMIT)


def test_replace(tasks: Any) -> None:
    assert 107 == tasks.replaced.delay(7).get(timeout=LIMIT)


@pytest.mark.parametrize(
    ("how", "result"),
    [("chain", 1107), ("group", [107, 207]), ("chain of a group", [1107, 2107])],
)
def test_a_task_replaces_itself_by_several(tasks: Any, how: str, result: object) -> None:
    """Its own id is the last one's, which another task sends: who waits for it gets what comes out."""
    assert result == tasks.replaced_by_many.delay(7, how).get(timeout=LIMIT)


def test_a_link_of_a_chain_replaces_itself_by_a_chain(tasks: Any) -> None:
    """What comes after it in its own chain comes after its replacement."""
    made = chain(tasks.add.s(3, 4), tasks.replaced_by_many.s("chain"), tasks.add.s(10000))

    assert 11107 == made.delay().get(timeout=LIMIT)


def test_who_waits_for_a_task_hears_that_its_replacement_failed(tasks: Any, bench: Bench) -> None:
    result = tasks.replaced_by_many.delay(7, "broken chain")

    with pytest.raises(ValueError, match="broken"):
        result.get(timeout=LIMIT)
    assert TaskState.FAILURE == getattr(bench.record(result.id), "state", None)


def test_an_application_that_asks_for_protocol_1_has_its_tasks_run(tasks: Any) -> None:
    """That protocol keeps id and name in the body, where the store does not look."""
    protocol = celery_app.conf.task_protocol
    celery_app.conf.task_protocol = 1
    celery_app.amqp.__dict__.pop("create_task_message", None)
    try:
        assert 3 == tasks.add.delay(1, 2).get(timeout=LIMIT)
    finally:
        celery_app.conf.task_protocol = protocol
        celery_app.amqp.__dict__.pop("create_task_message", None)


def test_a_message_keeps_what_its_sender_said_of_itself(tasks: Any) -> None:
    assert "shop" == tasks.sent_by.apply_async(app_id="shop").get(timeout=LIMIT)


def test_a_soft_limit_behind_the_hard_one_is_refused(tasks: Any) -> None:
    with pytest.raises(ValueError, match="soft_time_limit must be less"):
        tasks.upside_down.delay()


def test_a_time_limit_is_a_failure(tasks: Any, bench: Bench) -> None:
    result = tasks.too_slow.delay()

    with pytest.raises(TimeLimitExceeded):
        result.get(timeout=LIMIT)
    assert "time_limit" == getattr(bench.record(result.id), "error_code", None)


def test_revoke_holds_for_a_task_that_waits(tasks: Any, bench: Bench) -> None:
    result = tasks.add.apply_async((1, 1), countdown=0.5)
    result.revoke()
    (after,) = [tasks.add.apply_async((1, 1), countdown=1.0)]
    after.get(timeout=LIMIT)

    assert states.REVOKED == result.state


def test_a_revoked_task_that_a_person_runs_again_runs(tasks: Any, bench: Bench) -> None:
    """A worker that was told of the revoke remembers the id; the store knows better."""
    sent = tasks.add.apply_async((1, 1), countdown=60)
    [answer] = celery_app.control.revoke(sent.id, reply=True, timeout=LIMIT, limit=1)
    run(bench.client, bench.verbs.retry(sent.id))

    assert [{"ok": f"tasks {{'{sent.id}'}} flagged as revoked"}] == list(answer.values())
    assert 2 == sent.get(timeout=LIMIT)


def test_a_chord_hears_nothing_of_parts_that_were_taken_from_their_worker(
    tasks: Any, bench: Bench
) -> None:
    """The store has forgotten the worker: what it stops is run again, and that is the part's end."""
    made = chord([tasks.sleep.si(2.0), tasks.sleep.si(2.0)])(tasks.total.s())
    parts = [part.id for part in made.parent.results]
    wait_until(lambda: {"STARTED": 2} == bench.states(parts), description="both run")
    record = bench.record(parts[0])
    assert record is not None
    assert record.worker is not None
    run(bench.client, bench.verbs.leave(record.worker))

    assert 4.0 == made.get(timeout=LIMIT)
    assert {"SUCCESS": 2} == bench.states(parts)


def test_revoke_with_terminate_stops_a_running_task(tasks: Any, bench: Bench) -> None:
    result = tasks.sleep.delay(60)
    wait_until(lambda: result.state == states.STARTED, description="it runs", timeout=LIMIT)
    result.revoke(terminate=True)

    with pytest.raises(TaskRevokedError):
        result.get(timeout=LIMIT)
    wait_until(
        lambda: not any(celery_app.control.inspect(timeout=LIMIT, limit=1).active().values()),
        description="nothing runs any more",
        timeout=LIMIT,
    )


def test_remote_control(tasks: Any) -> None:
    inspect = celery_app.control.inspect(timeout=LIMIT, limit=1)
    (ping,) = inspect.ping().values()
    (stats,) = inspect.stats().values()
    (registered,) = inspect.registered().values()

    assert {"ok": "pong"} == ping
    assert 2 == stats["pool"]["max-concurrency"]
    assert "engine_tasks.add" in registered


def test_a_retry_is_one_where_the_result_is_ignored(tasks: Any, bench: Bench) -> None:
    """Celery's child writes nothing of it; the record says what it was all the same."""
    sent = tasks.quiet_after_a_retry.delay()
    wait_until(
        lambda: {"RETRY": 1} == bench.states([sent.id]), description="it waits to be retried"
    )
    bench.wait_finished(LIMIT, [sent.id])
    record = bench.record(sent.id)

    assert record is not None
    assert (TaskState.SUCCESS, 1, ["RETRY", "SUCCESS"]) == (
        record.state,
        record.retries,
        [attempt.outcome for attempt in record.attempts],
    )


def test_an_ignored_result_is_settled_all_the_same(tasks: Any, bench: Bench) -> None:
    result = tasks.quiet.delay()
    bench.wait_finished(LIMIT, [result.id])

    assert TaskState.SUCCESS == getattr(bench.record(result.id), "state", None)


def test_what_is_no_json_is_a_failure(tasks: Any, bench: Bench) -> None:
    result = tasks.unserializable.delay()
    bench.wait_finished(LIMIT, [result.id])

    assert TaskState.FAILURE == getattr(bench.record(result.id), "state", None)


def test_purge_cancels_what_waits(tasks: Any, bench: Bench) -> None:
    """Messages are ids here: a purge ends their tasks and does not forget them."""
    ids = [tasks.add.apply_async((1, 1), queue="nobody").id for _ in range(5)]
    with celery_app.connection_for_write() as connection:
        purged = connection.default_channel.queue_purge("nobody")

    assert 5 == purged
    assert {"REVOKED": 5} == dict(bench.states(ids))
