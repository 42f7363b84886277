"""
The queues whose tasks need the libraries of an extra, which has the same name: is it installed?

A worker without them leaves the queue to others: a task that it took would fail, where one that waits
is run by the first worker that can.
"""

from __future__ import annotations

import importlib.util
from typing import Final

#: Extra, and queue -> the modules that its tasks cannot do without.
NEEDED: Final[dict[str, tuple[str, ...]]] = {
    "files": ("polars",),
    "reports": ("typst", "duckdb", "babel", "manimgx_fonts"),
}


def lacking(name: str) -> list[str]:
    """The modules of this extra that are not installed; none for any other name."""
    return [module for module in NEEDED.get(name, ()) if importlib.util.find_spec(module) is None]


def install(name: str) -> str:
    """What to do about it."""
    return f"Install encola with its extra: pip install 'encola[{name}]'."
