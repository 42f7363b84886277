"""Frozen signatures: sent once more on purpose they run once more; repeated by an accident they do not."""

from __future__ import annotations

import uuid
from typing import Any

from celery import chain, chord, group

from encola.engine import celery_app
from harness import Bench
from support import wait_until

LIMIT = 20


def times(bench: Bench, text: str) -> int:
    return sum(row["what"] == text for row in bench.ledger.rows())


def ran(bench: Bench, text: str, expected: int) -> None:
    wait_until(
        lambda: times(bench, text) >= expected,
        description=f"{text} ran {expected} times",
        timeout=LIMIT,
    )
    assert expected == times(bench, text)


def test_a_frozen_task_that_is_sent_again_runs_again(tasks: Any, bench: Bench) -> None:
    """As a new attempt of the same task, with events of its own."""
    text = uuid.uuid4().hex
    signature = tasks.noted.s(1, text)
    task_id = signature.freeze().id
    for run in (1, 2):
        signature.apply_async()
        ran(bench, text, run)
        bench.wait_finished(LIMIT, [task_id])

    record = bench.record(task_id)
    assert record is not None
    assert [(1, "SUCCESS"), (2, "SUCCESS")] == [(a.number, a.outcome) for a in record.attempts]


def test_a_frozen_chord_that_is_sent_again_runs_its_body_again(tasks: Any, bench: Bench) -> None:
    """With what its parts return this time."""
    text = uuid.uuid4().hex
    made = chord(group(tasks.add.s(1, 2), tasks.add.s(3, 4)), tasks.noted.s(text))
    made.freeze()
    for run in (1, 2, 3):
        result = made.apply_async()
        ran(bench, text, run)
        assert [3, 7] == result.get(timeout=LIMIT)
        bench.wait_finished(LIMIT, [result.id, *[part.id for part in result.parent.results]])


def test_a_frozen_chain_that_is_sent_again_runs_every_link_again(tasks: Any, bench: Bench) -> None:
    """Also what was linked to its first, which has no id of its own."""
    text = uuid.uuid4().hex
    first = tasks.noted.s(1, f"{text} first")
    first.link(tasks.noted.s(f"{text} linked"))
    made = chain(first, tasks.noted.s(f"{text} second"), tasks.noted.s(f"{text} third"))
    made.freeze()
    for run in (1, 2):
        result = made.apply_async()
        for what in ("first", "linked", "second", "third"):
            ran(bench, f"{text} {what}", run)
        bench.wait_finished(LIMIT, [result.id, result.parent.id, result.parent.parent.id])


def test_an_id_given_by_hand_is_accepted_once(tasks: Any, bench: Bench) -> None:
    """Whoever names the task himself may send it as often as he likes."""
    text, task_id = uuid.uuid4().hex, str(uuid.uuid4())
    for _ in range(3):
        tasks.noted.apply_async((1, text), task_id=task_id).get(timeout=LIMIT)
    tasks.add.delay(1, 1).get(timeout=LIMIT)

    assert 1 == times(bench, text)


def test_a_frozen_task_that_is_published_twice_by_a_lost_reply_runs_once(
    tasks: Any, bench: Bench, monkeypatch: Any
) -> None:
    """The server had taken it, and it had even ended, when the producer published it again."""
    text = uuid.uuid4().hex
    signature = tasks.noted.s(1, text)
    task_id = signature.freeze().id
    with celery_app.producer_or_acquire() as producer:
        channel = producer.channel
        accept, lost = channel._accept, []

        def lose_the_first_reply(new: Any) -> None:
            accept(new)
            if not lost:
                lost.append(new)
                bench.wait_finished(LIMIT, [task_id])
                raise ConnectionError("the reply was lost")

        monkeypatch.setattr(channel, "_accept", lose_the_first_reply)
        signature.apply_async(producer=producer, retry=True)
    tasks.add.delay(1, 1).get(timeout=LIMIT)

    assert (1, 1) == (len(lost), times(bench, text))
