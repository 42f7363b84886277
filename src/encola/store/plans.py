"""
Plans: a schedule as the store keeps it, whole, so that any process can show or run it.

A plan says everything but when it is due: that is the store's, and moves. Its message is
kept beside it, ready to be enqueued.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from ..record import iso, to_ms
from ..timing import Timing, decode_timing
from .message import Message

#: Fields that are JSON as they are.
_PLAIN = ("id", "type", "queue", "priority", "user_id", "input", "grace", "expires")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a schedule enqueues, and the rule of its times."""

    id: str
    type: str
    """Task type, or the Celery name of a task that was declared without one."""
    timing: Timing
    message: bytes = field(repr=False)
    """Stored form of the message, with ``schedule_id`` in our headers."""
    queue: str
    priority: int = 0
    user_id: str = ""
    input: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """For people to read; the message has it for the worker."""
    grace: float = 3600.0
    """Seconds that a missed run may be late and is still made up for."""
    expires: float | None = None
    """Seconds after its time at which a run that has not started is dropped; None: never."""

    @property
    def rule(self) -> bytes:
        """What its times follow from: a schedule with the same rule stays due when it was."""
        return orjson.dumps(self.timing.encode(), option=orjson.OPT_SORT_KEYS)

    def encode(self) -> bytes:
        """As JSON, without the message."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        return orjson.dumps({**plain, "timing": self.timing.encode()}, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def decode(cls, stored: bytes, message: bytes) -> Plan:
        """
        Raises:
            ValueError, KeyError, TypeError: a plan that this program cannot read.
        """
        plain = orjson.loads(stored)
        values = {name: plain[name] for name in _PLAIN}
        return cls(**values, timing=decode_timing(plain["timing"]), message=message)

    def message_for(self, moment: dt.datetime, source: str = "schedule") -> bytes:
        """The message of the run of *moment*; of another source, that of a run by hand."""
        message = Message.decode(self.message)
        ours = {**message.ours, "source": source}
        if source == "schedule":
            ours["scheduled_at"] = iso(moment)
        headers = {**message.headers, "encola": ours}
        if self.expires is not None:
            headers["expires"] = iso(moment + dt.timedelta(seconds=self.expires))
        return replace(message, headers=headers).encode()


def run_id(schedule_id: str, moment: dt.datetime) -> str:
    """
    The task id of a schedule's run: the same whoever works it out.

    A UUIDv7 (RFC 9562, 5.7) of that moment, in which the random bits are a hash of both.
    """
    ms = to_ms(moment)
    digest = hashlib.sha256(f"{schedule_id}\n{ms}".encode()).digest()
    bits = (ms << 80) | int.from_bytes(digest[:10])
    bits = bits & ~(0xF << 76) | (0x7 << 76)
    bits = bits & ~(0x3 << 62) | (0x2 << 62)
    return str(uuid.UUID(int=bits))
