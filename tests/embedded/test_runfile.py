"""``run.json``: written whole, private, and only believed while its process lives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from encola.embedded import runfile
from encola.embedded.runfile import RunFile
from encola.errors import NothingRuns, SettingsError
from encola.settings import load_settings


def _run(pid: int) -> RunFile:
    return RunFile(
        pid=pid,
        api_url="http://127.0.0.1:8000",
        redis_url="unix:///data/valkey.sock",
        smtp_url="smtp://127.0.0.1:2525?starttls=never",
        started_at="2026-11-22T09:00:00.123456Z",
    )


def _dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Every field survives."""
    runfile.write(tmp_path, _run(os.getpid()))

    assert _run(os.getpid()) == runfile.read(tmp_path)


def test_the_file_is_its_owners_alone_and_leaves_no_other_behind(
    tmp_path: Path,
) -> None:
    """Addresses may hold passwords; a temporary copy would hold them too."""
    path = runfile.write(tmp_path, _run(os.getpid()))
    path.chmod(0o644)
    runfile.write(tmp_path, _run(os.getpid()))

    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["run.json"]


def test_the_file_of_a_dead_process_counts_as_missing(tmp_path: Path) -> None:
    """A killed supervisor cannot remove it."""
    runfile.write(tmp_path, _run(_dead_pid()))

    assert runfile.read(tmp_path) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"pid": "x"}', "\x00"])
def test_an_unreadable_file_counts_as_missing(tmp_path: Path, content: str) -> None:
    """Whatever stands in it, reading does not raise."""
    (tmp_path / "run.json").write_text(content)

    assert runfile.read(tmp_path) is None


def test_removing_twice_is_no_error(tmp_path: Path) -> None:
    """A stop may come twice."""
    runfile.write(tmp_path, _run(os.getpid()))
    runfile.remove(tmp_path)
    runfile.remove(tmp_path)

    assert runfile.read(tmp_path) is None


def test_addresses_come_from_the_settings_first(tmp_path: Path) -> None:
    """REDIS_URL and ENCOLA_SMTP_URL are a person's word; run.json is only found."""
    runfile.write(tmp_path, _run(os.getpid()))
    settings = load_settings(data_dir=tmp_path, redis_url="redis://db", smtp_url="smtps://mail")

    assert runfile.resolve_redis_url(settings) == "redis://db"
    assert runfile.resolve_smtp_url(settings) == "smtps://mail"


def test_without_settings_addresses_come_from_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second terminal finds what the first one started."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.delenv("ENCOLA_SMTP_URL", raising=False)
    runfile.write(tmp_path, _run(os.getpid()))
    settings = load_settings(data_dir=tmp_path)

    assert runfile.resolve_redis_url(settings) == "unix:///data/valkey.sock"
    assert runfile.resolve_smtp_url(settings) == "smtp://127.0.0.1:2525?starttls=never"


def test_where_nothing_runs_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence is the contract's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.delenv("ENCOLA_SMTP_URL", raising=False)
    settings = load_settings(data_dir=Path(".encola"))

    with pytest.raises(NothingRuns) as caught:
        runfile.resolve_redis_url(settings)
    with pytest.raises(SettingsError) as caught_mail:
        runfile.resolve_smtp_url(settings)

    assert str(caught.value) == "Nothing runs in ./.encola. Start `encola up`, or set REDIS_URL."
    assert "ENCOLA_SMTP_URL: expected an address" in str(caught_mail.value)
