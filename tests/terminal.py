"""A terminal for tests: what a command draws on it, and what is typed."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path


class Terminal:
    """``encola …`` on a terminal of so many columns and lines."""

    def __init__(
        self, columns: int, lines: int, folder: Path, env: dict[str, str], *arguments: str
    ) -> None:
        self.text = ""
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "encola", *arguments],
            cwd=folder,
            env={**env, "TERM": "xterm-256color"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            # Its controlling terminal, so that Ctrl-C is a signal.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)

    def shows(self, words: str) -> bool:
        while select.select([self._ours], [], [], 0)[0]:
            try:
                self.text += os.read(self._ours, 65536).decode(errors="replace")
            except OSError:  # the other end is closed
                break
        return words in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.text)

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def wait(self) -> int:
        deadline = time.monotonic() + 20
        while self.process.poll() is None and time.monotonic() < deadline:
            self.shows("")
            time.sleep(0.02)
        self.shows("")
        os.close(self._ours)
        return self.process.wait(1)
