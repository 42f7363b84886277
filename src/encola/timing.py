"""
The times at which something is to happen: every so long, or by a cron expression.

Pure: a moment goes in, a moment comes out, all of them aware and in UTC. What is
enqueued then is :mod:`encola.schedule`'s, and when a time counts as missed
:mod:`encola.scheduler`'s.

Cron expressions are read by cronsim, which has Debian cron's rules. On the two days
a year on which a zone changes its clocks:

- A fixed time that does not exist (02:30, when 02:00 is followed by 03:00) happens
  at the first moment after the gap; two such times, once.
- A fixed time that exists twice happens at the first of the two.
- An expression whose minute or hour begins with ``*`` follows the hours that
  really pass: it leaves out those that do not exist and repeats those that exist twice.

Source: cron(8) of Debian, "Daylight Saving Time and other time changes".
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
#: Shortest interval: a scheduler looks about once a second.
SHORTEST: Final = dt.timedelta(seconds=1)
LONGEST: Final = dt.timedelta(days=366)
#: Times that passed are counted so far, and no further, in one look.
MOST_COUNTED: Final = 10_000
#: How far back to look for the latest time of an expression, least first.
_WINDOWS: Final = tuple(dt.timedelta(hours=h) for h in (1, 24, 24 * 8, 24 * 63))


class Passed(NamedTuple):
    """The times from one that is known up to now."""

    latest: dt.datetime
    times: int
    """At most :data:`MOST_COUNTED`."""


class Timing(Protocol):
    """A rule that says when."""

    @property
    def expression(self) -> str:
        """For people: ``0 3 * * *``, ``every 5 minutes``."""
        ...

    @property
    def timezone(self) -> str:
        """IANA name of the zone that the expression is read in."""
        ...

    def next_after(self, moment: dt.datetime) -> dt.datetime:
        """The first time later than *moment*."""
        ...

    def passed(self, first: dt.datetime, now: dt.datetime) -> Passed:
        """The times from *first*, which is one, up to *now*, which is not earlier."""
        ...

    def encode(self) -> dict[str, Any]:
        """As JSON; :func:`decode_timing` reads it. Equal rules are equal here."""
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """
    Whole multiples of an interval, counted from 1970-01-01T00:00Z.

    So any number of schedulers agree without asking each other, and a restart changes
    nothing: five minutes are :00, :05, :10; a day is midnight in UTC.
    """

    interval_ms: int

    def __post_init__(self) -> None:
        interval = dt.timedelta(milliseconds=self.interval_ms)
        if not SHORTEST <= interval <= LONGEST:
            raise ValueError(
                f"every: expected from {SHORTEST.seconds} second to {LONGEST.days} days, "
                f"got {interval.total_seconds():g} seconds."
            )

    @property
    def expression(self) -> str:
        count, unit = self.parts()
        return f"every {unit[:-1]}" if count == 1 else f"every {count:g} {unit}"

    @property
    def timezone(self) -> str:
        return "UTC"

    def parts(self) -> tuple[float, str]:
        """(count, unit) with the largest unit that goes into it: (5, "minutes")."""
        seconds = self.interval_ms / 1000
        for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
            if seconds % size == 0:
                return seconds // size, unit
        return seconds, "seconds"

    def next_after(self, moment: dt.datetime) -> dt.datetime:
        return self._multiple((moment - EPOCH) // self._interval + 1)

    def passed(self, first: dt.datetime, now: dt.datetime) -> Passed:
        last = (now - EPOCH) // self._interval
        count = last - (first - EPOCH) // self._interval + 1
        return Passed(self._multiple(last), min(count, MOST_COUNTED))

    def encode(self) -> dict[str, Any]:
        return {"every_ms": self.interval_ms}

    @property
    def _interval(self) -> dt.timedelta:
        return dt.timedelta(milliseconds=self.interval_ms)

    def _multiple(self, n: int) -> dt.datetime:
        return EPOCH + n * self._interval


@dataclass(frozen=True, slots=True)
class Cron:
    """The times of a cron expression of five fields in a time zone."""

    expression: str
    timezone: str = "UTC"
    weekdays: tuple[int, ...] | None = None
    """
    Days of the week (0 is Sunday) that a time must *also* fall on; None: any.

    In an expression of five fields a restricted day of the month and a restricted day of the
    week are joined by "or"; Celery's crontab joins them by "and".
    """

    def __post_init__(self) -> None:
        zone(self.timezone)
        if self.weekdays is not None and not set(self.weekdays) & set(range(7)):
            raise ValueError("cron: expected at least one day of the week, 0 to 6.")
        fields = len(self.expression.split())
        if fields != 5:
            raise ValueError(
                f"cron: expected five fields (minute, hour, day of month, month, day of week), "
                f"got {fields} in {self.expression!r}."
            )
        try:
            self.next_after(dt.datetime.now(dt.UTC))
        except (CronSimError, ValueError) as error:
            raise ValueError(f"cron: {str(error).lower()} in {self.expression!r}.") from None

    def next_after(self, moment: dt.datetime) -> dt.datetime:
        return next(self._after(moment))

    def passed(self, first: dt.datetime, now: dt.datetime) -> Passed:
        later = itertools.takewhile(lambda time: time <= now, self._after(first))
        times = [first, *itertools.islice(later, MOST_COUNTED - 1)]
        latest = times[-1] if len(times) < MOST_COUNTED else self._latest(times[-1], now)
        return Passed(latest, len(times))

    def encode(self) -> dict[str, Any]:
        encoded: dict[str, Any] = {"cron": self.expression, "tz": self.timezone}
        if self.weekdays is not None:
            encoded["weekdays"] = list(self.weekdays)
        return encoded

    def _after(self, moment: dt.datetime) -> Iterator[dt.datetime]:
        """
        Times later than *moment*, each once, in order.

        Raises:
            ValueError: there is none within fifty years.
        """
        last = moment
        for found in CronSim(self.expression, moment.astimezone(zone(self.timezone))):
            # Fixed times are worked out on the wall clock. Within the hour that exists twice
            # that may lead back before the start, and two times of a gap to one moment.
            time = found.astimezone(dt.UTC)
            if time > last and self._admits(found):
                yield time
                last = time
        raise ValueError("no such time within fifty years")

    def _admits(self, found: dt.datetime) -> bool:
        return self.weekdays is None or found.isoweekday() % 7 in self.weekdays

    def _latest(self, known: dt.datetime, now: dt.datetime) -> dt.datetime:
        """The latest time up to *now*; *known* is an earlier one."""
        for window in _WINDOWS:
            start = max(known, now - window)
            times = list(itertools.takewhile(lambda time: time <= now, self._after(start)))
            if times:
                return times[-1]
        return known


def decode_timing(encoded: dict[str, Any]) -> Timing:
    """
    What :meth:`Timing.encode` wrote.

    Raises:
        KeyError, TypeError, ValueError: it did not.
    """
    if "every_ms" in encoded:
        return Every(int(encoded["every_ms"]))
    weekdays = encoded.get("weekdays")
    return Cron(
        encoded["cron"], encoded["tz"], None if weekdays is None else tuple(map(int, weekdays))
    )


@functools.cache
def zone(name: str) -> dt.tzinfo:
    """
    The time zone of an IANA name.

    Raises:
        ValueError: there is none of that name.
    """
    if name == "UTC":
        return dt.UTC
    try:
        return ZoneInfo(name)
    # Not found, not a name (".."), or a folder of names ("Europe").
    except (LookupError, ValueError, OSError):
        raise ValueError(
            f"Unknown time zone {name!r}: expected an IANA name such as Europe/Madrid."
        ) from None
