"""Schedules over HTTP: listed, paused, resumed and run, by a store that a scheduler has filled."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from encola.api import app
from encola.record import iso
from encola.scheduler import Scheduler
from encola.settings import get_settings
from encola.store import Message, encode_body, run
from encola.store.plans import Plan
from encola.timing import Cron, Every, Timing
from harness import Bench
from support import wait_until

client = TestClient(app)
SPANISH, ENGLISH = {"Accept-Language": "es"}, {"Accept-Language": "en"}
#: Far from any time at which these tests run, and yet each day.
NIGHTLY = Cron("0 3 * * *", "Europe/Madrid")


def plan(schedule_id: str, timing: Timing = NIGHTLY, **values: Any) -> Plan:
    ours = {"encola": {"source": "schedule", "schedule_id": schedule_id}}
    message = Message("tasks.tidy", encode_body([7]), ours).encode()
    return Plan(
        schedule_id, "tidy", timing, message=message, queue="encola", input={"days": 7}, **values
    )


@pytest.fixture
def scheduler(served: Bench) -> Iterator[Scheduler]:
    """One that has declared ``tidy`` (nightly), ``often`` (every second) and one with a strange name."""
    plans = [plan("tidy", user_id="ana"), plan("often", Every(1000)), plan("a/b c:ñ", priority=3)]
    redis = served.client
    made = Scheduler(lambda call: run(redis, call), served.verbs, plans, max_waiting=100)
    made.step()
    yield made
    redis.close()


def listed(headers: dict[str, str] = SPANISH) -> dict[str, Any]:
    response = client.get("/schedules", headers=headers)
    assert response.status_code == 200
    return {one["id"]: one for one in response.json()["items"]}


def post(path: str, status: int = 200, headers: dict[str, str] = SPANISH) -> dict[str, Any]:
    response = client.post(path, headers=headers)
    assert response.status_code == status, response.text
    answer: dict[str, Any] = response.json()
    return answer


def fire(scheduler: Scheduler) -> None:
    """Steps until something was enqueued by ``often``."""
    before = len(listed()["often"]["last"])

    def more() -> bool:
        scheduler.step()
        return len(listed()["often"]["last"]) > before

    wait_until(more, description="it is fired", timeout=10)


def test_without_a_scheduler_there_is_nothing_and_it_says_so(served: Bench) -> None:
    assert client.get("/schedules").json() == {"items": [], "running": False}


def test_a_schedule_is_listed_whole(scheduler: Scheduler) -> None:
    whole = client.get("/schedules", headers=SPANISH).json()
    assert whole["running"] is True
    assert [one["id"] for one in whole["items"]] == ["a/b c:ñ", "often", "tidy"]
    tidy = listed()["tidy"]
    times = tidy.pop("next")

    assert tidy == {
        "id": "tidy",
        "type": "tidy",
        "input": {"days": 7},
        "queue": "encola",
        "expression": "0 3 * * *",
        "words": "cada día a las 03:00",
        "timezone": "Europe/Madrid",
        "grace_seconds": 3600.0,
        "paused": False,
        "last": [],
        "missed": 0,
    }
    moment, expected = dt.datetime.now(dt.UTC), []
    for _ in range(5):
        moment = NIGHTLY.next_after(moment)
        expected.append(iso(moment))
    assert times == expected
    assert listed(ENGLISH)["tidy"]["words"] == "every day at 03:00"


def test_a_run_is_listed_with_what_became_of_it(served: Bench, scheduler: Scheduler) -> None:
    fire(scheduler)
    [ran] = listed()["often"]["last"]
    record = client.get(f"/tasks/{ran['task_id']}").json()

    assert (ran["state"], record["source"], record["schedule_id"]) == (
        "PENDING",
        "schedule",
        "often",
    )
    assert dt.datetime.fromisoformat(ran["at"]).microsecond == 0
    client.delete(f"/tasks/cancel/{ran['task_id']}")
    assert listed()["often"]["last"][0]["state"] == "REVOKED"
    served.client.delete(served.keys.record(ran["task_id"]))
    assert listed()["often"]["last"][0]["state"] is None


def test_paused_it_runs_no_more_until_it_is_resumed(scheduler: Scheduler) -> None:
    fire(scheduler)
    answer = post("/schedules/often/pause")
    assert answer == {
        "id": "often",
        "paused": True,
        "changed": True,
        "next": [],
        "message": "Programación often en pausa",
    }
    assert post("/schedules/often/pause", headers=ENGLISH) == {
        **answer,
        "changed": False,
        "message": "Schedule often paused",
    }
    often = listed()["often"]
    assert (often["paused"], often["next"]) == (True, [])
    passed = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1.2)

    def time_has_passed() -> bool:
        scheduler.step()
        return dt.datetime.now(dt.UTC) > passed

    wait_until(time_has_passed, description="a time has passed")
    assert listed()["often"]["last"] == often["last"]

    answer = post("/schedules/often/resume", headers=ENGLISH)
    assert (answer["paused"], answer["changed"], len(answer["next"])) == (False, True, 5)
    assert answer["message"] == "Schedule often resumed"
    assert answer["next"] == sorted(answer["next"])
    fire(scheduler)
    assert listed()["often"]["missed"] == 0


@pytest.mark.parametrize("paused", [False, True])
def test_run_now_enqueues_one(scheduler: Scheduler, paused: bool) -> None:
    if paused:
        post("/schedules/tidy/pause")
    before = listed()["tidy"]["next"]
    answer = post("/schedules/tidy/run", headers=ENGLISH)

    assert (answer["status"], answer["message"]) == ("pending", "Task of schedule tidy queued")
    record = client.get(f"/tasks/{answer['task_id']}").json()
    assert (record["type"], record["source"], record["schedule_id"], record["user_id"]) == (
        "tidy",
        "api",
        "tidy",
        "ana",
    )
    assert record["state"] == "PENDING"
    tidy = listed()["tidy"]
    assert tidy["next"] == before
    assert [run["task_id"] for run in tidy["last"]] == [answer["task_id"]]


def test_any_id_can_be_named(scheduler: Scheduler) -> None:
    """A name of Celery's ``beat_schedule`` may hold any character."""
    name = "/schedules/a%2Fb%20c%3A%C3%B1"

    assert post(f"{name}/pause")["id"] == "a/b c:ñ"
    assert client.get(f"/tasks/{post(f'{name}/run')['task_id']}").json()["priority"] == 3


@pytest.mark.parametrize("what", ["pause", "resume", "run"])
def test_a_schedule_that_there_is_not_is_a_problem(served: Bench, what: str) -> None:
    answer = post(f"/schedules/nobody/{what}", 404)

    assert answer["code"] == "schedule_not_found"
    assert answer["detail"] == "Programación desconocida: 'nobody': ningún programa la declara."
    assert served.client.keys("encola:t:*") == []


def test_run_now_is_refused_where_too_many_wait(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENCOLA_MAX_WAITING", "1")
    get_settings.cache_clear()
    post("/schedules/tidy/run")
    answer = post("/schedules/tidy/run", 503)
    get_settings.cache_clear()

    assert answer["code"] == "store_full"
    assert len(listed()["tidy"]["last"]) == 1


def test_a_plan_of_a_newer_program_is_left_out(served: Bench, scheduler: Scheduler) -> None:
    served.client.hset(served.keys.schedule("often"), "d", '{"timing": {"lunar": 1}}')

    assert list(listed()) == ["a/b c:ñ", "tidy"]


def test_from_another_site_nothing_can_be_run(scheduler: Scheduler) -> None:
    response = client.post("/schedules/tidy/run", headers={"Origin": "https://evil.example"})

    assert (response.status_code, response.json()["code"]) == (403, "foreign_origin")


def test_without_a_scheduler_for_long_it_says_so(served: Bench, scheduler: Scheduler) -> None:
    long_ago = round((dt.datetime.now(dt.UTC).timestamp() - 101) * 1000)
    served.client.hset(served.keys.named("meta"), "beat_ms", long_ago)

    assert client.get("/schedules").json()["running"] is False
