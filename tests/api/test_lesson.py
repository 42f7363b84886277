"""The lesson's requests, one test each, through a client made when the module is imported."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from encola.api import app
from encola.record import TaskState
from encola.store import run
from harness import Bench
from mail_servers import ScriptedServer
from support import wait_until

# Each request of a client without lifespan runs on an event loop of its own.
client = TestClient(app)

EMAIL = {"email": "test@example.com", "subject": "Test Subject", "body": "Test body"}


def submit(**headers: str) -> str:
    response = client.post("/tasks/email/celery", json=EMAIL, headers=headers)
    assert 200 == response.status_code
    return str(response.json()["task_id"])


def finish(bench: Bench, task_id: str, state: TaskState, value: bytes) -> None:
    """Plays the worker: claim, start, settle."""
    run(bench.client, bench.verbs.heartbeat("w", 60_000, register=True))
    claim = run(bench.client, bench.verbs.claim("w", 10, ["encola"]))
    (claimed,) = [m for m in claim.messages if m.id == task_id]
    run(bench.client, bench.verbs.start(task_id, claimed.token))
    run(bench.client, bench.verbs.settle(task_id, claimed.token, state, value))


@pytest.mark.parametrize(
    ("route", "message"),
    [("celery", "Email programado con Celery"), ("simple", "Email programado para envío")],
)
def test_an_email_is_accepted_as_the_lesson_has_it(served: Bench, route: str, message: str) -> None:
    response = client.post(f"/tasks/email/{route}", json=EMAIL)

    assert 200 == response.status_code
    assert {"task_id", "status", "created_at", "message"} == set(response.json())
    assert ("pending", message) == (response.json()["status"], response.json()["message"])
    assert 200 == client.get(f"/tasks/status/{response.json()['task_id']}").status_code


def test_an_accepted_task_is_in_the_store_and_waits(served: Bench) -> None:
    task_id = submit()

    assert 1 == served.client.llen("encola")
    status = client.get(f"/tasks/status/{task_id}").json()
    assert ("PENDING", "Tarea pendiente...", "email") == (
        status["state"],
        status["status"],
        status["type"],
    )


def test_an_unknown_id_is_unknown(served: Bench) -> None:
    """Never PENDING: 404, with the lesson's words."""
    for method, path in (
        ("GET", "/tasks/status/nonexistent-id"),
        ("GET", "/tasks/nonexistent-id"),
        ("DELETE", "/tasks/cancel/nonexistent-id"),
        ("POST", "/tasks/nonexistent-id/retry"),
        ("GET", "/tasks/status/a%2Fb%20*%E2%82%AC"),
    ):
        response = client.request(method, path)
        assert (404, "task_not_found", "Tarea no encontrada") == (
            response.status_code,
            response.json()["code"],
            response.json()["detail"],
        )


def test_a_settled_task_shows_its_result(served: Bench) -> None:
    task_id = submit()
    finish(served, task_id, TaskState.SUCCESS, b'{"status":"sent"}')
    status = client.get(f"/tasks/status/{task_id}").json()
    whole = client.get(f"/tasks/{task_id}").json()

    assert ("SUCCESS", {"status": "sent"}) == (status["state"], status["result"])
    assert ("completed", EMAIL, 1) == (whole["status"], whole["input"], len(whole["attempts"]))


def test_a_failed_task_shows_its_error_as_text(served: Bench) -> None:
    task_id = submit()
    finish(served, task_id, TaskState.FAILURE, b'{"type":"ValueError","message":"kaput"}')
    status = client.get(f"/tasks/status/{task_id}").json()

    assert ("FAILURE", "kaput") == (status["state"], status["error"])


def test_cancel_answers_alike_twice_and_holds(served: Bench) -> None:
    task_id = submit()
    first, second = (client.delete(f"/tasks/cancel/{task_id}") for _ in range(2))

    assert (200, 200) == (first.status_code, second.status_code)
    assert {
        "task_id": task_id,
        "state": "REVOKED",
        "message": f"Tarea {task_id} cancelada",
    } == first.json()


def test_a_finished_task_cannot_be_cancelled(served: Bench) -> None:
    task_id = submit()
    finish(served, task_id, TaskState.SUCCESS, b"1")
    response = client.delete(f"/tasks/cancel/{task_id}")

    assert (409, "task_finished") == (response.status_code, response.json()["code"])


def test_retry_runs_the_same_task_again(served: Bench) -> None:
    task_id = submit()
    early = client.post(f"/tasks/{task_id}/retry")
    finish(served, task_id, TaskState.FAILURE, b'{"type":"X"}')
    again = client.post(f"/tasks/{task_id}/retry")

    assert (409, "task_active") == (early.status_code, early.json()["code"])
    assert (200, task_id) == (again.status_code, again.json()["task_id"])
    assert "PENDING" == client.get(f"/tasks/status/{task_id}").json()["state"]


def test_retry_with_other_input_is_a_new_task_that_names_the_old(served: Bench) -> None:
    task_id = submit()
    finish(served, task_id, TaskState.FAILURE, b'{"type":"X"}')
    changed = {**EMAIL, "email": "other@example.com"}
    new_id = client.post(f"/tasks/{task_id}/retry", json={"input": changed}).json()["task_id"]
    new = client.get(f"/tasks/{new_id}").json()

    assert (task_id, changed) == (new["retried_from"], new["input"])


def test_the_language_is_the_callers(served: Bench) -> None:
    task_id = submit()
    english = client.get(f"/tasks/status/{task_id}", headers={"Accept-Language": "fr, en;q=0.5"})

    assert "Task pending..." == english.json()["status"]
    assert "Accept-Language" in english.headers["vary"]


def test_lists_are_newest_first_and_paged(served: Bench) -> None:
    ids = [submit() for _ in range(5)]
    first = client.get("/tasks", params={"limit": 2, "state": "PENDING"}).json()
    rest = client.get("/tasks", params={"limit": 4, "cursor": first["next_cursor"]}).json()

    assert ids[:2:-1] == [item["task_id"] for item in first["items"]]
    assert ids[2::-1] == [item["task_id"] for item in rest["items"]]
    assert rest["next_cursor"] is None


def test_a_second_submit_with_the_same_key_is_the_first(served: Bench) -> None:
    headers: dict[str, Any] = {"Idempotency-Key": "order-36"}

    assert submit(**headers) == submit(**headers)
    assert 1 == served.client.llen("encola")


def test_types_describe_themselves(served: Bench) -> None:
    (email,) = [t for t in client.get("/tasks/types").json()["types"] if t["name"] == "email"]

    assert "encola" == email["queue"]
    assert ["email", "subject", "body"] == list(email["input_schema"]["properties"])
    assert "message_id" in email["result_schema"]["properties"]


def test_a_simple_email_needs_no_worker(served: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The API process sends it; a queued one waits."""
    from encola.settings import get_settings

    server = ScriptedServer({})
    with server.beside() as url:
        monkeypatch.setenv("ENCOLA_SMTP_URL", url)
        get_settings.cache_clear()
        queued = submit()
        task_id = client.post("/tasks/email/simple", json=EMAIL).json()["task_id"]
        wait_until(
            lambda: client.get(f"/tasks/{task_id}").json()["state"] == "SUCCESS",
            description="it is sent",
        )
        record = client.get(f"/tasks/{task_id}").json()

    assert ("sent", EMAIL["email"]) == (record["result"]["status"], record["result"]["email"])
    assert record["attempts"][0]["worker"].startswith("api@")
    assert [EMAIL["email"]] == [
        line[4:].decode()
        for mail in server.mails
        for line in mail.split(b"\r\n")
        if line.startswith(b"To: ")
    ]
    assert "PENDING" == client.get(f"/tasks/status/{queued}").json()["state"]


def test_a_simple_email_that_cannot_be_sent_goes_to_the_queue(
    served: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One attempt in the API process; what can be tried again waits under the same id."""
    from encola.settings import get_settings

    monkeypatch.setenv("ENCOLA_SMTP_URL", "smtp://127.0.0.1:1")
    get_settings.cache_clear()
    task_id = client.post("/tasks/email/simple", json=EMAIL).json()["task_id"]
    wait_until(
        lambda: client.get(f"/tasks/{task_id}").json()["state"] == "RETRY",
        description="it waits for a worker",
    )
    record = client.get(f"/tasks/{task_id}").json()

    assert "mail_unreachable" == record["error_code"]
    assert ["RETRY"] == [attempt["outcome"] for attempt in record["attempts"]]
    assert record["attempts"][0]["worker"].startswith("api@")
