"""A file task reads what it may read: regular files below its roots, reached without a link."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest
from tabling import Folder, Make

from encola.errors import SettingsError
from encola.settings import load_settings
from encola.tables.failures import FileFailed
from encola.tables.places import open_source
from support import wait_until

TABLE = b"a,b\n1,2\n3,4\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    found = tmp_path / "root"
    (found / "inner").mkdir(parents=True)
    (found / "inner" / "ventas.csv").write_bytes(TABLE)
    (tmp_path / "secret.csv").write_bytes(b"secret\n1\n")
    return found


@pytest.fixture
def rooted(make_folder: Make, root: Path) -> Folder:
    return make_folder(file_roots=(str(root),))


def test_a_file_below_a_root_is_read(rooted: Folder, root: Path) -> None:
    done = rooted.process(str(root / "inner" / "ventas.csv"))

    assert (2, "data://datasets/7/ventas.t1.parquet") == (done.records, done.dataset)


def test_an_upload_is_read_by_its_uri_its_name_and_its_path(folder: Folder) -> None:
    uri = folder.upload("x.csv", TABLE)
    for path in (uri, "x.csv", str(folder.path / "uploads" / "x.csv")):
        assert 2 == folder.process(path).records


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "{root}/../secret.csv",
        "{root}/inner/../../secret.csv",
        "../secret.csv",
        "data://uploads/../secret.csv",
        "data://valkey/appendonly.aof",
        "data://run.json",
        "data://uploads",
        "{root}",
        "{root}2/x.csv",
        "file:///etc/passwd/../x",
    ],
)
def test_nothing_else_is_read(path: str, rooted: Folder, root: Path) -> None:
    Path(f"{root}2").mkdir()
    (Path(f"{root}2") / "x.csv").write_bytes(TABLE)
    code, sentence = rooted.fails(path.format(root=root))

    assert "path_not_allowed" == code
    assert "POST /files" in sentence


@pytest.mark.parametrize("where", ["last", "middle", "dangling"])
def test_links_are_not_followed(where: str, rooted: Folder, root: Path, tmp_path: Path) -> None:
    target = {"last": tmp_path / "secret.csv", "middle": tmp_path, "dangling": tmp_path / "none"}
    (root / "link").symlink_to(target[where])
    path = root / "link" / "secret.csv" if where == "middle" else root / "link"

    assert "path_not_allowed" == rooted.fails(str(path))[0]


def test_a_root_may_itself_be_a_link(make_folder: Make, root: Path, tmp_path: Path) -> None:
    """Its owner chose that, by naming it."""
    (tmp_path / "named").symlink_to(root)
    folder = make_folder(file_roots=(str(tmp_path / "named"),))

    assert 2 == folder.process(str(tmp_path / "named" / "inner" / "ventas.csv")).records


def test_what_is_swapped_for_a_link_meanwhile_is_never_read(
    rooted: Folder, root: Path, tmp_path: Path
) -> None:
    """A folder and a link to another change places without pause; the secret is never opened."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "ventas.csv").write_bytes(b"secret\n1\n")
    (root / "link").symlink_to(tmp_path / "other")
    over = threading.Event()
    swaps = 0

    def swap() -> None:
        nonlocal swaps
        while not over.is_set():
            os.rename(root / "inner", root / "spare")
            os.rename(root / "link", root / "inner")
            os.rename(root / "inner", root / "link")
            os.rename(root / "spare", root / "inner")
            swaps += 1

    swapper = threading.Thread(target=swap)
    swapper.start()
    seen = {"read": 0, "refused": 0}
    try:

        def both_seen() -> bool:
            for _ in range(500):
                try:
                    source = open_source(str(root / "inner" / "ventas.csv"), rooted.settings)
                except FileFailed as error:
                    assert error.error_code in ("path_not_allowed", "file_not_found")
                    seen["refused"] += 1
                else:
                    with source.file as file:
                        assert TABLE == file.read()
                    seen["read"] += 1
            return sum(seen.values()) > 2_000 and all(seen.values())

        wait_until(both_seen, description="it was read and refused", timeout=60)
    finally:
        over.set()
        swapper.join()
    assert swaps > 10


def test_what_is_no_regular_file_is_refused_at_once(rooted: Folder, root: Path) -> None:
    """A pipe that nobody writes to would be waited for without end."""
    os.mkfifo(root / "pipe")
    bound = socket.socket(socket.AF_UNIX)
    here = os.open(root, os.O_RDONLY)
    try:
        bound.bind(f"/proc/self/fd/{here}/socket")
    finally:
        os.close(here)

    assert ("file_not_regular", "file_not_regular", "file_is_folder") == (
        rooted.fails(str(root / "pipe"))[0],
        rooted.fails(str(root / "socket"))[0],
        rooted.fails(str(root / "inner"))[0],
    )
    bound.close()


def test_devices_are_refused(make_folder: Make) -> None:
    folder = make_folder(file_roots=("/dev",))

    for name in ("zero", "null", "tty"):
        assert "file_not_regular" == folder.fails(f"/dev/{name}")[0]


@pytest.mark.parametrize(
    "name", ["none.csv", "inner/none.csv", "inner/ventas.csv/x", "x" * 300, "a\0b", "none/x.csv"]
)
def test_what_is_not_there_is_not_found(name: str, rooted: Folder, root: Path) -> None:
    assert "file_not_found" == rooted.fails(f"{root}/{name}")[0]


def test_what_may_not_be_read_is_said(
    rooted: Folder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel's answer is played: whoever runs the tests as root may read everything."""

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError

    monkeypatch.setattr("encola.tables.places.os.open", refuse)

    assert "file_forbidden" == rooted.fails(str(root / "inner" / "ventas.csv"))[0]


@pytest.mark.parametrize("roots", ["data", "/data,../x", "/srv/../etc"])
def test_roots_are_absolute(roots: str) -> None:
    with pytest.raises(SettingsError, match="expected absolute paths"):
        load_settings(file_roots=roots)
