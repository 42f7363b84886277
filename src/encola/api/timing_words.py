"""
A schedule's times in words, in Spanish and English: *cada día a las 03:00*, *every 5 minutes*.

The expressions that people write are told; of the others the expression itself is
shown, because half a truth about when something runs is worse than none.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cronsim import CronSim

from ..timing import Cron, Every, Timing

#: Most times of a day that are listed one by one.
LISTED: Final = 6


@dataclass(frozen=True, slots=True)
class Language:
    """The words of one language."""

    days: tuple[str, ...]
    """Sunday first."""
    plural_days: tuple[str, ...]
    months: tuple[str, ...]
    ordinals: tuple[str, ...]
    """First to fifth, and last."""
    phrases: dict[str, str]
    units: dict[str, tuple[str, str]]
    """Unit -> one, several."""


_SPANISH_DAYS: Final = ("domingo", "lunes", "martes", "miércoles", "jueves", "viernes", "sábado")
ES: Final = Language(
    days=_SPANISH_DAYS,
    plural_days=tuple(day if day.endswith("s") else f"{day}s" for day in _SPANISH_DAYS),
    months=(
        *("enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto"),
        *("septiembre", "octubre", "noviembre", "diciembre"),
    ),
    ordinals=("primer", "segundo", "tercer", "cuarto", "quinto", "último"),
    phrases={
        "and": " y ",
        "every_one": "cada {unit}",
        "every_n": "cada {n} {unit}",
        "at": "a las {times}",
        "at_one": "a la {times}",
        "on_the_hour": "cada hora en punto",
        "at_minute": "{every} en el minuto {minutes}",
        "at_minutes": "{every} en los minutos {minutes}",
        "between": "{every} de {first} a {last}",
        "every_day": "cada día",
        "day_range": "de {first} a {last}",
        "one_day": "cada {day}",
        "some_days": "los {days}",
        "nth_day": "el {ordinal} {day} de {month}",
        "date": "el día {dates} de {month}",
        "dates": "los días {dates} de {month}",
        "last_date": "el último día de {month}",
        "last_weekday": "el último día laborable de {month}",
        "every_month": "cada mes",
        "in_months": "{day} de {month}",
        "to": "{first} a {last}",
        "if_day": "{day} que caigan en {weekdays}",
        "expression": "según la expresión {expression}",
    },
    units={
        "seconds": ("segundo", "segundos"),
        "minutes": ("minuto", "minutos"),
        "hours": ("hora", "horas"),
        "days": ("día", "días"),
    },
)
_ENGLISH_DAYS: Final = (
    *("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"),
)
EN: Final = Language(
    days=_ENGLISH_DAYS,
    plural_days=tuple(f"{day}s" for day in _ENGLISH_DAYS),
    months=(
        *("January", "February", "March", "April", "May", "June", "July", "August"),
        *("September", "October", "November", "December"),
    ),
    ordinals=("first", "second", "third", "fourth", "fifth", "last"),
    phrases={
        "and": " and ",
        "every_one": "every {unit}",
        "every_n": "every {n} {unit}",
        "at": "at {times}",
        "at_one": "at {times}",
        "on_the_hour": "every hour on the hour",
        "at_minute": "{every} at minute {minutes}",
        "at_minutes": "{every} at minutes {minutes}",
        "between": "{every} from {first} to {last}",
        "every_day": "every day",
        "day_range": "{first} to {last}",
        "one_day": "every {day}",
        "some_days": "on {days}",
        "nth_day": "on the {ordinal} {day} of {month}",
        "date": "on day {dates} of {month}",
        "dates": "on days {dates} of {month}",
        "last_date": "on the last day of {month}",
        "last_weekday": "on the last working day of {month}",
        "every_month": "every month",
        "in_months": "{day} in {month}",
        "to": "{first} to {last}",
        "if_day": "{day} that fall on {weekdays}",
        "expression": "by the expression {expression}",
    },
    units={
        "seconds": ("second", "seconds"),
        "minutes": ("minute", "minutes"),
        "hours": ("hour", "hours"),
        "days": ("day", "days"),
    },
)


def expression(timing: Timing) -> str:
    """The rule as it was written; days that must fit as well are added."""
    if isinstance(timing, Cron) and timing.weekdays is not None:
        names = ",".join(EN.days[day][:3].lower() for day in timing.weekdays)
        return f"{timing.expression}, only {names}"
    return timing.expression


def words(timing: Timing, language: str) -> str:
    """When it runs, in words; the time zone is not told."""
    spoken = Speaker(EN if language == "en" else ES)
    if isinstance(timing, Every):
        return spoken.interval(timing)
    found = spoken.cron(timing) if isinstance(timing, Cron) else None
    return found or spoken.say("expression", expression=expression(timing))


class Speaker:
    """Says times in one language. A part that it has no words for is None."""

    def __init__(self, language: Language) -> None:
        self._language = language

    def say(self, key: str, **values: Any) -> str:
        return self._language.phrases[key].format(**values)

    def interval(self, timing: Every) -> str:
        count, unit = timing.parts()
        return self._every(count, unit)

    def cron(self, timing: Cron) -> str | None:
        read = CronSim(timing.expression, dt.datetime(2000, 1, 1, tzinfo=dt.UTC))
        time = self._time(sorted(read.minutes), sorted(read.hours))
        day = self._day(read, timing.weekdays)
        if time is None or day is None:
            return None
        is_daily = day == self.say("every_day")
        if time.startswith(self.say("every_n", n="", unit="").strip()):
            return time if is_daily else f"{time}, {day}"
        return f"{day} {time}"

    # --- the time of day --------------------------------------------------------

    def _time(self, minutes: list[int], hours: list[int]) -> str | None:
        if len(hours) == 24:
            return self._through_hours(minutes)
        step = _step(hours, 24)
        if step and len(minutes) == 1:
            return self._at_minutes(self._every(step, "hours"), minutes)
        if len(minutes) * len(hours) <= LISTED:
            times = [f"{hour:02}:{minute:02}" for hour in hours for minute in minutes]
            # In Spanish one o'clock is feminine singular, and leads the list.
            return self.say("at_one" if hours[0] == 1 else "at", times=self._list(times))
        if hours != list(range(hours[0], hours[-1] + 1)):
            return None
        return self._between_hours(minutes, hours)

    def _through_hours(self, minutes: list[int]) -> str | None:
        step = 1 if len(minutes) == 60 else _step(minutes, 60)
        if step:
            return self._every(step, "minutes")
        if minutes == [0]:
            return self.say("on_the_hour")
        if len(minutes) > LISTED:
            return None
        return self._at_minutes(self._every(1, "hours"), minutes)

    def _between_hours(self, minutes: list[int], hours: list[int]) -> str | None:
        step = 1 if len(minutes) == 60 else _step(minutes, 60)
        if not step and len(minutes) > 1:
            return None
        every = self._every(step, "minutes") if step else self._every(1, "hours")
        first, last = f"{hours[0]:02}:{minutes[0]:02}", f"{hours[-1]:02}:{minutes[-1]:02}"
        return self.say("between", every=every, first=first, last=last)

    def _at_minutes(self, every: str, minutes: list[int]) -> str:
        if minutes == [0]:
            return every
        key = "at_minute" if len(minutes) == 1 else "at_minutes"
        return self.say(key, every=every, minutes=self._list(minutes))

    def _every(self, count: float, unit: str) -> str:
        one, several = self._language.units[unit]
        if count == 1:
            return self.say("every_one", unit=one)
        number = f"{count:g}"
        shown = number.replace(".", ",") if self._language is ES else number
        return self.say("every_n", n=shown, unit=several)

    # --- the day ----------------------------------------------------------------

    def _day(self, read: CronSim, also: tuple[int, ...] | None) -> str | None:
        months = sorted(read.months)
        every_month = len(months) == 12
        month = self.say("every_month") if every_month else self._run(months, self._language.months)
        by_date = len(read.days) < 31
        by_weekday = not set(range(7)) <= set(read.weekdays)
        if by_date and by_weekday:
            return None
        if by_date:
            return self._dates(sorted(read.days), month, also)
        day = self._weekdays(read.weekdays, month) if by_weekday else self.say("every_day")
        if day is None or every_month or month in day:
            return day
        return self.say("in_months", day=day, month=month)

    def _dates(self, days: list[int], month: str, also: tuple[int, ...] | None) -> str | None:
        if days in ([CronSim.LAST], [CronSim.LAST_WEEKDAY]):
            key = "last_date" if days == [CronSim.LAST] else "last_weekday"
            day = self.say(key, month=month)
        elif days[0] < 0:
            return None
        else:
            names = tuple(str(number) for number in range(1, 32))
            key = "date" if len(days) == 1 else "dates"
            day = self.say(key, dates=self._run(days, names), month=month)
        if also is None:
            return day
        names = self._language.days
        return self.say("if_day", day=day, weekdays=self._list(names[one] for one in also))

    def _weekdays(self, given: Iterable[Any], month: str) -> str | None:
        given = list(given)
        nth = [one for one in given if isinstance(one, tuple)]
        if nth:
            return self._nth_weekday(nth[0], month) if len(given) == 1 else None
        # Monday first, as a week is read.
        days = sorted({(int(day) - 1) % 7 for day in given})
        names = [self._language.days[(day + 1) % 7] for day in days]
        if len(days) == 1:
            return self.say("one_day", day=names[0])
        if len(days) > 2 and days == list(range(days[0], days[-1] + 1)):
            return self.say("day_range", first=names[0], last=names[-1])
        plural = self._list(self._language.plural_days[(day + 1) % 7] for day in days)
        return self.say("some_days", days=plural)

    def _nth_weekday(self, nth: tuple[int, int], month: str) -> str:
        day, which = nth
        ordinal = self._language.ordinals[-1 if which == CronSim.LAST else which - 1]
        return self.say("nth_day", ordinal=ordinal, day=self._language.days[day % 7], month=month)

    # --- lists --------------------------------------------------------------------

    def _run(self, numbers: list[int], names: Sequence[str]) -> str:
        """Numbers from 1 by their names: a range of more than two is told as one."""
        shown = [names[number - 1] for number in numbers]
        if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
            return self.say("to", first=shown[0], last=shown[-1])
        return self._list(shown)

    def _list(self, items: Iterable[Any]) -> str:
        *first, last = [str(item) for item in items]
        return f"{', '.join(first)}{self._language.phrases['and']}{last}" if first else last


def _step(values: list[int], size: int) -> int | None:
    """n where *values* are 0, n, 2n, … and n goes into *size*, three of them at least."""
    if len(values) < 2 or values[0] != 0:
        return None
    step = values[1]
    fits = size % step == 0 and values == list(range(0, size, step))
    return step if fits and (len(values) > 2 or size == 60) else None
