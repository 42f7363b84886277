"""ENCOLA_DURABILITY=disk: nothing is accepted before the server's disk has it, whichever road it comes by."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import Bench, Server

#: Sends one task by each road; prints how many the server was asked to put on its disk, or why one was refused.
TRY = """
import asyncio, sys
import ledger_tasks
from encola.client import current_client, current_loop_client
from encola.errors import EncolaError
from encola.store import Message, NewTask, encode_body
from kombu.exceptions import OperationalError

def new(name):
    return NewTask(name, Message("t", encode_body([])).encode(), "encola", "t")

async def over_the_loop():
    await current_loop_client().enqueue(new("c"))

for road in (
    lambda: ledger_tasks.work.apply_async(task_id="a", retry=False),
    lambda: current_client().enqueue([new("b")]),
    lambda: asyncio.run(over_the_loop()),
):
    try:
        road()
        print("taken")
    except (EncolaError, OperationalError) as error:
        print(error)
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    server = Server(tmp_path)
    server.start()
    made = Bench(server, tmp_path, extra_env={"ENCOLA_DURABILITY": "disk"})
    yield made
    made.close()


def send(bench: Bench) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", TRY],
        env={**os.environ, **bench.env()},
        cwd=bench.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.splitlines()


def asked_for_disk(bench: Bench) -> int:
    found: dict[str, dict[str, int]] = bench.client.info("commandstats")  # type: ignore[assignment]
    return found.get("cmdstat_waitaof", {}).get("calls", 0)


def test_every_road_waits_for_the_disk(bench: Bench) -> None:
    """`.delay()`, the Python API, and the loop that HTTP routes run on."""
    bench.client.config_set("appendfsync", "everysec")

    assert ["taken"] * 3 == send(bench)
    # Each of them, and the first once more: the server did not know its script by name yet.
    assert 3 + 1 == asked_for_disk(bench)


def test_what_may_not_be_on_the_disk_is_not_called_accepted(bench: Bench) -> None:
    """The server never flushes by itself: nobody can say it is there."""
    bench.client.config_set("appendonly", "no")
    said = send(bench)

    assert 3 == len(said)
    assert all(
        line.startswith("Taken, but the store cannot say that it is on disk") for line in said
    )
