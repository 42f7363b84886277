from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from encola.client import forget_clients
from encola.engine.session import forget_session
from encola.settings import get_settings
from harness import Bench, Server


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Bench]:
    """A server that this process's application talks to; no worker unless a test starts one."""
    folder = tmp_path / "valkey"
    folder.mkdir()
    server = Server(folder)
    server.start()
    bench = Bench(server, tmp_path)
    before = dict(os.environ)
    wanted = {k: v for k, v in bench.env().items() if k.startswith(("ENCOLA_", "REDIS_", "LEDGER"))}
    os.environ.update(wanted)
    os.environ.pop("ENCOLA_TASK_MODULES")
    get_settings.cache_clear()
    forget_session()
    forget_clients()
    yield bench
    bench.close()
    forget_clients()
    os.environ.clear()
    os.environ.update(before)
    get_settings.cache_clear()
    forget_session()
