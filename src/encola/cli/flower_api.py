"""Flower's HTTP API, as `encola monitor --flower-url` and the lesson's script read it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from encola.logs import redact
from encola.settings import LOOPBACK

from .client import host_of
from .exits import NOTHING_RUNS, USAGE, CommandError

if TYPE_CHECKING:
    import httpx

TIMEOUT = 10.0
"""Seconds for one call."""


@contextmanager
def connect(url: str) -> Generator[httpx.Client]:
    """
    A client for the block; a user and password in *url* are Flower's ``--basic-auth``.

    Raises:
        CommandError: *url* is no HTTP address.
    """
    import httpx  # see the package

    host = host_of(url, "--flower-url: expected an address such as http://localhost:5555.")
    # A proxy of the environment cannot reach this machine's loopback address.
    trust_env = host not in LOOPBACK
    with httpx.Client(base_url=url.rstrip("/"), timeout=TIMEOUT, trust_env=trust_env) as client:
        yield client


def workers_of(flower: httpx.Client) -> dict[str, bool]:
    """
    Worker -> whether Flower hears its heartbeat.

    Raises:
        CommandError: no answer, or none that can be read.
    """
    known = _get(flower, "/api/workers")
    alive = _get(flower, "/api/workers?status=1")
    return {name: bool(alive.get(name)) for name in sorted({*known, *alive})}


def _get(flower: httpx.Client, path: str) -> dict[str, Any]:
    import httpx  # see the package

    where = redact(str(flower.base_url)).rstrip("/")
    try:
        response = flower.get(path)
    except httpx.HTTPError as error:
        raise CommandError(
            f"No answer from Flower at {where} ({error}). Start `encola flower`.", NOTHING_RUNS
        ) from None
    if response.status_code == httpx.codes.UNAUTHORIZED:
        raise CommandError(
            f"Flower at {where} wants credentials: --flower-url http://user:password@host:5555. Where "
            "it has none, its API is closed; `encola flower` opens it on this machine.",
            USAGE,
        )
    try:
        answer = response.json() if response.is_success else None
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise CommandError(
            f"What answers at {where} is not Flower's API (status {response.status_code}).",
            NOTHING_RUNS,
        )
    return answer
