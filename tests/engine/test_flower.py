"""
The real Flower on our engine: what it shows is true, and what it is told is done.

One server that listens on a socket file and on a port, one worker, and two Flowers: `encola flower`
by the socket, and Celery's own `flower` command by a redis:// address.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uuid_utils

from encola.embedded.ports import free_port
from encola.record import TaskState
from encola.store import Message, NewTask, encode_body, run
from harness import Bench, Server
from support import wait_until


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A server and a worker with two children."""
    folder = tmp_path_factory.mktemp("flower")
    (folder / "valkey").mkdir()
    server = Server(folder / "valkey", port=free_port("127.0.0.1"))
    server.start()
    # Nobody is to be lost here: a busy machine may hold a worker up for some seconds.
    made = Bench(server, folder, lease=20.0)
    here = str(Path(__file__).parent)
    made.extra_env = {
        "ENCOLA_TASK_MODULES": "ledger_tasks,engine_tasks",
        "PYTHONPATH": os.pathsep.join([made.env()["PYTHONPATH"], here]),
    }
    made.worker().wait_ready()
    yield made
    made.close()


class Running:
    """A Flower that has started."""

    def __init__(self, bench: Bench, name: str, command: list[str], port: int, **env: str) -> None:
        self.log_path = bench.folder / f"{name}.log"
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command, f"--port={port}"],
                env={**bench.env(), **env},
                cwd=bench.folder,
                stdout=log,
                stderr=log,
            )
        self.url = f"http://127.0.0.1:{port}"
        wait_until(self.answers, description=f"{name} answers", timeout=30)

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log_path.read_text()
        try:
            return httpx.get(f"{self.url}/healthcheck").status_code == 200
        except httpx.HTTPError:
            return False

    def get(self, path: str, **more: Any) -> Any:
        return httpx.get(f"{self.url}{path}", timeout=20, **more)

    def post(self, path: str, **data: Any) -> httpx.Response:
        return httpx.post(f"{self.url}{path}", data=data, timeout=20)

    def stop(self) -> int:
        # Flower's handler raises SystemExit wherever it strikes; in a destructor Python drops it.
        for _ in range(4):
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.process.wait(5)
        return self.process.wait(5)


@pytest.fixture(scope="module")
def flower(bench: Bench) -> Iterator[Running]:
    """`encola flower`, which knows the worker and has switched its events on."""
    found = Running(bench, "encola-flower", ["encola", "flower"], free_port("127.0.0.1"))

    def hears() -> bool:
        (probe,) = bench.send("work", 0.0)
        bench.wait_finished(ids=[probe])
        return bool(found.get("/api/workers").json()) and bool(found.get("/api/tasks").json())

    wait_until(hears, description="Flower knows its worker, and hears of tasks", timeout=30)
    yield found
    found.process.kill()
    found.process.wait(20)


def worker_name(flower: Running) -> str:
    (name,) = flower.get("/api/workers").json()
    return str(name)


def state_in(flower: Running, task_id: str) -> str | None:
    """The state that Flower shows of a task; None: it has not heard of it."""
    answer = flower.get(f"/api/task/info/{task_id}")
    return answer.json()["state"] if answer.status_code == 200 else None


def is_started(bench: Bench, task_id: str) -> bool:
    record = bench.record(task_id)
    return record is not None and record.state is TaskState.STARTED


def test_a_hundred_tasks_are_shown_with_all_that_is_known_of_them(
    bench: Bench, flower: Running
) -> None:
    """State, arguments, result, runtime and worker of each, from Celery's own events."""
    expected = {}
    for number in range(100):
        (task_id,) = bench.send("work", 0.0)
        expected[task_id] = number

    def all_shown() -> bool:
        tasks = flower.get("/api/tasks?taskname=ledger_tasks.work&state=SUCCESS").json()
        return expected.keys() <= tasks.keys()

    wait_until(all_shown, description="Flower shows a hundred successes", timeout=30)
    tasks = flower.get("/api/tasks").json()
    worker = worker_name(flower)
    for task_id in expected:
        task, record = tasks[task_id], bench.record(task_id)
        assert record is not None
        assert ("ledger_tasks.work", "[0.0]", "{}") == (task["name"], task["args"], task["kwargs"])
        assert (str(record.result), worker) == (task["result"], task["worker"])
        assert 0 < task["runtime"] < 30


def test_a_task_that_flower_sends_is_one_of_ours(bench: Bench, flower: Running) -> None:
    """It has a record, and Flower reads its result back through our backend."""
    sent = httpx.post(
        f"{flower.url}/api/task/async-apply/engine_tasks.add", json={"args": [3, 4]}, timeout=20
    )
    task_id = sent.json()["task-id"]
    bench.wait_finished(ids=[task_id])
    record = bench.record(task_id)

    assert record is not None
    assert (TaskState.SUCCESS, 7) == (record.state, record.result)
    result = flower.get(f"/api/task/result/{task_id}").json()
    assert {"task-id": task_id, "state": "SUCCESS", "result": 7} == result


def test_a_failure_and_a_retry_are_shown_as_such(bench: Bench, flower: Running) -> None:
    """With the exception, and with how often it was tried."""
    (failed,) = send(bench, "fail", "so nicht")
    (flaky,) = send(bench, "flaky", 1)

    def both() -> bool:
        return (state_in(flower, failed), state_in(flower, flaky)) == ("FAILURE", "SUCCESS")

    wait_until(both, description="both have their end in Flower", timeout=20)

    assert "so nicht" in flower.get(f"/api/task/info/{failed}").json()["exception"]
    assert 1 == flower.get(f"/api/task/info/{flaky}").json()["retries"]


def test_the_workers_page_knows_queues_registered_tasks_and_pool(flower: Running) -> None:
    """What Flower asks the worker by remote control."""
    wait_until(
        lambda: "stats" in next(iter(flower.get("/api/workers?refresh=1").json().values())),
        description="the worker has answered",
        timeout=20,
    )
    (worker,) = flower.get("/api/workers").json().values()

    assert ["encola"] == [queue["name"] for queue in worker["active_queues"]]
    assert "ledger_tasks.work" in worker["registered"]
    assert 2 == worker["stats"]["pool"]["max-concurrency"]
    assert {worker_name(flower): True} == flower.get("/api/workers?status=1").json()
    assert worker_name(flower) in flower.get("/workers").text


def test_the_broker_page_shows_the_length_of_a_queue(bench: Bench, flower: Running) -> None:
    """Waiting tasks of every priority are counted, through the socket file."""
    run(bench.client, bench.verbs.pause("encola", on=True))
    try:
        ids = bench.send("work", 0.0, count=5)

        assert 5 == length_on_page(flower, "encola")
        lengths = flower.get("/api/queues/length").json()
        assert {"active_queues": [{"name": "encola", "messages": 5}]} == lengths
    finally:
        run(bench.client, bench.verbs.pause("encola", on=False))
    bench.wait_finished(ids=ids)

    assert 0 == length_on_page(flower, "encola")


def length_on_page(flower: Running, queue: str) -> int:
    page = flower.get("/broker").text
    found = re.search(rf'<tr id="{queue}">.*?<td[^>]*>(\d+)</td>', page, re.DOTALL)
    assert found, page
    return int(found[1])


def test_a_running_task_that_flower_revokes_is_stopped(bench: Bench, flower: Running) -> None:
    """Our record says so, its child is gone, and Flower shows it too."""
    (task_id,) = bench.send("work", 60.0)
    wait_until(lambda: is_started(bench, task_id), description="it runs")

    assert 200 == flower.post(f"/api/task/revoke/{task_id}", terminate="true").status_code
    bench.wait_finished(ids=[task_id], timeout=10)
    record = bench.record(task_id)
    assert record is not None
    assert (TaskState.REVOKED, "cancelled") == (record.state, record.error_code)
    wait_until(
        lambda: state_in(flower, task_id) == "REVOKED", description="Flower shows it", timeout=10
    )
    (after,) = bench.send("work", 0.0)
    bench.wait_finished(ids=[after], timeout=10)
    assert task_id not in {row["id"] for row in bench.ledger.rows() if row["what"] == "end"}


def test_a_waiting_task_that_flower_revokes_never_starts(bench: Bench, flower: Running) -> None:
    """Also where no worker has heard of it: the record is what counts."""
    (task_id,) = bench.send("work", 0.0, due_ms=4_000_000_000_000)

    assert 200 == flower.post(f"/api/task/revoke/{task_id}").status_code
    record = bench.record(task_id)
    assert record is not None
    assert TaskState.REVOKED is record.state
    assert task_id not in bench.ledger.started()


def test_a_pool_that_grows_runs_more_tasks_at_once_and_one_that_shrinks_fewer(
    bench: Bench, flower: Running
) -> None:
    """The worker claims for its new children, and not for those that are gone."""
    worker = worker_name(flower)
    assert 200 == flower.post(f"/api/worker/pool/grow/{worker}", n="2").status_code
    ids = bench.send("work", 60.0, count=5)

    def running() -> int:
        return sum(is_started(bench, task_id) for task_id in ids)

    wait_until(lambda: running() == 4, description="four run at once", timeout=20)
    cancel(flower, ids)
    bench.wait_finished(ids=ids)
    wait_until(
        lambda: flower.post(f"/api/worker/pool/shrink/{worker}", n="2").status_code == 200,
        description="two children are idle and leave",
        timeout=20,
    )
    wait_until(lambda: slots(bench) == 2, description="the worker has two slots", timeout=10)
    more = bench.send("work", 0.5, count=6)
    bench.wait_finished(ids=more)
    assert 2 == most_at_once(bench, set(more))


def cancel(flower: Running, ids: list[str]) -> None:
    for task_id in ids:
        flower.post(f"/api/task/revoke/{task_id}", terminate="true")


def slots(bench: Bench) -> int:
    (worker,) = bench.client.zrange(bench.keys.named("workers"), 0, -1)
    info = bench.client.get(bench.keys.worker(worker.decode()))
    return int(json.loads(info)["slots"])


def most_at_once(bench: Bench, ids: set[str]) -> int:
    """How many of *ids* ran at the same time, by the ledger."""
    steps = {"start": 1, "end": -1}
    rows = [row for row in bench.ledger.rows() if row["id"] in ids and row["what"] in steps]
    now = most = 0
    for row in sorted(rows, key=lambda row: row["at"]):
        now += steps[row["what"]]
        most = max(most, now)
    return most


def test_a_rate_limit_set_in_flower_slows_a_task_down(bench: Bench, flower: Running) -> None:
    """Five a second: ten take a second and a half at the least; none is lost, none runs twice."""
    name, worker = "engine_tasks.sleep", worker_name(flower)
    limited = flower.post(f"/api/task/rate-limit/{name}", workername=worker, ratelimit="5/s")
    assert 200 == limited.status_code, limited.text
    ids = [task_id for _ in range(10) for task_id in send(bench, "sleep", 0.0)]
    bench.wait_finished(ids=ids, timeout=30)
    starts = [row["at"] for row in bench.ledger.rows() if row["id"] in ids]

    assert 10 == len(starts)
    assert max(starts) - min(starts) > 1.5
    flower.post(f"/api/task/rate-limit/{name}", workername=worker, ratelimit="0")


def send(bench: Bench, name: str, *arguments: Any) -> list[str]:
    """One of ``engine_tasks``."""
    task_id = str(uuid_utils.uuid7())
    message = Message(f"engine_tasks.{name}", encode_body(list(arguments))).encode()
    task = NewTask(task_id, message, "encola", f"engine_tasks.{name}")
    run(bench.client, bench.verbs.enqueue([task], 10**9))
    return [task_id]


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"Host": "evil.example"}),
        ("GET", {"Origin": "http://evil.example"}),
        ("OPTIONS", {"Origin": "http://evil.example"}),
        ("GET", {"Origin": "http://["}),
        ("POST", {"Origin": "null"}),
        ("POST", {"Sec-Fetch-Site": "cross-site"}),
    ],
)
def test_pages_of_other_sites_get_nothing(
    flower: Running, method: str, headers: dict[str, str]
) -> None:
    """Flower itself would let every page in this machine's browsers read its open API, and use it."""
    path = "/api/worker/shutdown/x" if method == "POST" else "/api/tasks"
    answer = httpx.request(method, f"{flower.url}{path}", headers=headers)

    assert 403 == answer.status_code
    assert "access-control-allow-origin" not in answer.headers


def test_its_own_pages_and_programs_on_this_machine_are_answered(flower: Running) -> None:
    """A browser says where a request comes from; curl does not."""
    own = {"Origin": flower.url, "Sec-Fetch-Site": "same-origin"}

    assert 200 == flower.get("/api/tasks", headers=own).status_code
    assert 200 == flower.get("/api/tasks").status_code
    page = flower.get("/tasks").text
    loaded = re.findall(r'(?:<link[^>]* href|\bsrc)="([^"]+)"', page)
    assert loaded
    assert [] == [address for address in loaded if not address.startswith("/static/")]


def test_celerys_own_command_is_closed_and_reads_an_address_with_a_port(bench: Bench) -> None:
    """Loopback without --address, no API without credentials; the broker page works over TCP."""
    port = free_port("127.0.0.1")
    flower = Running(
        bench,
        "celery-flower",
        ["celery", "-A", "encola.engine", "flower"],
        port,
        REDIS_URL=f"redis://127.0.0.1:{bench.server.port}/0",
    )
    try:
        run(bench.client, bench.verbs.pause("encola", on=True))
        ids = bench.send("work", 0.0, count=3)
        wait_until(lambda: length_on_page(flower, "encola") == 3, description="three wait")
        assert f"redis://127.0.0.1:{bench.server.port}" in flower.get("/broker").text
        assert 401 == flower.get("/api/tasks").status_code
        assert ["127.0.0.1"] == addresses_of(port)
    finally:
        run(bench.client, bench.verbs.pause("encola", on=False))
        flower.stop()
    bench.wait_finished(ids=ids)


def addresses_of(port: int) -> list[str]:
    """Local IPv4 and IPv6 addresses on which somebody listens on *port*."""
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            address, _, number = local.rpartition(":")
            if state == "0A" and int(number, 16) == port:
                octets = bytes.fromhex(address)[::-1]
                found.append(".".join(map(str, octets)) if len(octets) == 4 else address)
    return found


def test_with_credentials_flower_asks_for_them(bench: Bench) -> None:
    """Everywhere, its API included."""
    port = free_port("127.0.0.1")
    flower = Running(
        bench, "flower-auth", ["encola", "flower"], port, FLOWER_BASIC_AUTH="ana:secret"
    )
    try:
        assert 401 == flower.get("/api/tasks").status_code
        assert 401 == flower.get("/workers").status_code
        assert 401 == flower.get("/workers", auth=("ana", "wrong")).status_code
        assert 200 == flower.get("/api/tasks", auth=("ana", "secret")).status_code
        assert "secret" not in flower.log_path.read_text()
    finally:
        assert 0 == flower.stop()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--address", "0.0.0.0"], "without credentials Flower is for this machine alone"),
        (["--basic-auth", "ana"], "--basic-auth: expected user:password."),
        (["--nonsense"], "Flower has no option '--nonsense'"),
        (["--max-tasks=many"], "An option of Flower's cannot be read"),
    ],
)
def test_what_flower_cannot_start_with_is_told_in_a_sentence(
    bench: Bench, arguments: list[str], told: str
) -> None:
    """Exit code 2, and nothing has listened."""
    done = subprocess.run(
        [sys.executable, "-m", "encola", "flower", *arguments],
        env=bench.env(),
        cwd=bench.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (2, "") == (done.returncode, done.stdout)
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_it_ends_when_told_also_where_its_server_has_gone(bench: Bench, tmp_path: Path) -> None:
    """Its threads look for the server again and again; nobody waits for them."""
    server = Server(tmp_path)
    server.start()
    flower = Running(
        bench,
        "lonely-flower",
        ["encola", "flower"],
        free_port("127.0.0.1"),
        REDIS_URL=server.url,
    )
    server.close()
    # Each answer waits for the workers', which threads of Flower's ask for.
    for _ in range(4):
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{flower.url}/api/workers?refresh=1", timeout=0.5)

    flower.process.send_signal(signal.SIGTERM)
    assert 0 == flower.process.wait(5)
