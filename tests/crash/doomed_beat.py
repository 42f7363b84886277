"""
``encola beat`` that SIGKILLs itself at one call to the store: before it, or after its reply.

    python doomed_beat.py STEP before|after NTH

Leaves in ``first-due.txt`` when each schedule that was new is due first: "<id> <ms>".
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from encola.engine.beat import run_beat
from encola.engine.session import Session
from encola.settings import get_settings
from encola.store.schedule_verbs import Declared

step, when, nth = sys.argv[1], sys.argv[2], int(sys.argv[3])
run, seen = Session.run, 0


def note_new(argv: list[Any], reply: list[Declared]) -> None:
    """See declare.lua: five arguments a schedule, the last of them its time."""
    declared = argv[len(argv) - 5 * len(reply) :]
    with Path("first-due.txt").open("a") as file:
        for what, name, due in zip(reply, declared[::5], declared[4::5], strict=True):
            if what is Declared.NEW:
                file.write(f"{name} {due}\n")


def run_until_then(session: Session, call: Any) -> Any:
    global seen
    seen += call.script.name == step
    is_the_one = call.script.name == step and seen == nth
    if is_the_one and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    reply = run(session, call)
    if call.script.name == "declare":
        note_new(call.argv, reply)
    if is_the_one:
        os.kill(os.getpid(), signal.SIGKILL)
    return reply


Session.run = run_until_then  # type: ignore[method-assign]
sys.exit(run_beat(get_settings(), say=print))
