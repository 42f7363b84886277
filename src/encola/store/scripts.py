"""
One function a script: what it is asked, and what its answer means.

Each function is pure. It encodes its arguments into a :class:`Call` (script,
KEYS, ARGV) together with the decoder of the reply; the two callers in
:mod:`encola.store.callers`, sync and async, only carry it to the server. What a
script does, step by step, stands at the top of its file in ``lua/``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from redis.exceptions import ResponseError

from ..errors import (
    InvalidQueue,
    InvalidTaskId,
    StoreFull,
    TaskActive,
    TaskFinished,
    TaskNotFound,
    WorkerNotFound,
)
from ..record import MAX_ID_BYTES
from .keys import Keys
from .library import Library, Script, shipped
from .shapes import (
    Acceptance,
    Claim,
    Claimed,
    Enqueued,
    LogLine,
    NewTask,
    NextDelivery,
    Pruned,
    Renewal,
    Settled,
    Start,
    Swept,
    Whereabouts,
    WhyWaiting,
)

Argument = str | bytes | int | float
#: More than any number of records.
NO_LIMIT: Final = 2**53 - 1
R = TypeVar("R")
F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class Call(Generic[R]):
    """One script with its arguments and the meaning of its reply."""

    script: Script
    keys: list[str]
    argv: list[Argument]
    decode: Callable[[Any], R]

    @property
    def command(self) -> tuple[Argument, ...]:
        """Of a server that keeps our library."""
        return ("FCALL", self.script.function, len(self.keys), *self.keys, *self.argv)

    @property
    def command_by_text(self) -> tuple[Argument, ...]:
        """Of a server that has lost the library, and has no room for it."""
        return ("EVAL", self.script.text, len(self.keys), *self.keys, *self.argv)


class Verbs:
    """The scripts as functions, for one set of keys."""

    def __init__(self, keys: Keys, library: Library | None = None) -> None:
        self.keys = keys
        self.library = library or shipped()
        # The same in every call; a list is cheaper to copy than to build.
        self._fixed = keys.fixed()
        self._head: list[Argument] = list(keys.head())

    def enqueue(
        self, tasks: Sequence[NewTask], max_waiting: int, *, even_when_full: bool = False
    ) -> Call[list[Enqueued]]:
        """
        Accepts *tasks*, all or none; *even_when_full*: by a server that is out of memory, too.

        Raises, on decoding:
            StoreFull: with them more than *max_waiting* would wait.
            InvalidQueue: the server holds something else under that name.
        Raises:
            InvalidTaskId, InvalidQueue: before anything is sent.
        """
        argv: list[Argument] = [max_waiting]
        for task in tasks:
            check_id(task.id)
            self.keys.check_queue(task.queue)
            argv += (
                task.id,
                task.message,
                task.queue,
                task.priority,
                _one_line(task.type),
                _one_line(task.user_id),
                "" if task.due_ms is None else task.due_ms,
                task.idempotency_key,
                task.lease_to,
            )

        def decode(reply: list[Any]) -> list[Enqueued]:
            refused(reply, max_waiting)
            return [Enqueued(Acceptance(r[0]), r[1].decode(), int(r[2])) for r in reply]

        if even_when_full:
            script = self.library.even_when_full("enqueue")
            return Call(script, self._fixed, [*self._head, *argv], decode)
        return self.call("enqueue", argv, decode)

    def next_delivery(self, task: NewTask, token: int) -> Call[NextDelivery]:
        """
        What the attempt under *token* publishes of its own task: its next run, once it has settled.

        Taken by a full server, and counted by no limit: the task was accepted.
        """
        due: Argument = "" if task.due_ms is None else task.due_ms
        return self.call("next_delivery", [task.id, token, task.message, due], NextDelivery)

    def expect(self, task_id: str, token: int) -> Call[NextDelivery]:
        """The attempt replaces its task by a chain or a group: the next message with its id is not a duplicate."""
        return self.call("expect", [task_id, token], NextDelivery)

    def end_unsent(
        self, task: NewTask, error: bytes, error_code: str, children: bytes = b""
    ) -> Call[bool]:
        """A task that will never be sent ends as FAILURE; False where its id is known. *error*, *children*: JSON."""
        argv: list[Argument] = [
            task.id,
            task.message,
            task.queue,
            _one_line(task.type),
            error,
            error_code,
            children,
        ]
        return self.call("end_unsent", argv, bool)

    def heartbeat(
        self,
        worker: str,
        lease_ms: int,
        held: Iterable[tuple[str, int]] = (),
        *,
        info: str = "",
        register: bool = False,
    ) -> Call[Renewal]:
        """Renews a worker's lease. *held*: (id, token) of all it has claimed and not ended."""
        argv: list[Argument] = [worker, lease_ms, info, int(register)]
        for task_id, token in held:
            argv += (task_id, token)

        def decode(reply: list[Any]) -> Renewal:
            if not reply[0]:
                return Renewal(known=False)
            rest = [value.decode() for value in reply[3:]]
            lost = dict(zip(rest[::2], rest[1::2], strict=True))
            return Renewal(True, reply[1], lost, bool(reply[2]))

        return self.call("heartbeat", argv, decode)

    def claim(self, worker: str, n: int, queues: Sequence[str]) -> Call[Claim]:
        """Takes up to *n* messages; *queues* in the order to look."""

        return self.call("claim", [worker, n, *queues], decode_claim)

    def start(self, task_id: str, token: int) -> Call[Start]:
        return self.call("start", [task_id, token], Start)

    def progress(self, task_id: str, token: int, progress: bytes, phase: str = "") -> Call[bool]:
        """*progress*: JSON. True when it was written."""
        return self.call("progress", [task_id, token, progress, phase], lambda reply: reply == 1)

    def settle(
        self,
        task_id: str,
        token: int,
        state: str,
        value: bytes = b"",
        *,
        error_code: str = "",
        due_ms: int | None = None,
        children: bytes = b"",
    ) -> Call[Settled]:
        """Writes an outcome: SUCCESS with a result, FAILURE REVOKED RETRY with an error (JSON)."""
        due: Argument = "" if due_ms is None else due_ms
        return self.call(
            "settle", [task_id, token, state, value, error_code, due, children], Settled
        )

    def both(
        self, first: Call[F], second: Call[R]
    ) -> Call[tuple[F | ResponseError, R | ResponseError]]:
        """Two calls as one, *first* first. Where the server broke one off, its error stands in place of its answer."""
        shared = len(self._head)
        own = first.argv[shared:]
        names = (first.script.name, second.script.name)
        argv = [*names, len(own), *own, *second.argv[shared:]]

        def decode(reply: list[Any]) -> tuple[F | ResponseError, R | ResponseError]:
            one, other = reply
            return (
                one if isinstance(one, ResponseError) else first.decode(one),
                other if isinstance(other, ResponseError) else second.decode(other),
            )

        return self.call("both", argv, decode)

    def confirm(self, ends: Iterable[tuple[str, int, str]]) -> Call[list[bool]]:
        """*ends*: (id, token, how); True where the end was decided by this call."""
        argv: list[Argument] = []
        for end in ends:
            argv += end
        return self.call("confirm", argv, lambda reply: [value == 1 for value in reply])

    def release(
        self,
        held: Iterable[tuple[str, int]],
        *,
        crashed: bool = False,
        only_waiting: bool = False,
    ) -> Call[list[int]]:
        """
        Gives back (id, token)s, those that have started too unless *only_waiting*.

        One number each: 1 given back, 2 parked, 3 it runs and stays, 0 not held.
        """
        argv: list[Argument] = ["waiting" if only_waiting else int(crashed)]
        for task_id, token in held:
            argv += (task_id, token)
        return self.call("release", argv, list)

    def resync(self, worker: str, held_ids: Iterable[str]) -> Call[int]:
        return self.call("resync", [worker, *held_ids], int)

    def leave(self, worker: str) -> Call[int]:
        return self.call("leave", [worker], int)

    def waiting(self, task_id: str, limit: int = 10_000) -> Call[WhyWaiting | None]:
        """Why a task that waits does not run; None: it does not wait."""

        def decode(reply: list[Any]) -> WhyWaiting | None:
            reason, ahead, until = reply[0].decode(), int(reply[1]), int(reply[2])
            if not reason:
                return None
            return WhyWaiting(reason, None if ahead < 0 else ahead, None if until < 0 else until)

        return self.call("waiting", [task_id, limit], decode)

    def log(self, lines: Iterable[LogLine], most_lines: int, most_bytes: int) -> Call[int]:
        """Keeps what tasks wrote; answers how many lines were kept."""
        argv: list[Argument] = [most_lines, most_bytes]
        for line in lines:
            argv += (line.task_id, line.token, line.skipped, line.line)
        return self.call("log", argv, int)

    def sweep(self, lease_ms: int, queues: Sequence[str], limit: int = 200) -> Call[Swept]:
        def decode(reply: list[int]) -> Swept:
            return Swept(bool(reply[0]), *reply[1:])

        return self.call("sweep", [lease_ms, limit, *queues], decode)

    def cancel(
        self, task_id: str, *, waiting_only: bool = False, code: str = "cancelled"
    ) -> Call[bool]:
        """
        True when it was cancelled by this call, False when it was before.

        Raises, on decoding:
            TaskNotFound, TaskFinished (also where *waiting_only* found it running)
        """

        def decode(reply: list[Any]) -> bool:
            if reply[0] == -1:
                raise TaskNotFound(task_id)
            if reply[0] == 0:
                raise TaskFinished(task_id, reply[1].decode())
            return bool(reply[0] == 1)

        return self.call("cancel", [task_id, int(waiting_only), code], decode)

    def retry(self, task_id: str, max_waiting: int = NO_LIMIT) -> Call[None]:
        """
        A person runs a finished task again.

        Raises, on decoding:
            TaskNotFound, TaskActive
            StoreFull: with it more than *max_waiting* would wait.
        """

        def decode(reply: list[Any]) -> None:
            refused(reply, max_waiting)
            if reply[0] == -1:
                raise TaskNotFound(task_id)
            if reply[0] == 0:
                raise TaskActive(task_id, reply[1].decode())

        return self.call("retry", [task_id, max_waiting], decode)

    def pause(self, queue: str, *, on: bool) -> Call[bool]:
        """Pauses or resumes a queue; True when it was not so already."""
        return self.call("pause", ["queue", queue, int(on), 0], lambda reply: bool(reply[0]))

    def pause_type(self, name: str, *, on: bool, limit: int = 2000) -> Call[tuple[bool, int]]:
        """
        Pauses or resumes a task type: (it was not so already, tasks that are still held).

        Resuming gives back up to *limit*; call again while some are left.
        """
        argv: list[Argument] = ["type", name, int(on), limit]
        return self.call("pause", argv, lambda reply: (bool(reply[0]), int(reply[1])))

    def drain(self, worker: str, *, on: bool) -> Call[bool]:
        """
        Lets a worker take nothing more, or again; True when it was not so already.

        Raises, on decoding:
            WorkerNotFound
        """

        def decode(reply: list[int]) -> bool:
            if reply[0] == -1:
                raise WorkerNotFound(worker)
            return bool(reply[0])

        return self.call("pause", ["worker", worker, int(on), 0], decode)

    def place(self, task_id: str, worker: str = "") -> Call[Whereabouts]:
        """Where a task is; *worker*: whose lease to look under, else the record's own."""
        return self.call("place", [task_id, worker], _decode_place)

    def purge(self, queue: str, limit: int = 1000) -> Call[int]:
        return self.call("purge", [queue, limit], int)

    def prune(self, before_ms: int, keep: int, limit: int = 500) -> Call[tuple[int, int]]:
        """(entries looked at, records removed); call again while the first is *limit*."""
        return self.call("prune", [before_ms, keep, limit], lambda r: (int(r[0]), int(r[1])))

    def prune_listed(
        self, before_ms: int, *, is_trial: bool, after: str = "", limit: int = 500
    ) -> Call[Pruned]:
        """
        :meth:`prune` by age alone, with the ids of what was removed, or, in a trial, would be.

        Args:
            after: in a trial, :attr:`Pruned.last` of the call before; nothing was taken away meanwhile.
        """
        argv: list[Argument] = [before_ms, NO_LIMIT, limit, int(is_trial), after]

        def decode(reply: list[Any]) -> Pruned:
            return Pruned(int(reply[0]), reply[2].decode(), [r.decode() for r in reply[3:]])

        return self.call("prune", argv, decode)

    def chord(
        self,
        group_id: str,
        part: str,
        value: bytes,
        size: int | None,
        ttl_ms: int,
        *,
        sending: str = "",
    ) -> Call[tuple[int, int, int]]:
        """(parts in, size, round); size -1 while it is not known. *sending*: the part's mark."""
        known: Argument = "" if size is None else size
        return self._chord([group_id, part, value, known, ttl_ms, sending])

    def grow_chord(self, group_id: str, ttl_ms: int) -> Call[tuple[int, int, int]]:
        """The chord has one part more; answers as :meth:`chord`."""
        return self._chord([group_id, "", b"", "+1", ttl_ms, ""])

    def _chord(self, argv: list[Argument]) -> Call[tuple[int, int, int]]:
        return self.call("chord", argv, lambda r: (int(r[0]), int(r[1]), int(r[2])))

    def call(self, name: str, argv: Sequence[Argument], decode: Callable[[Any], R]) -> Call[R]:
        """The call of a script by its own arguments."""
        return Call(self.library[name], self._fixed, [*self._head, *argv], decode)


def refused(reply: list[Any], max_waiting: int) -> None:
    """
    Raises:
        StoreFull, InvalidQueue: as the script says, which then has done nothing.
    """
    if reply and reply[0] == b"full":
        raise StoreFull(
            f"{reply[1]} tasks wait; ENCOLA_MAX_WAITING allows {max_waiting}. "
            "Nothing was queued; start more workers, or try again later."
        )
    if reply and reply[0] == b"taken":
        queue, kind = reply[1].decode(), reply[2].decode()
        raise InvalidQueue(queue, f"the server holds a {kind} under that name")


def _decode_place(reply: list[Any]) -> Whereabouts:
    has_record, state, place, worker, *rest = reply
    flags = [bool(flag) for flag in rest]
    return Whereabouts(bool(has_record), state.decode(), place.decode(), worker.decode(), *flags)


def decode_claim(reply: list[Any]) -> Claim:
    """The reply of ``claim.lua``; the transport reads it off its own connection."""
    if not reply[0]:
        return Claim(known=False)
    if reply[0] == 2:
        return Claim(known=True, drains=True)
    messages = [
        Claimed(r[0].decode(), int(r[1]), r[2].decode(), int(r[3]), int(r[4]), r[5])
        for r in reply[2:]
    ]
    return Claim(True, int(reply[1]), messages)


def check_id(task_id: str) -> None:
    """
    Raises:
        InvalidTaskId: empty, too long, or not to be told from a Kombu envelope.
    """
    try:
        size = len(task_id.encode())
    except UnicodeEncodeError:
        size = 0
    if not 0 < size <= MAX_ID_BYTES or task_id.startswith("{"):
        raise InvalidTaskId


def _one_line(text: str) -> str:
    # \x1f parts the coordinates of a record (field x).
    return text.replace("\x1f", " ")
