"""Cancelling and retrying all that fits a filter: counted first, then a task like any other, whatever is killed."""

from __future__ import annotations

import itertools
import signal
from typing import Any

import httpx
from live_service import Api, Listen, enqueue

from encola.record import TaskRecord, TaskState
from encola.store import run
from harness import Bench
from support import wait_until

FINISHED = ("SUCCESS", "FAILURE", "REVOKED")


def bulk(api: Api, action: str, *, dry_run: bool = False, **wanted: Any) -> Any:
    return api.call("POST", f"/tasks/{action}", {"filter": wanted, "dry_run": dry_run})


def ended(api: Api, task_id: str, timeout: float = 30) -> Any:
    wait_until(
        lambda: api.get(f"/tasks/{task_id}")["state"] in FINISHED,
        description=f"{task_id} has ended",
        timeout=timeout,
    )
    return api.get(f"/tasks/{task_id}")


def record(bench: Bench, task_id: str) -> TaskRecord:
    found = bench.record(task_id)
    assert found is not None
    return found


def revoked(bench: Bench) -> list[str]:
    """Ids of tasks of type ``t`` in the order of their REVOKED events."""
    entries: Any = bench.client.xrange("encola:events")
    return [e[b"t"].decode() for _, e in entries if (e[b"y"], e[b"s"]) == (b"t", b"REVOKED")]


def test_all_that_fits_is_counted_and_then_cancelled(
    bench: Bench, api: Api, listen: Listen
) -> None:
    """1,200 tasks, no worker anywhere, and the queue paused: the work does not wait behind its own matter."""
    ids = enqueue(bench, 1200)
    other = enqueue(bench, 3, type_="other")
    api.call("POST", "/queues/encola/pause")
    assert {"dry_run": True, "matches": 1200, "exact": True} == bulk(
        api, "cancel", dry_run=True, type="t"
    )
    stream = listen("/events?type=bulk_cancel")
    answer = bulk(api, "cancel", type="t")
    task = ended(api, answer["task_id"])

    assert ("pending", "Tarea programada") == (answer["status"], answer["message"])
    assert {"matched": 1200, "changed": 1200, "skipped": 0} == task["result"]
    assert ("bulk_cancel", {"filter": {"type": "t"}}) == (task["type"], task["input"])
    assert task["attempts"][0]["worker"].startswith("api@")
    assert ids == revoked(bench)
    assert ["PENDING"] * 3 == [api.get(f"/tasks/{i}")["state"] for i in other]
    assert [answer["task_id"]] == [
        i["task_id"] for i in api.get("/tasks?type=bulk_cancel")["items"]
    ]
    wait_until(lambda: "SUCCESS" in [s for _, s in stream.tasks()], description="the end is told")
    states = [state for _, state in stream.tasks()]
    assert ["PENDING", "STARTED", "PROCESSING"] == states[:3]
    assert 0 == bulk(api, "cancel", dry_run=True, type="t")["matches"]


def test_what_failed_is_run_again(bench: Bench, api: Api) -> None:
    """By state; those that were cancelled stay, and each is its own next attempt."""
    bench.worker()
    failed = bench.send("leave", 3, count=5)
    wait_until(
        lambda: bench.states(failed) == {"FAILURE": 5}, description="five failed", timeout=30
    )
    [cancelled] = bench.send("leave", 3, due_ms=2**52)
    run(bench.client, bench.verbs.cancel(cancelled))
    assert 5 == bulk(api, "retry", dry_run=True, state="FAILURE")["matches"]
    task = ended(api, bulk(api, "retry", state="FAILURE")["task_id"])

    assert {"matched": 5, "changed": 5, "skipped": 0} == task["result"]
    wait_until(
        lambda: all(len(record(bench, i).attempts) == 2 for i in failed),
        description="each has had a second attempt",
        timeout=30,
    )
    assert TaskState.REVOKED is record(bench, cancelled).state


def test_it_leaves_itself_and_its_like_alone(bench: Bench, api: Api) -> None:
    """ "All on this queue", which it is on too; and a whole id as `search` is that task alone."""
    [first, second] = enqueue(bench, 2)
    assert 1 == bulk(api, "cancel", dry_run=True, search=second)["matches"]
    assert 2 == bulk(api, "cancel", dry_run=True, search=second[:4])["matches"]
    one = ended(api, bulk(api, "cancel", search=second)["task_id"])
    rest = ended(api, bulk(api, "cancel", queue="encola")["task_id"])
    again = bulk(api, "retry", dry_run=True, queue="encola")

    assert [1, 1] == [one["result"]["changed"], rest["result"]["changed"]]
    assert {"dry_run": True, "matches": 2, "exact": True} == again
    assert [second, first] == revoked(bench)


def test_without_dry_run_it_counts_and_the_same_key_is_the_same_work(
    bench: Bench, api: Api
) -> None:
    """Nothing is changed by default; a request that is sent twice does it once; where nothing fits it ends with zeros."""
    enqueue(bench, 1)
    counted = api.call("POST", "/tasks/cancel", {"filter": {"type": "t"}})
    assert {"dry_run": True, "matches": 1, "exact": True} == counted
    body = {"filter": {"type": "t"}, "dry_run": False}
    key = {"Idempotency-Key": "k"}
    first, second = (api.call("POST", "/tasks/cancel", body, **key) for _ in range(2))

    assert first["task_id"] == second["task_id"]
    assert 1 == len(ended(api, first["task_id"])["attempts"])
    task = ended(api, bulk(api, "cancel", type="t")["task_id"])
    assert ("SUCCESS", {"matched": 0, "changed": 0, "skipped": 0}) == (
        task["state"],
        task["result"],
    )


BAD: list[tuple[object, list[object]]] = [
    ({"filter": {}}, ["body", "filter"]),
    ({"filter": {"type": None}}, ["body", "filter"]),
    ({}, ["body", "filter"]),
    ({"filter": {"tpye": "email"}}, ["body", "filter", "tpye"]),
    ({"filter": {"state": "DONE"}}, ["body", "filter", "state"]),
    ({"filter": {"type": ""}}, ["body", "filter", "type"]),
    ({"filter": {"since": "2026-11-22"}}, ["body", "filter", "since"]),
    ({"filter": {"ids": []}}, ["body", "filter", "ids"]),
    ({"filter": {"ids": ["x"] * 1001}}, ["body", "filter", "ids"]),
    ({"filter": {"type": "t"}, "dry_run": "no"}, ["body", "dry_run"]),
    ({"filter": {"type": "t"}, "dryrun": False}, ["body", "dryrun"]),
]


def test_what_does_not_fit_is_a_problem_and_changes_nothing(bench: Bench, api: Api) -> None:
    """An empty filter would be every task, and is refused."""
    for (body, loc), action in itertools.product(BAD, ("cancel", "retry")):
        answer = httpx.post(f"{api.address}/tasks/{action}", json=body)
        problem = answer.json()
        assert (422, "validation", loc) == (
            answer.status_code,
            problem["code"],
            problem["errors"][0]["loc"],
        )
    broken = httpx.post(
        f"{api.address}/tasks/cancel", content=b"{", headers={"Content-Type": "application/json"}
    )
    foreign = httpx.post(
        f"{api.address}/tasks/retry", json=BAD[0][0], headers={"Origin": "http://evil.example"}
    )

    assert [(400, "invalid_json"), (403, "foreign_origin")] == [
        (answer.status_code, answer.json()["code"]) for answer in (broken, foreign)
    ]
    assert 0 == bench.client.exists("encola:i::all:")


# --- whatever is killed -----------------------------------------------------------------------

MANY = 12_000


def in_the_middle(bench: Bench, api: Api) -> tuple[list[str], str]:
    """A work that has begun and has long not ended; its matter is on a queue that no worker listens to."""
    ids = enqueue(bench, MANY, queue="files")
    task_id = bulk(api, "cancel", type="t")["task_id"]
    key = bench.keys.record(task_id)
    client = bench.client
    wait_until(lambda: int(client.hget(key, "bc") or 0), description="it has begun")  # type: ignore[arg-type]
    return ids, task_id


def goes_on(bench: Bench, ids: list[str], task_id: str) -> TaskRecord:
    """A worker takes the work up and ends it; every task was cancelled once."""
    bench.worker(1)
    wait_until(
        lambda: record(bench, task_id).is_finished, description="the work has ended", timeout=60
    )
    found = record(bench, task_id)
    assert {"matched": MANY, "changed": MANY, "skipped": 0} == found.result
    assert ids == revoked(bench)
    return found


def test_an_api_that_is_killed_in_the_middle_leaves_the_work_to_a_worker(
    bench: Bench, api: Api
) -> None:
    """SIGKILL: its lease runs out, a crash is counted, and the rest is done. None is cancelled twice."""
    ids, task_id = in_the_middle(bench, api)
    api.stop(signal.SIGKILL)

    found = goes_on(bench, ids, task_id)
    assert ["crashed", "SUCCESS"] == [attempt.outcome for attempt in found.attempts]


def test_an_api_that_stops_hands_the_work_over_at_once(bench: Bench, api: Api) -> None:
    """SIGTERM: neither does the stop wait for the work, nor the work for the end of a lease."""
    ids, task_id = in_the_middle(bench, api)
    api.stop(signal.SIGTERM)
    found = record(bench, task_id)
    assert ("ready", 0) == (found.place, found.crashes)
    assert "Traceback" not in api.log_path.read_text()

    found = goes_on(bench, ids, task_id)
    assert ["released", "SUCCESS"] == [attempt.outcome for attempt in found.attempts]


def test_the_work_itself_is_cancelled(bench: Bench, api: Api) -> None:
    """It stops; what it has done is done, and the rest stays as it was."""
    ids, task_id = in_the_middle(bench, api)
    api.call("DELETE", f"/tasks/cancel/{task_id}")
    gone = revoked(bench)

    assert 0 < len(gone) < MANY
    assert ids[: len(gone)] == gone
    wait_until(lambda: not api.get("/workers")["in_process"], description="nothing runs any more")
    assert gone == revoked(bench)
    assert len(gone) == record(bench, task_id).changed


def test_it_can_be_submitted_like_any_other_task(bench: Bench, api: Api) -> None:
    """Then a worker runs it, and its line is the moment at which it was submitted."""
    ids = enqueue(bench, 3)
    asked = {"type": "bulk_cancel", "input": {"filter": {"ids": ids}}}
    task_id = api.call("POST", "/tasks", asked)["task_id"]
    bench.worker(1)

    result = ended(api, task_id, timeout=60)["result"]
    assert {"matched": 3, "changed": 3, "skipped": 0} == result
    assert ids == revoked(bench)
