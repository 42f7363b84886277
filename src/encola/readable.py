"""Times, numbers and sizes as people read them. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_UNITS: Final = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_SIZES: Final = ("B", "KB", "MB", "GB", "TB")


def duration(seconds: float) -> str:
    """``0.3 s``, ``42 s``, ``3 min 5 s``, ``2 h 10 min``, ``4 d 3 h``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, smaller_size, smaller in _UNITS:
        if whole >= size:
            rest = whole % size // smaller_size
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def number(value: float) -> str:
    """``12 345``; a fraction keeps one or two places where it is small."""
    if value != int(value):
        return f"{value:.2f}" if value < 1 else f"{value:.1f}"
    return f"{int(value):,}".replace(",", "\u202f")


def count(amount: int, noun: str) -> str:
    """``1 task``, ``2 tasks``."""
    return f"{number(amount)} {noun}{'' if amount == 1 else 's'}"


def size(octets: float) -> str:
    """``1.5 GB``: powers of 1,000, as drives are sold and `df -H` counts."""
    for unit in _SIZES[:-1]:
        if octets < 1000:
            return f"{octets:.0f} {unit}" if unit == "B" else f"{octets:.1f} {unit}"
        octets /= 1000
    return f"{octets:.1f} {_SIZES[-1]}"


def sparkline(values: Sequence[float]) -> str:
    """One character a value; blank for nothing, and the tallest for the most."""
    most = max(values, default=0)
    if most <= 0:
        return " " * len(values)
    return "".join(" " if v <= 0 else _BLOCKS[min(7, int(v / most * len(_BLOCKS)))] for v in values)
