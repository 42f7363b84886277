"""
The lesson's six tests, on a service that runs at default settings.

The same requests, and the same questions of the answers; then what the lesson only simulates:
the mail is in the mailbox.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from encola.api import app
from encola.client import forget_clients
from encola.engine.session import forget_session
from encola.settings import get_settings
from encola.tasks import send_email_task
from running import Running
from support import wait_until

client = TestClient(app)


@pytest.fixture(scope="module", autouse=True)
def service() -> Iterator[Running]:
    """`encola up`, whose data folder is this process's."""
    running = Running()
    before = dict(os.environ)
    try:
        running.start()
        os.environ["ENCOLA_DATA_DIR"] = str(running.data_dir)
        os.environ.pop("REDIS_URL", None)
        _forget()
        yield running
    finally:
        os.environ.clear()
        os.environ.update(before)
        _forget()
        running.close()


def _forget() -> None:
    get_settings.cache_clear()
    forget_session()
    forget_clients()


def finished(task_id: str) -> dict[str, Any]:
    """What its status says once it has an outcome."""

    def state() -> str:
        return str(client.get(f"/tasks/status/{task_id}").json()["state"])

    wait_until(lambda: state() in ("SUCCESS", "FAILURE"), description="it has an outcome")
    status: dict[str, Any] = client.get(f"/tasks/status/{task_id}").json()
    return status


def mails(subject: str) -> list[dict[str, Any]]:
    items = client.get("/mailbox").json()["items"]
    return [item for item in items if item["subject"] == subject]


def test_simple_email_task() -> None:
    """An e-mail from the API process."""
    response = client.post(
        "/tasks/email/simple",
        json={"email": "test@example.com", "subject": "Test Simple", "body": "Test body"},
    )

    assert response.status_code == 200
    data = response.json()
    assert data["status"] == "pending"
    assert "task_id" in data
    assert finished(data["task_id"])["state"] == "SUCCESS"
    assert [mail["to"] for mail in mails("Test Simple")] == [["test@example.com"]]


def test_celery_email_task() -> None:
    """An e-mail through the queue."""
    response = client.post(
        "/tasks/email/celery",
        json={"email": "test@example.com", "subject": "Test Celery", "body": "Test body"},
    )

    assert response.status_code == 200
    data = response.json()
    assert data["status"] == "pending"
    assert "task_id" in data
    assert finished(data["task_id"])["state"] == "SUCCESS"
    assert [mail["to"] for mail in mails("Test Celery")] == [["test@example.com"]]


def test_file_processing_task(service: Running) -> None:
    """A file; what the lesson's path leads to is said by the task, and a real one is read."""
    response = client.post(
        "/tasks/file/process", json={"file_path": "/tmp/test.csv", "user_id": 123}
    )

    assert response.status_code == 200
    data = response.json()
    assert "task_id" in data
    assert finished(data["task_id"])["error_code"] == "path_not_allowed"

    (service.data_dir / "uploads").mkdir(exist_ok=True)
    (service.data_dir / "uploads/test.csv").write_text("name,age\nAna,36\nLuis,41\n")
    response = client.post("/tasks/file/process", json={"file_path": "test.csv", "user_id": 123})
    status = finished(response.json()["task_id"])
    assert status["state"] == "SUCCESS"
    assert status["result"]["records_processed"] == 2


def test_task_status() -> None:
    """What a task that was accepted says of itself."""
    response = client.post(
        "/tasks/email/celery",
        json={"email": "test@example.com", "subject": "Test", "body": "Test"},
    )
    task_id = response.json()["task_id"]

    status_response = client.get(f"/tasks/status/{task_id}")
    assert status_response.status_code == 200

    status_data = status_response.json()
    assert status_data["task_id"] == task_id
    assert status_data["state"] in ("PENDING", "STARTED", "SUCCESS")
    assert status_data["status"]


def test_nonexistent_task_status() -> None:
    """An id that was never accepted is unknown."""
    response = client.get("/tasks/status/nonexistent-id")

    assert response.status_code == 404
    assert response.json()["detail"] == "Tarea no encontrada"


@pytest.mark.asyncio
async def test_background_task_execution() -> None:
    """The coroutine of one's own program, without a queue."""
    result = await send_email_task("test@example.com", "Test Subject", "Test Body")

    assert result["status"] == "sent"
    assert result["email"] == "test@example.com"
    assert len(mails("Test Subject")) == 1
