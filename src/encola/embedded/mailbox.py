"""
The mailbox that comes along: a real SMTP server on this machine that keeps what it gets.

    python -m encola.embedded.mailbox --dir DIR --port PORT

Takes mail from programs of this machine for any address and delivers none of it
onwards; :mod:`.maildir_writer` keeps it, and lets the oldest go when there is too much;
:mod:`.maildir` reads it. Not a mail server for people: no accounts, no
relaying, loopback only.

What happens to a mail:

1. It is received whole, up to 25 MiB; a larger one is refused with 552.
2. Written under ``tmp/`` with its envelope in front, and flushed to the disk.
3. Renamed into ``new/``, and the folder flushed. Until here nobody can see it.
4. Only now the sender gets its 250. Where the disk refuses: 451, "try again".

A crash between 3 and 4 leaves a mail that its sender will send again: two of it
rather than none.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import weakref
from collections.abc import Sequence
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from encola.errors import SettingsError
from encola.logs import configure_logging
from encola.settings import load_settings

from .maildir_writer import Limits, MaildirWriter

HOST = "127.0.0.1"
SIZE_LIMIT = 25 * 1024 * 1024
"""Bytes of one mail."""
IDLE_SECONDS = 300.0
"""A client that says nothing for so long is sent away."""
STOP_SECONDS = 1.0
"""At a stop, mails being written get so long to be finished and answered."""

logger = logging.getLogger(__name__)


class _Handler:
    """What aiosmtpd calls; the names of the methods are its own."""

    def __init__(self, writer: MaildirWriter) -> None:
        self._writer = writer
        self.writing: set[asyncio.Task[str]] = set()

    async def handle_DATA(  # noqa: N802  # the library's name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        mail = envelope.original_content or b""
        recipients = tuple(envelope.rcpt_tos)
        sender = envelope.mail_from or ""
        # A task of its own: a client that hangs up cannot cut it short, and a stop knows
        # what is still being written.
        task = asyncio.create_task(self._keep(mail, sender, recipients))
        self.writing.add(task)
        task.add_done_callback(self.writing.discard)
        return await asyncio.shield(task)

    async def _keep(self, mail: bytes, sender: str, recipients: Sequence[str]) -> str:
        try:
            name = await asyncio.to_thread(
                self._writer.keep, mail, sender=sender, recipients=recipients
            )
        except OSError as error:
            logger.error("A mail could not be kept: %s", error)
            return f"451 4.3.0 Not kept: {error.strerror or 'disk error'}. Try again later."
        logger.info("Kept mail %s to %s, %d bytes", name, ", ".join(recipients), len(mail))
        return f"250 2.0.0 Kept as {name}"

    async def handle_exception(self, error: Exception) -> str:
        # The library would answer 500, and a sender would give up for good.
        logger.error("SMTP session failed", exc_info=error)
        return "451 4.3.0 Internal error. Try again later."


class Mailbox:
    """The server, on the running loop."""

    def __init__(
        self,
        folder: Path,
        *,
        size_limit: int = SIZE_LIMIT,
        limits: Limits = Limits(),  # noqa: B008  # immutable
    ) -> None:
        self._writer = MaildirWriter(folder, limits)
        self._handler = _Handler(self._writer)
        self._size_limit = size_limit
        self._sessions: weakref.WeakSet[SMTP] = weakref.WeakSet()
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> int:
        """
        Listen; the port comes back, a free one for 0.

        Raises:
            OSError: the port is taken, or the folder cannot be written to.
        """
        await asyncio.to_thread(self._writer.prepare)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._new_session, HOST, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Take no more; finish and answer what is being written; hang up. About a second at most."""
        if self._server is None:
            return
        self._server.close()
        if self._handler.writing:
            await asyncio.wait(tuple(self._handler.writing), timeout=STOP_SECONDS)
            await asyncio.sleep(0.05)  # lets the sessions send the answers they now have
        for session in tuple(self._sessions):
            if session.transport is not None:
                session.transport.close()
        await asyncio.sleep(0)
        self._server = None

    def _new_session(self) -> SMTP:
        session = SMTP(
            self._handler,
            data_size_limit=self._size_limit,
            enable_SMTPUTF8=True,
            hostname="localhost",  # else it asks the DNS for our name
            ident="encola mailbox",
            timeout=IDLE_SECONDS,
            loop=asyncio.get_running_loop(),
        )
        self._sessions.add(session)
        return session


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the mailbox until SIGTERM or SIGINT; the exit code comes back."""
    parser = argparse.ArgumentParser(
        prog="python -m encola.embedded.mailbox",
        description="An SMTP server for this machine that keeps all mail in a folder.",
    )
    parser.add_argument("--dir", required=True, type=Path, help="the Maildir; made when missing")
    parser.add_argument("--port", default=0, type=int, help="0, the default: a free one")
    parser.add_argument("--most-mails", default=Limits().mails, type=int)
    parser.add_argument("--most-bytes", default=Limits().bytes, type=int)
    given = parser.parse_args(arguments)
    if not 0 <= given.port <= 65535:
        parser.error("--port: expected 0 to 65535")
    folder: Path = given.dir.absolute()
    try:
        _configure_logging(folder)
        limits = Limits(given.most_mails, given.most_bytes)
        asyncio.run(_serve(folder, given.port, limits))
    except SettingsError as error:
        return _complain(str(error), 2)
    except OSError as error:
        # A port may be free again in a moment; a folder stays as it is.
        where, code = (str(folder), 2) if error.filename else (f"{HOST}:{given.port}", 1)
        return _complain(f"The mailbox cannot use {where}: {os.strerror(error.errno or 0)}.", code)
    return 0


async def _serve(folder: Path, port: int, limits: Limits) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    mailbox = Mailbox(folder, limits=limits)
    ready = {"event": "ready", "port": await mailbox.start(port)}
    print(json.dumps(ready), flush=True)  # read by who started us
    await stopped.wait()
    await mailbox.stop()


def _configure_logging(folder: Path) -> None:
    # In a data folder the logs have their place beside us; elsewhere none is made.
    if (folder.parent / "logs").is_dir():
        configure_logging("mailbox", load_settings(data_dir=folder.parent))
    else:
        logging.basicConfig(level=logging.WARNING)


def _complain(sentence: str, code: int) -> int:
    print(sentence, file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
