"""
``encola doctor``: an installation that is well, each thing that can be wrong with one, and what is said of it.

What it says of records and places is shown in ``tests/store/test_consistency.py``.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiosmtpd.controller import Controller

from encola.doctor import machine, neighbours, server
from encola.doctor.findings import Finding, Level
from encola.embedded import data_folder
from encola.embedded.ports import free_port
from encola.settings import load_settings
from encola.store import Keys, Message, NewTask, Verbs, connect, encode_body
from encola.store import run as run_verb
from support import Server, Store
from terminal import Terminal

Run = Callable[..., "subprocess.CompletedProcess[str]"]
WORKER = "encola@a/1"
MESSAGE = Message("tests.work", encode_body([])).encode()


@pytest.fixture
def well(valkey: Server, tmp_path: Path) -> Iterator[Store]:
    """A data folder, a server, a worker with two slots, and somebody who looked after the store just now."""
    data_folder.prepare(tmp_path / ".encola")
    client = connect(valkey.url)
    client.flushall()
    found = Store(client, Verbs(Keys()), Keys())
    info = {"hostname": "encola@a", "queues": ["encola", "files", "reports"], "slots": 2}
    beat = found.verbs.heartbeat(WORKER, 600_000, info=json.dumps(info), register=True)
    run_verb(client, beat)
    run_verb(client, found.verbs.sweep(600_000, ["encola"]))
    yield found
    client.flushall()
    client.close()


def add(store: Store, *ids: str, queue: str = "encola", **more: Any) -> None:
    tasks = [NewTask(task_id, MESSAGE, queue, "work", **more) for task_id in ids]
    run_verb(store.client, store.verbs.enqueue(tasks, 10**6))


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, list[dict[str, str]]]:
    """Area -> its findings, of ``--json``."""
    found: dict[str, list[dict[str, str]]] = {}
    for finding in json.loads(done.stdout)["findings"]:
        found.setdefault(finding["area"], []).append(finding)
    return found


def wrong(found: Iterator[Finding]) -> list[tuple[Level, str]]:
    """What is not well; each says what to do."""
    listed = [finding for finding in found if finding.level is not Level.OK]
    assert all(finding.remedy for finding in listed)
    return [(finding.level, finding.says) for finding in listed]


# --- the command ----------------------------------------------------------------


def test_an_installation_that_is_well_has_no_fault(run: Run, well: Store, valkey: Server) -> None:
    """One line each; no API, no mailbox and no append-only file are warnings, and no reason to fail."""
    add(well, "a", "b")
    done = run("doctor", REDIS_URL=valkey.url, ENCOLA_PORT="1")
    marks = {
        line[8:20].strip(): line[:8].strip() for line in done.stdout.splitlines() if line[:1] > " "
    }

    assert (0, "") == (done.returncode, done.stderr)
    assert {
        "versions": "ok",
        "data folder": "ok",
        "server": "warning",
        "workers": "ok",
        "queues": "ok",
        "records": "ok",
        "mail": "warning",
        "API": "warning",
    } == {area: mark for area, mark in marks.items() if area in marks and mark in ("ok", "warning")}
    assert "2 unfinished tasks and 2 entries of places agree." in done.stdout
    assert done.stdout.endswith("\n3 warnings.\n")
    assert "\x1b" not in done.stdout


def test_every_finding_that_is_not_well_says_what_to_do(
    run: Run, valkey: Server, well: Store
) -> None:
    """In JSON as for people."""
    done = run("doctor", "--json", REDIS_URL=valkey.url, ENCOLA_PORT="1")
    document = json.loads(done.stdout)

    assert (0, 3) == (document["faults"], document["warnings"])
    for finding in document["findings"]:
        assert {"level", "area", "says", "remedy"} == set(finding)
        assert bool(finding["remedy"]) == (finding["level"] != "ok")


def test_where_nothing_runs_it_says_so_and_looks_at_the_rest(run: Run) -> None:
    """With the usual sentence, and exit code 4."""
    done = run("doctor")

    assert (4, "") == (done.returncode, done.stderr)
    assert "FAULT   server       Nothing runs in ./.encola.\n" in done.stdout
    assert "→ Start `encola up`, or set REDIS_URL.\n" in done.stdout
    assert "versions" in done.stdout


def test_a_server_that_does_not_answer_is_exit_code_4(run: Run) -> None:
    """Its password is not shown."""
    done = run("doctor", REDIS_URL="redis://:hunter2@127.0.0.1:1", ENCOLA_PORT="1")

    assert 4 == done.returncode
    assert "FAULT   server       It does not answer.\n" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.parametrize("arguments", [["doctor"], ["doctor", "--json"]])
def test_wrong_settings_are_all_told(run: Run, arguments: list[str]) -> None:
    """Exit code 2, before anything else is looked at."""
    done = run(*arguments, ENCOLA_PORT="x", ENCOLA_LANGUAGE="fr")

    assert (2, "") == (done.returncode, done.stderr)
    assert "ENCOLA_PORT=x" in done.stdout
    assert "ENCOLA_LANGUAGE=fr" in done.stdout
    assert "versions" not in done.stdout


def test_a_task_that_is_not_where_it_should_be_is_a_fault(
    run: Run, well: Store, valkey: Server
) -> None:
    """By its id, with what to do once; exit code 1."""
    add(well, "a", "b", "c")
    well.client.lrem("encola", 1, "b")
    well.client.lrem("encola", 1, "c")
    done = run("doctor", REDIS_URL=valkey.url, ENCOLA_PORT="1")

    assert 1 == done.returncode
    assert "FAULT   records      Task b should be ready, and is not there.\n" in done.stdout
    assert 1 == done.stdout.count("report it.")
    assert done.stdout.endswith("\n2 faults and 3 warnings.\n")


def test_it_changes_nothing(run: Run, well: Store, valkey: Server) -> None:
    """Every key is as it was, whatever was found."""
    add(well, "a", "b")
    add(well, "later", due_ms=4 * 10**12)
    well.client.lrem("encola", 1, "b")

    def dump() -> dict[bytes, Any]:
        return {key: well.client.dump(key) for key in well.client.scan_iter()}

    before = dump()
    run("doctor", REDIS_URL=valkey.url, ENCOLA_PORT="1")

    assert before
    assert before == dump()


def test_a_long_comparison_says_how_far_it_is(
    tmp_path: Path, environment: dict[str, str], well: Store, valkey: Server
) -> None:
    """On a terminal, in one line that goes when it is over."""
    add(well, *(f"a{n}" for n in range(5000)))
    env = {**environment, "REDIS_URL": valkey.url, "ENCOLA_PORT": "1"}
    terminal = Terminal(100, 40, tmp_path, env, "doctor")

    assert 0 == terminal.wait()
    assert (
        "Comparing records and places: 10\u202f000 of about 10\u202f000 …\r\x1b[K" in terminal.text
    )
    assert "5\u202f000 unfinished tasks" in terminal.text


# --- the work -------------------------------------------------------------------------


def said(run: Run, valkey: Server, area: str) -> list[tuple[str, str]]:
    found = findings(run("doctor", "--json", REDIS_URL=valkey.url, ENCOLA_PORT="1"))
    return [(finding["level"], finding["says"]) for finding in found.get(area, [])]


def test_no_worker_is_a_fault(run: Run, well: Store, valkey: Server) -> None:
    """And one that has stopped renewing is a warning beside it."""
    run_verb(well.client, well.verbs.leave(WORKER))
    run_verb(well.client, well.verbs.heartbeat("encola@b/1", -100_000, info="{}", register=True))

    lost, none = said(run, valkey, "workers")
    assert "warning" == lost[0]
    assert lost[1].startswith("encola@b has not been heard of for 1 min 4")
    assert ("fault", "None runs, so no task does.") == none


def test_workers_that_all_drain_are_a_fault(run: Run, well: Store, valkey: Server) -> None:
    """They look alive, and take nothing."""
    run_verb(well.client, well.verbs.drain(WORKER, on=True))

    assert [("fault", "All of them drain, and take no new task.")] == said(run, valkey, "workers")


def test_queues_that_stand_still_are_told(run: Run, well: Store, valkey: Server) -> None:
    """Nobody listens; paused; its type is paused; parked."""
    add(well, "a", "b", queue="nowhere")
    add(well, "c", queue="files")
    run_verb(well.client, well.verbs.pause("files", on=True))
    add(well, "d", queue="reports")
    run_verb(well.client, well.verbs.pause_type("work", on=True))
    run_verb(well.client, well.verbs.claim(WORKER, 1, ["reports"]))
    well.client.zadd(well.keys.named("dead"), {"gone": 1})

    assert [
        ("warning", "1 task on files, which is paused."),
        ("fault", "2 tasks on nowhere, and no worker listens to it."),
        ("warning", "1 task held because their type is paused: work."),
    ] == said(run, valkey, "queues")[:3]
    assert said(run, valkey, "queues")[3][1].startswith("1 task parked")


def test_what_is_overdue_is_told(run: Run, well: Store, valkey: Server) -> None:
    """A delayed task that nobody moved, and schedules that nobody fired; a paused one is meant."""
    well.client.zadd(well.keys.named("delayed"), {"gone": 1})
    for name in ("nightly", "paused"):
        well.client.zadd(well.keys.named("schedules"), {name: 1})
    well.client.hset(well.keys.schedule("paused"), "pa", "1")

    late = [("fault", "1 delayed task overdue by more than 1 min.")]
    assert late == said(run, valkey, "housekeeping")
    assert [("fault", "nightly: overdue by more than 1 min.")] == said(run, valkey, "schedules")


def test_a_store_that_nobody_looks_after_is_told(run: Run, well: Store, valkey: Server) -> None:
    """Neither a worker nor an API process."""
    well.client.hset(well.keys.named("meta"), "swept_ms", "1")

    ((level, says),) = said(run, valkey, "housekeeping")
    assert "warning" == level
    assert says.startswith("Nobody has looked after the store for ")


# --- the server -----------------------------------------------------------------------


INFO = {
    "redis_version": "7.2.4",
    "maxmemory": 1000,
    "used_memory": 100,
    "maxmemory_policy": "noeviction",
    "aof_enabled": 1,
    "connected_clients": 5,
    "maxclients": 100,
}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, []),
        ({"used_memory": 850}, [(Level.WARNING, "85% of its memory (1.0 KB) is used")]),
        ({"used_memory": 960}, [(Level.FAULT, "96% of its memory (1.0 KB) is used")]),
        ({"connected_clients": 81}, [(Level.WARNING, "81 of 100 connections are in use.")]),
        ({"evicted_keys": 3}, [(Level.FAULT, "It has thrown 3 keys away since its start.")]),
        (
            {"aof_last_write_status": "err"},
            [(Level.FAULT, "Its last write to the append-only file failed.")],
        ),
        (
            {"rdb_last_bgsave_status": "err"},
            [(Level.WARNING, "Its last save to disk failed (rdb_last_bgsave_status).")],
        ),
        ({"aof_enabled": 0}, [(Level.WARNING, "The server keeps no append-only file")]),
        (
            {"maxmemory_policy": "allkeys-lru"},
            [(Level.FAULT, "It throws keys away when its memory is full")],
        ),
        ({"role": "slave"}, [(Level.FAULT, "It is a replica, and what is written to it is lost.")]),
    ],
)
def test_what_info_says_is_judged(more: dict[str, Any], expected: list[tuple[Level, str]]) -> None:
    """Each has its level, and says what to do."""
    info, settings = {**INFO, **more}, load_settings()
    parts = (
        *server._check_safety(info, settings),
        *server._check_disk(info),
        *server._check_room(info),
    )
    found = wrong(iter(parts))

    assert len(expected) == len(found)
    for (level, says), (found_level, found_says) in zip(expected, found, strict=True):
        assert level is found_level
        assert found_says.startswith(says)


def test_a_slow_line_and_clocks_apart_are_told() -> None:
    """Both are warnings."""
    found = wrong(server._check_speed(0.05, 90.0))

    assert [
        (Level.WARNING, "A round trip takes 50 ms."),
        (Level.WARNING, "Its clock and this machine's are 1 min 30 s apart."),
    ] == found


# --- this machine -----------------------------------------------------------------------


def test_versions_that_do_not_fit_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing one too; extras that are not there are nobody's fault."""
    wanted = ["celery<5.0", "no-such-thing>=1", 'neither>=2; extra == "files"']
    monkeypatch.setattr(machine.importlib.metadata, "requires", lambda name: wanted)
    (_, old), (_, missing) = wrong(machine.check_versions())

    assert old.endswith("is installed; this encola needs celery<5.0.")
    assert "It is missing; this encola needs no-such-thing>=1." == missing


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize(
    ("free", "level"), [(10**8, Level.FAULT), (10**9, Level.WARNING), (10**10, None)]
)
def test_a_disk_that_is_nearly_full_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, level: Level | None
) -> None:
    """Before writing fails."""
    data_folder.prepare(tmp_path)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: Usage(10**12, 0, free))
    found = wrong(machine.check_data_folder(load_settings(data_dir=tmp_path)))

    assert [level] * (level is not None) == [finding[0] for finding in found]


def test_a_data_folder_that_others_can_read_or_that_is_strange_is_told(tmp_path: Path) -> None:
    """Mode, marker, and what a killed `encola up` left behind."""
    tmp_path.chmod(0o755)
    (tmp_path / "run.json").write_text("{}")
    found = [says for _, says in wrong(machine.check_data_folder(load_settings(data_dir=tmp_path)))]

    assert 3 == len(found)
    assert "(mode 755)" in found[0]
    assert "has no installation.json" in found[1]
    assert "names a process that is gone" in found[2]


def test_a_data_folder_that_cannot_be_written_to_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by writing, since rights say nothing of a full disk."""
    data_folder.prepare(tmp_path)

    def full(**_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(machine.tempfile, "TemporaryFile", full)
    ((level, says),) = wrong(machine.check_data_folder(load_settings(data_dir=tmp_path)))

    assert Level.FAULT is level
    assert says.endswith("cannot be written to (No space left on device).")


def test_modules_and_folders_that_are_not_there_are_told(tmp_path: Path) -> None:
    """Each by its name."""
    settings = load_settings(
        task_modules=("json", "no.such.module"), file_roots=(str(tmp_path), "/nowhere")
    )

    assert [
        (Level.FAULT, "ENCOLA_TASK_MODULES names no.such.module, which is not found from here.")
    ] == wrong(machine.check_modules(settings))
    ((level, says),) = wrong(machine.check_file_roots(settings))
    assert Level.WARNING is level
    assert says.startswith("ENCOLA_FILE_ROOTS names /nowhere")


# --- mail and API ---------------------------------------------------------------------


def test_a_mail_server_is_greeted_and_nothing_is_sent() -> None:
    """The placeholder of a sender is told where mail goes out for real."""
    sent: list[Any] = []

    class Handler:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            sent.append(envelope)
            return "250 OK"

    controller = Controller(Handler(), hostname="127.0.0.1", port=free_port("127.0.0.1"))
    controller.start()
    try:
        url = f"smtp://127.0.0.1:{controller.port}?starttls=never"
        named = load_settings(smtp_url=url, mail_from="shop@example.com")
        (good,) = neighbours.check_mail(named)
        ((level, says),) = wrong(neighbours.check_mail(load_settings(smtp_url=url)))
    finally:
        controller.stop()

    assert Level.OK is good.level
    assert Level.WARNING is level
    assert "encola@localhost" in says
    assert [] == sent


def test_a_mail_server_that_cannot_be_reached_is_a_fault() -> None:
    """Without the password."""
    settings = load_settings(smtp_url="smtp://ana:hunter2@127.0.0.1:1?starttls=never")
    ((level, says),) = wrong(neighbours.check_mail(settings))

    assert Level.FAULT is level
    assert "The mail server 127.0.0.1:1 cannot be reached: Connection refused." == says
