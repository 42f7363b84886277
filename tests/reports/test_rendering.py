"""A report is drawn by a child with limits; whatever ends that child, the worker lives and knows why."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from desk import MIB, Desk

import encola.reports.rendering as rendering
from encola.disk import DiskFull
from encola.errors import StoreUnavailable
from encola.reports.failures import RendererLost, ReportFailed
from encola.reports.rendering import render
from encola.wording import say_progress
from support import wait_until

HEAD = "fecha,producto,cantidad,importe\n"
SALE = HEAD + "2025-03-01,Té,1,10\n"

HOSTILE = [
    '#import "@preview/cetz:0.3.0": *',
    "#read(sys.inputs.document)",
    "#panic(1)",
    "<script>alert(1)</script>",
    "$x^2$ \\alpha \\n \\u{41}",
    "*bold* _it_ `raw` @ref <label> ~ -- ... // no /* comment",
    "= heading",
    "- list",
    "]) #[ { } ( \"quotes\" 'too'",
    "{{page}} {moment} %s",
]


def left_over(desk: Desk) -> list[str]:
    return sorted(os.listdir(desk.data_dir / "reports"))


Child = Callable[[str], None]


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Child:
    """``child(program)``: what draws in place of the real one."""

    def put(program: str) -> None:
        (tmp_path / "another_child.py").write_text(program)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setattr(rendering, "CHILD", "another_child")

    return put


def at_start(folder: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Has every Python that is started run the *program* first."""
    (folder / "sitecustomize.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", str(folder))


def rows_of(names: list[str]) -> str:
    quoted = [name.replace('"', '""') for name in names]
    return HEAD + "".join(f'2025-03-01,"{name}",1,1.00\n' for name in quoted)


def test_text_of_a_task_is_text_and_never_markup(desk: Desk) -> None:
    """Each name stands in the report letter by letter, and nothing it says is done."""
    desk.dataset(7, rows_of(HOSTILE))
    text = desk.text(desk.job(7))
    table = text.partition("Ventas por producto")[2]

    assert [] == [name for name in HOSTILE if name not in table]


def test_other_scripts_and_emoji_are_drawn_with_fonts_that_come_along(desk: Desk) -> None:
    """Every font is embedded, and no sign is the box that stands for a missing one."""
    names = [
        "مرحبا",
        "שלום",
        "Привет",
        "Ελλάδα",
        "ไทย",
        "हिन्दी",
        "😀🎉",
        "Übermäßig ½ € “x”",
        "áéíóúñ¿¡",
    ]
    desk.dataset(7, rows_of(names))
    text = desk.text(desk.job(7))
    fonts = subprocess.run(
        ["pdffonts", str(desk.pdf(desk.job(7)))], capture_output=True, text=True, check=True
    ).stdout

    for name in names:
        # pdftotext gives a text that runs from right to left between marks of its own.
        assert name in text or set(name) <= set(text), name
    for family in ("NotoSansArabic", "NotoSansHebrew", "NotoEmoji", "NotoSansDevanagari"):
        assert family in fonts
    assert not re.search(r"\bno\s+(yes|no)\s+(yes|no)\s", fonts), "a font is not embedded"


def test_control_signs_and_turned_text_do_not_spoil_the_page(desk: Desk) -> None:
    """A right-to-left override would show exe.png where there is gnp.exe, and turn the row with it."""
    desk.dataset(7, HEAD + '2025-03-01,"photo\u202egnp.exe",1,1\n2025-03-01,"two\nlines\x07",1,1\n')
    text = desk.text(desk.job(7))

    assert "photognp.exe" in text
    assert "two lines" in text


def test_a_long_name_stays_in_its_column(desk: Desk) -> None:
    """Also one without a space in it; what is beyond two hundred characters is cut."""
    desk.dataset(7, rows_of(["W" * 500, "palabra " * 100]))
    desk.render(desk.job(7))
    boxes = subprocess.run(
        ["pdftotext", "-bbox", str(desk.pdf(desk.job(7))), "-"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    right = [float(x) for x in re.findall(r'xMax="([\d.]+)"', boxes)]

    assert max(right) <= 595.28 - 18 / 25.4 * 72 + 1


def test_a_report_of_many_pages_has_its_head_on_each(desk: Desk) -> None:
    desk.dataset(7, rows_of([f"Producto {number:04}" for number in range(1000)]))
    text = desk.text(desk.job(7))
    pages = text.rstrip("\f").split("\f")

    assert len(pages) > 4
    assert all(f"Página {number} de {len(pages)}" in page for number, page in enumerate(pages, 1))
    assert len(re.findall(r"#\s+Producto\s+Ventas", text)) >= 4
    assert re.search(r"Otros 800 productos\s+800\s+800\s+800,00\s+80,0", text)


def test_a_report_that_needs_too_much_memory_is_a_clear_failure(desk: Desk) -> None:
    """The cap is hit for real: the child may have less than its libraries take."""
    desk.dataset(7, SALE)

    with pytest.raises(ReportFailed) as raised:
        desk.render(desk.job(7, memory=64 * MIB))
    assert "report_memory" == raised.value.error_code
    assert "64 MiB" in str(raised.value)
    assert [] == left_over(desk)


def test_data_beyond_the_memory_is_put_aside_on_disk(desk: Desk) -> None:
    """Two million products do not fit in the part of 512 MiB that is the database's."""
    import duckdb

    folder = desk.data_dir / "datasets" / "7"
    folder.mkdir(parents=True)
    duckdb.execute(
        "COPY (SELECT DATE '2025-03-01' AS fecha, md5(i::VARCHAR) || md5((i + 1)::VARCHAR) AS producto, "
        f"0.01 AS importe FROM range(2000000) t(i)) TO '{folder}/many.parquet'"
    )
    text = desk.text(desk.job(7, memory=512 * MIB))

    assert "20000.00" in text
    assert ["report_7_sales_t.pdf"] == left_over(desk)


def test_a_report_that_takes_too_long_is_a_clear_failure(desk: Desk) -> None:
    desk.dataset(7, SALE)

    with pytest.raises(ReportFailed) as raised:
        desk.render(desk.job(7, time_limit=0.05))
    assert "report_time_limit" == raised.value.error_code
    assert [] == left_over(desk)


@pytest.mark.parametrize(
    ("does", "words"),
    [
        ("import os; os.kill(os.getpid(), 11)", "by signal SIGSEGV."),
        (
            "import os; os.kill(os.getpid(), 9)",
            "by signal SIGKILL, as the system does where memory runs out.",
        ),
        ("raise SystemExit(3)", "with exit code 3."),
        ("1 / 0", "with exit code 1."),
        ("pass", "with exit code 0."),
    ],
)
def test_a_child_that_ends_without_a_word_may_be_tried_again(
    desk: Desk, child: Child, does: str, words: str
) -> None:
    child(does)

    with pytest.raises(RendererLost) as raised:
        desk.render(desk.job(7))
    assert f"The process that draws the report ended {words}" == str(raised.value)
    assert [] == left_over(desk)


def test_a_child_that_writes_nothing_has_drawn_no_report(desk: Desk, child: Child) -> None:
    """Also where it says that it is done."""
    child("from encola.apart import serve; serve(lambda *_: {})")

    with pytest.raises(RendererLost) as raised:
        desk.render(desk.job(7))
    assert "The process that draws the report wrote nothing." == str(raised.value)
    assert [] == left_over(desk)


def test_a_store_that_does_not_answer_is_told_as_such(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be there again at the next attempt."""
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")

    with pytest.raises(StoreUnavailable) as raised:
        desk.render(desk.job(7, "users"))
    assert StoreUnavailable.__doc__ == str(raised.value)
    assert [] == left_over(desk)


def test_a_database_without_memory_is_a_clear_failure(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so in an error of its own."""
    desk.dataset(7, SALE)
    at_start(
        tmp_path,
        monkeypatch,
        """
import duckdb
from encola.reports import drawing

def draw(*_):
    raise duckdb.OutOfMemoryException("could not allocate block")

drawing.draw = draw
""",
    )

    with pytest.raises(ReportFailed) as raised:
        desk.render(desk.job(7))
    assert "report_memory" == raised.value.error_code
    assert [] == left_over(desk)


def test_a_full_disk_is_told_as_such_and_may_be_emptied(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.dataset(7, SALE)
    at_start(
        tmp_path,
        monkeypatch,
        """
from encola.reports import drawing

def draw(*_):
    raise OSError(28, "No space left on device")

drawing.draw = draw
""",
    )

    with pytest.raises(DiskFull):
        desk.render(desk.job(7))
    assert [] == left_over(desk)


def test_an_older_report_stays_until_the_new_one_is_whole(desk: Desk) -> None:
    desk.dataset(7, SALE)
    desk.render(desk.job(7))
    before = desk.pdf(desk.job(7)).read_bytes()

    with pytest.raises(ReportFailed):
        desk.render(desk.job(7, time_limit=0.05))
    assert before == desk.pdf(desk.job(7)).read_bytes()


def test_how_far_it_is_can_be_said_in_each_language(desk: Desk) -> None:
    """A report in Spanish is watched by readers of English too."""
    desk.dataset(7, SALE)
    told: list[tuple[int, int, str]] = []
    render(desk.job(7), desk.uri(desk.job(7)), lambda *far: told.append(far))
    said = [tuple(say_progress(key, {}, one) for one in ("es", "en")) for *_, key in told]

    assert [(0, 3), (1, 3), (2, 3)] == [(current, total) for current, total, _ in told]
    assert [
        ("Leyendo los datos", "Reading the data"),
        ("Componiendo el PDF", "Drawing the PDF"),
        ("Componiendo el PDF", "Drawing the PDF"),
    ] == said


#: A child that has limited itself, says so, and goes on for ever.
ENDLESS = """
import time
from encola.apart import serve

def work(job, tell):
    tell({"current": 0, "total": 3, "key": "x"})
    time.sleep(600)

serve(work)
"""


def test_what_stops_the_task_stops_the_child(desk: Desk, child: Child) -> None:
    """An exception in the middle, as a cancel or a soft time limit is, leaves no process and no file."""
    # The servers of other tests are children of this process too.
    others = set(children_of(os.getpid()))
    child(ENDLESS)
    children: list[int] = []

    def stop(*_: object) -> None:
        children.extend(pid for pid in children_of(os.getpid()) if pid not in others)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(desk.job(7), desk.uri(desk.job(7)), stop)
    assert children
    wait_until(
        lambda: not any(map(is_alive, children)), description="the child has died", timeout=10
    )
    assert [] == left_over(desk)


def test_the_child_dies_with_its_worker(desk: Desk, child: Child, tmp_path: Path) -> None:
    """A worker that is killed outright leaves nobody who goes on drawing."""
    started = tmp_path / "started"
    program = f"""
import pathlib
from encola.reports import rendering
rendering.CHILD = "another_child"
job = rendering.Job("sales", 7, "es", {str(desk.data_dir)!r}, 2**30, 600.0)
rendering.render(job, "data://reports/x.pdf", lambda *_: pathlib.Path({str(started)!r}).touch())
"""
    child(ENDLESS)
    worker = subprocess.Popen([sys.executable, "-c", program])
    try:
        wait_until(started.exists, description="the child has begun", timeout=30)
        children = children_of(worker.pid)
    finally:
        worker.kill()
        worker.wait()

    assert children
    wait_until(
        lambda: not any(map(is_alive, children)), description="the child has died", timeout=10
    )


def children_of(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split() if is_alive(int(line))]


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
