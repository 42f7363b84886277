"""
``run.json``: where the others find what `encola up` started.

Owns the file and the two questions that it answers, "which Redis?" and "which
SMTP server?". Starts nothing and connects to nothing.

The file is written when everything is ready and removed at the stop. One that
a killed supervisor left behind names a dead process and counts as missing.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from encola.errors import NothingRuns, SettingsError
from encola.settings import Settings

FILE_NAME = "run.json"


@dataclass(frozen=True, slots=True)
class RunFile:
    """What runs on a data folder. May hold passwords: the file is its owner's alone (0600)."""

    pid: int
    """The supervisor."""
    api_url: str
    """``http://127.0.0.1:8000``, without a slash at the end."""
    redis_url: str = field(repr=False)
    """As redis-py takes it; ``unix:///…`` for the embedded server."""
    smtp_url: str = field(repr=False)
    """Where mail goes; the embedded mailbox unless ENCOLA_SMTP_URL is set."""
    started_at: str
    """ISO 8601, UTC."""


def write(data_dir: Path, run: RunFile) -> Path:
    """Put *run* in place in one step: a reader sees the old file or the new one, never a part."""
    path = data_dir / FILE_NAME
    write_private(path, json.dumps(asdict(run), indent=2) + "\n")
    return path


def read(data_dir: Path) -> RunFile | None:
    """What runs on *data_dir*; None when the file is missing or unreadable, or its process is dead."""
    try:
        run = _decode(json.loads((data_dir / FILE_NAME).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return run if is_alive(run.pid) else None


def remove(data_dir: Path) -> None:
    """Remove the file; nothing happens where there is none."""
    (data_dir / FILE_NAME).unlink(missing_ok=True)


def resolve_redis_url(settings: Settings) -> str:
    """
    REDIS_URL where it is set, else the address in ``run.json``.

    Raises:
        NothingRuns: neither is there.
    """
    if settings.redis_url:
        return settings.redis_url
    run = read(settings.data_dir)
    if run is None:
        raise NothingRuns(shown(settings.data_dir))
    return run.redis_url


def resolve_smtp_url(settings: Settings) -> str:
    """
    ENCOLA_SMTP_URL where it is set, else the address in ``run.json``.

    Raises:
        SettingsError: neither is there, so mail has nowhere to go.
    """
    if settings.smtp_url:
        return settings.smtp_url
    run = read(settings.data_dir)
    if run is None:
        raise SettingsError(
            [
                (
                    "ENCOLA_SMTP_URL: expected an address such as smtp://user:password@host:587, "
                    f"because no mailbox runs in {shown(settings.data_dir)}"
                )
            ]
        )
    return run.smtp_url


def is_alive(pid: int) -> bool:
    """Whether a process has this id, ours or another user's."""
    if pid <= 0:  # 0 and below would ask about whole process groups
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def shown(path: Path) -> str:
    """*path* as sentences show it: ``./.encola`` below the current folder, else absolute."""
    try:
        inside = path.absolute().relative_to(Path.cwd())
    except ValueError:
        return str(path)
    return f"./{inside}"


def write_private(path: Path, text: str) -> None:
    """
    Replace *path* by *text*, mode 0600, whole or not at all.

    The temporary file lies in the same folder, because only a rename within one
    file system is one step, and is flushed first, because a power cut after the
    rename would else leave an empty file under the final name.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _decode(document: Any) -> RunFile:
    fields = cast("dict[str, Any]", document)
    return RunFile(
        pid=int(fields["pid"]),
        api_url=str(fields["api_url"]),
        redis_url=str(fields["redis_url"]),
        smtp_url=str(fields["smtp_url"]),
        started_at=str(fields["started_at"]),
    )
