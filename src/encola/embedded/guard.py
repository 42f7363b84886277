"""
Runs a command that dies with the process that started it, even when that is killed.

    python -I -S guard.py PARENT_PID SIGNAL COMMAND [ARGUMENT …]

1. Ask the kernel for SIGNAL at the parent's death (Linux; elsewhere best effort: nothing).
2. Leave at once if the parent has died before the asking.
3. Become the command: same process id, its own command line.

A program of its own and not a ``preexec_fn``, which runs Python between fork and
exec and can deadlock where the parent has threads. Imports nothing of encola, so
that it starts in milliseconds.

The kernel sends the signal when the *thread* that forked ends, so the parent starts
its children from its main thread. It does not reach grandchildren: a worker's
own children call :func:`die_with_parent` themselves.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def die_with_parent(parent: int, signal_number: int) -> None:
    """Have this process get *signal_number* when the process *parent*, which started it, dies."""
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0) != 0:
        return
    if os.getppid() != parent:  # it died before we asked, and no signal will come
        os._exit(1)


def main(arguments: list[str]) -> None:
    """Guard, then become the command."""
    parent, signal_number, *command = arguments
    die_with_parent(int(parent), int(signal_number))
    try:
        os.execvp(command[0], command)  # noqa: S606  # no shell is the point
    except OSError as error:
        sys.stderr.write(f"{command[0]} cannot be started: {error.strerror}\n")
        sys.exit(127)


if __name__ == "__main__":
    main(sys.argv[1:])
