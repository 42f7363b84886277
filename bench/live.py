"""
From settle to subscriber: how long until those who listen to `GET /events` are told, and what it costs.

    python bench/live.py [--seconds 20] [--clients 1 1000] [--load 5]

One `encola api` process on a Valkey with an append-only file. A process of its own plays the worker: it enqueues,
starts and settles tasks evenly, three events each, 200 events a second together. Each client is a connection of its own
and wants everything. The time is from the moment before settle is sent to the moment at which the client's socket
gives the bytes with that event; it is taken on every tenth client, the others only take what comes (with one client,
on that one). Memory is the API process's own (PSS), with so many clients and without any. Then `POST /tasks/email/celery`
over 32 connections for some seconds: with nobody listening, with the clients listening to what flows (not to the submits), and
with the clients listening to everything. All on this machine, clients included.
"""

from __future__ import annotations

from rig.load import load
from rig.running import PYTHON, free_port, server, until

import argparse
import asyncio
import http.client
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import uuid_utils
import uvloop

from encola.store import Keys, Message, NewTask, Settled, Verbs, connect, encode_body, run

EVENTS_A_SECOND = 200
EVENTS_A_TASK = 3
WATCHED = 10
#: Seconds at the beginning that are not counted.
WARM_UP = 3.0
ENDED = re.compile(rb'"task_id":"([^"]+)","type":"[^"]*","state":"SUCCESS"')
CONNECTIONS = 32


# --- the worker that is played, in a process of its own ---------------------------------


def settle_on(url: str, seconds: float) -> None:
    """Prints `<task id> <time before settle>` of each task, at the end."""
    client, verbs = connect(url), Verbs(Keys())
    message = Message("bench.live", encode_body([])).encode()
    run(client, verbs.heartbeat("live", 3_600_000, register=True))
    sent: list[str] = []
    began = time.monotonic()
    step = EVENTS_A_TASK / EVENTS_A_SECOND
    for number in range(round(seconds / step)):
        time.sleep(max(0.0, began + number * step - time.monotonic()))
        task_id = str(uuid_utils.uuid7())
        new = NewTask(task_id, message, "live", "live", lease_to="live")
        run(client, verbs.enqueue([new], 10**9))
        run(client, verbs.start(task_id, 1))
        sent.append(f"{task_id} {time.monotonic()}")
        done = run(client, verbs.settle(task_id, 1, "SUCCESS", b"{}"))
        assert done is Settled.WRITTEN
    print("\n".join(sent))


@contextmanager
def flow(url: str, seconds: float) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, __file__, "--settle", url, "--seconds", str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


# --- the clients --------------------------------------------------------------------------


class Client(asyncio.Protocol):
    """Takes what comes; a watched one notes when each end of a task came."""

    def __init__(self, port: int, query: str, *, is_watched: bool) -> None:
        self.request = f"GET /events{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
        self.is_watched = is_watched
        self.opened = asyncio.Event()
        self.is_lost = False
        self.came: list[tuple[bytes, float]] = []
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no class of asyncio's.
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        if b"event: hello" in data:
            self.opened.set()
        if not self.is_watched:
            return
        whole, _, self.rest = (self.rest + data).rpartition(b"\n")
        self.came += [(found, now) for found in ENDED.findall(whole)]

    def connection_lost(self, error: Exception | None) -> None:
        self.is_lost = True


async def join(port: int, count: int, query: str = "") -> list[Client]:
    """So many clients, all of them listening."""
    loop = asyncio.get_running_loop()
    clients: list[Client] = []
    for number in range(count):
        client = Client(port, query, is_watched=number % WATCHED == 0)
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)  # type: ignore[misc]
        clients.append(client)
    await asyncio.gather(*(client.opened.wait() for client in clients))
    return clients


def leave(clients: list[Client]) -> None:
    lost = sum(client.is_lost for client in clients)
    if lost:
        raise SystemExit(f"{lost} of {len(clients)} clients were cut off")
    for client in clients:
        client.transport.close()


async def listen_on(port: int, count: int, query: str) -> None:
    """Listens until standard input ends."""
    clients = await join(port, count, query)
    print("listening", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    leave(clients)


@contextmanager
def listeners(port: int, count: int, query: str) -> Iterator[None]:
    """Clients in a process of their own."""
    command = [sys.executable, __file__, "--listen", str(port), str(count), query]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    try:
        if process.stdout.readline() != "listening\n":
            raise SystemExit("the clients could not listen")
        yield
        process.stdin.close()
        if process.wait(30):
            raise SystemExit("the clients did not listen to the end")
    finally:
        process.kill()
        process.wait(10)


# --- the service --------------------------------------------------------------------------


@dataclass
class Api:
    """`encola api` on a Valkey of its own."""

    url: str
    port: int
    pid: int

    def memory(self) -> int:
        """Bytes."""
        rollup = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
        assert found
        return int(found[1]) * 1024

    def processor(self) -> float:
        """Seconds that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def service() -> Iterator[Api]:
    with tempfile.TemporaryDirectory(prefix="enc-") as folder, server(folder) as valkey:
        url, port = f"redis://127.0.0.1:{valkey}/0", free_port()
        environment = {**os.environ, "REDIS_URL": url, "ENCOLA_DATA_DIR": f"{folder}/data"}
        process = subprocess.Popen(
            [*PYTHON, "-m", "encola", "api", "--port", str(port)],
            env={**environment, "ENCOLA_LOG_LEVEL": "warning"},
        )
        try:
            until(lambda: _answers(port), "the API answers")
            yield Api(url, port, process.pid)
        finally:
            process.terminate()
            process.wait(30)


def _answers(port: int) -> bool:
    with suppress(OSError):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200
    return False


# --- what is measured ---------------------------------------------------------------------


@dataclass
class Told:
    """With so many clients."""

    clients: int
    times: list[float] = field(default_factory=list)
    """Milliseconds from settle to a client."""
    missing: int = 0
    memory: int = 0
    """Bytes more than without clients."""
    processor: float = 0.0
    """Of one core, that the API used."""


async def tell(clients: int, seconds: float) -> Told:
    """How long until *clients* are told, and what they take."""
    told = Told(clients)
    with service() as api:
        with flow(api.url, WARM_UP) as warming:
            [first] = await join(api.port, 1)
            await asyncio.to_thread(warming.communicate)
            leave([first])
        await asyncio.sleep(1)
        before = api.memory()
        listening = await join(api.port, clients)
        with flow(api.url, seconds + WARM_UP) as flowing:
            used, began = api.processor(), time.monotonic()
            output, _ = await asyncio.to_thread(flowing.communicate)
            told.processor = (api.processor() - used) / (time.monotonic() - began)
        await asyncio.sleep(1)
        told.memory = api.memory() - before
        sent = {task_id.encode(): float(at) for task_id, at in map(str.split, output.splitlines())}
        counted_from = min(sent.values()) + WARM_UP
        for client in listening[::WATCHED]:
            came = dict(client.came)
            told.missing += len(sent.keys() - came.keys())
            told.times += [
                (came[task_id] - at) * 1000
                for task_id, at in sent.items()
                if at >= counted_from and task_id in came
            ]
        leave(listening)
    return told


def submits(clients: int, query: str, seconds: float) -> tuple[float, float]:
    """Submits a second, and their 99th percentile in ms, while *clients* listen and events flow."""
    with (
        service() as api,
        listeners(api.port, clients, query),
        flow(api.url, seconds + 60),
    ):
        time.sleep(2)
        return asyncio.run(load(api.port, CONNECTIONS, seconds))


def show_told(all_told: list[Told]) -> None:
    print("| clients | p50 ms | p99 ms | worst ms | not told | API, of one core | KB a client |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for told in all_told:
        cuts = statistics.quantiles(told.times, n=100)
        memory = f"{told.memory / told.clients / 1024:.1f}" if told.clients > 1 else ""
        print(
            f"| {told.clients:,} | {cuts[49]:.1f} | {cuts[98]:.1f} | {max(told.times):.1f} | {told.missing} "
            f"| {told.processor:.0%} | {memory} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20, help="of events that are timed")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 1000])
    parser.add_argument("--load", type=float, default=5, help="seconds of submits; 0: none")
    parser.add_argument("--settle", metavar="URL", help=argparse.SUPPRESS)
    parser.add_argument("--listen", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.settle:
        settle_on(arguments.settle, arguments.seconds)
        return
    if arguments.listen:
        port, count, query = arguments.listen
        uvloop.run(listen_on(int(port), int(count), query))
        return
    show_told([uvloop.run(tell(count, arguments.seconds)) for count in arguments.clients])
    if not arguments.load:
        return
    most = max(arguments.clients)
    print("\n| who listens | submits/s | p99 ms |\n|---|---:|---:|")
    for clients, query, words in (
        (0, "", "nobody"),
        (most, "?type=live", f"{most:,} to what flows"),
        (most, "", f"{most:,} to everything"),
    ):
        rate, p99 = submits(clients, query, arguments.load)
        print(f"| {words} | {rate:,.0f} | {p99:.0f} |")


if __name__ == "__main__":
    main()
