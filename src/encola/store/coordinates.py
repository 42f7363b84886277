"""What a record's field ``x`` says: all that never changes of a task, and its place among the others."""

from __future__ import annotations

from typing import NamedTuple


class Coordinates(NamedTuple):
    """In the order in which ``create`` in ``lua/_record.lua`` writes them."""

    queue: str
    priority: int
    type: str
    user: str
    """Empty: none."""
    tenant: str
    created_ms: int
    seq: int
    """With ``created_ms`` the order of tasks."""


def decode_coordinates(x: bytes) -> Coordinates:
    queue, priority, type_name, user, tenant, created, seq = x.decode().split("\x1f")
    return Coordinates(queue, int(priority), type_name, user, tenant, int(created), int(seq))
