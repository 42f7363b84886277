"""Reports over HTTP: asked for, made by a real worker, listed, read, removed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import duckdb
import pytest
from fastapi.testclient import TestClient

from encola.api import app
from encola.files import data_uri, write_data
from harness import Bench, Worker
from support import wait_until

client = TestClient(app)

GENERATE = "/tasks/report/generate"


def put(bench: Bench, name: str, content: bytes = b"%PDF-1.7 x", at: int | None = None) -> Path:
    """A finished report; *at*: seconds since 1970."""
    data_dir = bench.folder / "data"
    write_data(data_dir, data_uri("reports", name), content)
    path = data_dir / "reports" / name
    if at is not None:
        os.utime(path, (at, at))
    return path


def dataset(bench: Bench, user_id: int, products: int = 1) -> None:
    folder = bench.folder / "data" / "datasets" / str(user_id)
    folder.mkdir(parents=True)
    duckdb.execute(
        "COPY (SELECT DATE '2025-03-01' AS fecha, 'Té ' || md5(i::VARCHAR) AS producto, 2 AS cantidad, "
        f"10.5 AS importe FROM range({products}) t(i)) TO '{folder}/ventas.parquet'"
    )


def reporter(bench: Bench, **env: str) -> Worker:
    bench.extra_env = {"ENCOLA_QUEUES": "encola,reports", "ENCOLA_TASK_MODULES": "", **env}
    worker = bench.worker(concurrency=1).wait_ready()
    wait_until(lambda: len(worker.children()) == 1, description="the worker has its child")
    return worker


def ask(user_id: int = 7, report_type: str = "sales") -> str:
    response = client.post(GENERATE, params={"user_id": user_id, "report_type": report_type})
    assert 200 == response.status_code
    return str(response.json()["task_id"])


def finished(task_id: str) -> dict[str, object]:
    def look() -> bool:
        return client.get(f"/tasks/{task_id}").json()["state"] in ("SUCCESS", "FAILURE", "REVOKED")

    wait_until(look, description="the report has its outcome", timeout=60)
    found: dict[str, object] = client.get(f"/tasks/{task_id}").json()
    return found


def test_a_report_is_accepted_as_the_lesson_has_it(served: Bench) -> None:
    response = client.post(f"{GENERATE}?user_id=7&report_type=sales")
    task = client.get(f"/tasks/{response.json()['task_id']}").json()

    assert 200 == response.status_code
    assert {"task_id", "status", "created_at", "message"} == set(response.json())
    assert ("pending", "Reporte programado para generación") == (
        response.json()["status"],
        response.json()["message"],
    )
    assert ("report", "reports", "7") == (task["type"], task["queue"], task["user_id"])
    assert [7, "sales", None] == list(task["input"].values())


@pytest.mark.parametrize(
    "query",
    [
        "user_id=7&report_type=nonsense",
        "user_id=7&report_type=",
        "user_id=7",
        "report_type=sales",
        "user_id=x&report_type=sales",
        "user_id=-1&report_type=sales",
        f"user_id={2**53}&report_type=sales",
        "user_id=7&report_type=sales&language=fr",
    ],
)
def test_what_no_report_can_be_made_of_is_refused(served: Bench, query: str) -> None:
    """422 with the field, and nothing queued."""
    response = client.post(f"{GENERATE}?{query}")

    assert (422, "validation") == (response.status_code, response.json()["code"])
    assert 0 == served.client.exists("encola:i::all:")


def test_a_report_is_made_by_a_worker_and_read_at_its_address(served: Bench) -> None:
    """From the request to the PDF; the task's result says where it is."""
    dataset(served, 7)
    reporter(served)
    result = finished(ask())["result"]
    assert isinstance(result, dict)
    read = client.get(result["file_url"])

    assert f"/reports/report_7_sales_{result['task_id']}.pdf" == result["file_url"]
    assert {"user_id", "report_type", "file_url", "generated_at"} <= set(result)
    assert (200, "application/pdf", "nosniff") == (
        read.status_code,
        read.headers["content-type"],
        read.headers["x-content-type-options"],
    )
    assert read.content.startswith(b"%PDF-")
    assert result["size"] == len(read.content)
    assert read.content == client.get("/reports/report_7_sales.pdf").content
    (listed,) = client.get("/reports").json()["items"]
    assert (result["task_id"], result["size"]) == (listed["task_id"], listed["size"])


@pytest.mark.parametrize("report_type", ["analytics", "users"])
def test_the_other_reports_are_of_the_service_itself(served: Bench, report_type: str) -> None:
    """The child finds the server as its worker does; the report that is being made is in it."""
    reporter(served)
    result = finished(ask(report_type=report_type))["result"]
    assert isinstance(result, dict)
    read = client.get(f"/reports/report_7_{report_type}.pdf")

    assert f"/reports/report_7_{report_type}_{result['task_id']}.pdf" == result["file_url"]
    assert read.content.startswith(b"%PDF-")


def test_reports_that_cannot_be_made_leave_the_worker_as_it_was(served: Bench) -> None:
    """The memory cap, then the time cap, hit for real; the same child goes on to the next task."""
    dataset(served, 7, products=1_000_000)
    worker = reporter(served, ENCOLA_REPORT_MEMORY=str(128 * 2**20))
    children = worker.children()
    too_large = finished(ask())
    nothing_there = finished(ask(8))

    assert ("FAILURE", "report_memory") == (too_large["state"], too_large["error_code"])
    assert ("FAILURE", "no_datasets") == (nothing_there["state"], nothing_there["error_code"])
    assert 1 == len(too_large["attempts"])  # type: ignore[arg-type]
    assert children == worker.children()
    assert [] == os.listdir(served.folder / "data" / "reports")
    worker.stop()
    reporter(served, ENCOLA_REPORT_TIME_LIMIT="0.05")
    too_long = finished(ask())
    assert ("FAILURE", "report_time_limit") == (too_long["state"], too_long["error_code"])


def test_reports_are_listed_newest_first_and_paged(served: Bench) -> None:
    names = [f"report_{user}_sales_t{at}.pdf" for at, user in enumerate([7, 8, 7, 7])]
    for at, name in enumerate(names):
        put(served, name, b"x" * (at + 1), at=1_000_000_000 + at)
    put(served, "report_7_sales_.pdf")
    put(served, "notes.txt")
    (served.folder / "data/reports/.report_7_sales_t9.pdf.12").write_bytes(b"not yet whole")
    first = client.get("/reports", params={"limit": 3}).json()
    rest = client.get("/reports", params={"limit": 3, "cursor": first["next_cursor"]}).json()

    assert names[::-1] == [item["name"] for item in first["items"] + rest["items"]]
    assert rest["next_cursor"] is None
    assert ("2001-09-09T01:46:43.000000Z", 4) == (
        first["items"][0]["created_at"],
        first["items"][0]["size"],
    )
    assert [names[1]] == [
        item["name"] for item in client.get("/reports", params={"user_id": 8}).json()["items"]
    ]
    assert [] == client.get("/reports", params={"report_type": "users"}).json()["items"]


def test_an_address_without_a_task_is_the_newest(served: Bench) -> None:
    put(served, "report_7_sales_b.pdf", b"older", at=1_000_000_000)
    put(served, "report_7_sales_a.pdf", b"newer", at=1_000_000_001)
    put(served, "report_77_sales_a.pdf", b"another user's", at=1_000_000_002)
    read = client.get("/reports/report_7_sales.pdf")

    assert b"newer" == read.content
    assert 'inline; filename="report_7_sales_a.pdf"' == read.headers["content-disposition"]


def test_a_removed_report_is_gone(served: Bench) -> None:
    path = put(served, "report_7_sales_a.pdf")
    removed = client.delete("/reports/report_7_sales_a.pdf")

    assert (200, "Reporte report_7_sales_a.pdf eliminado") == (
        removed.status_code,
        removed.json()["message"],
    )
    assert not path.exists()
    for method in ("GET", "DELETE"):
        again = client.request(method, "/reports/report_7_sales_a.pdf")
        assert (404, "report_not_found") == (again.status_code, again.json()["code"])


@pytest.mark.parametrize(
    "name",
    [
        "report_7_sales.pdf",
        "report_7_nonsense_a.pdf",
        "..%2Fvalkey%2Fx",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "%2e%2e",
        "report_7_sales_..%2f..%2fsecret.pdf",
        "report_7_sales_a.pdf%00",
        ".report_7_sales_a.pdf.12",
        "report_7_sales_link.pdf",
        "report_7_sales_folder.pdf",
        "a" * 5000,
    ],
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_no_name_leads_to_anything_but_a_report(served: Bench, method: str, name: str) -> None:
    """Not out of the folder, not through a link, not to what is still being written."""
    secret = served.folder / "data" / "secret.pdf"
    put(served, "notes.txt")
    secret.write_bytes(b"%PDF secret")
    folder = served.folder / "data" / "reports"
    (folder / ".report_7_sales_a.pdf.12").write_bytes(b"not yet whole")
    if "link" in name:
        (folder / "report_7_sales_link.pdf").symlink_to(secret)
    if "folder" in name:
        (folder / "report_7_sales_folder.pdf").mkdir()
    answer = client.request(method, f"/reports/{name}")

    assert 404 == answer.status_code
    assert b"secret" not in answer.content
    assert secret.exists()


def test_a_page_of_another_site_cannot_remove_a_report(served: Bench) -> None:
    path = put(served, "report_7_sales_a.pdf")
    answer = client.delete(
        "/reports/report_7_sales_a.pdf", headers={"Origin": "https://evil.example"}
    )

    assert 403 == answer.status_code
    assert path.exists()


def test_a_cancelled_report_leaves_nobody_drawing(served: Bench) -> None:
    """The task is stopped, and the process that draws with it; no half of a file stays."""
    folder = served.folder / "data" / "datasets" / "7"
    folder.mkdir(parents=True)
    duckdb.execute(
        "COPY (SELECT DATE '2025-03-01' AS fecha, md5(i::VARCHAR) AS producto, 0.01::DOUBLE AS importe "
        f"FROM range(5000000) t(i)) TO '{folder}/many.parquet'"
    )
    worker = reporter(served)
    (child,) = worker.children()
    task_id = ask()

    def drawing() -> list[int]:
        found = subprocess.run(["pgrep", "-P", str(child)], capture_output=True, check=False)
        return [int(pid) for pid in found.stdout.split()]

    wait_until(drawing, description="the report is being made", timeout=30)
    (drawer,) = drawing()
    assert 200 == client.delete(f"/tasks/cancel/{task_id}").status_code
    wait_until(
        lambda: not Path(f"/proc/{drawer}").exists(), description="the drawing stops", timeout=5
    )
    left = [
        name for name in os.listdir(served.folder / "data" / "reports") if not name.startswith(".")
    ]
    assert [] == left
    assert "REVOKED" == client.get(f"/tasks/{task_id}").json()["state"]
