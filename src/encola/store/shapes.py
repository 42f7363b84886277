"""What goes into the scripts, and what comes out of them."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to enqueue."""

    id: str
    message: bytes
    """Stored form: :meth:`encola.store.message.Message.encode`."""
    queue: str
    type: str
    priority: int = 0
    """0 to 9; 0 is first."""
    user_id: str = ""
    due_ms: int | None = None
    idempotency_key: str = ""
    lease_to: str = ""
    """A worker that holds it from the start, with token 1: it never stands on a list."""


class Acceptance(enum.IntEnum):
    """What became of a task given to enqueue."""

    DUPLICATE = 0
    """The id or the idempotency key is known; nothing was done."""
    ACCEPTED = 1


@dataclass(frozen=True, slots=True)
class Enqueued:
    acceptance: Acceptance
    id: str
    """Of a duplicate: the id that is kept."""
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class Pruned:
    """A step of pruning."""

    looked: int
    """Entries looked at; as many as were asked for: there may be more."""
    last: str
    """The last of them, for the next step of a trial."""
    ids: list[str]
    """Records that were removed, or, in a trial, would be; oldest first."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message under our lease."""

    id: str
    token: int
    queue: str
    retries: int
    crashes: int
    message: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    known: bool
    """False: the store does not know the worker; register and claim again."""
    next_due_ms: int = -1
    """Until the next delayed task is due; -1: there is none."""
    messages: list[Claimed] = field(default_factory=list[Claimed])
    drains: bool = False
    """It was told to take nothing more."""


@dataclass(frozen=True, slots=True)
class Renewal:
    known: bool
    leased: int = 0
    """Tasks leased to the worker; more than it holds: a reply was lost, resync."""
    lost: dict[str, str] = field(default_factory=dict[str, str])
    """id -> state, of what it holds and no longer owns ('' when the record has gone)."""
    drains: bool = False
    """It is to take nothing more."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that a task wrote."""

    task_id: str
    token: int
    line: bytes
    """JSON: ``at`` (ms), ``level``, ``source``, ``message``."""
    skipped: int = 0
    """Lines before it that were too many to be sent."""


@dataclass(frozen=True, slots=True)
class WhyWaiting:
    """Why a task does not run."""

    reason: str
    """ahead, time, queue_paused, type_paused, no_worker, claimed."""
    ahead: int | None = None
    """Tasks of its queue that claim takes before it; None: unknown, or of no account."""
    until_ms: int | None = None


class NextDelivery(enum.IntEnum):
    UNKNOWN = -1
    REFUSED = 0
    """Not the current attempt: nothing was done."""
    KEPT = 1


class Start(enum.IntEnum):
    UNKNOWN = -1
    REFUSED = 0
    STARTED = 1
    REPEATED = 2


class Settled(enum.IntEnum):
    UNKNOWN = -1
    FENCED = 0
    WRITTEN = 1
    REPEATED = 2


@dataclass(frozen=True, slots=True)
class Swept:
    ran: bool
    promoted: int
    adopted: int
    rescued: int
    untold: int
    """Ends that no worker has told to who waits for them."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What a record says of itself, and where its id is found; seen in one step."""

    has_record: bool
    state: str
    place: str
    """ready, held, delayed, leased, dead; empty: in none, it has its outcome."""
    worker: str
    has_started: bool
    in_ready: bool
    in_delayed: bool
    in_dead: bool
    in_held: bool
    in_leased: bool
    is_worker_known: bool
    in_index: bool
