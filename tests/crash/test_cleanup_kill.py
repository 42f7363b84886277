"""A worker is killed in the middle of a clean-up: the next one ends it, and its counts are of the whole."""

from __future__ import annotations

import os
import time

from encola.record import TaskState
from encola.store import Message, NewTask, encode_body, run
from harness import Bench
from support import wait_until

FILES = 20_000


def test_a_killed_clean_up_is_ended_by_another_worker(bench: Bench) -> None:
    uploads = bench.folder / "data" / "uploads"
    uploads.mkdir(parents=True)
    then = time.time() - 30 * 86_400
    for number in range(FILES):
        file = uploads / f"{number:05}.csv"
        file.write_bytes(b"x")
        os.utime(file, (then, then))
    message = Message("encola.tasks.cleanup_old_data", encode_body([7, False])).encode()
    new = NewTask("clean", message, "encola", "cleanup")
    first = bench.worker(concurrency=1).wait_ready()
    run(bench.client, bench.verbs.enqueue([new], 10))
    wait_until(
        lambda: len(os.listdir(uploads)) < FILES - 50, description="it has begun", timeout=30
    )
    first.kill()
    left = len(os.listdir(uploads))
    assert 0 < left < FILES
    bench.worker(concurrency=1).wait_ready()
    bench.wait_finished(30, ["clean"])
    record = bench.record("clean")

    assert record is not None
    assert (TaskState.SUCCESS, ["crashed", "SUCCESS"]) == (
        record.state,
        [attempt.outcome for attempt in record.attempts],
    )
    assert (FILES, FILES) == (record.result["deleted_count"], record.result["freed_bytes"])
    assert [] == os.listdir(uploads)
