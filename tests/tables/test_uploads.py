"""Files that are sent: as they come, whole or not at all, and never more than is allowed."""

from __future__ import annotations

import errno
import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

import encola.disk as disk
import encola.uploads as uploads
from encola.api import app
from encola.api.download import Download
from encola.files import open_data
from encola.settings import get_settings

client = TestClient(app)
TABLE = b"a,b\n1,2\n3,4\n"


@pytest.fixture(autouse=True)
def data(tmp_path: Path) -> Iterator[Path]:
    """The data folder. No store: files need none."""
    before = dict(os.environ)
    os.environ.update(
        ENCOLA_DATA_DIR=str(tmp_path / "data"), ENCOLA_MAX_UPLOAD="1000000", ENCOLA_LANGUAGE="en"
    )
    get_settings.cache_clear()
    yield tmp_path / "data"
    os.environ.clear()
    os.environ.update(before)
    get_settings.cache_clear()


def send(content: bytes, name: str = "ventas.csv") -> dict[str, Any]:
    response = client.post("/files", files={"file": (name, io.BytesIO(content))})
    assert 201 == response.status_code, response.text
    found: dict[str, Any] = response.json()
    return found


def kept(data: Path) -> list[str]:
    """Every name in the folder of uploads, hidden ones too."""
    return sorted(os.listdir(data / "uploads")) if (data / "uploads").exists() else []


class FullDisk:
    """Stands where the bytes of an upload go by, and answers as a full disk does."""

    def update(self, data: bytes) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")


def form(*parts: tuple[str, bytes], boundary: str = "xyz", is_whole: bool = True) -> dict[str, Any]:
    body = b"".join(
        b"--%s\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n"
        % (boundary.encode(), disposition.encode(), content)
        for disposition, content in parts
    )
    body += b"--%s--\r\n" % boundary.encode() if is_whole else b""
    return {
        "content": body,
        "headers": {"Content-Type": f"multipart/form-data; boundary={boundary}"},
    }


def test_a_file_is_kept_listed_read_and_removed(data: Path) -> None:
    sent = send(TABLE, "Año nuevo.csv")

    assert ["file_path", "name", "size", "sha256", "created_at"] == list(sent)
    assert ("Año nuevo.csv", len(TABLE), hashlib.sha256(TABLE).hexdigest()) == (
        sent["name"],
        sent["size"],
        sent["sha256"],
    )
    assert sent["file_path"].startswith("data://uploads/")
    assert sent["file_path"].endswith("-Ano_nuevo.csv")
    assert sent["created_at"].endswith("Z")
    (item,) = client.get("/files").json()["items"]
    assert (sent["file_path"], "Ano_nuevo.csv", len(TABLE)) == (
        item["file_path"],
        item["name"],
        item["size"],
    )
    name = sent["file_path"].rpartition("/")[2]
    read = client.get(f"/files/{name}")
    assert TABLE == read.content
    assert "attachment; filename*=UTF-8''Ano_nuevo.csv" == read.headers["content-disposition"]
    assert "application/octet-stream" == read.headers["content-type"]
    removed = client.delete(f"/files/{name}")
    assert (200, "File Ano_nuevo.csv removed") == (removed.status_code, removed.json()["message"])
    assert [] == kept(data)
    for method in (client.get, client.delete):
        assert "file_not_found" == method(f"/files/{name}").json()["code"]


def test_a_download_that_broke_off_is_taken_up_again(data: Path) -> None:
    address = "/files/" + send(TABLE)["file_path"].rpartition("/")[2]
    first = client.get(address, headers={"Range": "bytes=0-9"})
    mark = {"If-Range": first.headers["etag"]}
    rest = client.get(address, headers={"Range": "bytes=10-", **mark})

    assert (206, 206) == (first.status_code, rest.status_code)
    assert f"bytes 10-{len(TABLE) - 1}/{len(TABLE)}" == rest.headers["content-range"]
    assert TABLE == first.content + rest.content
    # Of another file than the one that was begun, all of it.
    other = client.get(address, headers={"Range": "bytes=10-", "If-Range": '"another"'})
    assert (200, TABLE) == (other.status_code, other.content)
    beyond = client.get(address, headers={"Range": f"bytes={len(TABLE)}-"})
    assert (416, f"bytes */{len(TABLE)}") == (beyond.status_code, beyond.headers["content-range"])
    assert "range_not_satisfiable" == beyond.json()["code"]
    # What cannot be read as one counts as none.
    for garbage in ("bytes=a-b", "bytes=9-1", "lines=0-9", "x"):
        whole = client.get(address, headers={"Range": garbage})
        assert (200, TABLE) == (whole.status_code, whole.content)


def test_a_download_can_be_asked_about_before_it_is_begun(data: Path) -> None:
    """As download managers do: how large it is, and nothing of it."""
    address = "/files/" + send(TABLE)["file_path"].rpartition("/")[2]
    asked = client.head(address)

    assert (200, b"", str(len(TABLE))) == (
        asked.status_code,
        asked.content,
        asked.headers["content-length"],
    )
    assert 404 == client.head("/files/nothing.csv").status_code


def test_a_file_is_sent_whole_though_it_is_removed_meanwhile(data: Path) -> None:
    file = open_data(data, send(TABLE)["file_path"])
    answer = Download(file, "text/csv", {})
    next((data / "uploads").iterdir()).unlink()

    assert TABLE == TestClient(answer).get("/").content
    assert file.closed


def test_two_files_of_one_name_are_two_files() -> None:
    first, second = send(b"a"), send(b"b")

    assert first["file_path"] != second["file_path"]
    assert b"a" == client.get("/files/" + first["file_path"].rpartition("/")[2]).content


def test_what_tasks_have_made_can_be_read(data: Path) -> None:
    """What follows data:// in a result follows /files/ in an address."""
    for path, content in (("datasets/7/v.t.parquet", b"PAR1"), ("rejected/t.csv", b"line\n")):
        (data / path).parent.mkdir(parents=True, exist_ok=True)
        (data / path).write_bytes(content)

        assert content == client.get(f"/files/{path}").content
    assert "text/csv; charset=utf-8" == client.get("/files/rejected/t.csv").headers["content-type"]


@pytest.mark.parametrize(
    "path",
    [
        "run.json",
        "valkey/appendonly.aof",
        "..%2frun.json",
        "uploads/..%2f..%2frun.json",
        "uploads",
        "mail/new/1",
        "datasets",
        ".hidden",
        "uploads/.x.123",
        "a%00b",
        "uploads/link",
        "uploads/folder",
        "%2fetc%2fpasswd",
    ],
)
def test_nothing_else_can(path: str, data: Path, tmp_path: Path) -> None:
    (data / "uploads" / "folder").mkdir(parents=True)
    (data / "run.json").write_text("secret")
    (data / "uploads" / ".x.123").write_text("half")
    (data / "uploads" / "link").symlink_to(data / "run.json")

    assert 404 == client.get(f"/files/{path}").status_code
    assert 404 == client.delete(f"/files/{path}").status_code
    assert "secret" == (data / "run.json").read_text()


@pytest.mark.parametrize(
    ("name", "shown", "kept_as"),
    [
        ("C:\\Users\\ana\\ventas.csv", "ventas.csv", "ventas.csv"),
        ("../../etc/passwd", "passwd", "passwd"),
        ("..", "..", "file"),
        (" ", "file", "file"),
        ("x" * 400 + ".csv", "x" * 255, "x" * 150),
        ("=cmd().csv", "=cmd().csv", "cmd_.csv"),
        ("a\r\nb.csv", None, None),
    ],
)
def test_a_senders_name_is_a_name_and_nothing_more(
    name: str, shown: str | None, kept_as: str | None, data: Path
) -> None:
    quoted = name.replace("\\", "\\\\") if name.startswith("C:") else name
    response = client.post("/files", **form((f'name="file"; filename="{quoted}"', TABLE)))
    if shown is None:
        assert response.status_code in (400, 422)
        assert [] == kept(data)
        return

    assert 201 == response.status_code, response.text
    assert shown == response.json()["name"]
    assert response.json()["file_path"].partition("-")[2] == kept_as


def test_other_fields_are_passed_over(data: Path) -> None:
    response = client.post(
        "/files",
        **form(
            ('name="user"', b"7"),
            ('name="other"; filename="no.csv"', b"x" * 500),
            ('name="file"; filename="v.csv"', TABLE),
            ('name="after"', b"x"),
        ),
    )

    assert (201, len(TABLE)) == (response.status_code, response.json()["size"])


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        ({"json": {"file": "x"}}, 415, "unsupported_media_type"),
        (
            {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
            415,
            "unsupported_media_type",
        ),
        (form(('name="other"', b"x")), 422, "validation"),
        (form(('name="file"', b"no file name")), 422, "validation"),
        (
            form(('name="file"; filename="a"', b"x"), ('name="file"; filename="b"', b"y")),
            422,
            "validation",
        ),
        (form(('name="x"', b"x" * 70_000), ('name="file"; filename="a"', b"x")), 422, "validation"),
        (
            form(('name="file"; filename="a"', b"x" * 5_000), is_whole=False),
            400,
            "invalid_multipart",
        ),
        ({**form(), "content": b"no form at all"}, 400, "invalid_multipart"),
        ({**form(), "content": b""}, 400, "invalid_multipart"),
        (form(*[(f'name="{n}"', b"") for n in range(2_000)]), 422, "validation"),
        (form(('name="file"; filename="a"', b"x"), boundary="b" * 300), 400, "invalid_multipart"),
    ],
)
def test_what_is_no_upload_is_refused_and_leaves_nothing(
    request_: dict[str, Any], status: int, code: str, data: Path
) -> None:
    response = client.post("/files", **request_)

    assert (status, code) == (response.status_code, response.json()["code"])
    assert [] == kept(data)


def test_a_file_above_the_limit_is_refused_by_its_size_and_without_it(data: Path) -> None:
    """Whether the client says how much comes or not; at once, or as soon as it is too much."""
    big = form(('name="file"; filename="a"', b"x" * 1_100_000))
    streamed = {
        **big,
        "content": (big["content"][n : n + 9_999] for n in range(0, 1_200_000, 9_999)),
    }

    lying = {**form(), "headers": {**form()["headers"], "Content-Length": "9" * 5_000}}
    for request_ in (big, streamed, lying):
        response = client.post("/files", **request_)
        assert (413, "too_large") == (response.status_code, response.json()["code"])
    assert [] == kept(data)
    assert 1_000_000 == send(b"x" * 1_000_000)["size"]


def test_a_disk_without_room_is_told_before_and_meanwhile(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> None:
        response = client.post("/files", files={"file": ("a", io.BytesIO(TABLE))})

        assert (507, "disk_full") == (response.status_code, response.json()["code"])
        assert [] == kept(data)

    with monkeypatch.context() as patch:
        patch.setattr(disk, "LEFT_FREE", 2**62)
        refused()
    with monkeypatch.context() as patch:
        # As if others had filled it since the upload began.
        patch.setattr(disk, "LEFT_FREE", 2**62)
        patch.setattr("encola.api.files.check_room", lambda *_: None)
        refused()
    with monkeypatch.context() as patch:
        # A quota says so only when it is written.
        patch.setattr(uploads.hashlib, "sha256", lambda: FullDisk())
        refused()


def test_uploads_are_listed_page_by_page_newest_first(data: Path) -> None:
    sent = [send(b"x", f"{n}.csv")["file_path"] for n in range(5)]
    for n, path in enumerate(sent):
        os.utime(data / path.removeprefix("data://"), ns=(n, n))
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = client.get("/files", params={"limit": 2, "cursor": cursor}).json()
        found += [item["file_path"] for item in page["items"]]
        cursor = page["next_cursor"]

    assert sent[::-1] == found
    assert "validation" == client.get("/files?cursor=nonsense").json()["code"]


def test_a_page_of_another_site_cannot_send_files(data: Path) -> None:
    response = client.post(
        "/files",
        files={"file": ("a", io.BytesIO(TABLE))},
        headers={"Origin": "http://evil.example"},
    )

    assert 403 == response.status_code
    assert [] == kept(data)
