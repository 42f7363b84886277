"""
The report of the service's own work: how much, how fast, and what failed of what cause.

Numbers and times come from the per-minute statistics, which count every task; the
causes of failures from the records, as long as retention keeps them.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import redis

from ..record import TaskState
from ..store.callers import translated
from ..store.facts import Fact, failure_facts, last_words
from ..store.keys import Keys
from ..store.statistics import BUCKETS, Minute, bounds, histogram, percentile, read_minutes
from . import document
from .document import Bar, Block, Column, Document, Tone
from .timeline import Timeline
from .wording import Wording, shortened, shown

#: Days that the report looks back; the statistics are kept for eight.
DAYS: Final = 7
#: Failed records that are looked at, the newest.
FAILURES: Final = 20_000
#: Causes that have a line of their own.
CAUSES: Final = 30
#: Task types that have a line of their own.
TYPES: Final = 50
LAST_WORDS: Final = 120

OUTCOMES: Final[tuple[tuple[TaskState, Tone], ...]] = (
    (TaskState.SUCCESS, "good"),
    (TaskState.FAILURE, "bad"),
    (TaskState.REVOKED, "dim"),
)
_SHARES: Final = (0.5, 0.95, 0.99)


@dataclass(slots=True)
class Cause:
    """Why tasks failed."""

    error_code: str
    type: str
    number: int
    newest: Fact
    words: str = ""
    """The newest one's message."""


@dataclass(frozen=True, slots=True)
class Work:
    """What the service did."""

    now_minute: int
    minutes: list[Minute]
    """Those in which anything was counted, oldest first."""
    causes: list[Cause]
    """The most frequent first."""
    states: dict[TaskState, int]
    """How many records there are in each state now."""
    total: Counter[str] = field(default_factory=Counter[str])
    by_type: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])

    def finished(self, counts: Counter[str] | None = None) -> int:
        """Tasks that came to an end."""
        found = self.total if counts is None else counts
        return sum(found[state] for state, _ in OUTCOMES)


def read_work(client: redis.Redis, keys: Keys, now: dt.datetime) -> Work:
    """
    Raises:
        StoreError
    """
    now_minute = int(now.timestamp()) // 60
    first = now_minute - DAYS * 1440
    minutes = list(read_minutes(client, keys, first, now_minute))
    causes = _causes(client, keys, first * 60_000)
    with translated():
        # redis-py types each reply as what both of its clients may give.
        numbers: list[Any] = [client.zcard(keys.index("state", state)) for state in TaskState]
    work = Work(now_minute, minutes, causes, dict(zip(TaskState, numbers, strict=True)))
    for minute in minutes:
        for (type_name, _), counts in minute.counts.items():
            work.total.update(counts)
            work.by_type.setdefault(type_name, Counter()).update(counts)
    return work


def _causes(client: redis.Redis, keys: Keys, since_ms: int) -> list[Cause]:
    found: dict[tuple[str, str], Cause] = {}
    for fact in failure_facts(client, keys, FAILURES):
        if (fact.finished_ms or 0) < since_ms:
            continue
        cause = found.setdefault(
            (fact.error_code, fact.type), Cause(fact.error_code, fact.type, 0, fact)
        )
        cause.number += 1
        if (fact.finished_ms or 0) > (cause.newest.finished_ms or 0):
            cause.newest = fact
    most = sorted(found.values(), key=lambda cause: (-cause.number, cause.error_code, cause.type))
    for cause in most[:CAUSES]:
        cause.words = last_words(client, keys, cause.newest.task_id)
    return most


# --- as a document ------------------------------------------------------------------


def analytics_document(work: Work, wording: Wording, now: dt.datetime) -> Document:
    """The report of this work."""
    page = _Page(work, wording)
    since = now - dt.timedelta(days=DAYS)
    blocks = [page.cards()]
    if work.minutes:
        blocks += [*page.over_time(), *page.types(), *page.times()]
    else:
        blocks.append(document.note(wording.say("nothing_yet")))
    blocks += [*page.failures(), *page.states(), *page.exact()]
    return Document(
        title=wording.say("analytics_title"),
        subtitle=f"{wording.day(since.date())} – {wording.day(now.date())}",
        made=wording.say("made", moment=wording.moment(now)),
        language=wording.language,
        page_of=wording.say("page_of"),
        blocks=blocks,
    )


class _Page:
    """Makes the blocks; one method a section."""

    def __init__(self, work: Work, wording: Wording) -> None:
        self.work = work
        self.wording = wording
        self.say = wording.say

    def cards(self) -> Block:
        work, wording = self.work, self.wording
        ended = work.total[TaskState.SUCCESS] + work.total[TaskState.FAILURE]
        most = max((_finished_in(minute) for minute in work.minutes), default=0)
        ran = percentile(histogram(work.total, "r"), 0.95)
        failed = work.total[TaskState.FAILURE]
        word = self.say("failed_count", count=wording.count(failed)) if failed else ""
        return document.cards(
            [
                (self.say("finished"), wording.count(work.finished()), ""),
                (
                    self.say("success_rate"),
                    wording.percent(work.total[TaskState.SUCCESS], ended),
                    word,
                ),
                (self.say("most_a_minute"), wording.count(most), ""),
                (self.say("p95_ran"), self.duration(ran), ""),
            ]
        )

    def over_time(self) -> Iterator[Block]:
        work, wording = self.work, self.wording
        timeline = Timeline.over(work.minutes[0].minute, work.now_minute)
        bars = [Counter[str]() for _ in range(timeline.bars)]
        for minute in work.minutes:
            for counts in minute.counts.values():
                bars[timeline.index(minute.minute)].update(counts)
        title = self.say("throughput", width=self.width(timeline.width))
        yield document.heading(title)
        yield document.columns_chart(
            [
                Bar(label, [(counts[state], tone) for state, tone in OUTCOMES])
                for label, counts in zip(timeline.labels(wording), bars, strict=True)
            ],
            alt=title,
            format_tick=wording.compact,
            legend=[(self.say(f"state_{state}"), tone) for state, tone in OUTCOMES],
            most_labels=8,
        )

    def types(self) -> Iterator[Block]:
        yield document.heading(self.say("by_type"))
        columns = [
            Column(self.say("type"), share=1, longest_word=16),
            Column(self.say("accepted"), "right"),
            *(Column(self.say(f"state_{state}"), "right") for state, _ in OUTCOMES),
            Column(self.say("retries"), "right"),
            Column(self.say("success_rate"), "right"),
        ]
        rows = [[shown(name), *self._numbers(counts)] for name, counts in self._busiest()]
        yield document.table(columns, rows, [self.say("total"), *self._numbers(self.work.total)])

    def times(self) -> Iterator[Block]:
        yield document.heading(self.say("times"))
        yield document.note(self.say("times_note"))
        words = [self.say("ran"), self.say("waited")]
        columns = [
            Column(self.say("type"), share=1, longest_word=16),
            *(Column(f"{word} p{share * 100:g}", "right") for word in words for share in _SHARES),
        ]
        rows = [[shown(name), *self._percentiles(counts)] for name, counts in self._busiest()]
        total = [self.say("total"), *self._percentiles(self.work.total)]
        yield document.table(columns, rows, total)
        yield from self._spread()

    def _spread(self) -> Iterator[Block]:
        ran = histogram(self.work.total, "r")
        used = [bucket for bucket in range(BUCKETS) if ran[bucket]]
        if not used:
            return
        yield document.heading(self.say("spread"))
        yield document.columns_chart(
            [
                Bar(f"< {self.duration(bounds(bucket)[1])}", [(ran[bucket], "main")])
                for bucket in range(used[0], used[-1] + 1)
            ],
            alt=self.say("spread"),
            format_tick=self.wording.compact,
        )

    def failures(self) -> Iterator[Block]:
        causes, wording = self.work.causes, self.wording
        yield document.heading(self.say("failures"))
        if not causes:
            yield document.note(self.say("no_failures"))
            return
        by_code: Counter[str] = Counter()
        for cause in causes:
            by_code[cause.error_code] += cause.number
        yield document.bars_chart(
            [
                Bar(shortened(shown(code), 44), [(number, "bad")], wording.count(number))
                for code, number in by_code.most_common(10)
            ],
            alt=self.say("failures"),
        )
        columns = [
            Column(self.say("cause"), share=2, longest_word=14),
            Column(self.say("type"), share=2, longest_word=14),
            Column(self.say("number"), "right"),
            Column(self.say("newest")),
            Column(self.say("words"), share=4),
        ]
        yield document.table(columns, [self._cause(cause) for cause in causes[:CAUSES]])
        if len(causes) > CAUSES:
            rest = wording.count(len(causes) - CAUSES)
            yield document.note(self.say("more_causes", count=rest))

    def _cause(self, cause: Cause) -> list[str]:
        newest = dt.datetime.fromtimestamp((cause.newest.finished_ms or 0) / 1000, dt.UTC)
        return [
            shown(cause.error_code),
            shown(cause.type),
            self.wording.count(cause.number),
            self.wording.short_moment(newest),
            shown(cause.words, LAST_WORDS),
        ]

    def states(self) -> Iterator[Block]:
        yield document.heading(self.say("states_now"))
        columns = [Column(self.say("state"), share=1), Column(self.say("tasks"), "right")]
        states = self.work.states
        rows = [
            [self.say(f"state_{state}"), self.wording.count(states[state])] for state in TaskState
        ]
        total = [self.say("total"), self.wording.count(sum(states.values()))]
        yield document.table(columns, rows, total)

    def exact(self) -> Iterator[Block]:
        total = self.work.total
        yield document.heading(self.say("exact"))
        yield document.note(self.say("exact_note"))
        rows = [[self.say("finished"), str(self.work.finished())]]
        rows += [[self.say(f"state_{state}"), str(total[state])] for state, _ in OUTCOMES]
        columns = [Column(self.say("figure"), share=1), Column(self.say("value"), "right")]
        yield document.table(columns, rows)

    def width(self, minutes: int) -> str:
        """What each bar stands for: minuto, 5 min, hora, 3 h."""
        if minutes in (1, 60):
            return self.say("minute" if minutes == 1 else "hour")
        return f"{minutes}\u00a0min" if minutes < 60 else f"{minutes // 60}\u00a0h"

    def duration(self, ms: float | None) -> str:
        return "–" if ms is None else self.wording.duration(ms)

    def _busiest(self) -> list[tuple[str, Counter[str]]]:
        """Task types with what was counted, the busiest first; the rest as one."""
        found = sorted(
            self.work.by_type.items(), key=lambda each: (-self.work.finished(each[1]), each[0])
        )
        rest: Counter[str] = Counter()
        for _, counts in found[TYPES:]:
            rest.update(counts)
        others = [(self.say("other_types"), rest)] if rest else []
        return found[:TYPES] + others

    def _numbers(self, counts: Counter[str]) -> list[str]:
        numbers = [counts["enqueued"], *(counts[state] for state, _ in OUTCOMES), counts["RETRY"]]
        ended = counts[TaskState.SUCCESS] + counts[TaskState.FAILURE]
        rate = self.wording.percent(counts[TaskState.SUCCESS], ended)
        return [*(self.wording.count(number) for number in numbers), rate]

    def _percentiles(self, counts: Counter[str]) -> list[str]:
        return [
            self.duration(percentile(histogram(counts, kind), share))
            for kind in ("r", "w")
            for share in _SHARES
        ]


def _finished_in(minute: Minute) -> int:
    return sum(counts[state] for counts in minute.counts.values() for state, _ in OUTCOMES)
