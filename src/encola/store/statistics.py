"""
Reading the per-minute statistics that the scripts write (``count`` in ``lua/_record.lua``).

A minute's hash has counters by task type, queue and names: ``enqueued``, a finished state,
``RETRY``, and the buckets of two histograms, ``r<k>`` of running and ``w<k>`` of waiting. What
comes together is one counter of several names: ``SUCCESS``, ``r3`` and ``w9`` of a task that ended.
Bucket k holds 2^(k-1) up to 2^k ms, bucket 0 less than 1 ms.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import redis

from .callers import translated
from .keys import STATISTICS_MS, Keys

#: Statistics are kept so long, in minutes.
MINUTES_KEPT: Final = STATISTICS_MS // 60_000
BUCKETS: Final = 33
_BATCH: Final = 1_000
_SEPARATOR: Final = "\x1f"


@dataclass(frozen=True, slots=True)
class Minute:
    """What was counted in one minute."""

    minute: int
    """Minutes since 1970."""
    counts: Mapping[tuple[str, str], Counter[str]]
    """(task type, queue) -> name -> number."""


def read_minutes(client: redis.Redis, keys: Keys, first: int, last: int) -> Iterator[Minute]:
    """The minutes from *first* to *last* (both included) in which anything was counted."""
    for start in range(first, last + 1, _BATCH):
        minutes = range(start, min(start + _BATCH, last + 1))
        pipeline = client.pipeline(transaction=False)
        for minute in minutes:
            pipeline.hgetall(keys.statistics(minute))
        with translated():
            replies: list[Any] = pipeline.execute()
        for minute, stored in zip(minutes, replies, strict=True):
            if stored:
                yield decode_minute(minute, stored)


def decode_minute(minute: int, stored: Mapping[bytes, bytes]) -> Minute:
    """A minute's hash."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for field, number in stored.items():
        type_name, queue, *names = field.decode().split(_SEPARATOR)
        counter = counts.setdefault((type_name, queue), Counter())
        for name in names:
            counter[name] += int(number)
    return Minute(minute, counts)


def histogram(counts: Mapping[str, int], kind: str) -> list[int]:
    """The buckets of one histogram; *kind*: ``r`` running, ``w`` waiting."""
    found = [0] * BUCKETS
    for name, number in counts.items():
        if re.fullmatch(rf"{kind}\d+", name):
            found[min(int(name[1:]), BUCKETS - 1)] += number
    return found


def bounds(bucket: int) -> tuple[float, float]:
    """From and to (ms) of a bucket."""
    return (0.0, 1.0) if bucket == 0 else (2.0 ** (bucket - 1), 2.0**bucket)


def percentile(buckets: Iterable[int], share: float) -> float | None:
    """
    The time (ms) that *share* (0 to 1) of the runs stay below; None where there are none.

    Within its bucket a run is taken to be anywhere with equal chance, so the error is
    less than a bucket is wide: at most a factor of two.
    """
    found = list(buckets)
    wanted = sum(found) * share
    before = 0
    for bucket, number in enumerate(found):
        if number and before + number >= wanted:
            low, high = bounds(bucket)
            return low + (high - low) * (wanted - before) / number
        before += number
    return None
