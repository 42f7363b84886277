"""
The HTTP API as the commands use it: where it is, a call, what its problems mean.

Knows nothing of single commands. Errors come as :class:`CommandError` with their exit code.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, NoReturn, cast
from urllib.parse import quote, urlencode, urlsplit

from encola.embedded import runfile
from encola.errors import NothingRuns, TaskNotFound
from encola.logs import one_line, redact
from encola.settings import LOOPBACK, Settings, load_settings

from .exits import NOTHING_RUNS, UNKNOWN_ID, USAGE, CommandError, exit_code_of_problem

if TYPE_CHECKING:
    import httpx

FINISHED_STATES = frozenset({"SUCCESS", "FAILURE", "REVOKED"})
TIMEOUT = 30.0
"""Seconds for one call."""
UPLOAD_TIMEOUT = 300.0
"""Seconds that a step of an upload may take: the disk at the other end may be slow."""


class NoAnswer(CommandError):  # named as those in encola.errors
    """Nobody answered at the API's address."""

    def __init__(self, message: str) -> None:
        super().__init__(message, NOTHING_RUNS)


class Api:
    """One connection to the API."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        return redact(str(self._client.base_url)).rstrip("/")

    def types(self) -> list[dict[str, Any]]:
        """Every task type with its JSON Schemas."""
        return cast("list[dict[str, Any]]", self._call("GET", "/tasks/types").get("types", []))

    def submit(self, type_name: str, task_input: object) -> dict[str, Any]:
        """Queue a task; the answer has its ``task_id``."""
        return self._call("POST", "/tasks", {"type": type_name, "input": task_input})

    def upload(self, name: str, file: IO[bytes]) -> dict[str, Any]:
        """Send a file; the answer has its ``file_path``."""
        import httpx

        timeout = httpx.Timeout(TIMEOUT, read=UPLOAD_TIMEOUT, write=UPLOAD_TIMEOUT)
        try:
            response = self._client.post("/files", files={"file": (name, file)}, timeout=timeout)
        except httpx.HTTPError as error:
            raise self._no_answer(error) from None
        return _object(response) if response.is_success else self._raise(response)

    def task(self, task_id: str) -> dict[str, Any]:
        """Everything known of a task."""
        with _of(task_id):
            return self._call("GET", f"/tasks/{quote(task_id, safe='')}")

    def newest(self, limit: int) -> list[dict[str, Any]]:
        """The *limit* (1 to 200) newest tasks, newest first."""
        return cast("list[dict[str, Any]]", self._call("GET", f"/tasks?limit={limit}")["items"])

    def cancel(self, task_id: str) -> dict[str, Any]:
        """Cancel a task."""
        with _of(task_id):
            return self._call("DELETE", f"/tasks/cancel/{quote(task_id, safe='')}")

    def log(self, task_id: str, query: dict[str, Any]) -> dict[str, Any]:
        """Lines that a task wrote: ``{items, last, dropped}``."""
        with _of(task_id):
            return self._call("GET", f"/tasks/{quote(task_id, safe='')}/logs?{_query(query)}")

    def log_events(
        self, task_id: str, query: dict[str, Any]
    ) -> Generator[tuple[str, dict[str, Any]]]:
        """
        (event, data) as they come, until the connection ends.

        Raises:
            NoAnswer: the API is away, or has gone.
        """
        import httpx

        path = f"/tasks/{quote(task_id, safe='')}/logs/events?{_query(query)}"
        try:
            with _of(task_id), self._client.stream("GET", path) as response:
                if not response.is_success:
                    response.read()
                    self._raise(response)
                yield from _events(response.iter_lines())
        except httpx.HTTPError as error:
            raise self._no_answer(error) from None

    def ready(self) -> dict[str, Any]:
        """``{store, workers, …}``, also where the API says that it is not ready."""
        response = self._send("GET", "/ready", None)
        return _object(response)

    def queues(self) -> list[dict[str, Any]]:
        """How each queue stands."""
        return cast("list[dict[str, Any]]", self._call("GET", "/queues")["items"])

    def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        response = self._send(method, path, body)
        if response.is_success:
            return _object(response)
        return self._raise(response)

    def _raise(self, response: httpx.Response) -> NoReturn:
        answer = _object(response)
        raise CommandError(
            _sentence(answer) or f"The API answered {response.status_code}.",
            exit_code_of_problem(response.status_code, str(answer.get("code", ""))),
        )

    def _send(self, method: str, path: str, body: object) -> httpx.Response:
        import httpx

        try:
            return self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise self._no_answer(error) from None

    def _no_answer(self, error: Exception) -> NoAnswer:
        return NoAnswer(
            f"No answer from {redact(str(self._client.base_url))} ({error}). "
            "Start `encola up`, or name the API in ENCOLA_URL."
        )


@contextmanager
def connect(settings: Settings | None = None, *, timeout: float = TIMEOUT) -> Generator[Api]:
    """
    An :class:`Api` for the block. *timeout*: seconds for each call.

    Raises:
        NothingRuns: there is no address to try.
    """
    import httpx

    url = api_url(settings or load_settings())
    # A proxy of the environment cannot reach this machine's loopback address.
    trust_env = urlsplit(url).hostname not in LOOPBACK
    try:
        client = httpx.Client(
            base_url=url,
            timeout=timeout,
            trust_env=trust_env,
            headers={"Accept": "application/json", "Accept-Language": _language()},
        )
    except httpx.InvalidURL as error:
        raise CommandError(f"ENCOLA_URL is no address: {error}.", USAGE) from None
    with client:
        yield Api(client)


def api_url(settings: Settings) -> str:
    """
    ENCOLA_URL; else what ``run.json`` says; else, with REDIS_URL, this machine's ENCOLA_PORT.

    Raises:
        CommandError: ENCOLA_URL is no HTTP address.
        NothingRuns: none of the three is there.
    """
    named = os.environ.get("ENCOLA_URL", "").rstrip("/")
    if named:
        host_of(named, "ENCOLA_URL: expected an address such as http://127.0.0.1:8000.")
        return named
    run = runfile.read(settings.data_dir)
    if run:
        return run.api_url
    if settings.redis_url:
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        return f"http://{host}:{settings.port}"
    raise NothingRuns(runfile.shown(settings.data_dir))


def host_of(url: str, expected: str) -> str:
    """
    The host of an HTTP address.

    Raises:
        CommandError: *url* is none; says what was *expected*.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise CommandError(expected, USAGE) from None
    if parts.scheme not in ("http", "https") or not host:
        raise CommandError(expected, USAGE)
    return host


def _query(values: dict[str, Any]) -> str:
    return urlencode({name: value for name, value in values.items() if value is not None})


def _events(lines: Iterable[str]) -> Generator[tuple[str, dict[str, Any]]]:
    """Server-sent events out of their lines, as our own API writes them."""
    event, data = "message", ""
    for line in lines:
        field, _, value = line.partition(": ")
        if field == "event":
            event = value
        elif field == "data":
            data = value
        elif not line and data:
            yield event, json.loads(data)
            event, data = "message", ""


@contextmanager
def _of(task_id: str) -> Generator[None]:
    """Names the id in what is said of a task that is unknown: a person may have mistyped it."""
    try:
        yield
    except CommandError as error:
        if error.exit_code == UNKNOWN_ID:
            raise TaskNotFound(task_id) from None
        raise


def _language() -> str:
    """Sentences in the language set for encola, else in English as the rest of the command line."""
    return os.environ.get("ENCOLA_LANGUAGE", "en").lower()


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        answer: object = response.json()
    except ValueError:
        return {}
    return cast("dict[str, Any]", answer) if isinstance(answer, dict) else {}


def _sentence(problem: dict[str, Any]) -> str:
    """What a problem says; of an input that does not fit, each field by its name on the command line."""
    said = str(problem.get("detail") or problem.get("title") or "")
    errors = cast("list[dict[str, Any]]", problem.get("errors") or [])
    # The detail goes on with the same list, in words for programs.
    lines = [f"{said.partition(': ')[0]}:"] if errors else [said]
    for error in errors:
        path = [str(part) for part in cast("list[object]", error.get("loc") or [])]
        # Where a request has the input. Only once each: a field may be called so too.
        for outer in ("body", "input"):
            path = path[1:] if path[:1] == [outer] else path
        field = ".".join(path)
        lines.append(f"  - {field or 'the input'}: {error.get('msg', '')}")
    return "\n".join(one_line(line) for line in lines)
