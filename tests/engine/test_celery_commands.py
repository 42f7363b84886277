"""Celery's own commands on our engine: status, inspect, control, events, and a worker's log level."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from socket import gethostname
from typing import Any

import pytest
from celery.concurrency.prefork import TaskPool as CelerysPool

import encola
from encola.embedded.ports import free_port
from encola.engine import celery_app
from encola.engine.pool import TaskPool
from encola.engine.steps import checked_pool
from encola.engine.worker import node_name
from encola.record import TaskState
from encola.store import run
from harness import Bench, Server
from support import wait_until


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A server and a worker with two children; nobody has asked for events."""
    folder = tmp_path_factory.mktemp("commands")
    (folder / "valkey").mkdir()
    server = Server(folder / "valkey", port=free_port("127.0.0.1"))
    server.start()
    made = Bench(server, folder, lease=2.0, extra_env={"ENCOLA_LOG_LEVEL": "info"})
    made.worker().wait_ready()
    yield made
    made.close()


def celery(bench: Bench, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "celery", "-A", "encola.engine", *arguments],
        env=bench.env(),
        cwd=bench.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def asked(bench: Bench, *arguments: str) -> Any:
    """The one worker's answer to ``celery inspect`` or ``celery control``; asked by its name, it is not waited for others."""
    command, *what = arguments
    done = celery(bench, command, "-d", name_of(bench), "-t", "10", *what, "--json")
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    (answer,) = (answers[0] if isinstance(answers, list) else answers).values()
    return answer


def name_of(bench: Bench) -> str:
    """The name of the one worker."""
    [worker] = bench.client.zrange(bench.keys.named("workers"), 0, -1)
    info = bench.client.get(bench.keys.worker(worker.decode()))
    return str(json.loads(info or "{}")["hostname"])


def running(bench: Bench, seconds: float) -> str:
    """A task that has started."""
    (task_id,) = bench.send("work", seconds)

    def started() -> bool:
        record = bench.record(task_id)
        return record is not None and record.state is TaskState.STARTED

    wait_until(started, description="the task runs")
    return task_id


class Listener:
    """Hears Celery's events, as a program outside would."""

    def __init__(self, bench: Bench) -> None:
        self._pubsub = bench.client.pubsub(ignore_subscribe_messages=True)
        self._pubsub.psubscribe("*celeryev*")
        self.heard: list[str] = []
        wait_until(lambda: self.hears("worker.heartbeat"), description="a worker's heartbeat")

    def hears(self, kind: str) -> bool:
        while (message := self._pubsub.get_message(timeout=0.01)) is not None:
            self.heard.append(message["channel"].decode())
        return any(f"/{kind}" in channel for channel in self.heard)

    def close(self) -> None:
        self._pubsub.close()


def test_tasks_send_no_events_until_somebody_asks(bench: Bench) -> None:
    """Off, then on by remote control, then off again once nobody has listened for a while."""
    listener = Listener(bench)
    bench.wait_finished(ids=bench.send("work", 0.0, count=20))
    listener.heard.clear()
    wait_until(lambda: listener.hears("worker.heartbeat"), description="a heartbeat", timeout=10)
    assert not listener.hears("task")

    assert {"ok": "task events enabled"} == asked(bench, "control", "enable_events")
    bench.wait_finished(ids=bench.send("work", 0.0, count=20))
    wait_until(lambda: listener.hears("task"), description="events of tasks")
    listener.close()

    def forgotten() -> bool:
        bench.wait_finished(ids=bench.send("work", 0.0))
        return "Nobody listens to the events of tasks" in bench.workers[0].log()

    wait_until(forgotten, description="the worker stops sending them", timeout=20)
    again = Listener(bench)
    bench.wait_finished(ids=bench.send("work", 0.0, count=20))
    again.heard.clear()
    wait_until(lambda: again.hears("worker.heartbeat"), description="a heartbeat", timeout=10)
    assert not again.hears("task")
    again.close()


def test_events_dump_prints_what_happens_to_a_task(bench: Bench) -> None:
    """With its name, arguments and result."""
    written = bench.folder / "dump"
    with written.open("wb") as out:
        dump = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "encola.engine", "events", "--dump"],
            env=bench.env(),
            cwd=bench.folder,
            stdout=out,
            stderr=out,
        )
    try:
        wait_until(
            lambda: "heartbeat:" in written.read_text(), description="it listens", timeout=30
        )
        asked(bench, "control", "enable_events")
        (task_id,) = bench.send("work", 0.0)
        wait_until(
            lambda: "task succeeded: ledger_tasks.work" in written.read_text(),
            description="the dump has the end of the task",
            timeout=20,
        )
    finally:
        dump.terminate()
        dump.wait(20)
    text = written.read_text()
    assert f"ledger_tasks.work({task_id}) args=[0.0] kwargs={{}}" in text, text


def test_status_names_the_worker(bench: Bench) -> None:
    """One line a worker."""
    done = celery(bench, "status")

    assert 0 == done.returncode
    assert ": OK" in done.stdout
    assert "1 node online." in done.stdout


def test_inspect_shows_what_runs_with_its_arguments(bench: Bench) -> None:
    """Names, queues and pool too; ``celery inspect`` of each is how Flower's pages are filled."""
    task_id = running(bench, 60.0)
    (active,) = asked(bench, "inspect", "active")
    queues = asked(bench, "inspect", "active_queues")
    found = asked(bench, "inspect", "query_task", task_id)
    celery(bench, "control", "terminate", "SIGTERM", task_id)
    bench.wait_finished(ids=[task_id], timeout=10)

    assert (task_id, [60.0], {}) == (active["id"], active["args"], active["kwargs"])
    assert "ledger_tasks.work" == active["name"]
    assert ["encola"] == [queue["name"] for queue in queues]
    assert "active" == found[task_id][0]


def test_no_answer_holds_the_servers_password(bench: Bench) -> None:
    """Flower shows all that a worker says of itself to whoever may look."""
    bench.client.execute_command("ACL", "SETUSER", "ana", "on", ">hunter2", "~*", "&*", "+@all")
    bench.url = f"redis://ana:hunter2@127.0.0.1:{bench.server.port}/0"
    name = name_of(bench)
    worker = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "encola.engine",
            "worker",
            "-P",
            "solo",
            "-n",
            "own@%h",
        ],
        env=bench.env(),
        cwd=bench.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(
            lambda: "own@" in celery(bench, "inspect", "ping").stdout,
            description="the worker answers",
            timeout=60,
        )
        both = ("-t", "10", "-d", f"{name},own@{name.partition('@')[2]}")
        asks = [("inspect", *both, what) for what in ("stats", "conf", "report")]
        answers = [celery(bench, *ask).stdout for ask in asks]
    finally:
        worker.terminate()
        worker.wait(20)
        bench.url = ""

    assert [2, 2, 2] == [answer.count(": OK") for answer in answers]
    assert [] == [answer for answer in answers if "hunter2" in answer]
    assert f"encola:{encola.__version__}" in answers[2]
    assert f"redis://ana:**@127.0.0.1:{bench.server.port}/0" in answers[0]


def test_control_revokes_and_moves_queues(bench: Bench) -> None:
    """Each is done, and a revoke is in the record."""
    (task_id,) = bench.send("work", 0.0, due_ms=4_000_000_000_000)
    celery(bench, "control", "revoke", task_id)
    record = bench.record(task_id)
    assert record is not None
    assert TaskState.REVOKED is record.state

    assert "ok" in asked(bench, "control", "add_consumer", "extra")
    queues = [queue["name"] for queue in asked(bench, "inspect", "active_queues")]
    assert {"encola", "extra"} == set(queues)
    assert "ok" in asked(bench, "control", "cancel_consumer", "extra")


@pytest.mark.parametrize(
    ("arguments", "setting", "told"),
    [
        (["--loglevel=debug"], "warning", {"DEBUG", "INFO"}),
        (["-l", "ERROR"], "info", set()),
        ([], "info", {"INFO"}),
    ],
)
def test_a_log_level_on_the_command_line_goes_before_the_setting(
    bench: Bench, arguments: list[str], setting: str, told: set[str]
) -> None:
    """Celery's own default, WARNING, does not. A --logfile gets what our own has."""
    command = ["worker", "-n", "logs@%h", "-P", "solo", "-Q", "nothing", "--logfile=own.log"]
    own, ours = bench.folder / "own.log", bench.folder / "data/logs/worker.log"
    own.unlink(missing_ok=True)
    before = ours.stat().st_size
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "encola.engine", *command, *arguments],
        env={**bench.env(), "ENCOLA_LOG_LEVEL": setting},
        cwd=bench.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(
            lambda: is_known(bench, "logs@") and (not told or " INFO " in own.read_text()),
            description="the worker runs, and says so where it may",
            timeout=30,
        )
    finally:
        worker.terminate()
        worker.wait(20)
    written = own.read_text().splitlines()
    logged = ours.read_bytes()[before:].decode().splitlines()

    assert told == {line.split()[1] for line in written} - {"WARNING", "ERROR"}
    assert set(written) <= set(logged)


def is_known(bench: Bench, name: str) -> bool:
    workers = bench.client.zrange(bench.keys.named("workers"), 0, -1)
    return any(worker.decode().startswith(name) for worker in workers)


@pytest.mark.parametrize("worker", ["celery", "encola"])
@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (
            ("ENCOLA_TASK_MODULES", "nowhere"),
            "ENCOLA_TASK_MODULES=nowhere: expected the name of a module that can be imported",
        ),
        (("ENCOLA_PORT", "many"), "ENCOLA_PORT=many: Input should be a valid integer"),
        (
            ("ENCOLA_QUEUES", "encola:events"),
            "'encola:events' cannot be the name of a queue: encola keeps 'encola:events' for itself.",
        ),
    ],
)
def test_a_worker_with_a_wrong_setting_says_so_in_a_sentence(
    bench: Bench, worker: str, setting: tuple[str, str], expected: str
) -> None:
    """Whichever command starts it: no traceback, and the exit code of a wrong use."""
    name, value = setting
    command = ["celery", "-A", "encola.engine", "worker", "-c", "1"]
    if worker == "encola":
        command = ["encola", "worker"]
    elif name == "ENCOLA_QUEUES":
        command += ["-Q", value]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        env=bench.env() | {name: value},
        cwd=bench.folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert expected in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert 2 == done.returncode


def test_inspect_tells_of_tasks_that_wait_for_their_time(bench: Bench) -> None:
    """They wait in the store, for whichever worker has room then; of another queue they are not this worker's."""
    due_ms = int(time.time() * 1000) + 60_000
    (task_id,) = bench.send("work", 0, due_ms=due_ms)
    try:
        (shown,) = asked(bench, "inspect", "scheduled")

        assert (task_id, "ledger_tasks.work", [0]) == tuple(
            shown["request"][name] for name in ("id", "name", "args")
        )
        assert due_ms == round(dt.datetime.fromisoformat(shown["eta"]).timestamp() * 1000)
    finally:
        run(bench.client, bench.verbs.cancel(task_id))


def test_a_pool_whose_tasks_cannot_be_stopped_alone_is_refused(bench: Bench) -> None:
    """In a pool of threads a cancel would end the worker, and with it whatever ran beside."""
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "encola.engine", "worker", "-P", "threads"],
        env=bench.env(),
        cwd=bench.folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert "expected prefork, or solo to look for a mistake; found celery.concurrency.thread." in (
        done.stderr
    )
    assert "Traceback" not in done.stdout + done.stderr
    assert 2 == done.returncode


def test_celerys_prefork_is_ours() -> None:
    assert TaskPool is checked_pool(CelerysPool, celery_app.conf.worker_pool)


def test_a_program_with_a_worker_inside_of_it_keeps_its_own_logging(bench: Bench) -> None:
    """Ours is for our commands: it would take the program's handlers away and write files that it never asked for."""
    folder = bench.folder / "embedding"
    script = (
        "import logging; from encola.engine import celery_app; celery_app.log.setup(loglevel='INFO');"
        "logging.getLogger('celery.worker.strategy').info('received')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=bench.env() | {"ENCOLA_DATA_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert "received" in done.stderr
    assert not folder.exists()


@pytest.mark.parametrize(
    ("given", "name"), [("two", "encola@two"), ("a@b", "a@b"), (None, f"encola@{gethostname()}")]
)
def test_a_worker_is_called_by_our_name(given: str | None, name: str) -> None:
    """Not by Celery's, also where somebody gives it another host's name."""
    assert name == node_name(given)
