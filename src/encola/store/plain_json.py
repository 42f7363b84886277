"""
Stored JSON as something that can be answered.

What comes by Celery's roads was written by Python's own JSON, which takes NaN, infinities,
lone surrogates, numbers of any length and any depth. ``AsyncResult.get()`` gives all that back as it
was. To answer it, in a list among others, would be no JSON, or an error: here it becomes what every
reader can read.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

import orjson

from ..record import MAX_DEPTH

#: Stands where something is nested deeper.
CUT: Final = "…"


def read_plain(stored: bytes, levels: int = MAX_DEPTH) -> Any:
    """
    The value, with ``None`` for what is no number, ``?`` for half a character, the nearest
    floating-point number for a whole one beyond 64 bits, and :data:`CUT` below so many *levels*.

    Raises:
        ValueError: it is no JSON at all.
    """
    try:
        value = orjson.loads(stored)
    except ValueError:
        try:
            value = json.loads(stored)
        except RecursionError:
            return CUT
        return _plain(value, levels)
    # It cannot be nested deeper than it has brackets.
    is_flat = stored.count(b"[") + stored.count(b"{") <= levels
    return value if is_flat else _plain(value, levels)


def read_progress(stored: bytes) -> dict[str, Any] | None:
    """What a task said of its progress, as an object; Celery's ``update_state`` takes anything."""
    match read_plain(stored):
        case dict() as said:
            return said
        case None:
            return None
        case str() as words:
            return {"status": words}
        case value:
            return {"value": value}


def _plain(value: Any, levels: int) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case float():
            return value if math.isfinite(value) else None
        case bool() | None:
            return value
        case int():
            return value if -(2**63) <= value < 2**64 else _nearest(value)
        case _ if levels == 0:
            return CUT
        case dict():
            return {_plain(key, levels): _plain(item, levels - 1) for key, item in value.items()}
        case _:
            return [_plain(item, levels - 1) for item in value]


def _nearest(number: int) -> float | None:
    try:
        return float(number)
    except OverflowError:
        return None
