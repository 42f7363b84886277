"""
``encola beat`` that SIGKILLs itself at one call to the store: before it, or after its reply.

    python doomed_beat.py STEP before|after NTH
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from encola.engine.beat import run_beat
from encola.engine.session import Session
from encola.settings import get_settings

step, when, nth = sys.argv[1], sys.argv[2], int(sys.argv[3])
run, seen = Session.run, 0


def run_until_then(session: Session, call: Any) -> Any:
    global seen
    seen += call.script.name == step
    is_the_one = call.script.name == step and seen == nth
    if is_the_one and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    reply = run(session, call)
    if is_the_one:
        os.kill(os.getpid(), signal.SIGKILL)
    return reply


if step != "never":
    Session.run = run_until_then  # type: ignore[method-assign]
sys.exit(run_beat(get_settings(), say=print))
