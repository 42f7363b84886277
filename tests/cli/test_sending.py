"""`encola submit file` brings the file to where the worker may read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_cli import SCHEMA, FakeApi, Run, api

from terminal import Terminal

__all__ = ["api"]

SENT = "data://uploads/0198-v.csv"


@pytest.fixture
def asked(api: FakeApi, tmp_path: Path) -> FakeApi:
    types = [{"name": name, "input_schema": SCHEMA} for name in ("file", "thumbnail")]
    api.answers["GET /tasks/types"] = (200, {"types": types})
    api.answers["POST /files"] = (201, {"file_path": SENT})
    (tmp_path / "v.csv").write_text("a,b\n1,2\n")
    return api


def submitted(api: FakeApi) -> Any:
    (task,) = [body for key, body in api.asked if key == "POST /tasks"]
    return task["input"]["file_path"]


def sent(api: FakeApi) -> list[Any]:
    return [body for key, body in api.asked if key == "POST /files"]


def test_a_file_here_is_sent_and_its_address_submitted(
    asked: FakeApi, run: Run, tmp_path: Path
) -> None:
    done = run("submit", "file", str(tmp_path / "v.csv"), "--user", "7", ENCOLA_URL=asked.url)

    assert (0, "t-1\n") == (done.returncode, done.stdout), done.stderr
    assert SENT == submitted(asked)
    (body,) = sent(asked)
    assert b'name="file"; filename="v.csv"' in body and b"a,b\n1,2\n" in body


def test_what_the_worker_can_reach_goes_as_it_is(asked: FakeApi, run: Run, tmp_path: Path) -> None:
    """In a root, in the uploads already, or on the worker's machine alone."""
    for path, more in (
        (str(tmp_path / "v.csv"), {"ENCOLA_FILE_ROOTS": str(tmp_path)}),
        (SENT, {}),
        ("/srv/only/there.csv", {}),
    ):
        asked.asked.clear()
        done = run("submit", "file", path, "--user", "7", ENCOLA_URL=asked.url, **more)

        assert 0 == done.returncode, done.stderr
        assert path == submitted(asked)
        assert [] == sent(asked)


def test_a_type_of_ones_own_gets_the_path(asked: FakeApi, run: Run, tmp_path: Path) -> None:
    run("submit", "thumbnail", str(tmp_path / "v.csv"), ENCOLA_URL=asked.url)

    assert str(tmp_path / "v.csv") == submitted(asked)
    assert [] == sent(asked)


def test_nothing_is_sent_while_a_field_is_missing(asked: FakeApi, run: Run, tmp_path: Path) -> None:
    """A gigabyte first and then "user_id: Field required" would be a bad joke."""
    required = {**SCHEMA, "required": ["file_path", "user_id"]}
    types = [{"name": "file", "input_schema": required}]
    asked.answers["GET /tasks/types"] = (200, {"types": types})
    run("submit", "file", str(tmp_path / "v.csv"), ENCOLA_URL=asked.url)

    assert str(tmp_path / "v.csv") == submitted(asked)
    assert [] == sent(asked)


def test_a_full_disk_has_the_exit_code_of_a_full_store(
    asked: FakeApi, run: Run, tmp_path: Path
) -> None:
    asked.answers["POST /files"] = (507, {"code": "disk_full", "detail": "The disk is full."})
    done = run("submit", "file", str(tmp_path / "v.csv"), "--user", "7", ENCOLA_URL=asked.url)

    assert (4, "") == (done.returncode, done.stdout)
    assert "The disk is full." in done.stderr


def test_a_file_that_is_not_taken_is_no_task(asked: FakeApi, run: Run, tmp_path: Path) -> None:
    detail = "The file has 9 bytes; at most 5 are taken."
    asked.answers["POST /files"] = (413, {"code": "too_large", "detail": detail})
    done = run("submit", "file", str(tmp_path / "v.csv"), "--user", "7", ENCOLA_URL=asked.url)

    assert (2, "") == (done.returncode, done.stdout)
    assert detail in done.stderr
    assert [] == [key for key, _ in asked.asked if key == "POST /tasks"]


def test_a_large_file_has_a_bar_on_a_terminal(
    asked: FakeApi, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "v.csv").write_bytes(b"x" * 30_000_000)
    name = str(tmp_path / "v.csv")
    terminal = Terminal(
        100, 30, tmp_path, {**environment, "ENCOLA_URL": asked.url}, "submit", "file", name
    )

    assert 0 == terminal.wait()
    assert "Sending" in terminal.text
    assert "/30.0 MB" in terminal.text
    assert SENT == submitted(asked)
