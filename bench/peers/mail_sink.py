"""
A mail server that takes everything at once and keeps nothing, for ``bench/email.py``.

    python bench/peers/mail_sink.py MAILS [CERTIFICATE KEY]

Prints its port, and after *MAILS* mails one line of JSON: how many different ones by their
Message-ID, over how many connections, in how many seconds from the first to the last. With a
certificate it asks for STARTTLS and a login. Far faster than any server that keeps mail, so
that what is measured is whoever sends.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import sys
import time
from typing import cast

MESSAGE_ID = re.compile(rb"(?im)^message-id: *(\S+)")


class Tally:
    """What has come in, over all connections."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.ids: set[bytes] = set()
        self.mails = self.connections = 0
        self.first = 0.0
        self.is_full = asyncio.Event()

    def take(self, content: bytes) -> None:
        found = MESSAGE_ID.search(content)
        if found is None:
            raise SystemExit("a mail without a Message-ID")
        self.ids.add(found[1])
        self.mails += 1
        if self.mails == 1:
            self.first = time.perf_counter()
        if self.mails == self.wanted:
            seconds = time.perf_counter() - self.first
            counted = {"different": len(self.ids), "connections": self.connections}
            print(json.dumps({"seconds": seconds, **counted}), flush=True)
            self.is_full.set()


class Session(asyncio.Protocol):
    """One connection: a line in, an answer out."""

    def __init__(self, tally: Tally, tls: ssl.SSLContext | None) -> None:
        self.tally = tally
        self.tls = tls
        self.is_safe = tls is None
        self.is_known = tls is None
        self.is_mail = self.is_upgrading = False
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.tally.connections += 1
        self.transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.is_upgrading:
            self.read()

    def read(self) -> None:
        end = b"\r\n.\r\n" if self.is_mail else b"\r\n"
        while end in self.buffer:
            line, _, self.buffer = self.buffer.partition(end)
            self.answer(line)
            end = b"\r\n.\r\n" if self.is_mail else b"\r\n"

    def answer(self, line: bytes) -> None:
        if self.is_mail:
            self.is_mail = False
            self.tally.take(line)
            self.transport.write(b"250 taken\r\n")
            return
        word = line[:4].upper()
        if word == b"EHLO":
            self.transport.write(self.greeting())
        elif word == b"STAR":
            self.transport.write(b"220 go on\r\n")
            self.is_upgrading = True
            self.upgrade = asyncio.ensure_future(self.start_tls())
        elif word == b"AUTH":
            self.is_known = True
            self.transport.write(b"235 welcome\r\n")
        elif word == b"QUIT":
            self.transport.write(b"221 bye\r\n")
            self.transport.close()
        elif word == b"MAIL" and not self.is_known:
            self.transport.write(b"530 log in\r\n")
        elif word == b"DATA":
            self.is_mail = True
            self.transport.write(b"354 go on\r\n")
        else:
            self.transport.write(b"250 ok\r\n")

    def greeting(self) -> bytes:
        if not self.is_safe:
            return b"250-sink\r\n250 STARTTLS\r\n"
        return b"250-sink\r\n250-SIZE 1000000\r\n250 AUTH PLAIN\r\n"

    async def start_tls(self) -> None:
        loop = asyncio.get_running_loop()
        assert self.tls is not None
        upgraded = await loop.start_tls(self.transport, self, self.tls, server_side=True)
        self.transport = cast("asyncio.Transport", upgraded)
        self.is_safe, self.is_upgrading = True, False
        self.read()  # the first words may have come together with the end of the handshake


async def serve(wanted: int, files: list[str]) -> None:
    tls = None
    if files:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*files)
    tally = Tally(wanted)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Session(tally, tls), "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await tally.is_full.wait()
    await asyncio.sleep(0.2)  # for the last answers


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2:]))
