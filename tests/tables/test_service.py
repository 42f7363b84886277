"""The file task as a caller sees it: accepted at once, followed by its progress, ended with a reason."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from fastapi.testclient import TestClient

import encola.tables.processing as processing
from encola.api import app
from encola.client import forget_clients
from encola.engine.session import forget_session
from encola.models import FileProcessRequest
from encola.settings import get_settings
from encola.tasks import process_file_task
from encola.wording import progress_in, say_progress
from harness import Bench, Server
from support import wait_until

client = TestClient(app)
TABLE = b"fecha,producto,cantidad,importe\n2026-01-31,Silla,2,50.5\n2026-02-01,Mesa,1\n2026-02-02,Flor,3,9.75\n"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A server and a worker that listens to the files; this process is the API."""
    (tmp_path / "valkey").mkdir()
    server = Server(tmp_path / "valkey")
    server.start()
    made = Bench(server, tmp_path, lease=3.0)
    made.extra_env = {"ENCOLA_QUEUES": "encola,files", "ENCOLA_LANGUAGE": "es"}
    before = dict(os.environ)
    wanted = {k: v for k, v in made.env().items() if k.startswith(("ENCOLA_", "REDIS_"))}
    os.environ.update(wanted)
    os.environ.pop("ENCOLA_TASK_MODULES")
    forget()
    yield made
    made.close()
    os.environ.clear()
    os.environ.update(before)
    forget()


def forget() -> None:
    get_settings.cache_clear()
    forget_session()
    forget_clients()


def upload(bench: Bench, content: bytes, name: str = "ventas.csv") -> str:
    folder = bench.folder / "data" / "uploads"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return f"data://uploads/{name}"


def large(rows: int) -> bytes:
    return b"id,producto,nota\n" + b"".join(
        b"%d,producto %d,nota de la fila %d\n" % (n, n % 9, n) for n in range(rows)
    )


def submit(path: str, user_id: int | str = 7) -> str:
    response = client.post("/tasks/file/process", json={"file_path": path, "user_id": user_id})
    assert 200 == response.status_code, response.text
    assert {"task_id", "status", "created_at", "message"} == set(response.json())
    assert "Archivo programado para procesamiento" == response.json()["message"]
    return str(response.json()["task_id"])


def status(task_id: str, language: str = "es") -> dict[str, Any]:
    headers = {"Accept-Language": language}
    found: dict[str, Any] = client.get(f"/tasks/status/{task_id}", headers=headers).json()
    return found


def ended(task_id: str, timeout: float = 60) -> dict[str, Any]:
    finished = ("SUCCESS", "FAILURE", "REVOKED")
    wait_until(
        lambda: status(task_id)["state"] in finished, description="it has ended", timeout=timeout
    )
    return status(task_id)


def results(bench: Bench) -> list[str]:
    data = bench.folder / "data"
    return sorted(
        str(path.relative_to(data))
        for name in ("datasets", "rejected")
        for path in (data / name).rglob("*")
        if path.is_file()
    )


def test_a_table_that_was_sent_becomes_a_dataset(bench: Bench) -> None:
    """What POST /files answers goes unchanged into the task, and what that answers into GET /files."""
    bench.worker().wait_ready()
    sent = client.post("/files", files={"file": ("ventas.csv", TABLE)}).json()
    task_id = submit(sent["file_path"])
    found = ended(task_id)
    result = found["result"]

    assert "SUCCESS" == found["state"], found
    assert {
        "task_id": task_id,
        "file_path": sent["file_path"],
        "user_id": 7,
        "records_processed": 2,
        "status": "completed",
        "records_rejected": 1,
    } == {key: result[key] for key in list(result)[:7] if key != "completed_at"}
    assert result["completed_at"].endswith("Z")
    assert ["date", "text", "integer", "decimal"] == [one["type"] for one in result["columns"]]
    assert [f"datasets/7/ventas.{task_id}.parquet", f"rejected/{task_id}.csv"] == results(bench)
    table = pl.read_parquet(bench.folder / "data" / results(bench)[0])
    assert 60.25 == table["importe"].sum()
    for uri in result["files"].values():
        read = client.get("/files/" + uri.removeprefix("data://"))
        assert (bench.folder / "data" / uri.removeprefix("data://")).read_bytes() == read.content


def test_a_worker_without_the_libraries_leaves_files_to_one_that_has_them(bench: Bench) -> None:
    """The task waits and is run; a worker that is told to do nothing else does not start."""
    (bench.folder / "no_polars.py").write_text("import sys; sys.modules['polars'] = None")
    usual = dict(bench.extra_env)
    paths = os.pathsep.join([bench.env()["PYTHONPATH"], str(bench.folder)])
    bench.extra_env |= {"ENCOLA_TASK_MODULES": "no_polars", "PYTHONPATH": paths}
    without = bench.worker().wait_ready()
    task_id = submit(upload(bench, TABLE))
    word = "does not listen to the queue files: it lacks polars. Install encola with its extra: "
    wait_until(lambda: word in without.log(), description="it says so")
    (queue,) = [one for one in client.get("/queues").json()["items"] if one["name"] == "files"]

    assert (1, 0) == (queue["ready"], queue["workers"])
    bench.extra_env["ENCOLA_QUEUES"] = "files"
    only = bench.worker()
    assert 0 != only.process.wait(30)
    assert "ENCOLA_QUEUES: This worker " + word in only.log()
    bench.extra_env = usual
    bench.worker().wait_ready()
    assert "SUCCESS" == ended(task_id)["state"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/tmp/test.csv", "path_not_allowed"),
        ("/etc/passwd", "path_not_allowed"),
        ("data://uploads/none.csv", "file_not_found"),
    ],
)
def test_a_path_that_cannot_be_read_is_accepted_and_fails_in_the_worker(
    bench: Bench, path: str, code: str
) -> None:
    """The lesson's own request: 200 for every well-formed body."""
    bench.worker().wait_ready()
    found = ended(submit(path, 123))

    assert ("FAILURE", code) == (found["state"], found["error_code"])
    assert path in found["error"]


@pytest.mark.parametrize(
    "body",
    [
        {"file_path": "x.csv"},
        {"file_path": "", "user_id": 7},
        {"file_path": "x.csv", "user_id": True},
        {"file_path": "x.csv", "user_id": -1},
        {"file_path": "x.csv", "user_id": ""},
        {"file_path": "x.csv", "user_id": 1.5},
        {"file_path": "x" * 5_000, "user_id": 7},
        {"file_path": "x.csv", "user_id": 7, "other": 1},
    ],
)
def test_what_is_not_well_formed_is_refused(bench: Bench, body: dict[str, Any]) -> None:
    response = client.post("/tasks/file/process", json=body)

    assert (422, "validation") == (response.status_code, response.json()["code"])


def test_progress_has_numbers_and_a_sentence_in_the_readers_language(bench: Bench) -> None:
    bench.worker().wait_ready()
    task_id = submit(upload(bench, large(2_000_000)))
    wait_until(
        lambda: status(task_id)["state"] == "PROCESSING", description="it reports", timeout=60
    )
    spanish, english = status(task_id), status(task_id, "en")
    whole = client.get(f"/tasks/{task_id}", headers={"Accept-Language": "en"}).json()

    assert "SUCCESS" == ended(task_id)["state"]
    assert 0 <= spanish["current"] <= spanish["total"] == 100
    assert spanish["status"].startswith("Procesando ventas.csv: ")
    assert english["status"].startswith("Processing ventas.csv: ")
    assert whole["progress"]["status"].startswith("Processing ventas.csv: ")
    values = whole["progress"]["values"]
    assert values["read"] <= values["size"] and values["rate"] > 0
    assert values["seconds_left"] >= 0


def test_a_cancelled_file_leaves_nothing_and_the_worker_goes_on(bench: Bench) -> None:
    worker = bench.worker().wait_ready()
    path = upload(bench, large(4_000_000))
    task_id = submit(path)
    wait_until(
        lambda: status(task_id)["state"] == "PROCESSING", description="it reports", timeout=60
    )
    assert 200 == client.delete(f"/tasks/cancel/{task_id}").status_code

    assert "REVOKED" == status(task_id)["state"]
    wait_until(lambda: results(bench) == [], description="nothing is left", timeout=10)
    wait_until(lambda: readers() == [], description="nobody reads it any more", timeout=10)
    assert "SUCCESS" == ended(submit(upload(bench, TABLE, "b.csv")))["state"], worker.log()


def readers() -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes()
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        ours = os.environ["ENCOLA_DATA_DIR"].encode()
        if processing.CHILD.encode() in line and ours in environment:
            found.append(int(entry.name))
    return found


def test_a_killed_workers_second_attempt_ends_it_as_if_nothing_had_been(bench: Bench) -> None:
    """SIGKILL to the worker and its children in mid-work; half a dataset never shows, nor stays."""
    first = bench.worker(1).wait_ready()
    task_id = submit(upload(bench, large(3_000_000)))
    wait_until(
        lambda: status(task_id)["state"] == "PROCESSING", description="it reports", timeout=60
    )
    first.signal_group(signal.SIGKILL)
    first.process.wait(20)
    assert not [name for name in results(bench) if not Path(name).name.startswith(".")]
    wait_until(lambda: readers() == [], description="the reader died with it", timeout=10)
    bench.worker(1).wait_ready()
    found = ended(task_id, timeout=120)

    assert ("SUCCESS", 3_000_000) == (found["state"], found["result"]["records_processed"])
    assert 2 == len(client.get(f"/tasks/{task_id}").json()["attempts"])
    assert [f"datasets/7/ventas.{task_id}.parquet"] == results(bench)


def test_the_coroutine_of_the_lesson_answers_its_two_shapes(bench: Bench) -> None:
    path = upload(bench, TABLE)
    done = asyncio.run(process_file_task(path, 7))
    failed = asyncio.run(process_file_task("/tmp/test.csv", 7))

    assert ("completed", path, 7, 2) == (
        done["status"],
        done["file_path"],
        done["user_id"],
        done["records_processed"],
    )
    assert done["processed_at"].endswith("Z")
    assert ("failed", "/tmp/test.csv", 7) == (
        failed["status"],
        failed["file_path"],
        failed["user_id"],
    )
    assert failed["error"] and failed["failed_at"].endswith("Z")


@pytest.mark.parametrize("path", [None, 5, "", "\0", b"x", "x" * 10_000, "data://"])
def test_the_coroutine_never_raises(bench: Bench, path: Any) -> None:
    assert "failed" == asyncio.run(process_file_task(path, 7))["status"]


def test_the_models_field_names_are_those_of_the_lesson() -> None:
    request = FileProcessRequest(file_path="/tmp/test.csv", user_id=123)

    assert {"file_path": "/tmp/test.csv", "user_id": 123} == request.model_dump()


def test_sentences_of_progress_write_numbers_as_their_language_does() -> None:
    values = {
        "name": "v.csv",
        "read": 1_500_000,
        "size": 1_234_000_000,
        "rate": 150_000_000,
        "seconds_left": 75.4,
        "records": 12_345,
        "rejected": 0,
    }

    assert (
        "Procesando v.csv: 1,5 MB de 1,2 GB, 12.345 filas, 150 MB/s, quedan 1 min 15 s"
        == say_progress("file_reading", values, "es")
    )
    assert (
        "Processing v.csv: 1.5 MB of 1.2 GB, 12,345 rows, 150 MB/s, 1 min 15 s left"
        == say_progress("file_reading", values, "en")
    )


@pytest.mark.parametrize(
    "progress",
    [
        {"status": "mine", "key": "file_reading", "values": {"name": "{0.__class__}"}},
        {"status": "mine", "key": "other", "values": {}},
        {"status": "mine", "key": ["x"], "values": {}},
        {"status": "mine", "values": 7},
        {"status": "mine"},
    ],
)
def test_what_a_users_task_says_is_kept_as_it_is(progress: dict[str, Any]) -> None:
    assert progress == progress_in(progress, "en")
