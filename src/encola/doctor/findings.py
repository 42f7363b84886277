"""One thing that was looked at, and how it is."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Level(enum.StrEnum):
    OK = "ok"
    WARNING = "warning"
    """It works, and may not for long, or not as meant."""
    FAULT = "fault"
    """Tasks are not run, are lost, or cannot be accepted."""


@dataclass(frozen=True, slots=True)
class Finding:
    level: Level
    area: str
    """What was looked at, in a word or two."""
    says: str
    """A sentence."""
    remedy: str = ""
    """What to do; empty only where all is well."""


def ok(area: str, says: str) -> Finding:
    return Finding(Level.OK, area, says)


def warning(area: str, says: str, remedy: str) -> Finding:
    return Finding(Level.WARNING, area, says, remedy)


def fault(area: str, says: str, remedy: str) -> Finding:
    return Finding(Level.FAULT, area, says, remedy)
