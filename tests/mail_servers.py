"""Mail servers for tests, on this machine: one that answers from a table, and aiosmtpd's."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import threading
import traceback
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from queue import Queue
from typing import Any

from aiosmtpd.smtp import SMTP

from encola.mail.message import build_message

#: What a server that takes everything answers, by the first word of a command.
AGREEABLE = {
    "(connect)": "220 mx.example ready",
    "EHLO": "250-mx.example\r\n250 AUTH PLAIN LOGIN",
    "AUTH": "235 2.7.0 welcome",
    "MAIL": "250 2.1.0 sender ok",
    "RCPT": "250 2.1.5 recipient ok",
    "DATA": "354 go on",
    "(mail)": "250 2.0.0 queued",
    "RSET": "250 2.0.0 forgotten",
    "QUIT": "221 bye",
}
HANG = "(hang)"
CLOSE = "(close)"


def a_mail(to: str = "ana@example.com", **changes: Any) -> EmailMessage:
    given = {
        "sender": "encola@localhost",
        "to": to,
        "subject": "Hola",
        "body": "Hola, Ana.",
        "message_id_seed": "0199a0b1-0000-7000-8000-000000000001",
    }
    return build_message(**(given | changes))


@dataclass
class Session:
    """One connection to a scripted server."""

    commands: list[str] = field(default_factory=list)
    mails: list[bytes] = field(default_factory=list)
    is_over: bool = False

    @property
    def verbs(self) -> list[str]:
        return [command.split()[0].upper() for command in self.commands]


class ScriptedServer:
    """
    A server that answers each command from a table, and remembers what it was told.

    *later*: answers that hold once a connection has brought a mail.
    """

    def __init__(self, answers: Mapping[str, str], later: Mapping[str, str] | None = None) -> None:
        self.answers = AGREEABLE | dict(answers)
        self.later = self.answers | dict(later or {})
        self.sessions: list[Session] = []
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def commands(self) -> list[str]:
        return [command for session in self.sessions for command in session.commands]

    @property
    def mails(self) -> list[bytes]:
        return [mail for session in self.sessions for mail in session.mails]

    @contextlib.asynccontextmanager
    async def running(self, port: int = 0) -> AsyncIterator[int]:
        server = await asyncio.start_server(self._talk, "127.0.0.1", port)
        async with server:
            yield server.sockets[0].getsockname()[1]

    @contextlib.contextmanager
    def beside(self) -> Iterator[str]:
        """The server's address; it runs on a loop in a thread of its own."""
        found: Queue[str] = Queue()
        stopped = asyncio.Event()

        async def run() -> None:
            self._loop = asyncio.get_running_loop()
            async with self.running() as port:
                found.put(f"smtp://127.0.0.1:{port}")
                await stopped.wait()

        thread = threading.Thread(target=asyncio.run, args=(run(),))
        thread.start()
        try:
            yield found.get(timeout=5)
        finally:
            self._loop.call_soon_threadsafe(stopped.set)
            thread.join(5)

    def hang_up(self) -> None:
        """End every connection, as a server that is restarted does."""
        for writer in self._writers:
            self._loop.call_soon_threadsafe(writer.transport.abort)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session()
        self.sessions.append(session)
        self._writers.append(writer)
        with contextlib.suppress(
            ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError
        ):
            goes_on = await self._answer("(connect)", session, reader, writer)
            while goes_on and (line := (await reader.readline()).decode().strip()):
                session.commands.append(line)
                goes_on = await self._answer(line.split()[0].upper(), session, reader, writer)
        session.is_over = True
        writer.close()

    async def _answer(
        self,
        command: str,
        session: Session,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        answers = self.later if session.mails[command == "(mail)" :] else self.answers
        answer = answers.get(command, "500 what?")
        if answer == HANG:
            await reader.read()  # until the client hangs up
        if answer in (HANG, CLOSE):
            return False
        writer.write(answer.removesuffix(CLOSE).encode() + b"\r\n")
        await writer.drain()
        if command == "DATA" and answer.startswith("354"):
            session.mails.append(await reader.readuntil(b"\r\n.\r\n"))
            return await self._answer("(mail)", session, reader, writer)
        return not answer.endswith(CLOSE)


class Taker:
    """An aiosmtpd handler that takes every mail."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.over_tls: list[bool] = []
        self.sessions: set[int] = set()

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:
        self.mails.append(envelope.original_content)
        is_tls = server.transport is not None and server.transport.get_extra_info("sslcontext")
        self.over_tls.append(bool(is_tls))
        self.sessions.add(id(server))
        return "250 OK"


@contextlib.asynccontextmanager
async def real_server(
    handler: Taker, *, wrap: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    sessions: list[SMTP] = []

    def session() -> SMTP:
        sessions.append(SMTP(handler, hostname="localhost", loop=loop, **options))
        return sessions[-1]

    server = await loop.create_server(session, "127.0.0.1", 0, ssl=wrap)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for one in sessions:
            if one.transport is not None:
                one.transport.close()


def make_certificate(folder: Path) -> Path:
    """``cert.pem`` for ``localhost``, which signed itself, and its ``key.pem``."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost"),
            *("-addext", "keyUsage=critical,digitalSignature,keyCertSign"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    return folder


def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    return context


def everything(error: BaseException | None) -> str:
    """All that could be printed of an error, its hidden contexts too."""
    found = ""
    while error is not None:
        found += "".join(traceback.format_exception_only(error)) + repr(error)
        error = error.__cause__ or error.__context__
    return found
