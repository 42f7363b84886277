"""
Outcomes as text: what an exception becomes in a record, and back.

Errors travel as ``{type, module, message, args, traceback}``, never as a
pickle, and without the passwords that :func:`~encola.logs.redact` knows: a library may
put the address it could not reach into its text. Reading one back gives the class only where it is an exception and its
module is already imported; nothing is imported because a record says so.
"""

from __future__ import annotations

import sys
from typing import Any, Final

import orjson
from celery.exceptions import TaskRevokedError
from celery.utils.serialization import UnpickleableExceptionWrapper, create_exception_cls

from ..errors import EncolaError
from ..logs import redact
from ..record import TaskError

#: Characters of a message or a traceback that are kept; of a long traceback, its end.
MESSAGE_CHARACTERS: Final = 4_000
TRACEBACK_CHARACTERS: Final = 16_000


def describe(error: BaseException, traceback: str | None = None) -> TaskError:
    """The exception as it is stored."""
    if isinstance(error, UnpickleableExceptionWrapper):
        # Celery's stand-in for one that cannot cross to the parent: show the original.
        return TaskError(
            type=error.exc_cls_name,
            module=error.exc_module,
            message=_shown(error.text)[:MESSAGE_CHARACTERS],
            traceback=_shown(traceback or "")[-TRACEBACK_CHARACTERS:],
        )
    return TaskError(
        type=type(error).__qualname__,
        module=type(error).__module__,
        message=_shown(str(error))[:MESSAGE_CHARACTERS],
        traceback=_shown(traceback or "")[-TRACEBACK_CHARACTERS:],
        args=_json_args(error),
    )


def error_code(error: BaseException) -> str:
    """The stable word for a cause: the exception's own, or made from its class."""
    code = getattr(error, "error_code", None)
    if isinstance(code, str) and code:
        return code
    if isinstance(error, EncolaError):
        return error.code
    return _WORDS.get(type(error).__name__, "failed")


_WORDS: Final = {
    "TimeLimitExceeded": "time_limit",
    "SoftTimeLimitExceeded": "time_limit",
    "WorkerLostError": "worker_lost",
    "NotRegistered": "undeliverable",
    "ChordError": "chord",
    "Reject": "rejected",
}


def restore(error: TaskError) -> BaseException:
    """An exception to raise: the original class where it may be, else a plain one of its name."""
    found: Any = sys.modules.get(error.module)
    for name in error.type.split("."):
        found = getattr(found, name, None)
    if not (isinstance(found, type) and issubclass(found, BaseException)):
        found = create_exception_cls(error.type or "TaskFailed", "celery.exceptions")
    try:
        restored: BaseException = found(*error.args) if error.args else found(error.message)
    except Exception:  # noqa: BLE001 - whatever a stranger's constructor raises
        # A class may ask for arguments that were no JSON.
        return Exception(str(error))
    return restored


def revoked(reason: str | None) -> TaskRevokedError:
    return TaskRevokedError(reason or "revoked")


def _json_args(error: BaseException) -> list[Any]:
    try:
        encoded = orjson.dumps(list(error.args))
    except TypeError:
        return []
    return _redacted(orjson.loads(encoded)) if len(encoded) <= MESSAGE_CHARACTERS else []


def _redacted(value: Any) -> Any:
    """A JSON value with every text in it redacted."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [_redacted(item) for item in value]
    if isinstance(value, dict):
        return {name: _redacted(item) for name, item in value.items()}
    return value


def _shown(text: str) -> str:
    # A lone surrogate cannot be written as UTF-8; what it stood for is lost anyway.
    return redact(text).encode("utf-8", "replace").decode()
