"""An application of somebody else's, which has the addresses of our transport and backend and nothing more."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from encola.embedded.ports import free_port
from encola.record import TaskState
from harness import Bench, Server
from support import wait_until

HERE = Path(__file__).parent


class Guest:
    """Its server and its worker, started by Celery's command."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port("127.0.0.1")
        self.address = f"encola+redis://127.0.0.1:{self.port}/0"
        self.bench = Bench(Server(folder / "valkey", port=self.port), folder, lease=6.0)
        self.log = folder / "guest.log"
        self.workers: list[subprocess.Popen[bytes]] = []

    def env(self, **more: str) -> dict[str, str]:
        env = {k: v for k, v in self.bench.env().items() if k != "REDIS_URL"}
        path = os.pathsep.join([env["PYTHONPATH"], str(HERE)])
        return env | {"PYTHONPATH": path, "GUEST_ADDRESS": self.address} | more

    def start(self, **more: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "guest_app", "worker", "-c", "2"],
                env=self.env(**more),
                cwd=self.bench.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.workers.append(worker)
        return worker

    def is_ready(self) -> bool:
        assert self.workers[-1].poll() is None, self.log.read_text()
        return bool(self.bench.client.zcard(self.bench.keys.named("workers")))

    def run(self, expression: str) -> Any:
        """What *expression* gives in a client of the application."""
        done = subprocess.run(
            [sys.executable, "-c", f"import json, guest_app; print(json.dumps({expression}))"],
            env=self.env(),
            cwd=self.bench.folder,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    def close(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGTERM)
                worker.wait(30)
        self.bench.close()


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    folder = tmp_path_factory.mktemp("guest")
    (folder / "valkey").mkdir()
    made = Guest(folder)
    made.bench.server.start()
    made.start()
    wait_until(made.is_ready, description="its worker has a lease", timeout=30)
    yield made
    made.close()


def test_it_runs_on_records_as_ours_does(guest: Guest) -> None:
    """`.delay()`, retries, a chord that is sent twice; and without task_track_started no STARTED."""
    seen = guest.run("guest_app.client()")
    record, body = guest.bench.record(seen["id"]), guest.bench.record(seen["body"])

    assert (3, 1, [12, 12]) == (seen["sum"], seen["retries"], seen["chord"])
    assert {"PENDING"} <= set(seen["states"]) <= {"PENDING", "SUCCESS"}
    assert record is not None
    assert body is not None
    assert ("guest_app.add", "celery", TaskState.SUCCESS) == (
        record.name,
        record.queue,
        record.state,
    )
    assert [1, 2] == [attempt.number for attempt in body.attempts]


def test_a_lost_worker_of_it_loses_no_task(guest: Guest) -> None:
    """It is rescued when the lease has run out, by another one, with a crash counted."""
    task_id = guest.run("guest_app.sleep.delay(2.0).id")

    def state() -> TaskState | None:
        return getattr(guest.bench.record(task_id), "state", None)

    wait_until(lambda: state() is TaskState.STARTED, description="it runs", timeout=20)
    os.killpg(guest.workers[-1].pid, signal.SIGKILL)
    guest.workers[-1].wait(10)
    guest.start()
    wait_until(lambda: state() is TaskState.SUCCESS, description="it ends", timeout=60)
    record = guest.bench.record(task_id)

    assert record is not None
    outcomes = [attempt.outcome for attempt in record.attempts]
    assert ("crashed", "SUCCESS") == (outcomes[0], outcomes[-1])


def test_a_worker_whose_outcomes_would_go_elsewhere_does_not_start(guest: Guest) -> None:
    guest.start(GUEST_BACKEND=guest.address.removeprefix("encola+")).wait(30)

    assert "The result backend is RedisBackend; expected encola's" in guest.log.read_text()
    assert guest.workers.pop().returncode != 0
