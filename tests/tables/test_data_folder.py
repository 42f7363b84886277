"""Workers that do not see the installation's data folder leave the tasks that need its files to others."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from encola.api import app
from encola.client import forget_clients
from encola.embedded.data_folder import MARKER, installation_id, mark
from encola.engine.session import forget_session
from encola.installation import (
    FolderElsewhere,
    named_folder,
    sees_folder,
    share_folder,
    take_folder,
)
from encola.settings import get_settings
from encola.store import Keys, connect_async, run
from harness import Bench, Server, Worker
from support import Server as AnyServer
from support import Store, wait_until

client = TestClient(app)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A server; this process is the API, with the folder that the installation uses."""
    (tmp_path / "valkey").mkdir()
    server = Server(tmp_path / "valkey")
    server.start()
    made = Bench(server, tmp_path, lease=3.0)
    made.extra_env = {"ENCOLA_QUEUES": "encola,files"}
    before = dict(os.environ)
    os.environ.update({k: v for k, v in made.env().items() if k.startswith(("ENCOLA_", "REDIS_"))})
    os.environ.pop("ENCOLA_TASK_MODULES")
    forget()
    yield made
    made.close()
    os.environ.clear()
    os.environ.update(before)
    forget()


def forget() -> None:
    get_settings.cache_clear()
    forget_session()
    forget_clients()


def send() -> str:
    """A file and its task, as a caller does it."""
    sent = client.post("/files", files={"file": ("ventas.csv", b"a,b\n1,2\n")})
    assert 201 == sent.status_code, sent.text
    body = {"file_path": sent.json()["file_path"], "user_id": 7}
    return str(client.post("/tasks/file/process", json=body).json()["task_id"])


def worker_on(bench: Bench, folder: str, **env: str) -> Worker:
    usual = dict(bench.extra_env)
    bench.extra_env |= {"ENCOLA_DATA_DIR": str(bench.folder / folder)} | env
    worker = bench.worker()
    bench.extra_env = usual
    return worker


def listening_to_files() -> int:
    queues = client.get("/queues").json()["items"]
    return sum(one["workers"] for one in queues if one["name"] == "files")


def state(task_id: str) -> Any:
    return client.get(f"/tasks/status/{task_id}").json()["state"]


def test_a_worker_leaves_files_alone_while_it_does_not_see_the_folder(bench: Bench) -> None:
    """It listens where no file has come in yet, leaves when one has, and is back once the folder is there."""
    elsewhere = worker_on(bench, "elsewhere", ENCOLA_LOG_LEVEL="info").wait_ready()
    wait_until(lambda: listening_to_files() == 1, description="nothing speaks against it")

    assert 201 == client.post("/files", files={"file": ("a.csv", b"a\n1\n")}).status_code
    wait_until(lambda: listening_to_files() == 0, description="the worker has left the queue")
    assert "does not listen to the queue files" in elsewhere.log()
    only = worker_on(bench, "third", ENCOLA_QUEUES="files")
    assert 2 == only.process.wait(30)
    assert "ENCOLA_QUEUES: This worker does not listen to the queue files" in only.log()

    waiting, other = send(), bench.send("work")
    bench.wait_finished(ids=other)
    assert "PENDING" == state(waiting)

    # As if the folder were mounted now.
    shutil.copytree(bench.folder / "data", bench.folder / "elsewhere", dirs_exist_ok=True)
    wait_until(lambda: state(waiting) == "SUCCESS", description="the worker is back", timeout=30)
    assert "folder is seen now; listening to the queue files" in elsewhere.log()


def test_a_worker_on_the_same_folder_needs_nothing_more(bench: Bench) -> None:
    """Started before the API has ever been there, on a folder that nobody has marked."""
    worker = bench.worker().wait_ready()

    task_id = send()
    wait_until(lambda: state(task_id) == "SUCCESS", description="the file is processed", timeout=30)
    assert "does not listen" not in worker.log()


def test_a_file_is_refused_where_no_worker_would_see_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503, and nothing of it is kept."""
    mark(bench.folder / "data")
    asyncio.run(share(bench.server.url, bench.keys, bench.folder / "data"))
    monkeypatch.setenv("ENCOLA_DATA_DIR", str(bench.folder / "another"))
    forget()
    answer = client.post("/files", files={"file": ("a.csv", b"a\n1\n")})

    assert (503, "folder_elsewhere") == (answer.status_code, answer.json()["code"])
    assert "Share that folder with this machine" in answer.json()["detail"]
    assert [] == list((bench.folder / "another").glob("uploads/*"))


async def share(url: str, keys: Keys, data_dir: Path) -> None:
    redis = connect_async(url)
    try:
        await share_folder(redis, keys, data_dir)
    finally:
        await redis.aclose()


def test_the_first_api_names_the_folder_and_encola_up_may_name_another(
    store: Store, server: AnyServer, tmp_path: Path
) -> None:
    """Another only where no worker is left that may use the one before, or where the store lies in it."""
    first, second = tmp_path / "first", tmp_path / "second"
    client, keys = store.client, store.keys
    assert sees_folder(client, keys, first)  # nobody has named any

    asyncio.run(share(server.url, keys, first))
    assert named_folder(client, keys) == installation_id(first) is not None
    with pytest.raises(FolderElsewhere):
        asyncio.run(share(server.url, keys, second))
    assert [True, False] == [sees_folder(client, keys, one) for one in (first, second)]

    run(client, store.verbs.heartbeat("one", 30_000, register=True))
    assert not take_folder(client, keys, second, is_alone=False)
    assert take_folder(client, keys, first, is_alone=False)
    assert take_folder(client, keys, second, is_alone=True)
    client.flushall()
    asyncio.run(share(server.url, keys, first))
    assert take_folder(client, keys, second, is_alone=False)
    assert named_folder(client, keys) == installation_id(second)


def test_those_who_mark_a_folder_at_once_agree_on_its_id(tmp_path: Path) -> None:
    """The first one's holds; a marker that a full disk left empty is written anew."""
    found: list[str] = []
    together = threading.Barrier(8)

    def marks() -> None:
        together.wait()
        found.append(mark(tmp_path))

    threads = [threading.Thread(target=marks) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {installation_id(tmp_path)} == set(found)
    assert 8 == len(found)
    (tmp_path / MARKER).write_text("")
    assert mark(tmp_path) == installation_id(tmp_path) != found[0]
    assert [MARKER] == [path.name for path in tmp_path.iterdir()]
