"""What a caller may say besides the input: the options of a submit, and its headers."""

from __future__ import annotations

import datetime as dt
import difflib
import re
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)
from starlette.requests import Request

from ..errors import InvalidInput
from ..task import Options
from ..values import KEY_LENGTH, Moment, Text, UserId
from .deps import known_queues

#: Ten years, in seconds: a later time is a mistake in the unit.
LATEST: Final = 10 * 366 * 86_400
#: Source: W3C Trace Context, 3.2 (version 00).
_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def check_queue(name: str) -> str:
    """
    *name*, when somebody may listen to it.

    The name of a queue is the name of a key in the store, so one from the network is never
    taken as it comes: ``encola:events`` would be a list where everything else expects a stream.

    Raises:
        ValueError: nobody listens to it.
    """
    known = sorted(known_queues())
    if name in known:
        return name
    close = difflib.get_close_matches(name[:100], known, n=1)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(
        f"Unknown queue {name[:100]!r}.{meant} Queues are named in ENCOLA_QUEUES: {', '.join(known)}."
    )


Seconds = Annotated[float, Field(strict=True, ge=0, le=LATEST, allow_inf_nan=False)]


class SubmitOptions(BaseModel):
    """How to enqueue, apart from the input."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    queue: Annotated[str, AfterValidator(check_queue)] | None = None
    """None: the task type's own."""
    priority: Annotated[int, Field(strict=True, ge=0, le=9)] = 0
    """0 is first."""
    user_id: UserId | None = None
    """None: the input's own `user_id`, where it has one."""
    countdown: Seconds | None = None
    """Seconds to wait before it may run."""
    eta: Moment | None = None
    """When it may run, with its time zone; not together with `countdown`."""
    expires: Seconds | Moment | None = None
    """Not started by then (seconds from now, or a time), it is cancelled."""
    idempotency_key: Text | None = None
    """A second task with this key is not accepted: the first one's id comes back."""
    labels: Annotated[dict[Text, Text], Field(max_length=32)] = {}

    @model_validator(mode="after")
    def _one_time(self) -> SubmitOptions:
        if self.countdown is not None and self.eta is not None:
            raise ValueError("expected countdown or eta, not both")
        latest = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=LATEST)
        for moment in (self.eta, self.expires):
            if isinstance(moment, dt.datetime) and moment > latest:
                raise ValueError(f"expected a time before {latest:%Y-%m-%d}")
        return self


class Submission(BaseModel):
    """Any task type with its input."""

    model_config = ConfigDict(extra="forbid")

    type: str
    input: dict[str, Any] = {}
    options: SubmitOptions = SubmitOptions()


class RetryInput(BaseModel):
    """Other input for a task that is run again as a new one."""

    model_config = ConfigDict(extra="forbid")

    input: dict[str, Any]


def options_of(request: Request) -> Options:
    """
    What a request's headers say of how to enqueue.

    Raises:
        InvalidInput: an Idempotency-Key that cannot be one.
    """
    headers = request.headers
    key = headers.get("idempotency-key") or None
    if key is not None and len(key) > KEY_LENGTH:
        message = f"expected at most {KEY_LENGTH} characters"
        loc = ["header", "idempotency-key"]
        raise InvalidInput("request", [{"loc": loc, "msg": message, "type": "string_too_long"}])
    trace = headers.get("traceparent")
    # One that is none is ignored, as its standard has it: tracing must not refuse work.
    if trace is not None and not _TRACEPARENT.fullmatch(trace):
        trace = None
    return Options(source="api", idempotency_key=key, traceparent=trace)


#: The OpenAPI part for these headers.
HEADERS: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "maxLength": KEY_LENGTH},
            "description": "A second submit with the same key answers with the first one's task.",
        },
        {
            "name": "traceparent",
            "in": "header",
            "required": False,
            "schema": {"type": "string"},
            "description": "W3C Trace Context; kept in the record and passed on to the task.",
        },
    ]
}
