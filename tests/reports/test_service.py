"""The reports of the service and of its users say what the store holds, counted another way."""

from __future__ import annotations

import datetime as dt
import random
import re
from collections import Counter
from itertools import count
from pathlib import Path

import orjson
import pytest
from desk import text_of
from hypothesis import given
from hypothesis import strategies as st

from encola.record import TaskState
from encola.reports.analytics import Work, analytics_document, read_work
from encola.reports.document import Document
from encola.reports.drawing import draw
from encola.reports.sentences import SENTENCES
from encola.reports.timeline import MOST, Timeline
from encola.reports.users import Users, read_users, tally, users_document
from encola.reports.wording import Wording
from encola.store import Message, NewTask, encode_body, run
from encola.store.facts import Fact
from encola.store.statistics import BUCKETS, bounds, histogram, percentile, read_minutes
from support import Store

WORKER = "w"
numbers = count()


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def accept(store: Store, user_id: str, type_name: str) -> str:
    task_id = f"t-{next(numbers)}"
    message = Message(type_name, encode_body([])).encode()
    new = NewTask(task_id, message, "encola", type_name, user_id=user_id)
    run(store.client, store.verbs.enqueue([new], 10**6))
    return task_id


def finish(store: Store, state: TaskState, code: str = "", words: str = "") -> None:
    """Claims the next task and settles it."""
    run(store.client, store.verbs.heartbeat(WORKER, 60_000, register=True))
    (claimed,) = run(store.client, store.verbs.claim(WORKER, 1, ["encola"])).messages
    run(store.client, store.verbs.start(claimed.id, claimed.token))
    value = b"1" if state is TaskState.SUCCESS else orjson.dumps({"type": "X", "message": words})
    run(store.client, store.verbs.settle(claimed.id, claimed.token, state, value, error_code=code))


def text(document: Document, folder: Path) -> str:
    path = folder / "report.pdf"
    path.write_bytes(draw(document, now()))
    return text_of(path)


def squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def fill(store: Store) -> None:
    """Two types, three users and nobody; one task waits."""
    for user_id, type_name, state, code in [
        ("7", "alpha", TaskState.SUCCESS, ""),
        ("7", "alpha", TaskState.FAILURE, "card_expired"),
        ("8", "alpha", TaskState.FAILURE, "card_expired"),
        ("8", "beta", TaskState.FAILURE, "failed"),
        ("", "beta", TaskState.SUCCESS, ""),
        ("#import", "beta", TaskState.REVOKED, "cancelled"),
    ]:
        accept(store, user_id, type_name)
        finish(store, state, code, "<b>$no$</b> #panic()")
    accept(store, "7", "alpha")


def test_the_service_report_counts_what_the_store_counted(store: Store, tmp_path: Path) -> None:
    fill(store)
    found = squeezed(
        text(
            analytics_document(read_work(store.client, store.keys, now()), Wording("es"), now()),
            tmp_path,
        )
    )

    assert "Tareas terminadas 6 Completadas 2 Fallidas 3 Canceladas 1" in found
    assert "alpha 4 1 2 0 0 33,3 %" in found
    assert "beta 3 1 1 1 0 50,0 %" in found
    assert "Total 7 2 3 1 0 40,0 %" in found
    assert re.search(r"card_expired alpha 2 .*<b>\$no\$</b> #panic\(\)", found)
    assert re.search("failed beta 1 ", found)
    assert "Pendientes 1 " in found
    assert "Tareas terminadas cada minuto" in found


def test_the_users_report_counts_each_users_tasks(store: Store, tmp_path: Path) -> None:
    fill(store)
    users = read_users(store.client, store.keys, 7, now())
    found = squeezed(text(users_document(users, Wording("en"), now()), tmp_path))

    assert re.search(r" 7 3 1 1 0 1 50\.0% ", found)
    assert re.search(r" 8 2 0 2 0 0 0\.0% ", found)
    assert re.search(r" #import 1 0 0 1 0 – ", found)
    assert re.search(r" No user 1 1 0 0 0 100\.0% ", found)
    assert re.search(r"Total 7 2 3 1 1 40\.0% ", found)
    detail = found.partition("User 7 ")[2]
    assert re.search(r"alpha 3 1 1 0 1 ", detail)
    assert 1 == len(re.findall("alpha Failed", detail.partition("Latest tasks")[2]))
    assert "Tasks 7 Completed 2 Failed 3 Cancelled 1 Active 1" in detail.partition("Exact")[2]


def test_an_empty_service_has_a_report_too(store: Store, tmp_path: Path) -> None:
    work = read_work(store.client, store.keys, now())
    users = read_users(store.client, store.keys, 7, now())

    assert "No task has ended in this time." in text(
        analytics_document(work, Wording("en"), now()), tmp_path
    )
    assert "There are no tasks in this time." in text(
        users_document(users, Wording("en"), now()), tmp_path
    )


def test_more_records_than_one_portion_are_read_once_each(store: Store) -> None:
    """Portions meet without a gap and without an overlap."""
    message = Message("alpha", encode_body([])).encode()
    new = [NewTask(f"m-{n}", message, "encola", "alpha", user_id=f"{n % 5}") for n in range(2_500)]
    for start in range(0, len(new), 500):
        run(store.client, store.verbs.enqueue(new[start : start + 500], 10**6))
    users = read_users(store.client, store.keys, 3, now())

    assert 2_500 == users.total.tasks
    assert {f"{n}": 500 for n in range(5)} == {
        user: each.tasks for user, each in users.by_user.items()
    }


def test_only_the_time_of_the_report_counts(store: Store) -> None:
    fill(store)
    later = now() + dt.timedelta(days=8)

    assert 0 == read_users(store.client, store.keys, 7, later).total.tasks
    work = read_work(store.client, store.keys, later)
    assert ([], [], 0) == (work.minutes, work.causes, work.finished())


def test_statistics_are_read_by_minute(store: Store) -> None:
    fill(store)
    minute = int(now().timestamp()) // 60
    total: Counter[str] = Counter()
    for each in read_minutes(store.client, store.keys, minute - 2, minute):
        for counts in each.counts.values():
            total.update(counts)

    assert (7, 2, 3, 1) == (total["enqueued"], total["SUCCESS"], total["FAILURE"], total["REVOKED"])
    assert 6 == sum(histogram(total, "r")) == sum(histogram(total, "w"))


@given(
    st.lists(st.integers(0, 10_000_000), min_size=1, max_size=200),
    st.sampled_from([0.5, 0.95, 0.99]),
)
def test_a_percentile_is_right_to_a_factor_of_two(times: list[int], share: float) -> None:
    """Against the sorted times themselves."""
    buckets = [0] * BUCKETS
    for ms in times:
        buckets[next(k for k in range(BUCKETS) if ms < bounds(k)[1])] += 1
    exact = sorted(times)[max(0, -(-len(times) * int(share * 100) // 100) - 1)]
    found = percentile(buckets, share)

    assert found is not None
    assert exact / 2 <= found <= max(1, exact * 2)


def test_without_runs_there_is_no_percentile() -> None:
    assert percentile([0] * BUCKETS, 0.5) is None


@given(st.integers(0, 40_000_000), st.integers(0, 7 * 1440))
def test_any_time_has_bars_that_fit(first: int, length: int) -> None:
    timeline = Timeline.over(first, first + length)

    assert 1 <= timeline.bars <= MOST
    assert 0 <= timeline.index(first) <= timeline.index(first + length) < timeline.bars


def test_the_report_of_a_busy_service_is_cut_and_says_so(tmp_path: Path) -> None:
    """Thousands of users, hundreds of types and causes: the sums stay whole."""
    rng = random.Random(5)
    facts = [
        Fact(
            task_id=f"{n}",
            type=f"type_{rng.randrange(300)}",
            queue="encola",
            user_id=f"user {rng.randrange(2000)} مرحبا 😀 {'x' * 60}",
            state=rng.choice(list(TaskState)),
            created_ms=1_760_000_000_000 + n,
            finished_ms=1_760_000_000_000 + n,
            error_code="",
            ran_ms=rng.randrange(10**7),
        )
        for n in range(20_000)
    ]
    users = tally("user 7", facts, most=19_999)
    found = squeezed(text(users_document(users, Wording("es"), now()), tmp_path))

    assert users.is_cut
    assert "Solo cuentan las 300.000 tareas más recientes." in found
    assert re.search(r"Otros 1\.800 usuarios ", found)
    assert "Tareas 19999 " in found


def test_every_sentence_has_both_languages() -> None:
    """With the same values to fill in."""
    for key, (spanish, english) in SENTENCES.items():
        assert spanish and english, key
        assert set(re.findall(r"\{\w+\}", spanish)) == set(re.findall(r"\{\w+\}", english)), key


def test_work_and_users_are_what_the_pages_take() -> None:
    """Nothing in them: every block can still be drawn."""
    empty = Work(0, [], [], dict.fromkeys(TaskState, 0))

    for language in ("es", "en"):
        for document in (
            analytics_document(empty, Wording(language), now()),
            users_document(Users("7"), Wording(language), now()),
        ):
            assert draw(document, now()).startswith(b"%PDF-")


@pytest.mark.parametrize("report_type", ["analytics", "users"])
def test_a_store_that_is_away_is_tried_again(
    report_type: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no fault of the report's: StoreUnavailable, which the task type retries."""
    from desk import Desk

    from encola.errors import StoreUnavailable

    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    desk = Desk(tmp_path)
    with pytest.raises(StoreUnavailable):
        desk.render(desk.job(7, report_type))
