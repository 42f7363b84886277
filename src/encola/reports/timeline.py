"""Minutes put together into the bars of a chart."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .wording import Wording

#: At most so many bars.
MOST: Final = 60
#: Widths of a bar, in minutes: each divides a day.
_WIDTHS: Final = (1, 5, 10, 30, 60, 180, 360, 720, 1440)


@dataclass(frozen=True, slots=True)
class Timeline:
    """A stretch of minutes cut into bars of one width, each starting at a round time."""

    width: int
    """Minutes."""
    first: int
    """The minute since 1970 at which the first bar starts."""
    bars: int

    @classmethod
    def over(cls, first: int, last: int) -> Timeline:
        """The narrowest bars for the minutes *first* to *last* that are no more than :data:`MOST`."""
        for width in _WIDTHS:
            start = first // width * width
            bars = (last - start) // width + 1
            if bars <= MOST:
                break
        return cls(width, start, bars)

    def index(self, minute: int) -> int:
        """The bar that *minute* is in."""
        return (minute - self.first) // self.width

    def labels(self, wording: Wording) -> Iterator[str]:
        """When each bar starts, in UTC."""
        for number in range(self.bars):
            start = dt.datetime.fromtimestamp((self.first + number * self.width) * 60, dt.UTC)
            yield wording.short_moment(start, with_time=self.width < 1440)
