"""
The names of the keys, built here and in ``lua/_record.lua`` and nowhere else.

The legend of every key, its type and content is at the top of that script.
Every key of ours is the prefix and one of the fixed names, or has a second colon:
by this :meth:`Keys.check_queue` tells them from the lists of queues.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..errors import InvalidQueue

#: How Kombu's Redis transport joins a queue's name and a priority step.
PRIORITY_SEPARATOR: Final = "\x06\x16"
MAX_QUEUE_BYTES: Final = 255
PRIORITY_STEPS: Final = (0, 3, 6, 9)

#: KEYS of every script, in this order.
FIXED: Final = (
    "meta",
    "delayed",
    "dead",
    "workers",
    "events",
    "done",
    "paused",
    "types",
    "schedules",
    "counts",
    "held",
    "logged",
)

#: About so many events are kept in the stream.
EVENTS_KEPT: Final = 100_000
#: Per-minute statistics and idempotency keys live this long.
STATISTICS_MS: Final = 8 * 86_400_000


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names of one installation in one server."""

    prefix: str = "encola:"
    list_prefix: str = ""

    def fixed(self) -> list[str]:
        """KEYS of every script, in the order that ``lua/_record.lua`` names them."""
        return [self.prefix + name for name in FIXED]

    def head(self) -> list[str | int]:
        """The first ARGV of every script."""
        return [self.prefix, self.list_prefix, EVENTS_KEPT, STATISTICS_MS]

    def named(self, name: str) -> str:
        """A key with a fixed name: one of :data:`FIXED`."""
        return self.prefix + name

    def record(self, task_id: str) -> str:
        return f"{self.prefix}t:{task_id}"

    def leased(self, worker: str) -> str:
        return f"{self.prefix}leased:{worker}"

    def worker(self, worker: str) -> str:
        return f"{self.prefix}worker:{worker}"

    def inbox(self, worker: str) -> str:
        return f"{self.prefix}inbox:{worker}"

    def schedule(self, schedule_id: str) -> str:
        return f"{self.prefix}s:{schedule_id}"

    def ran(self, schedule_id: str) -> str:
        """The last runs of a schedule."""
        return f"{self.prefix}ran:{schedule_id}"

    def held(self, type_name: str, queue: str) -> str:
        """Tasks of a paused type that came up on a queue."""
        return f"{self.prefix}held:{type_name}\x1f{queue}"

    def log(self, task_id: str) -> str:
        """What a task wrote."""
        return f"{self.prefix}log:{task_id}"

    def wake(self, queue: str) -> str:
        return f"{self.prefix}wake:{queue}"

    def index(self, kind: str, value: str = "", tenant: str = "") -> str:
        """Kind: all, type, queue, user (streams, by order) or state (sorted set, by seq)."""
        return f"{self.prefix}i:{tenant}:{kind}:{value}"

    def untold(self) -> str:
        """Ids of tasks whose end no worker has told to who waits for it."""
        return f"{self.prefix}ends:untold"

    def statistics(self, minute: int) -> str:
        return f"{self.prefix}stats:{minute}"

    def group(self, group_id: str) -> str:
        return f"{self.prefix}group:{group_id}"

    def chord(self, group_id: str) -> str:
        return f"{self.prefix}chord:{group_id}"

    def stray(self, task_id: str) -> str:
        """A result that a program stored for an id without a record."""
        return f"{self.prefix}stray:{task_id}"

    def check_queue(self, queue: str) -> None:
        """
        The name of a queue is the name of a list: it must not be that of a key of ours.

        Raises:
            InvalidQueue: no name, longer than 255 bytes, control characters, or a key of ours.
        """
        if not 0 < len(queue.encode(errors="replace")) <= MAX_QUEUE_BYTES:
            raise InvalidQueue(queue, f"expected 1 to {MAX_QUEUE_BYTES} bytes")
        if not queue.isprintable():
            raise InvalidQueue(queue, "it has characters that cannot be printed")
        key = self.list_prefix + queue
        if key.startswith(self.prefix):
            own = key.removeprefix(self.prefix)
            if ":" in own or key in self.fixed():
                raise InvalidQueue(queue, f"encola keeps {key[:100]!r} for itself")

    def ready(self, queue: str, step: int = 0) -> str:
        """A ready list, named as Kombu names it. *step*: 0, 3, 6 or 9."""
        name = self.list_prefix + queue
        return f"{name}{PRIORITY_SEPARATOR}{step}" if step else name

    def ready_lists(self, queue: str) -> list[str]:
        return [self.ready(queue, step) for step in PRIORITY_STEPS]
