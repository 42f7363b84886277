"""
One child process of the supervisor, kept running until it is told to stop.

Owns the life of a single child: start, readiness, restart with backoff, stop.
Which children there are, and in which order, is :mod:`.supervisor`'s.

The life of a child:

1. It is started through :mod:`.guard` in a session of its own, so that Ctrl-C in the
   terminal reaches the supervisor alone and the child dies with the supervisor.
2. Its ``ready`` is asked until it says yes.
3. When it dies, what it left in its session is killed, and it is started again after
   0.5 s, doubling to 30 s, and 0.5 s again once it has lived for 60 s.
4. One that dies five times before it was ever ready ends the supervisor.
5. When told to stop it gets SIGTERM, and SIGKILL when its time is up.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from . import guard
from .data_folder import CannotStart

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
HEALTHY_AFTER = 60.0
"""Seconds after which a child that lived so long has its delay reset."""
STARTS_BEFORE_GIVING_UP = 5
HOPELESS = 2
"""Exit code where another start would not help: a wrong setting, a folder that cannot be written to."""
LAST_CALL_SECONDS = 5.0
"""From the last call to SIGKILL."""
PROBE_EVERY = 0.1
LOCK_WAIT = 15.0
"""Seconds to wait for the lock of a child that an earlier supervisor left behind."""

logger = logging.getLogger(__name__)

Ready = Callable[[], Awaitable[bool]]


@dataclass(frozen=True)
class Child:
    """What to run, and how to know that it runs."""

    name: str
    argv: Sequence[str]
    ready: Ready
    """Asked every 0.1 s while the child starts; must answer within a few seconds and not raise."""
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    """On top of the supervisor's own environment."""
    ready_timeout: float = 60.0
    stop_timeout: float = 10.0
    """Seconds from SIGTERM to SIGKILL."""
    patient: bool = False
    """True: hastening does not shorten ``stop_timeout``, because the child is writing to disk."""
    last_call: signal.Signals | None = None
    """What it gets when its time to stop is over, a few seconds before SIGKILL; None: nothing."""
    death_signal: signal.Signals = signal.SIGKILL
    """What it gets when the supervisor is killed."""
    on_line: Callable[[str], None] | None = None
    """Gets each line of its standard output; None: it goes to standard error."""
    lock: Path | None = None
    """Locked by the child for as long as it lives, so that no two run on the same files."""
    before: Callable[[], None] | None = None
    """Called once where the lock is held by another: a chance to ask that one to stop."""


class Keeper:
    """Keeps one child running."""

    def __init__(self, child: Child, hasten: asyncio.Event) -> None:
        self.child = child
        self.is_ready = asyncio.Event()
        self._hasten = hasten
        self._stop = asyncio.Event()
        self._was_ready = False
        self._delay = FIRST_DELAY
        self._early_deaths = 0
        self._reader: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Ask :meth:`keep` to stop the child and come back."""
        self._stop.set()

    async def keep(self) -> None:
        """
        Run the child, again and again, until :meth:`stop`.

        Raises:
            CannotStart: it died too often, or was not ready in time, before it ever was.
        """
        while not self._stop.is_set():
            started = time.monotonic()
            lock = await self._take_lock(self.child.lock) if self.child.lock else None
            if self._stop.is_set():
                _close(lock)
                return
            process = await self._start(lock)
            exited = asyncio.create_task(process.wait())
            try:
                await self._until_ready(exited, started)
                await self._first_of(exited, self._stop.wait())
            finally:
                self.is_ready.clear()
                was_asked = self._stop.is_set() and not exited.done()
                await self._end(process, exited)
            if self._stop.is_set():
                self._tell_of_stop(process, was_asked=was_asked)
                return
            await self._back_off(exited.result(), time.monotonic() - started)

    async def _start(self, lock: int | None) -> asyncio.subprocess.Process:
        child = self.child
        command = (
            # -I and -S: nothing of the user's environment is imported before the command runs.
            *(sys.executable, "-I", "-S", str(Path(guard.__file__))),
            *(str(os.getpid()), str(int(child.death_signal))),
            *child.argv,
        )
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if child.on_line else 2,
                env={**os.environ, **child.env},
                start_new_session=True,
                pass_fds=() if lock is None else (lock,),
            )
        except OSError as error:
            raise CannotStart(f"{child.name} cannot be started: {error}.") from None
        finally:
            _close(lock)  # the child's copy keeps it locked
        if child.on_line and process.stdout:
            self._reader = asyncio.create_task(_read(process.stdout, child.on_line))
        return process

    async def _take_lock(self, path: Path) -> int:
        child = self.child
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + LOCK_WAIT
        asked = False
        while not self._stop.is_set():
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not asked and child.before:
                    await asyncio.to_thread(child.before)
                asked = True
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    raise CannotStart(
                        f"A {child.name} from an earlier run still works on the same files "
                        f"({path.parent}). End it first.",
                        exit_code=5,
                    ) from None
                await self._first_of(self._stop.wait(), within=PROBE_EVERY)
            else:
                break
        return descriptor

    async def _until_ready(self, exited: asyncio.Task[int], started: float) -> None:
        child = self.child
        deadline = started + child.ready_timeout
        while not exited.done() and not self._stop.is_set():
            if await child.ready() and not exited.done():
                break
            if time.monotonic() > deadline and not self._was_ready:
                raise CannotStart(
                    f"{child.name} was not ready within {child.ready_timeout:g} s. "
                    "Its lines above and its log in the data folder say what it waits for."
                )
            await self._first_of(exited, self._stop.wait(), within=PROBE_EVERY)
        else:
            return
        if self._was_ready:
            logger.info("%s runs again", child.name)
        self._was_ready = True
        self.is_ready.set()

    async def _end(self, process: asyncio.subprocess.Process, exited: asyncio.Task[int]) -> None:
        """Stop the child if it still runs, and whatever else is left in its session."""
        if not exited.done():
            with suppress(ProcessLookupError):
                process.terminate()
            hastened = () if self.child.patient else (self._hasten.wait(),)
            await self._first_of(exited, *hastened, within=self.child.stop_timeout)
        if not exited.done() and self.child.last_call:
            with suppress(ProcessLookupError):
                process.send_signal(self.child.last_call)
            await self._first_of(exited, within=LAST_CALL_SECONDS)
        kill_session(process.pid)
        await exited
        if self._reader:
            await self._reader
            self._reader = None

    async def _back_off(self, code: int, lived: float) -> None:
        child = self.child
        if not self._was_ready:
            if code == HOPELESS:
                raise CannotStart(
                    f"{child.name} cannot start. Its lines above say why.",
                    exit_code=HOPELESS,
                )
            self._early_deaths += 1
            if self._early_deaths >= STARTS_BEFORE_GIVING_UP:
                raise CannotStart(
                    f"{child.name} cannot start: it ended {self._early_deaths} times before it was "
                    f"ready, last with {described(code)}. Its lines above say why."
                )
        if lived >= HEALTHY_AFTER:
            self._delay = FIRST_DELAY
        logger.warning(
            "%s ended with %s; starting it again in %g s",
            child.name,
            described(code),
            self._delay,
        )
        await self._first_of(self._stop.wait(), within=self._delay)
        self._delay = min(LONGEST_DELAY, self._delay * 2)

    def _tell_of_stop(self, process: asyncio.subprocess.Process, *, was_asked: bool) -> None:
        code = process.returncode or 0
        if was_asked and code == -signal.SIGKILL:
            logger.warning("%s did not stop in time and was killed", self.child.name)
        else:
            logger.debug("%s stopped with %s", self.child.name, described(code))

    async def _first_of(
        self,
        *awaitables: Awaitable[object] | asyncio.Task[int],
        within: float | None = None,
    ) -> None:
        """Come back when one is done or *within* seconds are over; tasks given are left running."""
        tasks = [asyncio.ensure_future(one) for one in awaitables]
        try:
            await asyncio.wait(tasks, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task, given in zip(tasks, awaitables, strict=True):
                if task is not given:
                    task.cancel()


def described(code: int) -> str:
    """How a process ended: ``exit code 1`` or ``signal SIGKILL``."""
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return f"signal {signal.Signals(-code).name}"
    return f"signal {-code}"


def kill_session(leader: int) -> None:
    """
    SIGKILL everything in the session that *leader* led, its own process included.

    The group first; then, where there is /proc, processes that made groups of their
    own. *leader* may be gone already: its id is not given to another process while
    one of its session lives, and a group of nobody is no error.
    """
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    for entry in _process_ids():
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(entry) == leader:
                os.kill(entry, signal.SIGKILL)


def _process_ids() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except FileNotFoundError:  # macOS: the group has to do
        return []


def _close(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)


async def _read(stream: asyncio.StreamReader, on_line: Callable[[str], None]) -> None:
    """Hands on each line until the stream ends; one that is longer than 64 KiB is left out."""
    while True:
        try:
            line = await stream.readline()
        except ValueError:
            # A user's module may print anything as it is imported. Nobody waits for such a line,
            # and a child whose output nobody reads would stand still.
            continue
        if not line:
            return
        on_line(line.decode("utf-8", "replace").rstrip())
