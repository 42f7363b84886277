"""
The supervisor, on real processes: small Python children and a real embedded Valkey.

What must be seen from outside (signals, a killed supervisor, what is left behind) runs
`encola up`'s own code in a process of its own, with small children in place of worker
and API; ``DRIVER`` is that process.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from encola.embedded import children, data_folder, plan, runfile, valkey
from encola.embedded.children import Child
from encola.embedded.data_folder import CannotStart
from encola.embedded.plan import Plan, make_plan
from encola.embedded.supervisor import Supervisor, _announce, run_up
from encola.settings import Settings
from support import wait_until

# A child that notes its start, says that it is ready and notes how it is stopped.
CHILD = """
    import os, pathlib, signal, subprocess, sys, time
    name, folder, patience = sys.argv[1], pathlib.Path(sys.argv[2]), float(sys.argv[3])
    def note(what):
        with open(folder / "ledger", "a") as file:
            file.write(f"{name} {what} {os.getpid()}\\n")
    def stop(*_):
        note("asked")
        time.sleep(patience)
        note("stopped")
        sys.exit(0)
    signal.signal(signal.SIGTERM, stop)
    # A grandchild in a group of its own, as a pool's child may be.
    grandchild = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(300)"], process_group=0
    )
    with open(folder / "ledger", "a") as file:
        file.write(f"{name} grandchild {grandchild.pid}\\n")
    note("ready")
    while True:
        time.sleep(300)
"""

DRIVER = """
    import sys
    from encola.cli.exits import exit_code_of
    from encola.embedded import plan, supervisor
    from encola.embedded.children import Child
    from encola.errors import EncolaError
    from encola.settings import load_settings

    script, ledger_folder, patience = sys.argv[1:4]

    def child(name, stop_timeout):
        async def ready():
            try:
                return f"{name} ready" in open(f"{ledger_folder}/ledger").read()
            except FileNotFoundError:
                return False
        argv = (sys.executable, script, name, ledger_folder, patience if name == "worker" else "0")
        return Child(name, argv, ready, stop_timeout=stop_timeout)

    plan._beat_child = lambda env: child("beat", 10.0)
    plan._worker_child = lambda settings, port, env: child("worker", settings.grace_seconds)
    plan._api_child = lambda settings, port, env: child("api", 10.0)
    plan._mailbox_child = lambda folder, port, settings: child("mailbox", 10.0)
    try:
        sys.exit(supervisor.run_up(load_settings()))
    except EncolaError as error:
        print(error, file=sys.stderr)
        sys.exit(exit_code_of(error))
"""


class Up:
    """One `encola up` with small children, and all that it has started."""

    def __init__(self, folder: Path, *, patience: float = 0.0, **settings: object) -> None:
        self.data = folder / "data"
        self.folder = folder
        for name, source in (("child.py", CHILD), ("driver.py", DRIVER)):
            (folder / name).write_text(textwrap.dedent(source))
        env = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
        env |= {"ENCOLA_DATA_DIR": str(self.data), "ENCOLA_PORT": "0"}
        env |= {f"ENCOLA_{name.upper()}": str(value) for name, value in settings.items()}
        # Files, not pipes: whoever is left behind would hold those open.
        with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, str(folder / "driver.py")),
                    *(str(folder / "child.py"), str(folder), str(patience)),
                ],
                env=env,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def wait_ready(self) -> None:
        """Come back when run.json is there."""
        wait_until(
            lambda: runfile.read(self.data) or self.process.poll() is not None,
            description="run.json is written",
            timeout=30,
        )
        assert self.process.poll() is None, (self.folder / "err").read_text()

    def ledger(self) -> list[list[str]]:
        """One row a note: child, what, process id."""
        with suppress(FileNotFoundError):
            return [line.split() for line in (self.folder / "ledger").read_text().splitlines()]
        return []

    def pids(self) -> set[int]:
        """Every process that it has started."""
        mine = [int(pid) for _, _, pid in self.ledger()]
        return {*mine, *_children_of(self.process.pid)}

    def notes(self, what: str) -> list[str]:
        """Which children have noted *what*, in order."""
        return [name for name, noted, _ in self.ledger() if noted == what]

    def end(self) -> tuple[int, str, str]:
        """Wait for its end: exit code, standard output, standard error."""
        code = self.process.wait(30)
        return code, (self.folder / "out").read_text(), (self.folder / "err").read_text()


@pytest.fixture
def start_up(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    """Start an :class:`Up`; nothing of it outlives the test."""
    started: list[Up] = []

    def start(folder: Path = tmp_path, **settings: Any) -> Up:
        started.append(Up(folder, **settings))
        return started[-1]

    yield start
    for up in started:
        pids = up.pids()
        up.process.kill()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        up.process.wait()


def _children_of(pid: int) -> list[int]:
    done = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(word) for word in done.stdout.split()]


def _is_running(pid: int) -> bool:
    """Whether *pid* runs; a zombie, which only its new parent can remove, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _none_runs(pids: set[int]) -> Callable[[], bool]:
    return lambda: not any(_is_running(pid) for pid in pids)


def _valkey_pid(up: Up) -> int:
    run = runfile.read(up.data)
    assert run
    with redis.Redis.from_url(run.redis_url) as client:
        return int(client.info("server")["process_id"])


def test_ctrl_c_drains_the_worker_first_and_leaves_nothing_behind(
    start_up: Callable[..., Up],
) -> None:
    """Scheduler, worker, API, mailbox, Valkey in this order; grandchildren too; run.json goes; exit code 0."""
    up = start_up(patience=0.5)
    up.wait_ready()
    pids = up.pids()
    assert len(pids) == 9  # Valkey, and four children with one of their own each

    up.process.send_signal(signal.SIGINT)
    code, out, err = up.end()

    assert (code, err.replace("\n", "")) == (0, "")
    assert up.notes("stopped") == ["beat", "worker", "api", "mailbox"]
    assert "worker asked" in " ".join(" ".join(row[:2]) for row in up.ledger())
    wait_until(_none_runs(pids), description="every process is gone")
    assert not (up.data / "run.json").exists()
    assert "Stopping: running tasks get up to 30 s." in out
    assert out.endswith("Stopped.\n")


def test_once_ready_it_says_in_a_few_lines_where_to_look(start_up: Callable[..., Up]) -> None:
    """Every address in it is the one in run.json, and standard output has nothing else."""
    up = start_up()
    up.wait_ready()
    run = runfile.read(up.data)
    assert run
    up.process.terminate()
    _, out, _ = up.end()

    assert f"  API        {run.api_url}/tasks " in out
    assert f"  Mail       {run.api_url}/mailbox  (sent to smtp://127.0.0.1:" in out
    assert "Ctrl-C stops it" in out
    assert len(out.splitlines()) < 15
    assert up.process.pid == run.pid
    assert f"unix://{up.data}/valkey/valkey.sock" == run.redis_url


def test_a_task_that_does_not_end_within_the_grace_period_is_stopped(
    start_up: Callable[..., Up],
) -> None:
    """The stop does not depend on the task."""
    up = start_up(patience=300, grace_seconds=0.5)
    up.wait_ready()
    pids = up.pids()

    up.process.terminate()
    code, _, err = up.end()

    assert code == 0
    assert "worker did not stop in time and was killed" in err
    assert up.notes("stopped") == ["beat", "api", "mailbox"]
    wait_until(_none_runs(pids), description="every process is gone")


def test_a_second_ctrl_c_does_not_wait_for_the_tasks(start_up: Callable[..., Up]) -> None:
    """Valkey still ends in peace, so that nothing is lost."""
    up = start_up(patience=300, grace_seconds=600)
    up.wait_ready()
    pids = up.pids()

    up.process.send_signal(signal.SIGINT)
    wait_until(
        lambda: up.notes("asked") == ["beat", "worker"], description="the worker is asked to stop"
    )
    up.process.send_signal(signal.SIGINT)
    code, _, _ = up.end()

    assert code == 130
    wait_until(_none_runs(pids), description="every process is gone")
    assert "bye bye" in (up.data / "logs" / "valkey.log").read_text()


def test_children_die_with_a_killed_supervisor(start_up: Callable[..., Up]) -> None:
    """SIGKILL leaves it no time to stop them; the kernel does. (Grandchildren are the worker's.)"""
    up = start_up()
    up.wait_ready()
    own = set(_children_of(up.process.pid))
    assert len(own) == 5

    up.process.kill()
    up.process.wait()

    wait_until(_none_runs(own), description="the four children are gone")
    assert runfile.read(up.data) is None


def test_data_survive_a_killed_supervisor_and_the_next_start(
    tmp_path: Path, start_up: Callable[..., Up]
) -> None:
    """The next `encola up` needs no repair by hand."""
    up = start_up()
    up.wait_ready()
    run = runfile.read(up.data)
    assert run
    with redis.Redis.from_url(run.redis_url, decode_responses=True) as client:
        client.set("kept", "yes")
    marker = data_folder.installation_id(up.data)
    up.process.kill()
    up.process.wait()
    for pid in up.pids():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    (tmp_path / "ledger").unlink()

    again = start_up()
    again.wait_ready()

    with redis.Redis.from_url(run.redis_url, decode_responses=True) as client:
        assert client.get("kept") == "yes"
    assert marker is not None
    assert marker == data_folder.installation_id(up.data)


def test_a_killed_valkey_is_started_again_with_its_data(start_up: Callable[..., Up]) -> None:
    """Its address stays, and one line says what happened."""
    up = start_up()
    up.wait_ready()
    run = runfile.read(up.data)
    assert run
    with redis.Redis.from_url(run.redis_url) as client:
        client.set("kept", "yes")
    old = _valkey_pid(up)

    os.kill(old, signal.SIGKILL)
    wait_until(lambda: not _is_running(old), description="the old one is gone")
    wait_until(lambda: valkey.is_ready(run.redis_url), description="a new one is ready")

    with redis.Redis.from_url(run.redis_url, decode_responses=True) as client:
        assert client.get("kept") == "yes"
    assert old != _valkey_pid(up)
    up.process.terminate()
    _, _, err = up.end()
    assert "valkey ended with signal SIGKILL; starting it again in 0.5 s" in err


def test_a_second_up_on_the_same_folder_is_refused(
    tmp_path: Path, start_up: Callable[..., Up]
) -> None:
    """It names the first one and does not disturb it."""
    up = start_up()
    up.wait_ready()
    other = tmp_path / "other"
    other.mkdir()

    second = start_up(other, data_dir=str(up.data))
    code, _, err = second.end()

    assert code == 5
    assert (
        f"Another `encola up` (pid {up.process.pid}) runs on {up.data}. "
        "Stop it first, or name another folder in ENCOLA_DATA_DIR.\n"
    ) == err
    assert up.process.poll() is None
    assert runfile.read(up.data)


def _settings(folder: Path, **more: object) -> Settings:
    return Settings.model_validate({"data_dir": folder, "port": 0, **more})


@pytest.fixture
def _no_redis_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)


@pytest.mark.usefixtures("_no_redis_url")
def test_a_taken_port_stops_the_start_before_anything_runs(tmp_path: Path) -> None:
    """The message names the port and the setting."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(CannotStart) as caught:
            make_plan(data_folder.prepare(tmp_path), _settings(tmp_path, port=port))

    assert (
        f"Port {port} on 127.0.0.1 cannot be used (Address already in use). "
        "Stop what uses it, or choose another with ENCOLA_PORT (0: any free one)."
    ) == str(caught.value)
    assert caught.value.exit_code == 5


def test_a_folder_that_cannot_be_written_to_stops_the_start(tmp_path: Path) -> None:
    """As where a file stands in its place."""
    (tmp_path / "file").write_text("")

    with pytest.raises(CannotStart) as caught:
        run_up(_settings(tmp_path / "file"))

    assert "cannot be written to" in str(caught.value)
    assert "ENCOLA_DATA_DIR" in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_disk_without_room_for_the_addresses_stops_the_start(tmp_path: Path) -> None:
    plan = Plan("http://127.0.0.1:1", "redis://127.0.0.1:2", "smtp://127.0.0.1:3")

    with pytest.raises(CannotStart) as caught:
        _announce(plan, tmp_path / "gone", Settings(data_dir=tmp_path), print)

    assert (
        f"{tmp_path}/run.json could not be written: No such file or directory. "
        "Every other command finds this installation by it."
    ) == str(caught.value)


def test_the_data_folder_has_all_its_rooms_and_one_lasting_id(tmp_path: Path) -> None:
    """Each for its owner alone."""
    folder = data_folder.prepare(tmp_path / "data")
    first = data_folder.installation_id(folder)
    data_folder.prepare(folder)

    assert {*data_folder.FOLDERS, "installation.json"} == set(os.listdir(folder))
    for name in data_folder.FOLDERS:
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o700
    assert first is not None
    assert first == data_folder.installation_id(folder)


@pytest.mark.usefixtures("_no_redis_url")
def test_children_are_told_every_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They must not have to look for run.json, which is written after they are ready."""
    monkeypatch.delenv("ENCOLA_SMTP_URL", raising=False)
    folder = data_folder.prepare(tmp_path)

    plan = make_plan(folder, _settings(tmp_path))

    assert [[child.name for child in stage] for stage in plan.stages] == [
        ["valkey"],
        ["mailbox"],
        ["beat", "worker", "api"],
    ]
    for child in plan.stages[-1]:
        assert child.env == {
            "ENCOLA_DATA_DIR": str(folder),
            "REDIS_URL": f"unix://{folder}/valkey/valkey.sock",
            "ENCOLA_SMTP_URL": plan.smtp_url,
            "ENCOLA_HOST": "127.0.0.1",
            "ENCOLA_PORT": plan.api_url.rpartition(":")[2],
        }
    assert plan.smtp_url.startswith("smtp://127.0.0.1:")
    assert plan.smtp_url.endswith("?starttls=never")


def test_with_addresses_of_the_users_own_neither_valkey_nor_mailbox_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the server is looked at first."""
    looked_at: list[str] = []
    monkeypatch.setattr("encola.embedded.plan._look_at", lambda url, _: looked_at.append(url))

    plan = make_plan(
        data_folder.prepare(tmp_path),
        _settings(tmp_path, redis_url="redis://db/1", smtp_url="smtps://mail"),
    )

    assert [[child.name for child in stage] for stage in plan.stages] == [["beat", "worker", "api"]]
    assert looked_at == ["redis://db/1"]


# In the same process: the life of one child.


def _script(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code), *arguments]


async def _yes() -> bool:
    return True


async def _never() -> bool:
    return False


def _supervise(
    stages: Sequence[Sequence[Child]],
    until: Callable[[], object],
    *,
    description: str,
) -> bool:
    """Run *stages* until *until* holds; whether they were all ready by then."""
    was_ready = False

    def on_ready() -> None:
        nonlocal was_ready
        was_ready = True

    async def main() -> None:
        running = Supervisor(stages, on_ready=on_ready)
        task = asyncio.create_task(running.run())
        waiting = asyncio.to_thread(wait_until, until, description=description)
        await asyncio.wait([task, asyncio.ensure_future(waiting)], return_when="FIRST_COMPLETED")
        running.ask_to_stop()
        await task

    asyncio.run(main())
    return was_ready


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def test_a_child_that_dies_is_started_again_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With growing pauses, and with how it ended."""
    monkeypatch.setattr(children, "FIRST_DELAY", 0.05)
    starts = tmp_path / "starts"
    code = """
        import sys, time
        path = sys.argv[1]
        open(path, "a").write("start\\n")
        if len(open(path).readlines()) < 4:
            time.sleep(0.3)
            sys.exit(3)
        time.sleep(300)
    """
    child = Child("dier", _script(code, str(starts)), _yes)

    was_ready = _supervise(
        [[child]], lambda: len(_lines(starts)) == 4, description="the fourth start"
    )

    assert was_ready
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "dier ended with exit code 3; starting it again in 0.05 s",
        "dier ended with exit code 3; starting it again in 0.1 s",
        "dier ended with exit code 3; starting it again in 0.2 s",
    ]


def test_the_pause_is_short_again_after_a_healthy_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One crash a day is not a crash loop."""
    monkeypatch.setattr(children, "FIRST_DELAY", 0.05)
    monkeypatch.setattr(children, "HEALTHY_AFTER", 0.0)
    starts = tmp_path / "starts"
    code = """
        import sys, time
        open(sys.argv[1], "a").write("start\\n")
        time.sleep(0.3)
    """
    child = Child("dier", _script(code, str(starts)), _yes)

    _supervise([[child]], lambda: len(_lines(starts)) == 4, description="the fourth start")

    assert {"dier ended with exit code 0; starting it again in 0.05 s"} == {
        record.message for record in caplog.records if record.levelname == "WARNING"
    }


def test_a_child_that_never_gets_ready_stops_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After five deaths, with one message; what ran beside it is stopped."""
    monkeypatch.setattr(children, "FIRST_DELAY", 0.01)
    pid_file = tmp_path / "pid"
    fine = Child(
        "fine",
        _script(
            "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(300)",
            str(pid_file),
        ),
        _has_content(pid_file),
    )
    broken = Child("broken", _script("import sys; sys.exit(7)"), _never)

    with pytest.raises(CannotStart) as caught:
        asyncio.run(Supervisor([[fine], [broken]]).run())

    assert str(caught.value) == (
        "broken cannot start: it ended 5 times before it was ready, last with exit code 7. "
        "Its lines above say why."
    )
    assert not _is_running(int(pid_file.read_text()))


def test_a_child_that_another_start_would_not_help_stops_the_whole_at_once(tmp_path: Path) -> None:
    """Such as one that finds a setting wrong."""
    starts = tmp_path / "starts"
    code = "import sys; open(sys.argv[1], 'a').write('start\\n'); sys.exit(2)"

    with pytest.raises(CannotStart) as caught:
        asyncio.run(Supervisor([[Child("worker", _script(code, str(starts)), _never)]]).run())

    assert (2, "worker cannot start. Its lines above say why.") == (
        caught.value.exit_code,
        str(caught.value),
    )
    assert ["start"] == _lines(starts)


def _has_content(path: Path) -> children.Ready:
    async def ready() -> bool:
        return bool(_lines(path))

    return ready


def test_a_child_that_hangs_before_it_is_ready_stops_the_whole() -> None:
    """There is a limit to waiting."""
    hanging = Child("hanging", _script("import time; time.sleep(300)"), _never, ready_timeout=0.5)

    with pytest.raises(CannotStart, match=r"hanging was not ready within 0\.5 s"):
        asyncio.run(Supervisor([[hanging]]).run())


def test_a_command_that_does_not_exist_stops_the_whole(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its own line says which."""
    monkeypatch.setattr(children, "FIRST_DELAY", 0.01)

    with pytest.raises(CannotStart, match="last with exit code 127"):
        asyncio.run(Supervisor([[Child("none", ["/no/such/program"], _never)]]).run())

    assert "/no/such/program cannot be started: No such file or directory" in capfd.readouterr().err


def test_a_later_stage_waits_for_the_earlier(tmp_path: Path) -> None:
    """The worker finds its store ready."""
    ledger = tmp_path / "ledger"
    code = """
        import sys, time
        note = lambda what: open(sys.argv[1], "a").write(f"{sys.argv[2]} {what}\\n")
        note("starts"); time.sleep(0.3); note("ready"); time.sleep(300)
    """

    def child(name: str) -> Child:
        async def ready() -> bool:
            return f"{name} ready" in _lines(ledger)

        return Child(name, _script(code, str(ledger), name), ready)

    _supervise(
        [[child("a")], [child("b")]], lambda: len(_lines(ledger)) == 4, description="b is ready"
    )

    assert _lines(ledger) == ["a starts", "a ready", "b starts", "b ready"]


def test_a_stop_during_the_start_is_obeyed(tmp_path: Path) -> None:
    """Ctrl-C does not have to wait until all is ready."""
    pid_file = tmp_path / "pid"
    code = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(300)"
    child = Child("slow", _script(code, str(pid_file)), _never)

    was_ready = _supervise([[child]], lambda: _lines(pid_file), description="it has started")

    assert not was_ready
    assert not _is_running(int(pid_file.read_text()))


def test_what_a_dead_child_leaves_behind_is_killed_before_its_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed worker's children must not go on beside those of the next."""
    monkeypatch.setattr(children, "FIRST_DELAY", 0.05)
    ledger = tmp_path / "ledger"
    code = """
        import subprocess, sys
        left = subprocess.Popen(
            [sys.executable, "-c", "import time; time.sleep(300)"], process_group=0
        )
        open(sys.argv[1], "a").write(f"{left.pid}\\n")
    """
    child = Child("leaver", _script(code, str(ledger)), _yes)

    _supervise([[child]], lambda: len(_lines(ledger)) >= 2, description="the second start")

    wait_until(
        lambda: not any(_is_running(int(pid)) for pid in _lines(ledger)),
        description="what both left behind is gone",
    )


def test_a_child_whose_time_is_over_hears_of_it_before_it_is_killed(tmp_path: Path) -> None:
    """The worker gives back what it runs."""
    ledger = tmp_path / "ledger"
    code = """
        import signal, sys, time
        note = lambda what: open(sys.argv[1], "a").write(f"{what}\\n")
        def leave(*_):
            note("told")
            sys.exit(0)
        signal.signal(signal.SIGTERM, lambda *_: note("asked"))
        signal.signal(signal.SIGQUIT, leave)
        note("starts")
        while True:
            time.sleep(300)
    """
    argv = _script(code, str(ledger))
    child = Child("worker", argv, _yes, stop_timeout=0.3, last_call=signal.SIGQUIT)

    _supervise([[child]], lambda: _lines(ledger), description="it has started")

    assert ["starts", "asked", "told"] == _lines(ledger)


def test_lines_of_a_child_are_handed_on(tmp_path: Path) -> None:
    """The mailbox says on its standard output that it is ready."""
    seen: list[str] = []
    code = """print('{"event": "ready"}', flush=True); import time; time.sleep(300)"""
    child = Child("mailbox", _script(code), _yes, on_line=seen.append)

    _supervise([[child]], lambda: seen, description="its line has come")

    assert json.loads(seen[0]) == {"event": "ready"}


def test_a_line_without_end_is_left_out_and_the_next_are_heard(tmp_path: Path) -> None:
    """What a user's module prints as the scheduler imports it may be of any length."""
    seen: list[str] = []
    code = """
        import sys, time
        sys.stdout.write("x" * 1_000_000 + "\\n")
        print("ready", flush=True)
        time.sleep(300)
    """
    child = Child("talker", _script(code), _yes, on_line=seen.append)

    _supervise([[child]], lambda: "ready" in seen, description="the line after it has come")

    assert "ready" == seen[-1]


def test_a_mistake_of_ours_stops_the_others_in_their_order(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Valkey must outlive those who still write to it, also where we fail ourselves."""
    ledger = tmp_path / "ledger"
    code = """
        import signal, sys, time
        def stop(*_):
            open(sys.argv[1], "a").write(f"{sys.argv[2]} stopped\\n")
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        open(sys.argv[1], "a").write(f"{sys.argv[2]} runs\\n")
        while True:
            time.sleep(300)
    """

    def child(name: str) -> Child:
        async def ready() -> bool:
            return f"{name} runs" in _lines(ledger)

        return Child(name, _script(code, str(ledger), name), ready)

    async def fails() -> bool:
        raise RuntimeError("our own mistake")

    broken = Child("broken", _script("import time; time.sleep(300)"), fails)

    with pytest.raises(RuntimeError, match="our own mistake"):
        asyncio.run(Supervisor([[child("first")], [child("second")], [broken]]).run())

    assert ["second stopped", "first stopped"] == _lines(ledger)[-2:]
    assert "broken could not be kept running" in [record.message for record in caplog.records]


def test_a_valkey_that_was_left_behind_is_stopped_before_another_starts(tmp_path: Path) -> None:
    """Two servers on the same files would ruin them."""
    folder = data_folder.prepare(tmp_path)
    server = valkey.prepare(folder, "process")
    descriptor = os.open(server.lock, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    left = subprocess.Popen(server.argv, pass_fds=(descriptor,))
    os.close(descriptor)
    valkey.wait_ready(server.url)

    def is_new() -> bool:
        with suppress(redis.RedisError), redis.Redis.from_url(server.url) as client:
            return int(client.info("server")["process_id"]) != left.pid
        return False

    _supervise(
        [[plan._valkey_child(server, _settings(tmp_path))]],
        is_new,
        description="a new server answers",
    )

    assert left.wait(10) == 0


def test_a_server_that_does_not_answer_stops_the_start(tmp_path: Path) -> None:
    """REDIS_URL names it; nothing is started beside it."""
    with pytest.raises(Exception, match="did not answer"):
        run_up(_settings(tmp_path, redis_url=f"unix://{tmp_path}/none.sock"), say=lambda _: None)
