"""
Everything on one machine: what `encola up` does.

Owns which children there are, their order and their end. The life of one child is
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
import http.client
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from encola.errors import StoreError, StoreFull, StoreNewer
from encola.installation import take_folder
from encola.logs import MAX_BYTES, configure_logging, redact, rotate
from encola.settings import Settings
from encola.store import Keys, connect
from encola.store.safety import check_server
from encola.store.schema import check_schema

from . import data_folder, runfile, valkey
from .children import Child, Keeper
from .data_folder import CannotStart
from .flushing import flushed
from .runfile import RunFile, shown

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CHORES_EVERY = 60.0
LOADING_LIMIT = 3600.0
"""Seconds that the embedded server may take to read a large append-only file."""

BEAT_IS_READY = "The scheduler runs."
"""How the line begins that `encola beat` prints once it has reached the store."""

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
                # Its failure is the reason of this stop, or comes too late to matter.
                with suppress(CannotStart):
                    await task

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


@dataclass
class Plan:
    """What will run, and under which addresses."""

    api_url: str
    redis_url: str
    smtp_url: str
    stages: list[list[Child]] = field(default_factory=list[list[Child]])
    server: valkey.EmbeddedValkey | None = None
    """None: a server of the user's own."""


def make_plan(folder: Path, settings: Settings) -> Plan:
    """
    The children for *settings*, with their addresses; *folder*: absolute data folder.

    Raises:
        CannotStart, StoreError: as :func:`run_up`.
    """
    port = settings.port or free_port(settings.host)
    check_port_free(settings.host, port, "ENCOLA_PORT")
    server = None if settings.redis_url else valkey.prepare(folder, settings.durability)
    smtp_port = settings.smtp_port or free_port("127.0.0.1")
    plan = Plan(
        api_url=f"http://{_bracketed(settings.host)}:{port}",
        redis_url=server.url if server else cast("str", settings.redis_url),
        smtp_url=settings.smtp_url or f"smtp://127.0.0.1:{smtp_port}?starttls=never",
        server=server,
    )
    if server:
        plan.stages.append([_valkey_child(server, settings)])
    else:
        _look_at(plan.redis_url, settings)
    if not settings.smtp_url:
        check_port_free("127.0.0.1", smtp_port, "ENCOLA_SMTP_PORT")
        plan.stages.append([_mailbox_child(folder, smtp_port, settings)])
    env = {
        "ENCOLA_DATA_DIR": str(folder),
        "REDIS_URL": plan.redis_url,
        "ENCOLA_SMTP_URL": plan.smtp_url,
        "ENCOLA_HOST": settings.host,
        "ENCOLA_PORT": str(port),
    }
    # In a stop the scheduler goes first: what it would still enqueue could not run any more.
    plan.stages.append(
        [_beat_child(env), _worker_child(settings, port, env), _api_child(settings, port, env)]
    )
    return plan


def _valkey_child(server: valkey.EmbeddedValkey, settings: Settings) -> Child:
    def is_ready() -> bool:
        # Before the others start: they look whose folder it is.
        return valkey.is_ready(server.url) and _look_in(server.url, settings, is_alone=True)

    async def ready() -> bool:
        return await asyncio.to_thread(is_ready)

    return Child(
        "valkey",
        server.argv,
        ready,
        ready_timeout=LOADING_LIMIT,
        stop_timeout=30.0,
        patient=True,  # it flushes its file
        death_signal=signal.SIGTERM,
        lock=server.lock,
        before=lambda: valkey.ask_to_stop(server.url),
    )


def _mailbox_child(folder: Path, port: int, settings: Settings) -> Child:
    said_ready = False

    def on_line(line: str) -> None:
        nonlocal said_ready
        with suppress(ValueError, AttributeError):
            said_ready = said_ready or json.loads(line).get("event") == "ready"

    async def ready() -> bool:
        # Taken back when read: a restarted mailbox has to say it anew.
        nonlocal said_ready
        answer, said_ready = said_ready, False
        return answer

    argv = (
        "-m",
        "encola.embedded.mailbox",
        "--dir",
        str(folder / "mail"),
        "--port",
        str(port),
        "--most-mails",
        str(settings.mailbox_count),
        "--most-bytes",
        str(settings.mailbox_bytes),
    )
    return Child("mailbox", (sys.executable, *argv), ready, on_line=on_line)


def _beat_child(env: dict[str, str]) -> Child:
    said_ready = False

    def on_line(line: str) -> None:
        nonlocal said_ready
        said_ready = said_ready or line.startswith(BEAT_IS_READY)

    async def ready() -> bool:
        # Taken back when read, as the mailbox's.
        nonlocal said_ready
        answer, said_ready = said_ready, False
        return answer

    return Child("beat", (sys.executable, "-m", "encola", "beat"), ready, env=env, on_line=on_line)


def _worker_child(settings: Settings, port: int, env: dict[str, str]) -> Child:
    async def ready() -> bool:
        status, answer = await asyncio.to_thread(_get, settings.host, port, "/ready")
        return status == http.HTTPStatus.OK and _number(answer.get("workers")) >= 1

    return Child(
        "worker",
        (sys.executable, "-m", "encola", "worker"),
        ready,
        env=env,
        stop_timeout=settings.grace_seconds,
    )


def _api_child(settings: Settings, port: int, env: dict[str, str]) -> Child:
    async def ready() -> bool:
        status, _ = await asyncio.to_thread(_get, settings.host, port, "/health")
        return status == http.HTTPStatus.OK

    return Child("api", (sys.executable, "-m", "encola", "api"), ready, env=env)


def check_port_free(host: str, port: int, variable: str) -> None:
    """
    Bind the port and let it go again.

    Raises:
        CannotStart: it is taken, or not ours to take; names *variable*.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As the server itself binds: connections that linger from a last run do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotStart(
                f"Port {port} on {host} cannot be used ({error.strerror}). "
                f"Stop what uses it, or choose another with {variable} (0: any free one).",
                exit_code=5,
            ) from None


def free_port(host: str) -> int:
    """A port that nothing uses at this moment."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _look_at(url: str, settings: Settings) -> None:
    with connect(url) as client:
        for warning in check_server(client, settings.durability):
            logger.warning(warning)
    _look_in(url, settings, is_alone=False)


def _look_in(url: str, settings: Settings, *, is_alone: bool) -> bool:
    """
    Look whether we can read what it holds, and name our data folder in it; False: not yet, it is away.

    Raises:
        CannotStart: a newer encola has written it.
    """
    keys = Keys(settings.key_prefix, settings.list_prefix)
    try:
        with connect(url) as client:
            check_schema(client, keys)
            take_folder(client, keys, settings.data_dir, is_alone=is_alone)
    except StoreNewer as error:
        raise CannotStart(str(error)) from None
    except (StoreFull, OSError):
        return True  # named at an earlier start, most likely; the API tries again, and says so
    except StoreError:
        return False
    return True


def _get(host: str, port: int, path: str) -> tuple[int, dict[str, object]]:
    """Status and JSON object of a GET; (0, {}) where nobody answers."""
    # Not urllib: it would ask the proxy in the environment for a loopback address.
    connection = http.client.HTTPConnection(host, port, timeout=3.0)
    try:
        connection.request("GET", path, headers={"Accept": "application/json"})
        response = connection.getresponse()
        answer = json.loads(response.read() or b"{}")
    except (OSError, http.client.HTTPException, ValueError):
        return 0, {}
    finally:
        connection.close()
    found = cast("dict[str, object]", answer) if isinstance(answer, dict) else {}
    return response.status, found


def _number(value: object) -> float:
    return value if isinstance(value, (int, float)) else 0


def _announce(plan: Plan, folder: Path, settings: Settings, tell: Callable[[str], None]) -> None:
    run = RunFile(
        pid=os.getpid(),
        api_url=plan.api_url,
        redis_url=plan.redis_url,
        smtp_url=plan.smtp_url,
        started_at=datetime.now(UTC).isoformat(timespec="microseconds")[:-6] + "Z",
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


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _print(text: str) -> None:
    # The terminal may be gone (SIGHUP); the children still have to be stopped.
    with suppress(OSError):
        print(text, flush=True)
