"""
Whether a server of the user's own would lose accepted tasks as it is set up.

Looks once, at the start of a process, and changes nothing. What would lose data
for certain refuses the start; what loses it only in a crash, or could not be
looked at, is a warning that names the setting to change.

The answers come from INFO, which managed services allow where they forbid CONFIG.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import redis
from redis.exceptions import NoPermissionError

from encola.errors import StoreRefused, StoreUnavailable, StoreUnsafe

from .callers import translate

LOWEST_VERSION = (7, 0)
"""Functions and flags that our scripts use."""
DISK_VERSION = (7, 2)
"""WAITAOF, which ENCOLA_DURABILITY=disk is built on."""

NOT_CHECKED = (
    "The server does not let this user run INFO, so its settings could not be checked. "
    "Tasks are safe only with `maxmemory-policy noeviction` and `appendonly yes`."
)


def check_server(client: redis.Redis, durability: str) -> list[str]:
    """
    Warnings about the server that *client* talks to, one sentence each.

    Raises:
        StoreUnsafe: it would lose data; every reason at once.
        StoreUnavailable: it did not answer.
    """
    try:
        info = cast("Mapping[str, Any]", client.info())
    except NoPermissionError:
        return [NOT_CHECKED]
    except redis.RedisError as error:
        refused = translate(error)
        if isinstance(refused, StoreRefused):
            raise refused from error
        raise StoreUnavailable(f"The server in REDIS_URL did not answer: {error}") from error
    return check_info(info, durability)


def check_info(info: Mapping[str, Any], durability: str) -> list[str]:
    """
    As :func:`check_server`, on the answer of INFO (for callers with an async client).

    *info*: as redis-py parses it; the sections server, memory, persistence and
    replication are looked at.
    """
    reasons = [*_wrong_server(info), *_wrong_durability(info, durability)]
    warnings: list[str] = []
    _judge_memory(info, reasons, warnings)
    if reasons:
        listed = "\n".join(f"  - {reason}" for reason in reasons)
        raise StoreUnsafe(f"The server in REDIS_URL would lose tasks:\n{listed}")
    if not info.get("aof_enabled"):
        warnings.append(
            "The server keeps no append-only file: an accepted task survives a crash of the server "
            "only from the last save on. Set `appendonly yes`."
        )
    return warnings


def _wrong_server(info: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    version = _version(info)
    if version < LOWEST_VERSION:
        found.append(
            f"Its version is {info.get('redis_version')}; Redis 7.0 or newer, or Valkey, is needed."
        )
    if info.get("role") == "slave":
        found.append(
            "It is a replica, and what is written to it is lost. "
            "Name the primary in REDIS_URL, or run `REPLICAOF NO ONE` on it."
        )
    if info.get("redis_mode") in ("cluster", "sentinel"):
        found.append(
            f"It runs in {info['redis_mode']} mode, which cannot hold the tasks. "
            "Name a standalone server (`cluster-enabled no`)."
        )
    return found


def _wrong_durability(info: Mapping[str, Any], durability: str) -> list[str]:
    if durability != "disk":
        return []
    found: list[str] = []
    if _version(info) < DISK_VERSION:
        found.append(
            f"ENCOLA_DURABILITY=disk needs Redis 7.2 or Valkey; it is {info.get('redis_version')}."
        )
    if not info.get("aof_enabled"):
        found.append("ENCOLA_DURABILITY=disk needs an append-only file. Set `appendonly yes`.")
    return found


def _judge_memory(info: Mapping[str, Any], reasons: list[str], warnings: list[str]) -> None:
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy == "noeviction":
        return
    if int(info.get("maxmemory", 0)):
        reasons.append(
            f"It throws keys away when its memory is full (`maxmemory-policy {policy}`). "
            "Set `maxmemory-policy noeviction`."
        )
    else:
        warnings.append(
            f"The server would throw tasks away (`maxmemory-policy {policy}`) if it had a limit of "
            "memory. It has none now; set `maxmemory-policy noeviction` before it gets one."
        )


def _version(info: Mapping[str, Any]) -> tuple[int, int]:
    """The Redis version that the server is compatible with; Valkey says 7.2.4."""
    found = re.match(r"(\d+)\.(\d+)", str(info.get("redis_version", "")))
    return (int(found[1]), int(found[2])) if found else (0, 0)
