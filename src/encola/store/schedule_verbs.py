"""
The scripts that keep schedules, one function each: as :mod:`.scripts`, of which they are the rest.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..errors import ScheduleNotFound
from ..record import from_ms, to_ms
from .plans import Plan
from .scripts import Argument, Call, Verbs, refused
from .shapes import Acceptance, Enqueued, NewTask

#: Schedules declared in one call; more go in several.
DECLARED_AT_ONCE: Final = 100


class Declared(enum.IntEnum):
    """What became of a plan that a scheduler declared."""

    KEPT = -1
    """A newer program's plan for this id stays."""
    SAME = 0
    NEW = 1
    CHANGED = 2


@dataclass(frozen=True, slots=True)
class Declarer:
    """A scheduler, as it introduces itself."""

    id: str
    started_ms: int
    """By the server's clock."""


@dataclass(frozen=True, slots=True)
class Due:
    """A schedule whose time has come."""

    id: str
    at: dt.datetime
    plan: bytes
    message: bytes
    rule: bytes


@dataclass(frozen=True, slots=True)
class Look:
    """What is due, by the server's clock."""

    now: dt.datetime
    next_at: dt.datetime | None
    """When the next of the others is due; None: none is."""
    due: list[Due]


class Fired(enum.IntEnum):
    """What became of a schedule's time."""

    STALE = -2
    """What was worked out is out of date; look again."""
    UNKNOWN = -1
    BEATEN = 0
    """Another scheduler was first."""
    ENQUEUED = 1
    MISSED = 2
    """On to the next time without a run: it would have been too late."""
    KNOWN = 3
    """On to the next time; this very run was enqueued before."""
    PAUSED = 4
    """On to the next time without a run: it is paused."""


class ScheduleVerbs:
    """See the module. Made from the installation's other verbs."""

    def __init__(self, verbs: Verbs) -> None:
        self._verbs = verbs

    def declare(
        self,
        declarer: Declarer,
        plans: Iterable[tuple[Plan, dt.datetime]],
        *,
        held_ms: int,
        kept_ms: int,
    ) -> Call[list[Declared]]:
        """
        Says which schedules a program has; what comes back is for each in turn.

        Args:
            plans: at most :data:`DECLARED_AT_ONCE`, each with its next time.
            held_ms: how long this word counts against another program's; 0 as it stops.
            kept_ms: how long a schedule outlives its last declaration.
        """
        argv: list[Argument] = [declarer.id, declarer.started_ms, held_ms, kept_ms]
        for plan, next_at in plans:
            self._verbs.keys.check_queue(plan.queue)
            argv += (plan.id, plan.encode(), plan.message, plan.rule, to_ms(next_at))
        return self._verbs.call("declare", argv, lambda reply: [Declared(one) for one in reply])

    def forget(self) -> Call[list[str]]:
        """Removes what no program declares any more; their ids."""
        return self._verbs.call("forget", [], lambda reply: [one.decode() for one in reply])

    def due(self, ids: Sequence[str], limit: int = 100) -> Call[Look]:
        """Which of *ids* are due."""

        def decode(reply: list[Any]) -> Look:
            next_at = None if reply[1] == -1 else from_ms(int(reply[1]))
            due = [Due(r[0].decode(), from_ms(int(r[1])), *r[2:]) for r in reply[2:]]
            return Look(from_ms(int(reply[0])), next_at, due)

        return self._verbs.call("due", [limit, *ids], decode)

    def fire(
        self,
        due: Due,
        next_at: dt.datetime,
        run: tuple[NewTask, dt.datetime, dt.datetime] | None,
        missed: int,
        max_waiting: int,
    ) -> Call[Fired]:
        """
        Moves a schedule on to *next_at*, and enqueues its run in the same step.

        Args:
            run: the task, the time it runs for, and the moment up to which it is of use.
            missed: how many times passed without a run.

        Raises, on decoding:
            StoreFull, InvalidQueue: nothing was done; it stays due.
        """
        argv: list[Argument] = [max_waiting, due.id, to_ms(due.at), to_ms(next_at)]
        if run is None:
            argv += ["", "", missed, *NO_TASK]
        else:
            task, at, run_by = run
            argv += [to_ms(at), to_ms(run_by), missed, *_as_arguments(task)]
        argv.append(due.rule)

        def decode(reply: list[Any]) -> Fired:
            refused(reply, max_waiting)
            return Fired(reply[0])

        return self._verbs.call("fire", argv, decode)

    def run_now(self, schedule_id: str, task: NewTask, max_waiting: int) -> Call[list[Enqueued]]:
        """
        Enqueues a run because a person says so; its times stay as they are.

        Raises, on decoding:
            ScheduleNotFound, StoreFull, InvalidQueue
        """
        argv: list[Argument] = [max_waiting, schedule_id, "", "", "", "", 0]
        argv += [*_as_arguments(task), ""]

        def decode(reply: list[Any]) -> list[Enqueued]:
            refused(reply, max_waiting)
            if reply[0] == Fired.UNKNOWN:
                raise ScheduleNotFound(schedule_id)
            return [Enqueued(Acceptance.ACCEPTED, reply[1].decode(), int(reply[2]))]

        return self._verbs.call("fire", argv, decode)

    def pause(self, schedule_id: str, *, on: bool, next_at: dt.datetime) -> Call[bool]:
        """
        True when this call changed it. *next_at*: its next time, counted from now.

        Raises, on decoding:
            ScheduleNotFound
        """

        def decode(reply: int) -> bool:
            if reply == -1:
                raise ScheduleNotFound(schedule_id)
            return reply == 1

        argv: list[Argument] = [schedule_id, int(on), to_ms(next_at)]
        return self._verbs.call("pause_schedule", argv, decode)


#: In the place of a task, where none is enqueued.
NO_TASK: Final = ("", "", "", 0, "", "")


def _as_arguments(task: NewTask) -> list[Argument]:
    return [task.id, task.message, task.queue, task.priority, task.type, task.user_id]
