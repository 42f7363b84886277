"""A whole service that files are sent to: over real connections, which break, and by the command."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from running import Running
from support import wait_until

#: More than a process may grow by while it takes the file.
SENT = 300 * 10**6
MOST_GROWTH_MB = 60


@pytest.fixture(scope="module")
def service() -> Iterator[Running]:
    running = Running({"ENCOLA_MAX_UPLOAD": "400000000"})
    running.start()
    yield running
    running.close()


def submit(service: Running, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "encola", "submit", "file", *arguments, "--user", "7"],
        env=service.env,
        cwd=service.folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def uploads(service: Running) -> list[Path]:
    """Hidden ones too."""
    folder = service.data_dir / "uploads"
    return list(folder.iterdir()) if folder.exists() else []


def test_an_upload_that_breaks_off_leaves_nothing(service: Running) -> None:
    """And is no error of the service's."""
    address = urlsplit(service.api_url)
    head = (
        f"POST /files HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Length: 100000000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="file"; filename="half.csv"\r\n\r\n'
    )
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(head.encode() + b"x" * 5_000_000)
        wait_until(lambda: uploads(service), description="it is being written")
    wait_until(lambda: uploads(service) == [], description="nothing is left of it")

    assert "Traceback" not in service.log.read_text()


def test_a_large_file_takes_no_memory_on_its_way(service: Running, tmp_path: Path) -> None:
    large = tmp_path / "large.csv"
    with large.open("wb") as file:
        file.truncate(SENT)
    api = process(service, "api")
    before = peak_mb(api)
    with large.open("rb") as file:
        sent = httpx.post(f"{service.api_url}/files", files={"file": file}, timeout=120).json()

    assert SENT == sent["size"]
    assert peak_mb(api) - before < MOST_GROWTH_MB
    name = sent["file_path"].rpartition("/")[2]
    with httpx.stream("GET", f"{service.api_url}/files/{name}") as read:
        assert SENT == sum(map(len, read.iter_bytes()))
    assert peak_mb(api) - before < MOST_GROWTH_MB
    assert httpx.delete(f"{service.api_url}/files/{name}").is_success


def test_the_command_sends_waits_and_tells_how_it_ended(service: Running, tmp_path: Path) -> None:
    good, bad = tmp_path / "ventas.csv", tmp_path / "foto.csv"
    good.write_text("fecha,importe\n2026-01-31,50.5\n2026-02-01,1,2\n")
    bad.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40)

    done = submit(service, str(good), "--wait", "--json")
    assert 0 == done.returncode, done.stderr
    result = json.loads(done.stdout)["result"]
    assert (1, 1) == (result["records_processed"], result["records_rejected"])
    failed = submit(service, str(bad), "--wait")
    assert 1 == failed.returncode
    assert "FAILURE" in failed.stderr and "Traceback" not in failed.stderr
    nowhere = submit(service, str(tmp_path / "none.csv"), "--wait")
    assert 1 == nowhere.returncode


def test_the_command_says_when_a_file_is_too_large(service: Running, tmp_path: Path) -> None:
    """Also where the API answers before it has read the file."""
    large = tmp_path / "large.csv"
    with large.open("wb") as file:
        file.truncate(500 * 10**6)
    before = len(uploads(service))
    done = submit(service, str(large))

    assert (2, "") == (done.returncode, done.stdout)
    assert "400000000" in done.stderr
    assert before == len(uploads(service))


def process(service: Running, command: str) -> int:
    """The id of that process of the service."""
    assert service.process is not None
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if parent == service.process.pid and words[-2] == command.encode():
            return int(entry.name)
    raise AssertionError(f"no process of {command}")


def peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024 / 1e6
