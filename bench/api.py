"""
`POST /tasks/email/celery`: ours beside a stock FastAPI and Celery application, on the same Valkey, in one run.

    python bench/api.py [--seconds 5] [--rounds 5] [--connections 32]

The peer (peers/lesson.py) is built as the lesson builds it. Both run in one process, under uvicorn as
installed, and no worker runs. Each connection sends its next request when the last is answered; every
answer must be a 200. Rounds are interleaved, and medians printed. At the end: tasks a second through
`encola.enqueue_many`. (Not called http.py: that would hide Python's own module from the programs beside it.)
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from engine import PEERS, server, until

BODY = json.dumps({"email": "ana@example.com", "subject": "Hola", "body": "x" * 200}).encode()
REQUEST = (
    b"POST /tasks/email/celery HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
    b"Content-Length: " + str(len(BODY)).encode() + b"\r\n\r\n" + BODY
)
BATCH = 20_000


class Connection(asyncio.Protocol):
    """Sends the next request when the last is answered; notes how long each took, in ms."""

    def __init__(self, request: bytes, deadline: float, times: list[float]) -> None:
        self.request = request
        self.deadline = deadline
        self.times = times
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.received = b""
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.sent_at = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator or len(body) < _length(head):
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self.ended.set_exception(RuntimeError(self.received.decode()))
            return
        now = time.perf_counter()
        self.times.append((now - self.sent_at) * 1000)
        self.received = b""
        if now < self.deadline:
            self.send()
        elif not self.ended.done():
            self.ended.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(error or ConnectionError("closed before its answer"))


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    raise RuntimeError(f"an answer without a length: {head!r}")


async def load(port: int, connections: int, seconds: float) -> tuple[float, float]:
    """(requests a second, 99th percentile in ms)"""
    loop = asyncio.get_running_loop()
    times: list[float] = []
    began = time.perf_counter()
    made = [
        await loop.create_connection(
            lambda: Connection(REQUEST % port, began + seconds, times), "127.0.0.1", port
        )
        for _ in range(connections)
    ]
    await asyncio.gather(*(protocol.ended for _, protocol in made))
    took = time.perf_counter() - began
    for transport, _ in made:
        transport.close()
    return len(times) / took, statistics.quantiles(times, n=100)[98]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
