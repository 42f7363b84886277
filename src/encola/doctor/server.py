"""The server that holds the tasks, and those who work for it: workers, housekeeping, schedules."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

import redis

from encola.errors import StoreError, StoreUnsafe
from encola.installation import FolderElsewhere, sees_folder
from encola.logs import one_line, redact
from encola.readable import count, duration, number, size
from encola.settings import Settings
from encola.store import Keys
from encola.store.callers import translated
from encola.store.overview import Overview, QueueNow, read_overview
from encola.store.safety import check_info

from .findings import Finding, fault, ok, warning

NO_ANSWER: Final = "It does not answer."
#: A round trip (s) above which every submit feels it.
SLOW: Final = 0.02
#: Parts of maxmemory, and of the connections allowed.
NEARLY_FULL: Final = 0.8
FULL: Final = 0.95
#: Two clocks (s) may differ by so much.
CLOCKS_APART: Final = 5.0
#: What is due may be late by this (s) before somebody must be missing.
LATE: Final = 60.0
#: A task that is next may wait so long (s) before it is said.
LONG_WAIT: Final = 600.0


def check_server(client: redis.Redis, url: str, settings: Settings) -> Iterator[Finding]:
    """It answers, soon, keeps what it is given, and has room."""
    try:
        with translated():
            fastest = min(_ping(client) for _ in range(3))
            info = cast("Mapping[str, Any]", client.info())
            apart = abs(_clock(client) - time.time())
    except StoreError as error:
        yield fault("server", NO_ANSWER, f"{_first(error)} Look at {redact(url)} (REDIS_URL).")
        return
    troubles = [
        *_check_safety(info, settings),
        *_check_disk(info),
        *_check_room(info),
        *_check_speed(fastest, apart),
    ]
    yield from troubles
    if not troubles:
        name, version = _name(info)
        log = "keeps an append-only file" if info.get("aof_enabled") else "keeps no file"
        yield ok(
            "server",
            f"{name} {version} at {redact(url)}, answers in {fastest * 1000:.2f} ms, {log}, "
            f"{size(int(info.get('used_memory', 0)))} used.",
        )


def _ping(client: redis.Redis) -> float:
    start = time.monotonic()
    client.ping()
    return time.monotonic() - start


def _clock(client: redis.Redis) -> float:
    seconds, micros = client.time()
    return seconds + micros / 1e6


def _first(error: StoreError) -> str:
    return one_line(str(error)).partition(". ")[0].rstrip(".") + "."


def _name(info: Mapping[str, Any]) -> tuple[str, str]:
    if "valkey_version" in info:
        return "Valkey", str(info["valkey_version"])
    return "Redis", str(info.get("redis_version"))


def _check_safety(info: Mapping[str, Any], settings: Settings) -> Iterator[Finding]:
    try:
        found = check_info(info, settings.durability)
    except StoreUnsafe as error:
        for line in str(error).splitlines()[1:]:
            yield _split(fault, line.removeprefix("  - "))
        return
    for sentence in found:
        yield _split(warning, sentence)


def _split(level: Any, text: str) -> Finding:
    """A finding of sentences of which the last says what to do."""
    says, _, remedy = text.rstrip(".").rpartition(". ")
    finding: Finding = level("server", f"{says}." if says else text, f"{remedy}.")
    return finding


def _check_disk(info: Mapping[str, Any]) -> Iterator[Finding]:
    remedy = "Look at the disk of the server, and at its log."
    if info.get("aof_enabled") and info.get("aof_last_write_status", "ok") != "ok":
        yield fault("server", "Its last write to the append-only file failed.", remedy)
    for what in ("rdb_last_bgsave_status", "aof_last_bgrewrite_status"):
        if info.get(what, "ok") != "ok":
            yield warning("server", f"Its last save to disk failed ({what}).", remedy)
    if int(info.get("evicted_keys", 0)):
        yield fault(
            "server",
            f"It has thrown {number(int(info['evicted_keys']))} keys away since its start.",
            "Set `maxmemory-policy noeviction`; tasks that are missing cannot be brought back.",
        )


def _check_room(info: Mapping[str, Any]) -> Iterator[Finding]:
    most = int(info.get("maxmemory", 0))
    share = int(info.get("used_memory", 0)) / most if most else 0.0
    if share > NEARLY_FULL:
        yield (fault if share > FULL else warning)(
            "server",
            f"{share:.0%} of its memory ({size(most)}) is used; at 100% no task is accepted.",
            "Raise maxmemory, or lower ENCOLA_RETENTION_DAYS or ENCOLA_RETENTION_COUNT.",
        )
    clients = int(info.get("connected_clients", 0)), int(info.get("maxclients", 0))
    if clients[1] and clients[0] > clients[1] * NEARLY_FULL:
        yield warning(
            "server",
            f"{number(clients[0])} of {number(clients[1])} connections are in use.",
            "Raise maxclients, or look for who opens them (CLIENT LIST).",
        )


def _check_speed(fastest: float, apart: float) -> Iterator[Finding]:
    if fastest > SLOW:
        yield warning(
            "server",
            f"A round trip takes {fastest * 1000:.0f} ms.",
            "Each submit takes at least one; move the server nearer, or look at its load.",
        )
    if apart > CLOCKS_APART:
        yield warning(
            "server",
            f"Its clock and this machine's are {duration(apart)} apart.",
            "Set both by NTP; what is due is due by the server's clock.",
        )


# --- who works for it -----------------------------------------------------------


def check_work(client: redis.Redis, keys: Keys, settings: Settings) -> Iterator[Finding]:
    """Workers are there, every queue has one, what is due is done, and nothing is parked."""
    try:
        overview = read_overview(client, keys, settings.queues, running=0)
        yield from _check_workers(overview)
        yield from _check_queues(overview, settings)
        yield from _check_housekeeping(client, keys, overview)
        yield from _check_schedules(client, keys, overview)
        yield from _check_folder(client, keys, settings)
    except StoreError as error:
        yield fault("workers", "They could not be looked at.", _first(error))


def _check_folder(client: redis.Redis, keys: Keys, settings: Settings) -> Iterator[Finding]:
    if sees_folder(client, keys, settings.data_dir):
        return
    says, _, remedy = str(FolderElsewhere(settings.data_dir)).partition(". ")
    yield warning("data folder", f"{says}.", remedy)


def _check_workers(overview: Overview) -> Iterator[Finding]:
    workers = [worker for worker in overview.workers if not worker.is_in_process]
    alive = [worker for worker in workers if worker.is_alive]
    for worker in workers:
        if not worker.is_alive:
            yield warning(
                "workers",
                f"{one_line(worker.hostname)} has not been heard of for "
                f"{duration(-worker.lease_seconds)} longer than its lease.",
                "Another worker or the API takes back what it had; look at its log.",
            )
    if not alive:
        yield fault("workers", "None runs, so no task does.", "Start `encola worker`.")
        return
    if all(worker.is_draining for worker in alive):
        yield fault(
            "workers",
            "All of them drain, and take no new task.",
            "Let one take tasks again, or start another: `encola worker`.",
        )
        return
    names = ", ".join(one_line(worker.hostname) for worker in alive)
    slots = sum(worker.slots for worker in alive)
    yield ok("workers", f"{names}: {count(slots, 'task')} at once.")


def _check_queues(overview: Overview, settings: Settings) -> Iterator[Finding]:
    # Where no worker runs at all that has been said, and says all.
    has_workers = any(worker.is_alive and not worker.is_in_process for worker in overview.workers)
    troubles = [
        found
        for queue in overview.queues
        if has_workers or queue.is_paused
        for found in _check_queue(queue)
    ]
    yield from troubles
    if overview.paused_types and any(queue.held for queue in overview.queues):
        held = sum(queue.held for queue in overview.queues)
        yield warning(
            "queues",
            f"{count(held, 'task')} held because their type is paused: "
            f"{', '.join(map(one_line, overview.paused_types))}.",
            "Resume it: POST /tasks/types/{name}/resume.",
        )
    waiting = sum(queue.ready + queue.held + queue.delayed for queue in overview.queues)
    if waiting > settings.max_waiting * NEARLY_FULL:
        yield warning(
            "queues",
            f"{number(waiting)} tasks wait; from {number(settings.max_waiting)} on none is taken.",
            "Start more workers, or raise ENCOLA_MAX_WAITING.",
        )
    if overview.dead:
        yield warning(
            "queues",
            f"{count(overview.dead, 'task')} parked: took a worker down three times, or unreadable.",
            "Look at GET /tasks?state=FAILURE; `encola status ID` says why, and "
            "POST /tasks/{id}/retry runs one again.",
        )
    if not troubles:
        names = ", ".join(one_line(queue.name) for queue in overview.queues)
        yield ok("queues", f"{names}: {count(waiting, 'waiting task')}.")


def _check_queue(queue: QueueNow) -> Iterator[Finding]:
    name, ready = one_line(queue.name), count(queue.ready, "task")
    if not queue.ready:
        return
    if queue.is_paused:
        yield warning(
            "queues",
            f"{ready} on {name}, which is paused.",
            f"Resume it: POST /queues/{name}/resume.",
        )
    elif not queue.workers:
        yield fault(
            "queues",
            f"{ready} on {name}, and no worker listens to it.",
            f"Start `encola worker --queues {name}`, or add it to ENCOLA_QUEUES.",
        )
    elif (queue.waiting_seconds or 0) > LONG_WAIT:
        yield warning(
            "queues",
            f"{ready} on {name}; the next has waited {duration(queue.waiting_seconds or 0)}.",
            "Start more workers, or see what they do: `encola monitor`.",
        )


def _check_housekeeping(client: redis.Redis, keys: Keys, overview: Overview) -> Iterator[Finding]:
    now = overview.at.timestamp()
    with translated():
        swept: Any = client.hget(keys.named("meta"), "swept_ms")
        late: Any = client.zcount(keys.named("delayed"), "-inf", (now - LATE) * 1000)
    if late:
        yield fault(
            "housekeeping",
            f"{count(late, 'delayed task')} overdue by more than {duration(LATE)}.",
            "A worker or an API process moves them to their queues: start one.",
        )
    elif swept is not None and now - int(swept) / 1000 > LATE:
        yield warning(
            "housekeeping",
            f"Nobody has looked after the store for {duration(now - int(swept) / 1000)}.",
            "Start `encola worker` or `encola api`: either does it.",
        )


def _check_schedules(client: redis.Redis, keys: Keys, overview: Overview) -> Iterator[Finding]:
    with translated():
        due: Any = client.zrange(keys.named("schedules"), 0, -1, withscores=True)
        pipeline: Any = client.pipeline(transaction=False)
        for schedule_id, _ in due:
            pipeline.hexists(keys.schedule(schedule_id.decode()), "pa")
        paused: list[bool] = pipeline.execute()
    limit = (overview.at.timestamp() - LATE) * 1000
    late = [
        schedule_id.decode()
        for (schedule_id, due_ms), is_paused in zip(due, paused, strict=True)
        if due_ms < limit and not is_paused
    ]
    if late:
        yield fault(
            "schedules",
            f"{', '.join(map(one_line, late[:5]))}: overdue by more than {duration(LATE)}.",
            "No scheduler runs. Start `encola beat`.",
        )
    elif due:
        yield ok("schedules", f"{number(len(due))}, none overdue, {number(sum(paused))} paused.")
