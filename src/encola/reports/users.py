"""
The report of the service's users: what each asked for and what became of it, and one of them in detail.

Reads the records, as long as retention keeps them: the statistics know no users.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

import redis

from ..record import ACTIVE, TaskState
from ..store.facts import Fact, facts_of
from ..store.keys import Keys
from . import document
from .document import Bar, Block, Column, Document
from .wording import Wording, shortened, shown

#: Days that the report looks back.
DAYS: Final = 7
#: Records that are looked at, the newest.
RECORDS: Final = 300_000
#: Users that have a line of their own; the others share one.
USERS: Final = 200
#: Users in the chart.
CHARTED: Final = 12
#: Tasks of the one user that are listed, the newest.
LATEST: Final = 25


@dataclass(slots=True)
class Tally:
    """What became of the tasks of one user, or of one type."""

    tasks: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    active: int = 0
    """Waiting or running."""
    ran_ms: int = 0
    """The last attempts together."""
    runs: int = 0
    """How many of these there are."""
    newest_ms: int = 0

    def add(self, fact: Fact) -> None:
        """Counts one task."""
        self.tasks += 1
        self.succeeded += fact.state is TaskState.SUCCESS
        self.failed += fact.state is TaskState.FAILURE
        self.cancelled += fact.state is TaskState.REVOKED
        self.active += fact.state in ACTIVE
        if fact.ran_ms is not None:
            self.ran_ms += fact.ran_ms
            self.runs += 1
        self.newest_ms = max(self.newest_ms, fact.created_ms)

    def join(self, other: Tally) -> None:
        """Counts what *other* has counted."""
        for name in ("tasks", "succeeded", "failed", "cancelled", "active", "ran_ms", "runs"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.newest_ms = max(self.newest_ms, other.newest_ms)


@dataclass(slots=True)
class Users:
    """What the users did."""

    user_id: str
    """The one that is told of in detail."""
    by_user: dict[str, Tally] = field(default_factory=dict[str, Tally])
    """Empty key: tasks of nobody."""
    total: Tally = field(default_factory=Tally)
    own_by_type: dict[str, Tally] = field(default_factory=dict[str, Tally])
    latest: list[Fact] = field(default_factory=list[Fact])
    is_cut: bool = False
    """There were more records than are looked at."""

    def add(self, fact: Fact) -> None:
        """Counts one task."""
        self.total.add(fact)
        self.by_user.setdefault(fact.user_id, Tally()).add(fact)
        if fact.user_id == self.user_id:
            self.own_by_type.setdefault(fact.type, Tally()).add(fact)
            if len(self.latest) < LATEST:
                self.latest.append(fact)


def read_users(client: redis.Redis, keys: Keys, user_id: int, now: dt.datetime) -> Users:
    """
    Raises:
        StoreError
    """
    since_ms = round((now.timestamp() - DAYS * 86_400) * 1000)
    return tally(str(user_id), facts_of(client, keys, since_ms))


def tally(user_id: str, facts: Iterable[Fact], most: int = RECORDS) -> Users:
    """Counts the first *most* of *facts* (newest first)."""
    users = Users(user_id)
    rest = iter(facts)
    for fact in islice(rest, most):
        users.add(fact)
    users.is_cut = next(rest, None) is not None
    return users


# --- as a document ------------------------------------------------------------------


def users_document(users: Users, wording: Wording, now: dt.datetime) -> Document:
    """The report of these users."""
    page = _Page(users, wording)
    since = now - dt.timedelta(days=DAYS)
    blocks = [page.cards()]
    if users.is_cut:
        blocks.append(document.note(wording.say("records_cut", count=wording.count(RECORDS))))
    blocks += [*page.busiest(), *page.everybody(), *page.one(), *page.exact()]
    return Document(
        title=wording.say("users_title"),
        subtitle=f"{wording.day(since.date())} – {wording.day(now.date())}",
        made=wording.say("made", moment=wording.moment(now)),
        language=wording.language,
        page_of=wording.say("page_of"),
        blocks=blocks,
    )


class _Page:
    """Makes the blocks; one method a section."""

    def __init__(self, users: Users, wording: Wording) -> None:
        self.users = users
        self.wording = wording
        self.say = wording.say
        self.ranked = sorted(users.by_user.items(), key=lambda each: (-each[1].tasks, each[0]))

    def cards(self) -> Block:
        total, wording = self.users.total, self.wording
        word = self.say("failed_count", count=wording.count(total.failed)) if total.failed else ""
        named = sum(1 for user in self.users.by_user if user)
        return document.cards(
            [
                (self.say("active_users"), wording.count(named), ""),
                (self.say("tasks"), wording.count(total.tasks), ""),
                (self.say("success_rate"), self._rate(total), word),
                (self.say("mean_ran_whole"), self._mean(total), ""),
            ]
        )

    def busiest(self) -> Iterator[Block]:
        if not self.ranked:
            yield document.note(self.say("no_users"))
            return
        yield document.heading(self.say("busiest"))
        yield document.legend(
            [
                (self.say("state_SUCCESS"), "good"),
                (self.say("state_FAILURE"), "bad"),
                (self.say("state_REVOKED"), "dim"),
                (self.say("active"), "main"),
            ]
        )
        yield document.bars_chart(
            [
                Bar(
                    shortened(self.user(user), 44),
                    [
                        (each.succeeded, "good"),
                        (each.failed, "bad"),
                        (each.cancelled, "dim"),
                        (each.active, "main"),
                    ],
                    self.wording.count(each.tasks),
                )
                for user, each in self.ranked[:CHARTED]
            ],
            alt=self.say("busiest"),
        )

    def everybody(self) -> Iterator[Block]:
        if not self.ranked:
            return
        yield document.heading(self.say("by_user"))
        rows = [[self.user(user), *self.line(each)] for user, each in self.ranked[:USERS]]
        rest = self.ranked[USERS:]
        if rest:
            others = Tally()
            for _, each in rest:
                others.join(each)
            name = self.say("other_users", count=self.wording.count(len(rest)))
            rows.append([name, *self.line(others)])
        yield self.table(self.say("who"), rows, [self.say("total"), *self.line(self.users.total)])

    def one(self) -> Iterator[Block]:
        yield document.heading(self.say("user", user_id=shown(self.users.user_id)))
        own = self.users.own_by_type
        if not own:
            yield document.note(self.say("user_idle"))
            return
        ranked = sorted(own.items(), key=lambda each: (-each[1].tasks, each[0]))
        rows = [[shown(name), *self.line(each)] for name, each in ranked]
        total = self.users.by_user[self.users.user_id]
        yield self.table(self.say("type"), rows, [self.say("total"), *self.line(total)])
        yield document.heading(self.say("latest"))
        columns = [
            Column(self.say("when")),
            Column(self.say("type"), share=1),
            Column(self.say("state")),
            Column(self.say("ran"), "right"),
            Column(self.say("cause"), share=1),
        ]
        yield document.table(columns, [self._task(fact) for fact in self.users.latest])

    def _task(self, fact: Fact) -> list[str]:
        return [
            self.moment(fact.created_ms),
            shown(fact.type),
            self.say(f"one_{fact.state}"),
            "–" if fact.ran_ms is None else self.wording.duration(fact.ran_ms),
            shown(fact.error_code),
        ]

    def exact(self) -> Iterator[Block]:
        total = self.users.total
        yield document.heading(self.say("exact"))
        yield document.note(self.say("exact_note"))
        rows = [
            [self.say("tasks"), str(total.tasks)],
            [self.say("state_SUCCESS"), str(total.succeeded)],
            [self.say("state_FAILURE"), str(total.failed)],
            [self.say("state_REVOKED"), str(total.cancelled)],
            [self.say("active"), str(total.active)],
        ]
        columns = [Column(self.say("figure"), share=1), Column(self.say("value"), "right")]
        yield document.table(columns, rows)

    def user(self, user_id: str) -> str:
        return shown(user_id, 60) if user_id else self.say("nobody")

    def moment(self, ms: int) -> str:
        return self.wording.short_moment(dt.datetime.fromtimestamp(ms / 1000, dt.UTC))

    def line(self, each: Tally) -> list[str]:
        numbers = (each.tasks, each.succeeded, each.failed, each.cancelled, each.active)
        newest = self.moment(each.newest_ms) if each.tasks else "–"
        return [
            *(self.wording.count(number) for number in numbers),
            self._rate(each),
            self._mean(each),
            newest,
        ]

    def table(self, first: str, rows: list[list[str]], total: list[str]) -> Block:
        titles = ("tasks", "state_SUCCESS", "state_FAILURE", "state_REVOKED", "active")
        more = ("success_rate", "mean_ran", "newest")
        columns = [
            Column(first, share=1, longest_word=12),
            *(Column(self.say(title), "right") for title in (*titles, *more)),
        ]
        return document.table(columns, rows, total)

    def _rate(self, each: Tally) -> str:
        return self.wording.percent(each.succeeded, each.succeeded + each.failed)

    def _mean(self, each: Tally) -> str:
        return self.wording.duration(each.ran_ms / each.runs) if each.runs else "–"
