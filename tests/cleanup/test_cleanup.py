"""The clean-up removes what is old, only that, and only where it is at home."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from encola.cleaning import Cleaned, Cleaner, Plan
from encola.client import forget_clients
from encola.files import data_uri, write_data
from encola.record import TaskState
from encola.settings import get_settings
from encola.store import Message, NewTask, encode_body, run
from encola.tasks.cleanup import CleanedUp, clean_up, cleanup_old_data_task
from support import Store, wait_until

DAY = 86_400
numbers = count()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def cleaner(store: Store, data: Path) -> Cleaner:
    return Cleaner(data, store.client, store.verbs, lambda call: run(store.client, call))


@pytest.fixture
def here(
    store: Store, data: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[None]:
    """This process's settings and client are those of the test's store and folder."""
    url = request.getfixturevalue("server").url
    monkeypatch.setenv("REDIS_URL", url)
    monkeypatch.setenv("ENCOLA_DATA_DIR", str(data))
    get_settings.cache_clear()
    forget_clients()
    yield
    forget_clients()
    get_settings.cache_clear()


def lay(data: Path, path: str, days: float = 30, size: int = 3) -> Path:
    """A file that was last written so many days ago."""
    file = data / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * size)
    age(file, days)
    return file


def age(file: Path, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(file, (then, then), follow_symlinks=False)


def accept(store: Store, *arguments: object) -> str:
    task_id = f"c-{next(numbers)}"
    message = Message("file", encode_body(list(arguments))).encode()
    run(store.client, store.verbs.enqueue([NewTask(task_id, message, "encola", "file")], 10**6))
    return task_id


def finished(store: Store, number: int) -> list[str]:
    """So many tasks with an outcome."""
    run(store.client, store.verbs.heartbeat("w", 60_000, register=True))
    ids = [accept(store) for _ in range(number)]
    for claimed in run(store.client, store.verbs.claim("w", number, ["encola"])).messages:
        run(store.client, store.verbs.start(claimed.id, claimed.token))
        run(store.client, store.verbs.settle(claimed.id, claimed.token, TaskState.SUCCESS, b"1"))
    return ids


def pass_time(seconds: float) -> None:
    start = time.monotonic()
    wait_until(lambda: time.monotonic() - start > seconds, description="time passes")


def carry_out(cleaner: Cleaner, plan: Plan, *, is_resumed: bool = False) -> Cleaned:
    return cleaner.carry_out(plan, lambda *_: None, is_resumed=is_resumed)


def names(data: Path) -> list[str]:
    """Every file there is, by its path."""
    return sorted(str(path.relative_to(data)) for path in data.rglob("*") if path.is_file())


EVERYWHERE = [
    "uploads/a.csv",
    "uploads/deep/er/b.csv",
    "datasets/7/ventas.parquet",
    "rejected/t-1.csv",
    "reports/report_7_sales_t.pdf",
    "mail/new/1700000000.M1P1R00000000",
    "mail/cur/1700000001.M1P1R00000000:2,S",
    "results/f00.json",
]


def test_what_is_old_goes_and_what_is_young_stays(cleaner: Cleaner, data: Path) -> None:
    """In every folder of ours; what lies beside them is not looked at."""
    for path in EVERYWHERE:
        lay(data, path, days=9)
        lay(data, path.replace(".", "-young.", 1), days=6)
    kept = [
        lay(data, path, days=900)
        for path in ("run.json", "valkey/appendonly.aof", "logs/x.log", "other/x")
    ]
    cleaned = carry_out(cleaner, cleaner.plan(7))

    assert sorted(EVERYWHERE) == sorted(file.path for file in cleaned.files)
    assert all(path.exists() for path in kept)
    assert sorted(path.replace(".", "-young.", 1) for path in EVERYWHERE) == [
        name for name in names(data) if "young" in name
    ]
    assert len(EVERYWHERE) + len(kept) == len(names(data))


def test_old_records_go_and_young_and_unfinished_ones_stay(store: Store, cleaner: Cleaner) -> None:
    old = finished(store, 3)
    pass_time(1.0)
    waiting, young = accept(store), finished(store, 2)
    plan = cleaner.plan(0.5 / DAY)
    cleaned = carry_out(cleaner, plan)

    assert old == plan.records == cleaned.records
    assert [False] * 3 + [True] * 3 == [
        bool(store.client.exists(store.keys.record(i))) for i in [*old, *young, waiting]
    ]


def test_more_records_than_one_step_are_found_and_removed(store: Store, cleaner: Cleaner) -> None:
    ids = [i for _ in range(4) for i in finished(store, 300)]
    pass_time(0.05)
    plan = cleaner.plan(0)

    assert ids == plan.records
    assert ids == carry_out(cleaner, plan).records
    assert [] == cleaner.plan(0).records


def test_a_trial_changes_nothing_and_its_list_is_the_real_ones(
    here: None, store: Store, data: Path
) -> None:
    """Name by name, in the same order; and the counts are what was there."""
    for path in EVERYWHERE:
        lay(data, path, days=30, size=10)
    ids = finished(store, 5)
    pass_time(0.05)
    before = names(data), store.client.dbsize()
    trial = clean_up("t", 0, lambda *_: None, dry_run=True)

    assert before == (names(data), store.client.dbsize())
    real = clean_up("t", 0, lambda *_: None, dry_run=False)
    assert trial["items"] == real["items"]
    assert [f"records/{task_id}" for task_id in ids] == real["items"][:5]
    assert trial["by_kind"] == real["by_kind"]
    assert (13, 0, 0) == (trial["found_count"], trial["deleted_count"], trial["freed_bytes"])
    assert (13, 13, 80) == (real["found_count"], real["deleted_count"], real["freed_bytes"])
    assert {"count": 2, "bytes": 20} == real["by_kind"]["mail"]
    assert {"count": 5, "bytes": 0} == real["by_kind"]["records"]
    assert [] == names(data)
    assert 0 == clean_up("again", 0, lambda *_: None, dry_run=False)["deleted_count"]


def test_links_are_not_followed(cleaner: Cleaner, data: Path, tmp_path: Path) -> None:
    """A link to a file, a link to a folder, a folder of ours that is a link: nothing behind them goes."""
    outside = tmp_path / "outside"
    precious = [lay(outside, path, days=900) for path in ("a.csv", "folder/b.csv", "7/c.parquet")]
    (data / "uploads").mkdir()
    (data / "uploads/a.csv").symlink_to(outside / "a.csv")
    (data / "uploads/folder").symlink_to(outside / "folder")
    (data / "uploads/dangling").symlink_to(outside / "nowhere")
    (data / "datasets").symlink_to(outside)
    for link in ("a.csv", "folder", "dangling"):
        age(data / "uploads" / link, 900)
    plan = cleaner.plan(7)
    cleaned = carry_out(cleaner, plan)

    assert ([], []) == (plan.files, cleaned.files)
    assert [("datasets", "link")] == plan.skipped
    assert all(path.exists() for path in precious)
    assert 3 == len(os.listdir(data / "uploads"))


def test_a_folder_that_becomes_a_link_after_the_look_is_not_entered(
    cleaner: Cleaner, data: Path, tmp_path: Path
) -> None:
    """Between the plan and the removal somebody swaps the folder: the file elsewhere has the same name."""
    lay(data, "uploads/folder/a.csv")
    precious = lay(tmp_path, "outside/a.csv", days=900)
    plan = cleaner.plan(7)
    (data / "uploads/folder").rename(tmp_path / "aside")
    (data / "uploads/folder").symlink_to(tmp_path / "outside")
    cleaned = carry_out(cleaner, plan)

    assert ["uploads/folder/a.csv"] == [file.path for file in plan.files]
    assert [] == cleaned.files
    assert [("uploads/folder/a.csv", "link")] == plan.skipped
    assert precious.exists()


def test_a_file_that_was_written_again_after_the_look_stays(cleaner: Cleaner, data: Path) -> None:
    file = lay(data, "reports/report_7_sales_t.pdf")
    plan = cleaner.plan(7)
    file.write_bytes(b"new")
    cleaned = carry_out(cleaner, plan)

    assert [] == cleaned.files
    assert file.exists()


def test_only_regular_files_go(cleaner: Cleaner, data: Path) -> None:
    (data / "uploads").mkdir()
    os.mkfifo(data / "uploads/pipe")
    age(data / "uploads/pipe", 30)

    assert [] == cleaner.plan(7).files
    assert (data / "uploads/pipe").exists()


def test_what_is_still_being_written_stays_for_a_day(cleaner: Cleaner, data: Path) -> None:
    """Even where everything is to go: the dot in front says that its writer may be at it."""
    lay(data, "reports/.report_7_sales_t.pdf.12", days=0.5)
    lay(data, "reports/.scratch-x/duckdb.tmp", days=0.5)
    lay(data, "datasets/7/.ventas.parquet.12", days=1.5)
    plan = cleaner.plan(0)

    assert ["datasets/7/.ventas.parquet.12"] == [file.path for file in plan.files]


def test_empty_folders_that_were_left_behind_go_too(cleaner: Cleaner, data: Path) -> None:
    for folder in ("reports/.scratch-x", "uploads/x", "uploads/young", "datasets/7", "mail/new"):
        (data / folder).mkdir(parents=True)
        age(data / folder, 0 if "young" in folder else 30)
    lay(data, "uploads/full/a.csv", days=1)
    age(data / "uploads/full", 30)
    carry_out(cleaner, cleaner.plan(7))
    left = {
        folder
        for folder in (
            "reports/.scratch-x",
            "uploads/x",
            "uploads/young",
            "uploads/full",
            "datasets/7",
            "mail/new",
            "uploads",
            "reports",
        )
        if (data / folder).exists()
    }

    assert {"uploads/young", "uploads/full", "datasets/7", "mail/new", "uploads", "reports"} == left


def test_an_upload_that_a_waiting_task_names_stays(
    store: Store, cleaner: Cleaner, data: Path
) -> None:
    """It was accepted, so it must be able to run, however long it waits; then its upload goes."""
    wanted, other = lay(data, "uploads/wanted.csv"), lay(data, "uploads/other.csv")
    task_id = accept(store, "data://uploads/wanted.csv", 7)
    plan = cleaner.plan(7)
    carry_out(cleaner, plan)

    assert (True, False) == (wanted.exists(), other.exists())
    assert [("uploads/wanted.csv", "in_use")] == plan.skipped
    run(store.client, store.verbs.cancel(task_id))
    carry_out(cleaner, cleaner.plan(7))
    assert not wanted.exists()


def test_a_clean_up_that_was_cut_off_is_ended_by_the_next_attempt(
    here: None, store: Store, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second attempt's counts and list are those of the whole."""
    for number in range(50):
        lay(data, f"uploads/{number:02}.csv")
    ids = finished(store, 5)
    pass_time(0.05)
    trial = clean_up("t", 0, lambda *_: None, dry_run=True)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        cut_off(patch, after=20)
        clean_up("t", 0, lambda *_: None, dry_run=False)
    left = len(names(data / "uploads"))
    again = clean_up("t", 0, lambda *_: None, dry_run=False)

    assert 30 == left
    assert trial["items"] == again["items"]
    assert (55, 150) == (again["deleted_count"], again["freed_bytes"])
    assert [] == names(data / "uploads") + names(data / "cleanup")
    assert not any(store.client.exists(store.keys.record(i)) for i in ids)
    # Asked once more, by a person, it looks anew.
    lay(data, "uploads/new.csv")
    assert ["uploads/new.csv"] == clean_up("t", 0, lambda *_: None, dry_run=False)["items"]


def cut_off(patch: pytest.MonkeyPatch, after: int) -> None:
    """The process dies when so many files are gone."""
    from encola import cleaning

    removed = count()
    real: Callable[..., bool] = cleaning.remove_old

    def remove(*arguments: object) -> bool:
        if next(removed) == after:
            raise KeyboardInterrupt
        return real(*arguments)

    patch.setattr(cleaning, "remove_old", remove)


def test_a_plan_that_cannot_be_read_is_made_anew(here: None, data: Path) -> None:
    import hashlib

    lay(data, "uploads/a.csv")
    name = hashlib.sha256(b"t").hexdigest()
    write_data(data, data_uri("cleanup", f"{name}.json"), b'{"before_ms": 1, "fil')

    assert 1 == clean_up("t", 7, lambda *_: None, dry_run=False)["deleted_count"]


def test_a_full_disk_is_cleaned_up_without_a_plan(
    here: None, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no room to write it down before something is removed."""
    lay(data, "uploads/a.csv")

    def write_data(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("encola.cleaning.write_data", write_data)
    told = clean_up("t", 7, lambda *_: None, dry_run=False)

    assert (1, ["uploads/a.csv"]) == (told["deleted_count"], told["items"])


def test_names_that_are_no_utf8_are_removed_and_can_be_told(here: None, data: Path) -> None:
    import orjson

    lay(data, os.fsdecode(b"uploads/caf\xe9.csv"))
    told = clean_up("t", 7, lambda *_: None, dry_run=False)

    assert ["uploads/caf\\xe9.csv"] == told["items"]
    assert orjson.dumps(told)
    assert [] == names(data)


def test_a_list_that_is_too_long_is_cut_and_the_counts_are_whole(here: None, data: Path) -> None:
    for number in range(1_200):
        lay(data, f"uploads/{'x' * 200}-{number:04}.csv")
    told = clean_up("t", 7, lambda *_: None, dry_run=False)

    assert (1_200, True) == (told["deleted_count"], told["items_cut"])
    assert 300 < len(told["items"]) < 600


def test_the_lessons_coroutine_cleans_up_here_and_now(here: None, data: Path) -> None:
    """No worker; by default what is older than ENCOLA_RETENTION_DAYS."""
    lay(data, "uploads/old.csv", days=8)
    lay(data, "uploads/young.csv", days=6)
    told = asyncio.run(cleanup_old_data_task())

    assert {"deleted_count", "timestamp"} <= set(told)
    assert (1, 7.0) == (told["deleted_count"], told["days"])
    assert ["young.csv"] == names(data / "uploads")
    with pytest.raises(ValueError):
        asyncio.run(cleanup_old_data_task(days=-1))


def test_every_field_of_the_result_is_declared(here: None) -> None:
    told = clean_up("t", 7, lambda *_: None, dry_run=True)

    assert set(CleanedUp.__annotations__) == set(told)
