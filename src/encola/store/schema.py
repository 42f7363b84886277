"""
The version of what the store holds: a program refuses a store that a newer one has written.

It stands in ``meta``, in the field ``schema``. The first program writes it, and one that knows a newer
version raises it; nobody lowers it.
"""

from __future__ import annotations

from typing import Any, Final

import redis

from ..errors import StoreFull, StoreNewer
from ..record import RECORD_VERSION
from .callers import translated
from .keys import Keys

_FIELD: Final = "schema"


def check_schema(client: redis.Redis, keys: Keys) -> None:
    """
    Raises:
        StoreNewer
        StoreError: it did not answer.
    """
    meta = keys.named("meta")
    with translated():
        found: Any = client.hget(meta, _FIELD)
    stored = int(found or 0)
    if stored > RECORD_VERSION:
        raise StoreNewer(stored, RECORD_VERSION)
    if stored < RECORD_VERSION:
        _write(client, meta)


def _write(client: redis.Redis, meta: str) -> None:
    try:
        with translated():
            client.hset(meta, _FIELD, RECORD_VERSION)
    except StoreFull:
        # A worker must be able to start, and so to drain, when the server is full.
        return
