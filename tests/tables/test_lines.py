"""Whatever a text is, its records are those that Python's own reader finds, and no line is lost."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tabling import read

import encola.tables.lines as lines_module
import encola.tables.unpacking as unpacking
from encola.tables.dialect import Dialect
from encola.tables.lines import Lines, Piece

WIDTH = 3
fields = st.lists(st.sampled_from(["a", "ñ", ",", '"', "\n", "\r\n", " ", "1"]), max_size=6).map(
    "".join
)
tables = st.lists(st.lists(fields, min_size=WIDTH, max_size=WIDTH), min_size=1, max_size=12)
#: Lines as nobody should write them.
noise = st.lists(
    st.lists(st.sampled_from(["a", "ñ", ",", '"', '""', "\n", "\r\n", " "]), max_size=30).map(
        "".join
    ),
    max_size=8,
)


def written(rows: list[list[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def dialect(width: int = WIDTH) -> Dialect:
    return Dialect(",", tuple(f"c{n}" for n in range(width)), False, 0, False)


def cut(text: bytes, size: int) -> list[Piece]:
    """The text through the careful way, in blocks of some bytes."""
    found = Lines(dialect())
    pieces: list[Piece] = []
    for at in range(0, len(text), size):
        pieces += found.careful(found.take(text[at : at + size]))
    return pieces + list(found.careful(found.take(b"", is_last=True), is_last=True))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=tables, size=st.integers(1, 60))
def test_records_are_those_that_were_written(rows: list[list[str]], size: int) -> None:
    """Any fields, quotes and line ends in them, cut into blocks anywhere."""
    rows = [row for row in rows if any(field.strip() for field in row)]
    pieces = cut(written(rows), size)
    kept = b"".join(piece.text for piece in pieces).decode()

    assert [] == [one for piece in pieces for one in piece.rejected]
    assert rows == list(csv.reader(io.StringIO(kept, newline="")))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(parts=noise, size=st.integers(1, 60))
@example(parts=['a,"a\n', "a,a,a\n"], size=5)
@example(parts=['5",7",x,y\n', 'a,b,"c\n'], size=99)
def test_every_line_is_a_record_or_rejected_or_blank(parts: list[str], size: int) -> None:
    """Nothing is lost, nothing counted twice, the numbers are those of the lines, and every reader agrees."""
    text = "".join(parts).encode()
    pieces = cut(text, size)
    taken = [line for piece in pieces for line in piece.lines]
    taken += [one.line for piece in pieces for one in piece.rejected]
    taken.sort(key=lambda line: line.number)
    physical = [line + b"\n" for line in text.split(b"\n")]
    expected = {n: line for n, line in enumerate(physical, start=1) if line.strip()}

    seen: dict[int, bytes] = {}
    for line in taken:
        for offset, part in enumerate(line.raw.split(b"\n")[:-1]):
            assert line.number + offset not in seen
            seen[line.number + offset] = part + b"\n"
    assert expected == {n: part for n, part in seen.items() if part.strip()}
    kept = b"".join(piece.text for piece in pieces).decode()
    rows = list(csv.reader(io.StringIO(kept, newline="")))
    assert {WIDTH} >= {len(row) for row in rows}
    assert len(rows) == sum(len(piece.lines) for piece in pieces)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=tables, parts=noise, size=st.sampled_from([45, 200, unpacking.BLOCK]))
@example(rows=[["a", "b\n" * 9, "c"]] * 9, parts=['a,"b\n'], size=45)
@example(rows=[["a", "b", "c"]], parts=['"a"b"c",d,e'], size=unpacking.BLOCK)
@example(rows=[["a", "b", "c"]], parts=['"a,"b","c",d"\n', 'a "b" c,d "e",f'], size=45)
def test_the_quick_way_finds_what_the_careful_one_finds(
    rows: list[list[str]], parts: list[str], size: int
) -> None:
    """
    The dataset is the same, whether blocks are looked at all at once or line by line, wherever they
    are cut, and whatever a later block makes of what an earlier one began.
    """
    head = [["uno", "dos", "tres"]] + [["x", "y", "z"]] * 12
    content = written(head) + "".join(parts).encode() + b"\n" + written(rows)

    def outcome() -> tuple[Any, ...]:
        with tempfile.TemporaryDirectory() as folder:
            found = read(content, Path(folder))
        return found.rows, found.rejected

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module.Lines, "quick", lambda self, text: None)
        carefully = outcome()
        patch.undo()
        patch.setattr(unpacking, "BLOCK", size)
        assert carefully == outcome()
