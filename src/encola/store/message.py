"""
The message: what a worker is sent, kept in the record's field ``m``.

Two forms. Ours is one line of JSON headers, a line break, and the body as it
will be sent: nothing is escaped twice, and what has its default is left out.
A stock Celery producer's is the whole Kombu envelope, kept byte for byte.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from ..record import MAX_DEPTH
from .plain_json import read_plain

#: How our own form begins: its first header is always the task's name.
_OURS = b'{"task":'

#: Where a message of ours came by that does not say it: most do, and it would be kept with each record.
USUAL_SOURCE: Final = "api"

#: Headers that say nothing with these values: Celery assumes the same when they are missing. Of any
#: other, 0 and False do say something: the first part of a chord has ``group_index`` 0.
_DEFAULTS: dict[str, object] = {
    "retries": 0,
    "replaced_task_nesting": 0,
    "timelimit": [None, None],
    "stamped_headers": [],
    "stamps": {},
    "encola": {},
}


@dataclass(frozen=True, slots=True)
class Message:
    """A message without its id, which is the record's."""

    task: str
    """Name of the Celery task."""
    body: str
    """JSON: ``[args, kwargs, embed]``."""
    headers: dict[str, Any] = field(default_factory=dict[str, Any])
    """Celery's headers, without ``id`` and ``task``, and our own under ``encola``."""
    content_type: str = "application/json"
    content_encoding: str = "utf-8"
    body_encoding: str | None = None
    """``base64`` where a stock producer wrapped the body."""

    def encode(self) -> bytes:
        """The stored form."""
        line: dict[str, Any] = {"task": self.task}
        line.update(
            (k, v) for k, v in self.headers.items() if v is not None and v != _DEFAULTS.get(k)
        )
        # The transport's own facts, only where they are unusual.
        wire = {
            "content_type": self.content_type if self.content_type != "application/json" else None,
            "content_encoding": self.content_encoding if self.content_encoding != "utf-8" else None,
            "body_encoding": self.body_encoding,
        }
        if any(wire.values()):
            line["wire"] = {k: v for k, v in wire.items() if v}
        return _one_line(line) + b"\n" + self.body.encode()

    @classmethod
    def decode(cls, stored: bytes) -> Message:
        """
        Reads both forms.

        Raises:
            ValueError: it is neither.
        """
        line, separator, body = stored.partition(b"\n")
        # A line break may also stand in an envelope, between two of its values.
        if not (separator and line.startswith(_OURS)):
            return cls._from_envelope(stored)
        headers: dict[str, Any] = orjson.loads(line)
        wire: dict[str, str] = headers.pop("wire", {})
        return cls(task=headers.pop("task"), body=body.decode(), headers=headers, **wire)

    @classmethod
    def _from_envelope(cls, stored: bytes) -> Message:
        envelope = read_plain(stored)
        if not isinstance(envelope, dict) or not isinstance(envelope.get("body"), str):
            raise ValueError("neither a message of ours nor a Kombu envelope")
        headers = dict(envelope.get("headers") or {})
        # The due time is the store's business; a worker would wait a second time.
        headers.pop("eta", None)
        headers.pop("id", None)
        ours = headers.get("encola")
        headers["encola"] = {"source": "stock", **(ours if isinstance(ours, dict) else {})}
        properties = envelope.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        if properties.get("reply_to"):
            headers["reply_to"] = properties["reply_to"]
        return cls(
            task=str(headers.pop("task", "")),
            body=envelope["body"],
            headers=headers,
            content_type=envelope.get("content-type") or "application/json",
            content_encoding=envelope.get("content-encoding") or "utf-8",
            body_encoding=properties.get("body_encoding"),
        )

    def arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """
        Positional and keyword arguments, for people to read.

        Empty where the body is not JSON: what cannot be shown is not guessed.
        """
        if self.content_type != "application/json":
            return [], {}
        try:
            is_packed = self.body_encoding == "base64"
            raw = base64.b64decode(self.body) if is_packed else self.body.encode()
            # The arguments stand two levels down.
            args, kwargs, *_ = read_plain(raw, MAX_DEPTH + 2)
            return list(args), dict(kwargs)
        except (ValueError, TypeError):
            return [], {}

    @property
    def ours(self) -> dict[str, Any]:
        """Our own part of the headers: user, source, labels and so on."""
        value = self.headers.get("encola")
        return value if isinstance(value, dict) else {}


def _one_line(headers: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(headers)
    except TypeError:
        # Half a character, as in what Celery's clients show of the arguments; a number beyond 64 bits.
        return orjson.dumps(read_plain(json.dumps(headers).encode()))


def encode_body(args: list[Any] | tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> str:
    """The body of a task message without links: ``[args, kwargs, {}]``."""
    return orjson.dumps([args, kwargs or {}, {}]).decode()
