from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import Bench, Server


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A durable server and short leases (2 s)."""
    folder = tmp_path / "valkey"
    folder.mkdir()
    server = Server(folder)
    server.start()
    made = Bench(server, tmp_path)
    yield made
    made.close()
