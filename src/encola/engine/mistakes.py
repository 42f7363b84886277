"""
A user's mistake on Celery's own command line: a sentence and an exit code, no traceback.

``encola`` does so for its commands (:mod:`encola.cli`). Where ``celery -A encola.engine …`` runs, nobody
of ours stands round it; what it leaves uncaught comes to :data:`sys.excepthook`. Programs that only
import the engine keep their tracebacks.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import NoReturn

from ..errors import EncolaError, NothingRuns, StoreError
from ..logs import redact

#: Exit codes, as the command line has them: a wrong setting or name; no server.
USAGE, NO_SERVER = 2, 4


_is_worker = False


def is_command() -> bool:
    """Whether this process is ``celery …`` or ``encola worker``, and not a program that imports the engine."""
    return _is_worker or "celery.bin.celery" in sys.modules


def this_is_a_worker() -> None:
    global _is_worker
    _is_worker = True


def refuse(error: EncolaError) -> NoReturn:
    """Says what is wrong, and ends the process."""
    sys.stderr.write(f"{redact(str(error))}\n")
    is_away = isinstance(error, (StoreError, NothingRuns))
    raise SystemExit(NO_SERVER if is_away else USAGE) from None


def speak_plainly() -> None:
    """From here on our own errors are told in a sentence, where this is Celery's command."""
    if not is_command():
        return
    usual = sys.excepthook

    def told(
        kind: type[BaseException], error: BaseException, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, EncolaError):
            refuse(error)
        usual(kind, error, traceback)

    sys.excepthook = told
