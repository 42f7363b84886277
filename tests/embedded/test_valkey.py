"""The embedded server, a real one: private, durable, and safe to start again."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from encola.embedded import flushing, valkey
from encola.embedded.data_folder import CannotStart
from encola.embedded.valkey import EmbeddedValkey
from encola.errors import StoreUnavailable, StoreUnsafe
from encola.store.safety import check_info, check_server
from support import wait_until

Start = Callable[[EmbeddedValkey], "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a prepared server and wait until it is ready; none outlives the test."""
    running: list[subprocess.Popen[bytes]] = []

    def started(server: EmbeddedValkey) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(server.argv)
        running.append(process)
        valkey.wait_ready(server.url, is_running=lambda: process.poll() is None)
        return process

    yield started
    for process in running:
        process.kill()
        process.wait()


def _client(server: EmbeddedValkey) -> redis.Redis:
    return redis.Redis.from_url(server.url, decode_responses=True)


def test_it_listens_on_a_private_socket_and_on_nothing_else(tmp_path: Path, start: Start) -> None:
    """No other user of the machine reaches it, and no network."""
    server = valkey.prepare(tmp_path, "process")
    start(server)

    with _client(server) as client:
        assert client.config_get("port")["port"] == "0"
    assert stat.S_IMODE(server.socket.stat().st_mode) == 0o700
    assert stat.S_IMODE(server.socket.parent.stat().st_mode) == 0o700
    assert server.socket.is_relative_to(tmp_path)


def test_it_is_set_up_to_lose_nothing(tmp_path: Path, start: Start) -> None:
    """The look that we take at a user's server finds nothing to warn of at our own."""
    server = valkey.prepare(tmp_path, "process")
    start(server)

    with _client(server) as client:
        found = client.config_get("append*", "maxmemory-policy")
        warnings = check_server(client, "process")

    assert warnings == []
    assert (
        found["appendonly"],
        found["appendfsync"],
        found["maxmemory-policy"],
    ) == ("yes", "no", "noeviction")


def test_durability_disk_flushes_before_each_answer(tmp_path: Path, start: Start) -> None:
    """ENCOLA_DURABILITY=disk promises as much."""
    server = valkey.prepare(tmp_path, "disk")
    start(server)

    with _client(server) as client:
        assert client.config_get("appendfsync")["appendfsync"] == "always"
        assert check_server(client, "disk") == []


def test_what_was_written_is_flushed_every_second(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by the server, which would answer before it has written while a flush takes long."""
    monkeypatch.setattr(flushing, "EVERY_SECONDS", 0.01)
    seen: list[str] = []
    monkeypatch.setattr(
        os, "fsync", lambda handle: seen.append(os.readlink(f"/proc/self/fd/{handle}"))
    )
    server = valkey.prepare(tmp_path, "process")

    with flushing.flushed(server.appended):
        start(server)
        wait_until(
            lambda: any(name.endswith(".incr.aof") for name in seen),
            description="the file of changes is flushed",
        )


def test_a_flush_that_fails_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The disk is full, or gone: a line in the log, not one a second."""
    monkeypatch.setattr(flushing, "EVERY_SECONDS", 0.01)
    tries: list[int] = []

    def refuse(handle: int) -> None:
        tries.append(handle)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    (tmp_path / "a.aof").touch()

    with flushing.flushed(tmp_path):
        wait_until(lambda: len(tries) >= 3, description="three tries")

    assert 1 == len(caplog.records)
    assert "could not be flushed to disk" in caplog.text


def test_what_was_written_survives_sigkill_and_a_restart(tmp_path: Path, start: Start) -> None:
    """A killed server process loses nothing that it has answered."""
    server = valkey.prepare(tmp_path, "process")
    process = start(server)
    with _client(server) as client:
        client.set("kept", "yes")
    process.kill()
    process.wait()

    start(valkey.prepare(tmp_path, "process"))

    with _client(server) as client:
        assert client.get("kept") == "yes"


def test_sigterm_ends_it_with_its_files_flushed(tmp_path: Path, start: Start) -> None:
    """The supervisor stops it so."""
    server = valkey.prepare(tmp_path, "process")
    process = start(server)
    with _client(server) as client:
        client.set("kept", "yes")

    process.send_signal(signal.SIGTERM)

    assert process.wait(10) == 0
    assert b"kept" in b"".join(
        file.read_bytes() for file in (tmp_path / "valkey" / "appendonlydir").iterdir()
    )


def test_any_character_may_stand_in_the_folders_name(tmp_path: Path, start: Start) -> None:
    """Spaces, quotes, accents and percent signs are common enough at home."""
    server = valkey.prepare(tmp_path / 'mi "año" 100%?', "process")
    start(server)

    with _client(server) as client:
        assert client.ping()
    assert server.log.exists()


def test_where_the_path_is_too_long_the_socket_lies_in_a_private_folder_elsewhere(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket's path has at most 107 bytes; the data stay where they were asked for."""
    folder = tmp_path / ("deep-" * 30)
    with tempfile.TemporaryDirectory(prefix="run-") as runtime:
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        server = valkey.prepare(folder, "process")
        process = start(server)

        assert server.socket.is_relative_to(runtime)
        assert stat.S_IMODE(server.socket.parent.stat().st_mode) == 0o700
        assert (folder / "valkey" / "appendonlydir").is_dir()
        assert server.socket == valkey.prepare(folder, "process").socket
        process.terminate()
        process.wait(10)


def test_a_folder_that_another_has_put_there_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a shared temporary folder a link of our name may lead to anybody's."""
    folder = tmp_path / ("deep-" * 30)
    with tempfile.TemporaryDirectory(prefix="run-") as runtime:
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        wanted = valkey.socket_path(folder).parent
        wanted.rmdir()
        wanted.symlink_to(tmp_path)

        assert wanted != valkey.socket_path(folder).parent


def test_waiting_for_a_server_that_has_ended_says_so(tmp_path: Path) -> None:
    """It does not wait for the whole time-out."""
    server = valkey.prepare(tmp_path, "process")

    with pytest.raises(CannotStart, match="ended before it was ready"):
        valkey.wait_ready(server.url, is_running=lambda: False)


def test_a_server_left_behind_can_be_asked_to_stop(tmp_path: Path, start: Start) -> None:
    """Where none answers, asking is no error."""
    server = valkey.prepare(tmp_path, "process")
    process = start(server)

    valkey.ask_to_stop(server.url)

    assert process.wait(10) == 0
    valkey.ask_to_stop(server.url)


SAFE = {
    "redis_version": "7.2.4",
    "redis_mode": "standalone",
    "role": "master",
    "aof_enabled": 1,
    "maxmemory": 0,
    "maxmemory_policy": "noeviction",
}


def test_a_safe_server_passes_without_a_word() -> None:
    """Both promises can be kept on it."""
    assert check_info(SAFE, "process") == []
    assert check_info(SAFE, "disk") == []


@pytest.mark.parametrize(
    ("found", "durability", "named"),
    [
        (
            {"maxmemory": 1, "maxmemory_policy": "allkeys-lru"},
            "process",
            "`maxmemory-policy noev",
        ),
        ({"role": "slave"}, "process", "It is a replica"),
        ({"redis_version": "6.2.1"}, "process", "version is 6.2.1"),
        ({"redis_version": "7.0.15"}, "disk", "ENCOLA_DURABILITY=disk needs Redis 7.2"),
        ({"aof_enabled": 0}, "disk", "Set `appendonly yes`"),
        ({"redis_mode": "cluster"}, "process", "cluster mode"),
    ],
)
def test_a_server_that_would_lose_tasks_is_refused(
    found: dict[str, object], durability: str, named: str
) -> None:
    """The message names what to change."""
    with pytest.raises(StoreUnsafe) as caught:
        check_info({**SAFE, **found}, durability)

    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("found", "named"),
    [
        ({"maxmemory_policy": "volatile-ttl"}, "`maxmemory-policy noeviction`"),
        ({"aof_enabled": 0}, "Set `appendonly yes`."),
    ],
)
def test_a_server_that_might_lose_tasks_is_warned_of(found: dict[str, object], named: str) -> None:
    """It starts, and says loudly what a crash would cost."""
    (warning,) = check_info({**SAFE, **found}, "process")

    assert named in warning


def test_all_reasons_are_told_at_once() -> None:
    """As with settings."""
    with pytest.raises(StoreUnsafe) as caught:
        check_info({**SAFE, "role": "slave", "redis_version": "6.0.0"}, "process")

    assert len(str(caught.value).splitlines()) == 3


def test_a_user_without_the_right_to_look_is_warned(tmp_path: Path, start: Start) -> None:
    """A managed server may forbid INFO; that is no reason not to work."""
    server = valkey.prepare(tmp_path, "process")
    start(server)
    with _client(server) as client:
        client.acl_setuser(
            "blind", enabled=True, nopass=True, keys="*", commands=["+@all", "-info"]
        )
        client.execute_command("AUTH", "blind", "x")
        warnings = check_server(client, "process")

    assert len(warnings) == 1
    assert "could not be checked" in warnings[0]


def test_a_server_that_does_not_answer_is_told_apart(tmp_path: Path) -> None:
    """Away is not unsafe."""
    with (
        redis.Redis(unix_socket_path=str(tmp_path / "none.sock")) as client,
        pytest.raises(StoreUnavailable),
    ):
        check_server(client, "process")
