"""A file through the process that reads it: whole results or none, whatever happens to it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path

import polars as pl
import pytest
from tabling import Folder, Make, rows_of

import encola.tables.processing as processing
from encola.apart import Unwanted
from encola.disk import DiskFull
from encola.tables.failures import ReaderLost
from encola.tables.names import dataset_uri, stem_of, user_folder
from encola.tables.processing import HowFar, process
from encola.tables.rejected import escape
from encola.tasks.files import process_large_file
from support import wait_until

TABLE = b"id,producto\n1,Silla\n2,Mesa\n3\n4,Flor\n"


def large(rows: int = 400_000) -> bytes:
    return b"id,producto,nota\n" + b"".join(
        b"%d,producto %d,nota de la fila %d\n" % (n, n % 9, n) for n in range(rows)
    )


def readers() -> list[int]:
    """Processes that read a file for this one."""
    found = subprocess.run(
        ["pgrep", "-P", str(os.getpid()), "-f", processing.CHILD],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(pid) for pid in found.stdout.split()]


def test_clean_rows_become_a_dataset_and_the_others_a_file(folder: Folder) -> None:
    done = folder.process(folder.upload("ventas.csv", TABLE), 7, "task-1")

    assert ("data://datasets/7/ventas.task-1.parquet", "data://rejected/task-1.csv") == (
        done.dataset,
        done.rejects,
    )
    table = pl.read_parquet(folder.path / "datasets" / "7" / "ventas.task-1.parquet")
    assert [(1, "Silla"), (2, "Mesa"), (4, "Flor")] == table.rows()
    (row,) = rows_of(folder.content("data://rejected/task-1.csv").decode())
    assert {"line": "4", "code": "ragged", "text": "3"} == {
        key: row[key] for key in ("line", "code", "text")
    }


def test_without_rejected_rows_there_is_no_file_of_them(folder: Folder) -> None:
    done = folder.process(folder.upload("v.csv", b"a,b\n1,2\n"))

    assert done.rejects is None
    assert ["datasets/7/v.t1.parquet"] == folder.results()


def test_a_second_attempt_puts_its_results_in_place_of_the_first(folder: Folder) -> None:
    """Also of one whose worker was killed: what lies there under a name of its own is removed."""
    first = folder.process(folder.upload("v.csv", TABLE))
    left = folder.path / "datasets" / "7" / ".v.t1.parquet.12345"
    left.write_bytes(b"half")
    other = left.with_name(".v.t2.parquet.12345")
    other.write_bytes(b"of another task")
    second = folder.process("v.csv")

    assert first.dataset == second.dataset
    assert [
        "datasets/7/.v.t2.parquet.12345",
        "datasets/7/v.t1.parquet",
        "rejected/t1.csv",
    ] == folder.results()


def test_progress_is_told_and_never_goes_beyond_the_end(folder: Folder) -> None:
    uri = folder.upload("v.csv", large())
    told: list[HowFar] = []
    done = process(uri, 7, "t1", folder.settings, told.append)

    assert told
    assert [one.read for one in told] == sorted(one.read for one in told)
    assert told[-1].read <= told[-1].size == done.size
    assert told[-1].records <= done.records == 400_000


def test_work_that_is_not_wanted_any_more_is_stopped_and_leaves_nothing(folder: Folder) -> None:
    uri = folder.upload("v.csv", large())
    wanted = True

    def tell(_: HowFar) -> None:
        nonlocal wanted
        wanted = False

    with pytest.raises(Unwanted):
        process(uri, 7, "t1", folder.settings, tell, lambda: wanted)
    assert ([], []) == (folder.results(), readers())


@pytest.mark.parametrize(
    ("sent", "ended"),
    [
        (signal.SIGSEGV, "ended by signal SIGSEGV."),
        (signal.SIGKILL, "ended by signal SIGKILL, as the system does where memory runs out."),
    ],
)
def test_a_reading_process_that_is_killed_is_told_apart_from_a_bad_file(
    folder: Folder, sent: signal.Signals, ended: str
) -> None:
    """A fault in a library, or a machine without memory: another attempt may do better."""
    uri = folder.upload("v.csv", large())
    killer = threading.Thread(
        target=lambda: (
            wait_until(readers, description="it reads", timeout=30),
            [os.kill(pid, sent) for pid in readers()],
        )
    )
    killer.start()
    with pytest.raises(ReaderLost) as raised:
        folder.process(uri)
    killer.join()
    assert f"The process that reads the file {ended}" == str(raised.value)
    assert [] == folder.results()


@pytest.mark.parametrize(
    "trouble",
    [
        # The store needs what is left.
        "disk.LEFT_FREE = 2**62",
        # What Polars says where there is none left at all.
        (
            "polars.LazyFrame.sink_parquet = fail(polars.exceptions.ComputeError("
            "'parquet: underlying IO error: No space left on device (os error 28)'))"
        ),
        "rejected.RejectedFile.add = fail(OSError(28, 'No space left on device'))",
    ],
    ids=["little left", "Polars", "rejected rows"],
)
def test_a_full_disk_is_told_as_such_and_may_be_emptied(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    uri = folder.upload("v.csv", TABLE)
    # Python reads this in every process that it starts.
    (tmp_path / "sitecustomize.py").write_text(f"""
import polars
from encola import disk
from encola.tables import rejected

def fail(error):
    def failing(*_, **__):
        raise error
    return failing

{trouble}
""")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    with pytest.raises(DiskFull, match=r"^The disk of the data folder is full\.$") as raised:
        folder.process(uri)
    assert [] == folder.results()
    assert process_large_file.retry.admits(raised.value)


def test_memory_is_capped(make_folder: Make) -> None:
    """A record near the largest that is taken needs more than this; the worker lives on."""
    folder = make_folder(file_memory=256 * 2**20)
    row = b"x" * (15 * 2**20)
    uri = folder.upload("v.csv", b"a,b\n" + b"".join(b"%s,%d\n" % (row, n) for n in range(40)))

    assert "file_memory" == folder.fails(uri)[0]


def test_memory_does_not_grow_with_what_is_rejected(make_folder: Make) -> None:
    """Half a million rejected rows in 384 MiB: kept, each would need more than one KiB."""
    folder = make_folder(file_memory=384 * 2**20)
    uri = folder.upload("v.csv", b"a,b,c\n" + b"1,2,3\n" * 100_000 + b"1,2\n" * 500_000)
    done = folder.process(uri)

    assert (100_000, 500_000) == (done.records, done.rejected)


@pytest.mark.parametrize(
    ("user", "name"),
    [(7, "7"), ("7", "7"), ("ana", "ana"), ("ana_b-2", "ana_b-2")],
)
def test_plain_users_have_folders_of_their_name(user: int | str, name: str) -> None:
    assert name == user_folder(user)


def test_other_users_have_folders_that_are_safe_and_nobody_elses() -> None:
    odd = [
        "Ana",
        "ana ",
        "../ana",
        "/etc",
        ".",
        "..",
        "ana.b",
        "ñ",
        "a" * 200,
        "a" * 201,
        "\ud800",
        "",
    ]
    names = [user_folder(user) for user in odd]

    assert len(odd) == len(set(names))
    for name in names:
        assert Path(name).name == name
        assert "." in name and not name.startswith(".")
        assert len(name) <= 80


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("ventas.csv", "ventas"),
        ("/srv/ventas 2026.CSV.gz", "ventas_2026"),
        ("0198c0de7a317c2e9d0b5a3f1e2d4c6b-año.tsv", "ano"),
        ("..csv", "file"),
        ("日本.csv", "file"),
        ("a" * 300 + ".csv", "a" * 80),
    ],
)
def test_datasets_are_called_after_their_file(name: str, stem: str) -> None:
    assert stem == stem_of(name)


def test_the_longest_names_can_be_written(folder: Folder) -> None:
    name = "a" * 200 + ".csv"
    done = folder.process(folder.upload(name, TABLE), "u" * 255, "t" * 255)

    assert done.dataset == dataset_uri("u" * 255, name, "t" * 255)
    assert folder.content(done.dataset)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("a;=1+1;b", "a;'=1+1;b"),
        ('x","=1+1', 'x","\'=1+1'),
        ("a\t=x", "a\t'=x"),
        ("a\r=x", "a\r'=x"),
        (" =1", " '=1"),
        ("＝1", "'＝1"),
        ("-5", "-5"),
        ("1,-5,2", "1,-5,2"),
        ("+3.5;-2,5e3", "+3.5;-2,5e3"),
        ("a=b-c", "a=b-c"),
        ("ana@example.com", "ana@example.com"),
    ],
)
def test_formulas_are_escaped_wherever_a_spreadsheet_would_begin_a_cell(
    text: str, escaped: str
) -> None:
    assert escaped == escape(text)


def test_no_cell_of_the_rejected_rows_is_a_formula(folder: Folder) -> None:
    content = b'a,b\n1,2\n3,4\n=HYPERLINK("http://x"),1,2\n"+1+1;=2",b,c\n-2+3\n'
    done = folder.process(folder.upload("v.csv", content))
    assert done.rejects
    text = folder.content(done.rejects).decode()

    assert 3 == done.rejected
    for separator in (",", ";", "\t"):
        for line in text.splitlines():
            for cell in line.split(separator):
                assert cell.strip('" ')[:1] not in ("=", "+", "@")
                assert not cell.strip('" ').startswith("-2+3")
