"""
What `encola up` runs, and under which addresses: one function a child.

Owns the order of the children's start, and how each is known to be ready. Running them
is :mod:`.supervisor`'s.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import logging
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from ..errors import StoreError, StoreFull, StoreNewer
from ..installation import take_folder
from ..settings import Settings
from ..store import Keys, connect
from ..store.safety import check_server
from ..store.schema import check_schema
from . import valkey
from .children import Child
from .data_folder import CannotStart
from .ports import check_port_free, free_port

LOADING_LIMIT = 3600.0
"""Seconds that the embedded server may take to read a large append-only file."""

BEAT_IS_READY = "The scheduler runs."
"""How the line begins that `encola beat` prints once it has reached the store."""

logger = logging.getLogger(__name__)


@dataclass
class Plan:
    """What will run, and under which addresses."""

    api_url: str
    redis_url: str = field(repr=False)
    smtp_url: str = field(repr=False)
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


class Word:
    """The line by which a child says that it is ready."""

    def __init__(self, is_it: Callable[[str], bool]) -> None:
        self._is_it = is_it
        self._was_said = False

    def hear(self, line: str) -> None:
        """Is given each line that the child prints."""
        self._was_said = self._was_said or self._is_it(line)

    async def was_said(self) -> bool:
        """Taken back when it is told: a child that is started again has to say it anew."""
        answer, self._was_said = self._was_said, False
        return answer


def _event(line: str) -> object:
    """What the mailbox tells of, a line of JSON each."""
    with suppress(ValueError, AttributeError):
        return json.loads(line).get("event")
    return None


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
        env=server.env,
        ready_timeout=LOADING_LIMIT,
        stop_timeout=30.0,
        patient=True,  # it flushes its file
        death_signal=signal.SIGTERM,
        lock=server.lock,
        before=lambda: valkey.ask_to_stop(server.url),
    )


def _mailbox_child(folder: Path, port: int, settings: Settings) -> Child:
    word = Word(lambda line: _event(line) == "ready")
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
    return Child("mailbox", (sys.executable, *argv), word.was_said, on_line=word.hear)


def _beat_child(env: dict[str, str]) -> Child:
    word = Word(lambda line: line.startswith(BEAT_IS_READY))
    argv = (sys.executable, "-m", "encola", "beat")
    return Child("beat", argv, word.was_said, env=env, on_line=word.hear)


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
        # It stops at once then, and gives back what it runs. Killed, it would have been lost: its tasks
        # would wait for the end of its lease, and the third time be taken for such as kill their worker.
        last_call=signal.SIGQUIT,
    )


def _api_child(settings: Settings, port: int, env: dict[str, str]) -> Child:
    async def ready() -> bool:
        status, _ = await asyncio.to_thread(_get, settings.host, port, "/health")
        return status == http.HTTPStatus.OK

    return Child("api", (sys.executable, "-m", "encola", "api"), ready, env=env)


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


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
