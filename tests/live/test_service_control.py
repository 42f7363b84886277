"""Looking at queues, workers and figures, and acting on them; what was done survives restarts."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import Any

import httpx
import pytest
from live_service import Api, enqueue

from encola.store import run
from harness import Bench
from support import wait_until


def claim(bench: Bench, n: int = 1000, worker: str = "w", queue: str = "encola") -> list[str]:
    run(
        bench.client,
        bench.verbs.heartbeat(worker, 60_000, info='{"queues":["encola"]}', register=True),
    )
    found = run(bench.client, bench.verbs.claim(worker, n, [queue])).messages
    return [message.id for message in found]


def ended(bench: Bench, task_id: str, state: str = "SUCCESS", code: str = "") -> None:
    """Plays the worker for one task that waits alone."""
    run(bench.client, bench.verbs.heartbeat("w", 60_000, register=True))
    [message] = run(bench.client, bench.verbs.claim("w", 1, ["encola"])).messages
    assert message.id == task_id
    run(bench.client, bench.verbs.start(task_id, message.token))
    settle = bench.verbs.settle(task_id, message.token, state, b"{}", error_code=code)
    run(bench.client, settle)


def queue_of(api: Api, name: str = "encola") -> dict[str, Any]:
    return next(item for item in api.get("/queues")["items"] if item["name"] == name)


def waiting(api: Api, task_id: str) -> Any:
    return api.get(f"/tasks/{task_id}")["waiting"]


# --- queues -----------------------------------------------------------------------------


def test_a_queue_says_what_waits_and_for_how_long(bench: Bench, api: Api) -> None:
    enqueue(bench, 3)
    enqueue(bench, 2, priority=5)
    enqueue(bench, 1, due_ms=round(time.time() * 1000) + 60_000)
    [running] = claim(bench, 1)
    run(bench.client, bench.verbs.start(running, 1))
    found = queue_of(api)

    assert found | {"oldest_wait_s": 0, "rates": 0} == {
        "name": "encola",
        "paused": False,
        "ready": 4,
        "ready_by_priority": {"0": 2, "3": 2, "6": 0, "9": 0},
        "held": 0,
        "delayed": 1,
        "running": 1,
        "oldest_wait_s": 0,
        "workers": 1,
        "rates": 0,
    }
    assert 0 <= found["oldest_wait_s"] < 10
    assert found["rates"]["enqueued"] > 0.5
    assert {"encola", "reports"} <= {item["name"] for item in api.get("/queues")["items"]}


def test_a_paused_queue_stays_paused_when_everything_is_restarted(bench: Bench, api: Api) -> None:
    """The pause is in the store: neither its death nor that of the API undoes it."""
    first = api.call("POST", "/queues/encola/pause")
    again = api.call("POST", "/queues/encola/pause", **{"Accept-Language": "en"})
    [task_id] = enqueue(bench)
    assert (first["changed"], first["message"]) == (True, "Cola encola en pausa")
    assert (again["changed"], again["message"]) == (False, "Queue encola paused")
    worker = bench.worker(1).wait_ready()
    api.stop(signal.SIGKILL)
    bench.server.kill(signal.SIGKILL)
    bench.server.start()
    worker.kill()
    bench.worker(1).wait_ready()
    api.start()

    assert queue_of(api)["paused"] is True
    assert waiting(api, task_id)["reason"] == "queue_paused"
    assert b"PENDING" == bench.client.hget(bench.keys.record(task_id), "st")
    assert api.call("POST", "/queues/encola/resume")["changed"] is True
    # No task here is called so; a worker took it up, and says that.
    wait_until(lambda: waiting(api, task_id)["reason"] == "time", description="it was taken up")


def test_purging_counts_first_and_then_cancels_what_waits(bench: Bench, api: Api) -> None:
    enqueue(bench, 5, type_="mail")
    later = enqueue(bench, 1, due_ms=round(time.time() * 1000) + 60_000)
    api.call("POST", "/tasks/types/mail/pause")
    assert claim(bench) == []
    others = enqueue(bench, 3)
    counted = api.call("POST", "/queues/encola/purge?dry_run=true", **{"Accept-Language": "en"})
    before = api.get("/tasks/counts")["states"]["REVOKED"]
    purged = api.call("POST", "/queues/encola/purge")

    assert counted == {
        "queue": "encola",
        "dry_run": True,
        "count": 8,
        "left": 8,
        "message": "8 tasks of the queue encola would be cancelled",
    }
    assert (before, purged["count"], purged["left"]) == (0, 8, 0)
    assert api.get("/tasks/counts")["states"]["REVOKED"] == 8
    assert api.get(f"/tasks/{others[0]}")["error_code"] == "purged"
    assert api.get(f"/tasks/{later[0]}")["state"] == "SCHEDULED"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/queues/nobody/pause", "queue_not_found"),
        ("/queues/encola:events/purge", "queue_not_found"),
        ("/workers/nobody@host/12/drain", "worker_not_found"),
        ("/tasks/types/nothing/pause", "task_type_not_found"),
    ],
)
def test_what_there_is_not_cannot_be_acted_on(api: Api, path: str, code: str) -> None:
    answer = httpx.post(api.address + path)

    assert (404, code) == (answer.status_code, answer.json()["code"])


def test_a_page_of_another_site_can_pause_nothing(api: Api) -> None:
    answer = httpx.post(f"{api.address}/queues/encola/pause", headers={"Origin": "http://evil"})

    assert (403, "foreign_origin") == (answer.status_code, answer.json()["code"])
    assert queue_of(api)["paused"] is False


# --- task types --------------------------------------------------------------------------


def test_a_paused_type_waits_through_restarts_and_holds_up_nobody(bench: Bench, api: Api) -> None:
    """3,000 of its tasks stand before another one, which runs; resumed, all of them run."""
    first = enqueue(bench, 1, type_="mail")
    assert api.call("POST", "/tasks/types/mail/pause")["changed"] is True
    mails = enqueue(bench, 3000, type_="mail")
    [other] = enqueue(bench)
    taken: list[str] = []
    wait_until(
        lambda: taken.extend(claim(bench, 10)) or other in taken, description="the other is taken"
    )
    api.stop(signal.SIGKILL)
    bench.server.kill(signal.SIGKILL)
    bench.server.start()
    api.start()

    assert taken == [other]
    assert (queue_of(api)["held"], queue_of(api)["ready"]) == (3001, 0)
    assert waiting(api, mails[0]) == {"reason": "type_paused", "ahead": None, "until": None}
    assert api.call("POST", "/tasks/types/mail/resume")["changed"] is True
    assert claim(bench, 5000) == first + mails


def test_types_say_that_they_are_paused(bench: Bench, api: Api) -> None:
    api.call("POST", "/tasks/types/email/pause")
    paused = {t["name"]: t["paused"] for t in api.get("/tasks/types")["types"]}
    api.call("POST", "/tasks/types/email/resume")

    assert (paused["email"], paused["report"]) == (True, False)


def test_a_simple_mail_waits_as_well_while_its_type_is_paused(bench: Bench, api: Api) -> None:
    """What the API would send itself goes to the queue instead, and is not lost."""
    api.call("POST", "/tasks/types/email/pause")
    body = {"email": "a@example.com", "subject": "s", "body": "b"}
    task_id = api.call("POST", "/tasks/email/simple", body)["task_id"]

    assert waiting(api, task_id)["reason"] == "type_paused"
    assert bench.client.lrange("encola", 0, -1) == [task_id.encode()]


# --- why a task waits ----------------------------------------------------------------------


def test_so_many_are_ahead_as_are_claimed_before_it(bench: Bench, api: Api) -> None:
    """Checked against the order in which claims really take them, priorities, pauses and all."""
    random.seed(36)
    ids: list[str] = []
    for _ in range(60):
        type_name, priority = random.choice(["t", "t", "mail"]), random.choice([0, 0, 3, 5, 9])
        ids += enqueue(bench, 1, type_=type_name, priority=priority)
    for task_id in random.sample(ids, 5):
        run(bench.client, bench.verbs.cancel(task_id))
    api.call("POST", "/tasks/types/mail/pause")
    # Swept away sooner or later; between two of the questions it would count for one of them only.
    bench.client.lpush("encola", '{"not": "readable"')
    wait_until(
        lambda: not any(entry.startswith(b"{") for entry in bench.client.lrange("encola", 0, -1)),
        description="what cannot be read has been parked",
    )
    claim(bench, 0)
    told = {task_id: waiting(api, task_id) for task_id in ids}
    order: list[str] = []
    while taken := claim(bench, 7):
        order += taken

    ahead = {i: w["ahead"] for i, w in told.items() if w and w["reason"] == "ahead"}
    assert ahead == {task_id: place for place, task_id in enumerate(order)}
    assert len(order) > 20


def test_a_task_says_why_it_waits(bench: Bench, api: Api) -> None:
    due_ms = round(time.time() * 1000) + 60_000
    [later] = enqueue(bench, 1, due_ms=due_ms)
    first, second = enqueue(bench, 2)

    assert waiting(api, first) == {"reason": "no_worker", "ahead": 0, "until": None}
    assert waiting(api, later)["reason"] == "time"
    assert waiting(api, later)["until"] == api.get(f"/tasks/{later}")["due_at"]
    assert claim(bench, 1) == [first]
    assert waiting(api, first)["reason"] == "claimed"
    assert waiting(api, second) == {"reason": "ahead", "ahead": 0, "until": None}
    run(bench.client, bench.verbs.start(first, 1))
    assert waiting(api, first) is None
    run(bench.client, bench.verbs.drain("w", on=True))
    assert waiting(api, second)["reason"] == "no_worker"
    api.call("POST", "/queues/encola/pause")
    assert waiting(api, second) == {"reason": "queue_paused", "ahead": 0, "until": None}
    run(bench.client, bench.verbs.cancel(second))
    assert waiting(api, second) is None


def test_far_back_in_a_very_long_queue_nobody_counts(bench: Bench, api: Api) -> None:
    first = enqueue(bench, 1)[0]
    last = enqueue(bench, 10_500)[-1]
    claim(bench, 0)

    assert waiting(api, first)["ahead"] == 0
    assert waiting(api, last) == {"reason": "ahead", "ahead": None, "until": None}


# --- workers ------------------------------------------------------------------------------


def test_a_worker_drains_while_it_runs_and_works_again(bench: Bench, api: Api) -> None:
    """It ends what it runs, takes nothing more, stays, and goes on where it is told to."""
    bench.worker(1).wait_ready()
    running = bench.send("work", 3.0)[0]
    wait_until(lambda: bench.states([running])["STARTED"], description="it runs", timeout=20)
    [worker] = api.get("/workers")["items"]
    drained = api.call("POST", f"/workers/{worker['id']}/drain")
    waits = bench.send("work", 0.0)[0]
    bench.wait_finished(ids=[running])
    wait_until(lambda: api.get("/workers")["items"][0]["held"] == 0, description="it holds nothing")

    assert (worker["slots"], worker["busy"], worker["draining"]) == (1, 1, False)
    assert (worker["running"][0]["task_id"], worker["queues"]) == (running, ["encola"])
    assert worker["since"].endswith("Z")
    assert 0 < worker["lease_seconds_left"] <= bench.lease
    assert drained["draining"] is True
    assert waiting(api, waits)["reason"] == "no_worker"
    # Long enough for a heartbeat, a poll and a sweep.
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > 2.5, description="time to take it")
    assert bench.states([waits]) == {"PENDING": 1}
    assert api.get("/workers")["items"][0]["draining"] is True
    api.call("POST", f"/workers/{worker['id']}/resume")
    bench.wait_finished(ids=[waits])


def test_a_worker_drains_through_a_restart_of_the_store(bench: Bench, api: Api) -> None:
    """And one that is started in its place does not drain."""
    bench.worker(1).wait_ready()
    [worker] = api.get("/workers")["items"]
    api.call("POST", f"/workers/{worker['id']}/drain")
    wait_until(lambda: "This worker drains." in bench.workers[0].log(), description="it knows")
    bench.server.kill(signal.SIGKILL)
    bench.server.start()
    [task_id] = bench.send("work", 0.0)
    wait_until(lambda: api.get("/workers")["items"], description="the worker is back", timeout=20)
    assert api.get("/workers")["items"][0]["draining"] is True
    began = time.monotonic()
    wait_until(lambda: time.monotonic() - began > 2.5, description="time to take it")
    assert bench.states([task_id]) == {"PENDING": 1}
    bench.workers[0].stop()
    bench.worker(1).wait_ready()
    bench.wait_finished(ids=[task_id])

    assert bench.client.smembers("encola:paused") == set()


# --- figures ------------------------------------------------------------------------------


def test_the_statistics_count_what_happened(bench: Bench, api: Api) -> None:
    for _ in range(3):
        ended(bench, enqueue(bench, type_="a")[0])
    ended(bench, enqueue(bench, type_="b")[0], "FAILURE", "mail_refused")
    run(bench.client, bench.verbs.cancel(enqueue(bench, type_="b")[0]))
    enqueue(bench, 2, type_="a")
    everything = api.get("/stats?minutes=5")
    some = api.get("/stats?minutes=5&type=b&queue=encola")

    assert {"total": 7, "active": 2, "completed": 3, "failed": 2} == everything["totals"]
    assert (everything["states"]["PENDING"], len(everything["states"])) == (2, 8)
    window = everything["window"]
    assert (window["enqueued"], window["succeeded"], window["failed"]) == (7, 3, 1)
    assert (window["cancelled"], window["retried"], window["crashed"]) == (1, 0, 0)
    assert window["run_p50_ms"] >= 0
    assert window["wait_p95_ms"] >= window["wait_p50_ms"]
    assert len(everything["series"]) == 5
    assert sum(minute["enqueued"] for minute in everything["series"]) == 7
    assert [{"type": "b", "error_code": "mail_refused", "count": 1}] == everything["failures"]
    assert everything["oldest_wait_s"] >= 0
    assert {"total": 2, "active": 0, "completed": 0, "failed": 2} == some["totals"]
    assert (some["window"]["enqueued"], some["window"]["succeeded"]) == (2, 0)


@pytest.mark.parametrize("query", ["minutes=0", "minutes=1441", "minutes=x"])
def test_statistics_of_more_than_a_day_are_refused(api: Api, query: str) -> None:
    assert 422 == httpx.get(f"{api.address}/stats?{query}").status_code


def test_tasks_are_counted_by_state(bench: Bench, api: Api) -> None:
    ended(bench, enqueue(bench, type_="a", user_id="7")[0])
    enqueue(bench, 2, type_="a", user_id="7")
    enqueue(bench, 3, type_="b", queue="files")

    def counted(query: str) -> tuple[int, int, int, bool]:
        answer = api.get(f"/tasks/counts?{query}")
        states = answer["states"]
        return states["PENDING"], states["SUCCESS"], answer["total"], answer["exact"]

    assert (5, 1, 6, True) == counted("")
    assert (2, 1, 3, True) == counted("type=a")
    assert (3, 0, 3, True) == counted("queue=files")
    assert (0, 0, 0, True) == counted("queue=files&type=a")
    assert (2, 1, 3, True) == counted("user_id=7")
    assert (0, 0, 0, True) == counted("user_id=8&type=a")


def test_looking_at_the_service_costs_the_same_with_many_records(bench: Bench, api: Api) -> None:
    """Every look is a few round trips, whatever there is."""
    many = int(os.environ.get("ENCOLA_MANY_RECORDS", "20000"))
    paths = ("/stats?minutes=60", "/queues", "/workers", "/tasks/counts?type=t", "/tasks")
    claim(bench, 0)
    enqueue(bench, 100)
    with_few = {path: _cost(bench, api, path) for path in paths}
    enqueue(bench, many)
    with_many = {path: _cost(bench, api, path) for path in paths}

    for path in paths:
        # The figures of one more minute, where one has begun meanwhile.
        assert 0 < with_many[path] <= with_few[path] + 2, path


def _cost(bench: Bench, api: Api, path: str) -> int:
    """How many commands of the store a look takes, those inside of scripts included."""

    def calls() -> int:
        return sum(figures["calls"] for figures in bench.client.info("commandstats").values())

    def taken() -> int:
        before = calls()
        api.get(path)
        return calls() - before

    # Whatever else goes on in these moments only adds to it.
    return min(taken() for _ in range(5))
