"""A program refuses a store that a newer one has written, and says so before it does anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from encola.errors import StoreNewer
from encola.record import RECORD_VERSION
from encola.store.schema import check_schema
from support import Server, Store

COMMANDS = (
    ("encola", "up"),
    ("encola", "api"),
    ("encola", "worker"),
    ("encola", "beat"),
    ("celery", "-A", "encola.engine", "worker"),
)


def test_the_first_program_says_which_version_it_writes(store: Store) -> None:
    """Also where the memory is full: what waits there has to be run."""
    store.client.config_set("maxmemory", "1")
    check_schema(store.client, store.keys)
    assert None is store.client.hget(store.keys.named("meta"), "schema")

    store.client.config_set("maxmemory", "0")
    check_schema(store.client, store.keys)
    check_schema(store.client, store.keys)
    assert str(RECORD_VERSION).encode() == store.client.hget(store.keys.named("meta"), "schema")


def test_a_store_of_a_newer_program_is_left_alone(
    store: Store, server: Server, tmp_path: Path
) -> None:
    """Every process that would work on it ends with 4 and one sentence."""
    store.client.hset(store.keys.named("meta"), "schema", RECORD_VERSION + 1)
    with pytest.raises(StoreNewer) as caught:
        check_schema(store.client, store.keys)
    if server.name != "Valkey":
        return  # the commands are the same on both
    env = {
        **os.environ,
        "REDIS_URL": server.url,
        "ENCOLA_DATA_DIR": str(tmp_path / "data"),
        "ENCOLA_PORT": "0",
    }
    started = [
        subprocess.Popen(
            [sys.executable, "-m", *command],
            env=env,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for command in COMMANDS
    ]
    for command, process in zip(COMMANDS, started, strict=True):
        said, _ = process.communicate(timeout=60)
        assert (command, 4) == (command, process.returncode), said
        assert str(caught.value) in said
        assert "Traceback" not in said
    assert 1 == store.client.exists(store.keys.named("meta"))
    assert [] == store.client.zrange(store.keys.named("workers"), 0, -1)
