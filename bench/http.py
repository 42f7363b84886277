"""
`POST /tasks/email/celery`: ours beside a stock FastAPI and Celery application, on the same Valkey, in one run.

    python bench/http.py [--seconds 5] [--rounds 5] [--connections 32]

The peer (peers/lesson.py) is built as the lesson builds it. Both run in one process, under uvicorn as
installed, and no worker runs. Each connection sends its next request when the last is answered; every
answer must be a 200. Rounds are interleaved, and medians printed. At the end: tasks a second through
`encola.enqueue_many`.
"""

from __future__ import annotations

from rig.load import BODY, load
from rig.running import PEERS, free_port, server, until

import argparse
import asyncio
import http.client
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

BATCH = 20_000


@contextmanager
def api(name: str, folder: str, valkey: int) -> Iterator[int]:
    port = free_port()
    url = f"redis://127.0.0.1:{valkey}/0"
    commands = {
        "encola": [sys.executable, "-m", "encola", "api", "--port", str(port)],
        "lesson": [
            *[sys.executable, "-m", "uvicorn", "lesson:app", "--port", str(port)],
            *["--log-level", "warning"],
        ],
    }
    environment = {
        **os.environ,
        "BENCH_URL": url,
        "REDIS_URL": url,
        "ENCOLA_DATA_DIR": f"{folder}/data",
    }
    process = subprocess.Popen(
        commands[name],
        env=environment,
        cwd=PEERS,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: _accepts(port), f"{name} answers")
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _accepts(port: int) -> bool:
    with suppress(OSError):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request(
            "POST", "/tasks/email/celery", BODY, {"Content-Type": "application/json"}
        )
        return connection.getresponse().status == 200
    return False


def run_once(name: str, connections: int, seconds: float) -> tuple[float, float]:
    with (
        tempfile.TemporaryDirectory(prefix="enc-") as folder,
        server(folder) as valkey,
        api(name, folder, valkey) as port,
    ):
        return asyncio.run(load(port, connections, seconds))


def batch() -> float:
    """Tasks a second through `encola.enqueue_many`."""
    code = (
        "import time, encola, encola.tasks\n"
        f"inputs = [{{'email': 'ana@example.com', 'subject': 'Hola', 'body': 'x' * 200}}] * {BATCH}\n"
        "began = time.perf_counter()\n"
        "encola.enqueue_many('email', inputs)\n"
        f"print({BATCH} / (time.perf_counter() - began))"
    )
    with tempfile.TemporaryDirectory(prefix="enc-") as folder, server(folder) as valkey:
        environment = {**os.environ, "REDIS_URL": f"redis://127.0.0.1:{valkey}/0"}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
        return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5, help="of load, a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=32)
    arguments = parser.parse_args()
    seen: dict[str, list[tuple[float, float]]] = {"encola": [], "lesson": []}
    batches: list[float] = []
    for number in range(arguments.rounds):
        for name, runs in seen.items():
            rate, p99 = run_once(name, arguments.connections, arguments.seconds)
            runs.append((rate, p99))
            print(
                f"round {number + 1} {name}: {rate:.0f} requests/s, p99 {p99:.1f} ms",
                file=sys.stderr,
            )
        batches.append(batch())
    median = {
        name: (statistics.median(r for r, _ in runs), statistics.median(p for _, p in runs))
        for name, runs in seen.items()
    }
    base = median["lesson"]
    print("| application | requests/s | p99 | requests/s beside the lesson | p99 beside it |")
    print("|---|---:|---:|---:|---:|")
    for name, (rate, p99) in median.items():
        print(
            f"| {name} | {rate:,.0f} | {p99:.1f} ms | {rate / base[0]:.2f} | {p99 / base[1]:.2f} |"
        )
    print(f"\nBatches through `encola.enqueue_many`: {statistics.median(batches):,.0f} tasks/s.")


if __name__ == "__main__":
    main()
