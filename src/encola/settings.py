"""
Every setting: its unit, default and environment variable.

A setting is read from the environment once, when a process starts. A wrong one
stops the start, and all wrong ones are listed at once. Nothing here opens a
connection or a file; ``run.json`` is read by :mod:`encola.embedded.runfile`.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from .errors import SettingsError
from .mail.address import check_sender
from .mail.server import parse_smtp_url
from .schedule import LEAST_GRACE, MOST_GRACE
from .timing import Cron, zone

CommaList = Annotated[tuple[str, ...], NoDecode]


def _number_or_none(value: object) -> object:
    """One sentence for both, and not one for each."""
    if isinstance(value, str):
        word = value.strip().lower()
        if word == "none":
            return word
        with contextlib.suppress(ValueError):
            value = float(word)
    if not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise ValueError("expected a number above 0, or none")
    return value


def _whole_or_none(value: object) -> object:
    found = _number_or_none(value)
    if isinstance(found, float) and not found.is_integer():
        raise ValueError("expected a whole number above 0, or none")
    return found


Limit = Annotated[float | Literal["none"], BeforeValidator(_number_or_none)]

#: Names of this machine for itself.
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
#: Files that REDIS_URL may name, for TLS.
FILE_OPTIONS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
#: Schemes that redis-py or Kombu know, as a user writes them in REDIS_URL.
REDIS_SCHEMES = ("redis", "rediss", "unix", "redis+socket", "sentinel")


class Settings(BaseSettings):
    """
    The settings of one process.

    Times are seconds and sizes bytes unless the name says otherwise.
    Source: ``docs/settings.md`` has the same table for readers.
    """

    model_config = SettingsConfigDict(env_prefix="ENCOLA_", frozen=True, extra="ignore")

    redis_url: str | None = Field(
        None, validation_alias=AliasChoices("REDIS_URL", "redis_url"), repr=False
    )
    """Address of the server; unset: the one that `encola up` started (REDIS_URL)."""
    data_dir: Path = Path(".encola")
    """Folder of everything kept on disk: Valkey's files, mail, uploads, logs."""
    host: str = "127.0.0.1"
    """Address the API listens on. Any but loopback is refused until credentials exist."""
    port: int = Field(8000, ge=0, le=65535)
    """Port of the API; 0: a free one."""
    namespace: str = Field("encola", pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    """Prefix of every key of ours in the store."""

    concurrency: int = Field(default_factory=lambda: max(2, os.cpu_count() or 2), ge=1, le=1000)
    """Child processes of one worker; default: the number of processors, at least 2."""
    queues: CommaList = ("encola", "files", "reports")
    """Queues that a worker listens to, comma-separated."""
    task_modules: CommaList = ()
    """Modules with a user's tasks, imported by API and worker, comma-separated."""

    lease_seconds: float = Field(30.0, ge=1.0, le=3600)
    """How long a worker that has stopped renewing keeps its tasks."""
    heartbeat_seconds: float = Field(5.0, gt=0, le=600, validate_default=True)
    """How often a worker renews; at most a third of the lease."""
    durability: Literal["process", "disk"] = "process"
    """What an accepted task survives: a killed server process, or a machine without power."""
    retention_days: float = Field(7.0, gt=0, le=3650)
    """Finished records are removed after so many days."""
    retention_count: int = Field(1_000_000, ge=1)
    """At most so many finished records are kept; the oldest go first."""
    max_body: int = Field(256 * 1024, ge=1024, le=64 * 1024 * 1024)
    """Largest request body and task input; above it 413."""
    max_result: int = Field(256 * 1024, ge=1024, le=64 * 1024 * 1024)
    """Largest result kept in the record."""
    max_upload: int = Field(5 * 1024**3, ge=1024)
    """Largest uploaded file."""
    max_waiting: int = Field(1_000_000, ge=1)
    """At most so many tasks wait at once; above it 503 ``store_full``."""
    grace_seconds: float = Field(30.0, ge=0, le=3600)
    """How long running tasks may go on after a stop was asked for."""
    file_roots: CommaList = ()
    """Folders that file tasks may read, besides the uploads, comma-separated; absolute paths."""
    file_memory: int = Field(1024**3, ge=256 * 1024**2)
    """Memory that the reading of one file may take; above it ``file_memory``."""
    max_unpacked: int = Field(50 * 1024**3, ge=1024**2)
    """A packed file that unpacks to more is given up: ``file_unpacks_too_large``."""

    report_memory: int = Field(1024**3, ge=128 * 1024**2)
    """Memory that the making of one report may take; above it ``report_memory``."""
    report_time_limit: float = Field(300.0, gt=0, le=86_400)
    """Seconds that the making of one report may take; above it ``report_time_limit``."""

    smtp_url: str | None = Field(None, repr=False)
    """Where mail goes: ``smtp://user:password@host:587`` (STARTTLS when offered),
    ``smtps://…`` (TLS from the start); unset: the embedded mailbox."""
    smtp_port: int = Field(0, ge=0, le=65535)
    """Port of the embedded mailbox; 0: a free one."""
    mailbox_count: int = Field(10_000, ge=1, le=100_000)
    """At most so many mails are kept in the embedded mailbox; the oldest go first."""
    mailbox_bytes: int = Field(1024**3, ge=32 * 1024**2)
    """And at most so many bytes of them; one mail has 25 MiB at most."""
    mail_from: str = "encola@localhost"
    """Sender of the mail we send."""
    smtp_timeout_seconds: float = Field(30.0, gt=0, le=600)
    """How long each step of an SMTP conversation may take."""
    smtp_idle_seconds: float = Field(10.0, ge=0, le=300)
    """How long a connection to the mail server is kept for the next mail; 0: one for each mail."""
    smtp_mails_per_connection: int = Field(100, ge=1, le=10_000)
    """A kept connection is replaced after so many mails."""

    task_time_limit: Limit = 30 * 60
    """Hard limit of a task's run, in seconds; ``none``: no limit."""
    task_soft_time_limit: Limit = 25 * 60
    """Soft limit: the task gets an exception and may tidy up; ``none``: no limit."""
    task_max_retries: int = Field(3, ge=0, le=100)
    """Retries of a task type that declares none of its own."""
    task_first_delay: float = Field(60.0, gt=0, le=86400)
    """First delay before a retry is at most this; it doubles from there."""
    max_tasks_per_child: Annotated[int | Literal["none"], BeforeValidator(_whole_or_none)] = 1000
    """A worker child is replaced after so many tasks; ``none``: never."""

    timezone: str = "UTC"
    """Time zone of cron schedules that name none, an IANA name."""
    schedule_grace_seconds: float = Field(86_400, ge=LEAST_GRACE, le=MOST_GRACE)
    """A run that was missed is made up for, once, while it is no later than this."""
    cleanup_schedule: str = "30 4 * * *"
    """When old data is cleaned up, as a cron expression in that zone; ``none``: never by itself."""

    log_lines: int = Field(1000, ge=0, le=100_000)
    """Lines kept of what a task logs and prints, the last ones; 0: none are."""
    log_bytes: int = Field(256 * 1024, ge=1024, le=64 * 1024 * 1024)
    """And at most so many bytes of them."""

    language: Literal["es", "en"] = "es"
    """Language of sentences when a request names none."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"

    @field_validator("queues", "task_modules", "file_roots", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("file_roots")
    @classmethod
    def _absolute(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for root in value:
            if not root.startswith("/") or ".." in Path(root).parts:
                raise ValueError(f"expected absolute paths without '..', got {root!r}")
        return value

    @field_validator("queues")
    @classmethod
    def _some_queue(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("expected at least one queue name")
        return value

    @field_validator("redis_url")
    @classmethod
    def _known_scheme(cls, value: str | None) -> str | None:
        if not value:
            return None
        scheme = value.split("://", 1)[0]
        if "://" not in value or scheme not in REDIS_SCHEMES:
            raise ValueError(
                f"expected an address that starts with one of {', '.join(s + '://' for s in REDIS_SCHEMES)}"
            )
        for part in value.split(";"):
            _check_address(part)
        for name, path in parse_qsl(value.partition("?")[2]):
            if name in FILE_OPTIONS and not Path(path).is_file():
                raise ValueError(f"{name} names a file that is not there: {path}")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _mail_server(cls, value: str | None) -> str | None:
        if not value:
            return None
        parse_smtp_url(value)
        return value

    @field_validator("mail_from")
    @classmethod
    def _sender(cls, value: str) -> str:
        return check_sender(value)

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        zone(value)
        return value

    @field_validator("cleanup_schedule")
    @classmethod
    def _expression(cls, value: str) -> str:
        if value.lower() != "none":
            Cron(value)
        return value.lower()

    @field_validator("log_level", "log_format", "language", "durability", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("host")
    @classmethod
    def _loopback(cls, value: str) -> str:
        # Invariant 11, closed by default: there are no credentials yet.
        if value not in LOOPBACK:
            raise ValueError(
                "expected 127.0.0.1, localhost or ::1: other addresses need credentials"
            )
        return value

    @field_validator("heartbeat_seconds")
    @classmethod
    def _fits_lease(cls, value: float, info: ValidationInfo) -> float:
        # Not among the values where it is wrong itself, which is told then.
        lease = info.data.get("lease_seconds")
        if lease is not None and value > lease / 3:
            raise ValueError(
                f"too long for ENCOLA_LEASE_SECONDS={lease:g}: expected at most a third of it"
            )
        return value

    @property
    def lease_ms(self) -> int:
        """The lease in milliseconds, as the store counts."""
        return round(self.lease_seconds * 1000)

    @property
    def key_prefix(self) -> str:
        """Prefix of our own keys: ``encola:`` by default."""
        return f"{self.namespace}:"

    @property
    def list_prefix(self) -> str:
        """
        Prefix of the ready lists: empty in the default namespace.

        Set otherwise it is Kombu's ``global_keyprefix``, so that two
        installations can share one server.
        """
        return "" if self.namespace == "encola" else f"{self.namespace}:"


def _check_address(address: str) -> None:
    """
    Raises:
        ValueError: it cannot be read; the sentence shows none of it, for it may be a part of the password.
    """
    try:
        parts = urlsplit(address)
        _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(
            "expected scheme://[user:password@]host[:port][/database], the port a number up to 65535; "
            "signs such as / ? # @ [ in user or password are written as %2F %3F %23 %40 %5B"
        ) from None
    if (
        parts.scheme == "sentinel"
        and not parts.path.strip("/").isdecimal()
        and parts.path.strip("/")
    ):
        raise ValueError("expected the number of a database after the address of a Sentinel")


def load_settings(**overrides: Any) -> Settings:
    """
    The settings of this process's environment, with *overrides* on top.

    Raises:
        SettingsError: every wrong setting at once, each with what was expected.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError([_sentence(e) for e in error.errors()]) from None


@functools.cache
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return load_settings()


def _sentence(error: Any) -> str:
    message: str = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return message
    name = str(error["loc"][0])
    variable = "REDIS_URL" if name.upper() == "REDIS_URL" else f"ENCOLA_{name.upper()}"
    # An address may carry a password: say what is wrong without showing it.
    shown = "" if "url" in name.lower() else f"={error['input']}"
    return f"{variable}{shown}: {message}"
