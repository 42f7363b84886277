"""Load on `POST /tasks/email/celery`: so many connections, each of which has one request under way."""

from __future__ import annotations

import asyncio
import json
import statistics
import time

BODY = json.dumps({"email": "ana@example.com", "subject": "Hola", "body": "x" * 200}).encode()
REQUEST = (
    b"POST /tasks/email/celery HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
    b"Content-Length: " + str(len(BODY)).encode() + b"\r\n\r\n" + BODY
)


class Connection(asyncio.Protocol):
    """Sends the next request when the last is answered; notes how long each took, in ms."""

    def __init__(self, request: bytes, deadline: float, times: list[float]) -> None:
        self.request = request
        self.deadline = deadline
        self.times = times
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.received = b""
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.sent_at = time.perf_counter()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator or len(body) < _length(head):
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self.ended.set_exception(RuntimeError(self.received.decode()))
            return
        now = time.perf_counter()
        self.times.append((now - self.sent_at) * 1000)
        self.received = b""
        if now < self.deadline:
            self.send()
        elif not self.ended.done():
            self.ended.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(error or ConnectionError("closed before its answer"))


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    raise RuntimeError(f"an answer without a length: {head!r}")


async def load(port: int, connections: int, seconds: float) -> tuple[float, float]:
    """(requests a second, 99th percentile in ms)"""
    loop = asyncio.get_running_loop()
    times: list[float] = []
    began = time.perf_counter()
    made = [
        await loop.create_connection(
            lambda: Connection(REQUEST % port, began + seconds, times), "127.0.0.1", port
        )
        for _ in range(connections)
    ]
    await asyncio.gather(*(protocol.ended for _, protocol in made))
    took = time.perf_counter() - began
    for transport, _ in made:
        transport.close()
    return len(times) / took, statistics.quantiles(times, n=100)[98]
