from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from live_service import Api, Listen, Listener, new_bench

from harness import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A store of its own, and no worker unless a test starts one."""
    made = new_bench(tmp_path, extra_env={"ENCOLA_LOG_LEVEL": "info"})
    yield made
    made.close()


@pytest.fixture
def api(bench: Bench) -> Iterator[Api]:
    """An API process on that store."""
    started = Api(bench).start()
    yield started
    started.close()


@pytest.fixture
def listen(api: Api) -> Iterator[Listen]:
    """Opens streams, which are closed after the test."""
    opened: list[Listener] = []

    def open_stream(path: str = "/events", **values: bool) -> Listener:
        listener = Listener(api.address, path, **values)
        opened.append(listener)
        return listener.wait_open()

    yield open_stream
    for listener in opened:
        listener.close()
