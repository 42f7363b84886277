"""A connection that neither answers nor closes: a dead switch, a firewall that forgot."""

from __future__ import annotations

import socket
import threading
from contextlib import closing, suppress

from harness import Bench, check
from support import wait_until


class Line:
    """A TCP line to the server that can be frozen: open at both ends, and nothing passes."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.open = threading.Event()
        self.open.set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        self.ends: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
                self.ends += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(65536):
                self.open.wait()
                sink.sendall(chunk)

    def close(self) -> None:
        self.open.set()
        for end in (self.listener, *self.ends):
            # Wakes the threads that read from it.
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_worker_behind_a_half_open_connection_is_fenced_and_loses_nothing(bench: Bench) -> None:
    """It ends itself before its lease does; another worker runs what it held."""
    bench.server.kill()
    bench.server.port = free_port()
    bench.server.start()
    line = Line(bench.server.port)
    try:
        bench.url = f"redis://127.0.0.1:{line.port}/0"
        behind = bench.worker().wait_ready()
        bench.url = ""
        bench.send("work", 0.2, count=40)
        wait_until(lambda: len(bench.ledger.started()) > 2, description="it works")
        line.open.clear()

        # 0.8 of the lease without a renewal, and the time that one of its calls may hang.
        assert 75 == behind.process.wait(15)
        bench.worker().wait_ready()
        bench.wait_finished(40)
        assert [] == check(bench)
    finally:
        line.close()
