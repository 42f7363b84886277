"""
The checker is worth something: Kombu's own Redis transport fails where ours does not.

The fault: BRPOP takes a message at the server, and the copy that would survive
the worker is written a round trip later. A worker that dies in between takes the
message with it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from harness import ROOT, Bench, check
from support import wait_until


def start_stock(bench: Bench) -> subprocess.Popen[bytes]:
    env = {**bench.env(), "STOCK_BROKER": f"redis+socket://{bench.server.socket}"}
    program = str(Path(__file__).parent / "stock_worker.py")
    with (bench.folder / "stock.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, program],
            env=env,
            cwd=ROOT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def blocked_clients(bench: Bench) -> int:
    return int(bench.client.info("clients")["blocked_clients"])  # type: ignore[index]


def test_stock_kombu_loses_a_message_with_its_worker(bench: Bench) -> None:
    """Stopped while it waits, three messages sent, killed: two of three come to an end."""
    from celery import Celery

    app = Celery("stock", broker=f"redis+socket://{bench.server.socket}")
    doomed = start_stock(bench)
    wait_until(lambda: blocked_clients(bench) == 1, description="it waits", timeout=20)
    doomed.send_signal(signal.SIGSTOP)
    sent = {app.send_task("stock.work").id for _ in range(3)}
    doomed.kill()
    doomed.wait(10)
    other = start_stock(bench)
    try:
        wait_until(
            lambda: len(bench.ledger.started()) >= 2 and blocked_clients(bench) == 1,
            description="another worker has run what there was, and waits for more",
            timeout=30,
        )
        unacked = bench.client.hlen("unacked")
        waiting = bench.client.llen("celery")
        lost = sent - bench.ledger.started()
    finally:
        other.kill()
        other.wait(10)
        app.close()

    assert (1, 0, 0) == (len(lost), unacked, waiting)


def test_ours_loses_none_in_the_same_place(bench: Bench) -> None:
    """The same worker's death, the same three messages: all end."""
    doomed = bench.worker(concurrency=1).wait_ready()
    wait_until(lambda: blocked_clients(bench) >= 1, description="it waits", timeout=20)
    doomed.signal_group(signal.SIGSTOP)
    bench.send("work", count=3)
    doomed.kill()
    bench.worker(concurrency=1).wait_ready()
    bench.wait_finished(30)

    assert [] == check(bench)
