"""Into which stretches of time a report is cut, so that a chart has neither two bars nor a thousand."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .wording import Wording

#: At most so many stretches; a longer time is cut more coarsely.
MOST: Final = 62
#: Name (as ``date_trunc`` has it) -> months in one; 0: a day.
_MONTHS: Final = {"day": 0, "month": 1, "quarter": 3, "year": 12, "decade": 120, "century": 1200}


@dataclass(frozen=True, slots=True)
class Periods:
    """Days cut into stretches of one length."""

    unit: str
    first: dt.date
    last: dt.date

    @classmethod
    def over(cls, first: dt.date, last: dt.date) -> Periods:
        """The finest cut of the days from *first* to *last* that is no more than :data:`MOST`."""
        for unit in _MONTHS:
            found = cls(unit, first, last)
            if found._number() <= MOST:
                return found
        return cls("century", first, last)

    def starts(self) -> Iterator[dt.date]:
        """The first day of each, the empty ones too."""
        start = self.start_of(self.first)
        while start <= self.last:
            yield start
            following = self._next(start)
            if following is None:
                return
            start = following

    def start_of(self, day: dt.date) -> dt.date:
        """The first day of the stretch that *day* is in."""
        months = _MONTHS[self.unit]
        if not months:
            return day
        if months <= 12:
            return day.replace(month=(day.month - 1) // months * months + 1, day=1)
        years = months // 12
        # Centuries begin with 1 in the calendar and with 0 in everybody's head; decades with 0.
        return dt.date(max(1, day.year // years * years), 1, 1)

    def label(self, start: dt.date, wording: Wording) -> str:
        """The stretch that begins there, in words."""
        if self.unit == "day":
            return wording.day(start)
        if self.unit == "month":
            return wording.month(start)
        if self.unit == "quarter":
            return wording.say("quarter", number=(start.month + 2) // 3, year=start.year)
        if self.unit == "year":
            return str(start.year)
        years = _MONTHS[self.unit] // 12
        return f"{start.year // years * years}–{start.year // years * years + years - 1}"

    def _number(self) -> int:
        if self.unit == "day":
            return (self.last - self.first).days + 1
        return sum(1 for _ in zip(range(MOST + 1), self.starts(), strict=False))

    def _next(self, start: dt.date) -> dt.date | None:
        """None: beyond what a date can be."""
        months = _MONTHS[self.unit]
        try:
            if not months:
                return start + dt.timedelta(days=1)
            if months > 12:
                years = months // 12
                return dt.date(start.year // years * years + years, 1, 1)
            years, month = divmod(start.month - 1 + months, 12)
            return dt.date(start.year + years, month + 1, 1)
        except (OverflowError, ValueError):
            return None
