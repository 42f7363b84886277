"""
Everything on one machine: what `encola up` does.

Owns the children's order and their end. Which they are is :mod:`.plan`'s, the life of one
:mod:`.children`'s, and what a child does its own.

1. Prepare the data folder and take its lock: one `encola up` a folder.
2. Look before starting: is the port free, would a server of the user's own lose data?
3. Start Valkey, then the mailbox, then scheduler, worker and API; wait until each is ready.
4. Write ``run.json`` and say where to look.
5. Keep all of them running until Ctrl-C, SIGTERM or SIGHUP.
6. Stop the scheduler, the worker (it drains its running tasks), then API, mailbox and Valkey,
   and remove ``run.json``. A second Ctrl-C shortens the draining.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path

from ..logs import MAX_BYTES, configure_logging, redact, rotate
from ..record import iso
from ..settings import Settings
from . import data_folder, runfile
from .children import Child, Keeper
from .data_folder import CannotStart
from .flushing import flushed
from .plan import Plan, make_plan
from .runfile import RunFile, shown

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CHORES_EVERY = 60.0

logger = logging.getLogger(__name__)


def run_up(settings: Settings, *, say: Callable[[str], None] | None = None) -> int:
    """
    Run everything until asked to stop.

    *say* gets the few lines meant for a person; default: standard output.
    The answer is 0, or 130 where a second Ctrl-C cut the draining short.

    Raises:
        CannotStart: with one sentence about what is in the way.
        StoreError: the server in REDIS_URL does not answer, or would lose data.
    """
    tell = say or _print
    folder = data_folder.prepare(settings.data_dir)
    with data_folder.only_one(folder):
        runfile.remove(folder)  # of a supervisor that was killed
        configure_logging("up", settings)
        plan = make_plan(folder, settings)
        tell(f"Starting encola in {shown(settings.data_dir)} …")
        supervisor = Supervisor(
            plan.stages,
            on_ready=lambda: _announce(plan, folder, settings, tell),
            on_stop=lambda: tell(_stopping(settings)),
            chores=lambda: _rotate_server_log(plan),
        )
        try:
            with flushed(plan.server.appended) if plan.server else nullcontext():
                asyncio.run(supervisor.run())
        finally:
            runfile.remove(folder)
        tell("Stopped.")
        return 130 if supervisor.was_hastened else 0


class Supervisor:
    """
    Runs children in stages: those of a stage together, the next when all are ready.

    They are stopped stage by stage from the last, within a stage in order.
    """

    def __init__(
        self,
        stages: Sequence[Sequence[Child]],
        *,
        on_ready: Callable[[], None] = lambda: None,
        on_stop: Callable[[], None] = lambda: None,
        chores: Callable[[], None] = lambda: None,
    ) -> None:
        self._stages = stages
        self._on_ready = on_ready
        self._on_stop = on_stop
        self._chores = chores
        self._asked = asyncio.Event()
        self._hasten = asyncio.Event()
        self._running: list[list[tuple[Keeper, asyncio.Task[None]]]] = []

    @property
    def was_hastened(self) -> bool:
        """Whether it was asked to stop a second time."""
        return self._hasten.is_set()

    def ask_to_stop(self) -> None:
        """Stop; asked again, do not wait for running tasks."""
        if self._asked.is_set():
            self._hasten.set()
        self._asked.set()

    async def run(self) -> None:
        """
        Start, keep and stop the children; none is left when it comes back, however it does.

        Raises:
            CannotStart: a child cannot be started; the others have been stopped.
        """
        with self._signals():
            try:
                await self._start_all()
                await self._keep_all()
            finally:
                await self._stop_all()

    async def _start_all(self) -> None:
        for stage in self._stages:
            if self._asked.is_set():
                return
            keepers = [Keeper(child, self._hasten) for child in stage]
            self._running.append([(one, asyncio.create_task(one.keep())) for one in keepers])
            for keeper in keepers:
                await self._unless_stopped(keeper.is_ready.wait())
        if not self._asked.is_set():
            self._on_ready()

    async def _keep_all(self) -> None:
        while not self._asked.is_set():
            self._chores()
            await self._unless_stopped(asyncio.sleep(CHORES_EVERY))
        self._on_stop()

    async def _stop_all(self) -> None:
        for stage in reversed(self._running):
            for keeper, task in stage:
                keeper.stop()
                try:
                    await task
                except CannotStart:
                    # It is the reason of this stop, or comes too late to matter.
                    continue
                except Exception:
                    # A mistake of ours; the others are stopped in their order all the same.
                    logger.exception("%s could not be kept running", keeper.child.name)

    async def _unless_stopped(self, awaitable: Awaitable[object]) -> None:
        """Wait for *awaitable*, but not past a wish to stop or a child that gave up."""
        keeping = [task for stage in self._running for _, task in stage]
        own = [
            asyncio.ensure_future(awaitable),
            asyncio.ensure_future(self._asked.wait()),
        ]
        try:
            await asyncio.wait([*own, *keeping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in own:
                task.cancel()
        for task in keeping:
            if task.done():
                task.result()  # raises what it gave up with

    @contextmanager
    def _signals(self) -> Generator[None]:
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self.ask_to_stop)
        try:
            yield
        finally:
            for number in STOP_SIGNALS:
                loop.remove_signal_handler(number)


def _announce(plan: Plan, folder: Path, settings: Settings, tell: Callable[[str], None]) -> None:
    run = RunFile(
        pid=os.getpid(),
        api_url=plan.api_url,
        redis_url=plan.redis_url,
        smtp_url=plan.smtp_url,
        started_at=iso(datetime.now(UTC)),
    )
    try:
        runfile.write(folder, run)
    except OSError as error:
        raise CannotStart(
            f"{shown(settings.data_dir / 'run.json')} could not be written: {error.strerror}. "
            "Every other command finds this installation by it."
        ) from error
    mail = redact(plan.smtp_url).split("?", 1)[0]
    lines = [
        "",
        "encola runs.",
        "",
        f"  Dashboard  {plan.api_url}/",
        f"  API        {plan.api_url}/tasks  (described in {plan.api_url}/openapi.json)",
        f"  Mail       {plan.api_url}/mailbox  (sent to {mail})"
        if not settings.smtp_url
        else f"  Mail       sent to {mail}",
        f"  Data       {shown(settings.data_dir)}  (logs in {shown(settings.data_dir / 'logs')})",
    ]
    if not plan.server:
        lines.append(f"  Server     {redact(plan.redis_url)}")
    lines += [
        "",
        f"Ctrl-C stops it: running tasks get up to {settings.grace_seconds:g} s, none is lost.",
        "",
    ]
    tell("\n".join(lines))


def _stopping(settings: Settings) -> str:
    return (
        f"Stopping: running tasks get up to {settings.grace_seconds:g} s. "
        "Ctrl-C again does not wait for them; they run again at the next start."
    )


def _rotate_server_log(plan: Plan) -> None:
    # The server opens its log anew for each line, so it may be renamed under it.
    with suppress(OSError):
        if plan.server and plan.server.log.stat().st_size > MAX_BYTES:
            rotate(plan.server.log)


def _print(text: str) -> None:
    # The terminal may be gone (SIGHUP); the children still have to be stopped.
    with suppress(OSError):
        print(text, flush=True)
