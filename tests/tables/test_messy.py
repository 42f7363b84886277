"""A collection of tables as people send them. Each is read, and what cannot be is said of its line."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import random
import zlib
from pathlib import Path
from typing import Any

import pytest
from tabling import read

from encola.tables.failures import FileFailed
from encola.tables.unpacking import BLOCK, Blocks, _zstd_module

PLAIN = "id,producto,importe\n1,Silla,2.5\n2,Lámpara,3\n3,Mesa,4.25\n"
ROWS = [(1, "Silla", 2.5), (2, "Lámpara", 3.0), (3, "Mesa", 4.25)]


moment = dt.datetime.fromisoformat


def zstd(content: bytes) -> bytes:
    packed: bytes = _zstd_module().compress(content)
    return packed


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        pytest.param(PLAIN.encode(), "utf-8", id="UTF-8"),
        pytest.param(PLAIN.encode("utf-8-sig"), "utf-8", id="UTF-8 with a mark"),
        pytest.param(PLAIN.encode("cp1252"), "windows-1252", id="Windows-1252"),
        pytest.param(PLAIN.encode("latin-1"), "windows-1252", id="Latin-1"),
        pytest.param(PLAIN.encode("utf-16"), "utf-16-le", id="UTF-16 with a mark"),
        pytest.param(b"\xfe\xff" + PLAIN.encode("utf-16-be"), "utf-16-be", id="UTF-16 BE"),
        pytest.param(PLAIN.encode("utf-16-le"), "utf-16-le", id="UTF-16 LE without a mark"),
        pytest.param(PLAIN.encode("utf-16-be"), "utf-16-be", id="UTF-16 BE without a mark"),
        pytest.param(PLAIN.replace("\n", "\r\n").encode(), "utf-8", id="CR LF"),
        pytest.param(PLAIN.replace("\n", "\r").encode(), "utf-8", id="CR alone"),
        pytest.param(PLAIN.replace("\n", "\r").encode("utf-16"), "utf-16-le", id="CR in UTF-16"),
        pytest.param(PLAIN.replace("3\n", "3\r\n").encode(), "utf-8", id="both line ends"),
        pytest.param(PLAIN.rstrip("\n").encode(), "utf-8", id="no line end at the end"),
        pytest.param(PLAIN.replace("\n", "\n\n").encode(), "utf-8", id="blank lines"),
        pytest.param(PLAIN.replace(",", ";").encode(), "utf-8", id="semicolons"),
        pytest.param(PLAIN.replace(",", "\t").encode(), "utf-8", id="tabs"),
        pytest.param(PLAIN.replace(",", "|").encode(), "utf-8", id="bars"),
        pytest.param(gzip.compress(PLAIN.encode()), "utf-8", id="gzip"),
        pytest.param(gzip.compress(PLAIN.encode("cp1252")), "windows-1252", id="gzip of 1252"),
        pytest.param(
            gzip.compress(PLAIN.encode()[:20]) + gzip.compress(PLAIN.encode()[20:]) + bytes(512),
            "utf-8",
            id="gzip of two parts, filled up with zeros",
        ),
        pytest.param(zstd(PLAIN.encode()), "utf-8", id="zstd"),
        pytest.param(
            zstd(PLAIN.encode()[:20]) + zstd(PLAIN.encode()[20:]), "utf-8", id="zstd of two frames"
        ),
        pytest.param(("Ventas de enero\n\n" + PLAIN).encode(), "utf-8", id="a title above"),
        pytest.param(
            PLAIN.replace("Silla", '"Silla"').replace("2.5", '"2.5"').encode(), "utf-8", id="quotes"
        ),
        pytest.param(PLAIN.replace("2.5", " 2.5 ").encode(), "utf-8", id="spaces round numbers"),
    ],
)
def test_the_same_table_however_it_is_written(
    content: bytes, encoding: str, tmp_path: Path
) -> None:
    found = read(content, tmp_path)

    assert ROWS == found.rows
    assert ["id", "producto", "importe"] == found.names
    assert ["integer", "text", "decimal"] == found.types
    assert encoding == found.outcome.table.encoding
    assert [] == found.rejected


def test_rows_that_are_none_are_kept_aside_with_line_reason_and_text(tmp_path: Path) -> None:
    """Physical lines are counted, as an editor shows them: the quoted field before takes two."""
    content = (
        b'id,producto,importe\n1,"dos\nlineas",2.5\n2,Mesa\n3,Mesa,4,5\n4,Silla,cuatro\n'
        b'5,Sof\xe1,6\n6,L\xc3\xa1mpara,7\n7,L\xc3\xa1mpara,8\n8,"sin fin,9\n9,"a"b,10\n10,Flor,11\n'
    )
    found = read(content, tmp_path)

    assert [
        (1, "dos\nlineas", 2.5),
        (6, "Lámpara", 7.0),
        (7, "Lámpara", 8.0),
        (10, "Flor", 11.0),
    ] == (found.rows)
    assert [
        {"line": "4", "code": "ragged", "reason": "expected 3 fields, found 2", "text": "2,Mesa"},
        {
            "line": "5",
            "code": "ragged",
            "reason": "expected 3 fields, found 4",
            "text": "3,Mesa,4,5",
        },
        {
            "line": "6",
            "code": "value",
            "reason": "importe: expected a number, found 'cuatro'",
            "text": "4,Silla,cuatro",
        },
        {
            "line": "7",
            "code": "encoding",
            "reason": "is not valid UTF-8 text",
            "text": "5,Sof\ufffd,6",
        },
        {
            "line": "10",
            "code": "open_quote",
            "reason": "a quote that is not closed",
            "text": '8,"sin fin,9',
        },
        {
            "line": "11",
            "code": "bad_quote",
            "reason": "there is text after a closing quote",
            "text": '9,"a"b,10',
        },
    ] == found.rejected
    assert (4, 6) == (found.outcome.records, found.outcome.rejected)


def test_reasons_are_in_the_language_of_the_installation(tmp_path: Path) -> None:
    found = read(b"a,b,c\n1,2,3\n4,5\n6,7,8\n", tmp_path, language="es")

    assert ["se esperaban 3 campos y hay 2"] == [row["reason"] for row in found.rejected]


def test_a_stray_quote_does_not_swallow_the_rows_behind_it(tmp_path: Path) -> None:
    """The next quote is twenty thousand lines further on, in another block of the careful reading."""
    lines = [f"{n},texto {n},{n}.5" for n in range(20_000)]
    lines[3] = '3,"texto 3,3.5'
    lines[19_990] = '19990,"uno, dos",1.5'
    found = read(("a,b,c\n" + "\n".join(lines) + "\n").encode(), tmp_path)

    assert [(5, "open_quote")] == found.lines
    assert 19_999 == found.outcome.records
    assert (19_990, "uno, dos", 1.5) in found.rows


def test_a_field_of_many_lines_across_the_blocks_stays_one(tmp_path: Path) -> None:
    """Wherever a block is cut, a field with line ends in it may be what is cut."""
    note = "\n".join(f"línea {n}, con comas y 'comillas'" for n in range(200))
    rows = [f'{n},"{note}",x\r\n' for n in range(3_000)]
    content = ("id,nota,fin\r\n" + "".join(rows)).encode()
    assert len(content) > 16 * 2**20
    found = read(content, tmp_path)

    assert (3_000, 0) == (found.outcome.records, found.outcome.rejected)
    assert {note} == {row[1] for row in found.rows}
    assert list(range(3_000)) == [row[0] for row in found.rows]


def test_quotes_in_the_middle_of_a_field_are_themselves(tmp_path: Path) -> None:
    """RFC 4180 knows a quote at the beginning of a field only; 24" is a size."""
    found = read(b'id,que,n\n1,Monitor 24",2\n2,a"b"c,3\n3,"un ""buen"" d\xc3\xada",4\n', tmp_path)

    assert ['Monitor 24"', 'a"b"c', 'un "buen" día'] == [row[1] for row in found.rows]
    assert [] == found.rejected


def test_what_two_stray_quotes_enclose_is_not_taken_for_one_field(tmp_path: Path) -> None:
    """Counted together the line has three fields; as every reader reads it, it has four."""
    found = read(b'a,b,c\n1,2,3\n5",7",8,9\n4,5,6\n', tmp_path)

    assert [(3, "ragged")] == found.lines
    assert 2 == found.outcome.records


def test_quotes_may_be_written_with_a_backslash(tmp_path: Path) -> None:
    found = read(b'a,b\n1,"dijo \\"hola, t\xc3\xba\\" y se fue"\n2,"x"\n', tmp_path)

    assert [(1, 'dijo "hola, tú" y se fue'), (2, "x")] == found.rows
    # Also where no row would have another number of fields.
    found = read(b'a,b\n1,"dijo \\"hola\\" y se fue"\n2,"C:\\x"\n', tmp_path)
    assert [(1, 'dijo "hola" y se fue'), (2, "C:\\x")] == found.rows


def test_a_backslash_before_a_quote_that_closes_is_itself(tmp_path: Path) -> None:
    found = read(b'a,b\n"C:\\d\\",1\n"C:\\e\\",2\n', tmp_path)

    assert [("C:\\d\\", 1), ("C:\\e\\", 2)] == found.rows


def test_a_quote_in_the_middle_of_quotes_loses_the_row_and_no_quote(tmp_path: Path) -> None:
    """Some readers make xyz of it."""
    found = read(b'a,b\n1,"x"y"z"\n2,k\n3,p "q" r\n', tmp_path)

    assert [(2, "bad_quote")] == found.lines
    assert [(2, "k"), (3, 'p "q" r')] == found.rows


@pytest.mark.parametrize(
    "content",
    [
        b"sep=;\r\nid;importe\r\n1;2,50\r\n2;3,75\r\n3\r\n",
        b'\xef\xbb\xbf"SEP=;"\nid;importe\n1;2,50\n2;3,75\n3\n',
        "sep=\t\nid\timporte\n1\t2,50\n2\t3,75\n3\n".encode("utf-16"),
    ],
)
def test_the_line_that_tells_excel_the_separator_is_no_row(tmp_path: Path, content: bytes) -> None:
    found = read(content, tmp_path)

    assert (["id", "importe"], [(1, 2.5), (2, 3.75)]) == (found.names, found.rows)
    assert [(5, "ragged")] == found.lines


@pytest.mark.parametrize(
    ("texts", "kind", "values"),
    [
        (["1", "-2", "30"], "integer", [1, -2, 30]),
        (["1", "2.5", "3e2"], "decimal", [1.0, 2.5, 300.0]),
        (["1,5", "2,25", "3"], "decimal", [1.5, 2.25, 3.0]),
        (["1.234,50", "2.000", "3"], "decimal", [1234.5, 2000.0, 3.0]),
        (["1,234.50", "2,000.25", "3"], "decimal", [1234.5, 2000.25, 3.0]),
        (["1,50 €", "2,00 €", "3,25 €"], "decimal", [1.5, 2.0, 3.25]),
        (["1.5", "NaN", "2.5"], "decimal", [1.5, None, 2.5]),
        (["08001", "28001", "41001"], "text", ["08001", "28001", "41001"]),
        (["+34600", "+34700", "+34800"], "text", ["+34600", "+34700", "+34800"]),
        (["12345678901234567890"] * 3, "text", ["12345678901234567890"] * 3),
        (
            ["2026-01-31", "2026-02-01", ""],
            "date",
            [dt.date(2026, 1, 31), dt.date(2026, 2, 1), None],
        ),
        (
            ["31/01/2026", "01/02/2026", "1/3/2026"],
            "date",
            [dt.date(2026, 1, 31), dt.date(2026, 2, 1), dt.date(2026, 3, 1)],
        ),
        (
            ["01/31/2026", "02/01/2026", "03/01/2026"],
            "date",
            [dt.date(2026, 1, 31), dt.date(2026, 2, 1), dt.date(2026, 3, 1)],
        ),
        (
            ["31.01.2026", "1.2.2026", "1.3.2026"],
            "date",
            [dt.date(2026, 1, 31), dt.date(2026, 2, 1), dt.date(2026, 3, 1)],
        ),
        (
            ["2026-01-31 10:20", "2026-01-31 00:00", ""],
            "datetime",
            [moment("2026-01-31 10:20"), moment("2026-01-31"), None],
        ),
        (
            ["2026-01-31T10:20:30.5", "2026-01-31T10:20:30", ""],
            "datetime",
            [moment("2026-01-31 10:20:30.5"), moment("2026-01-31 10:20:30"), None],
        ),
        (
            ["2026-01-31T10:20:30Z", "2026-01-31T10:20:30+02:00", ""],
            "datetime",
            [
                dt.datetime(2026, 1, 31, 10, 20, 30, tzinfo=dt.UTC),
                dt.datetime(2026, 1, 31, 8, 20, 30, tzinfo=dt.UTC),
                None,
            ],
        ),
        (["sí", "no", "SÍ"], "boolean", [True, False, True]),
        (["true", "False", ""], "boolean", [True, False, None]),
        (["sí", "no", "quizás"], "text", ["sí", "no", "quizás"]),
        (["a", "", "1"], "text", ["a", None, "1"]),
        (["2026-02-30", "x", "y"], "text", ["2026-02-30", "x", "y"]),
        (["", "", ""], "text", [None, None, None]),
    ],
)
def test_a_column_is_of_the_kind_that_its_texts_are(
    texts: list[str], kind: str, values: list[Any], tmp_path: Path
) -> None:
    content = "n;x\n" + "".join(f"{n};{text}\n" for n, text in enumerate(texts))
    found = read(content.encode(), tmp_path)

    assert kind == found.types[1]
    assert values == [row[1] for row in found.rows]
    assert [] == found.rejected


def test_one_value_that_does_not_fit_is_rejected_and_many_make_a_text(tmp_path: Path) -> None:
    few = "n,x\n" + "".join(f"{n},{n if n != 7 else 'siete'}\n" for n in range(50))
    many = "n,x\n" + "".join(f"{n},{n if n % 5 else 'cinco'}\n" for n in range(50))

    assert [(9, "value")] == read(few.encode(), tmp_path).lines
    found = read(many.encode(), tmp_path)
    assert (["integer", "text"], []) == (found.types, found.rejected)


def late(first: str, last: str) -> bytes:
    """A packed table (so that only its beginning can be looked at) whose last rows are different."""
    rows = [f"{n},{first},relleno de la fila {n}\n" for n in range(60_000)]
    return gzip.compress(
        ("n,x,z\n" + "".join(rows) + f"60000,{last},fin\n60001,{last},fin\n").encode()
    )


@pytest.mark.parametrize(
    ("first", "last", "kind", "value"),
    [
        pytest.param("8", "8.5", "decimal", 8.5, id="a decimal among whole numbers"),
        pytest.param("28001", "08001", "text", "08001", id="a zero in front"),
        pytest.param("600", "+34600", "text", "+34600", id="a plus in front"),
        pytest.param("7", "99999999999999999999", "text", "99999999999999999999", id="too large"),
        pytest.param("sí", "tal vez", "text", "tal vez", id="neither yes nor no"),
    ],
)
def test_what_comes_late_widens_its_column_and_is_not_lost(
    first: str, last: str, kind: str, value: object, tmp_path: Path
) -> None:
    found = read(late(first, last), tmp_path)

    assert kind == found.types[1]
    assert value == found.rows[-1][1]
    assert (60_002, 0) == (found.outcome.records, found.outcome.rejected)


def test_a_file_that_is_begun_anew_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the next blocks have been read ahead when a column turns out to be wider."""
    monkeypatch.setattr("encola.tables.unpacking.BLOCK", 1_000)
    rows = [f"{n},{0.5 if n == 3_000 else n},{n if n < 4_000 else 'x'}" for n in range(5_000)]
    found = read(("a,b,c\n" + "\n".join(rows) + "\n").encode(), tmp_path)

    assert ["integer", "decimal", "text"] == found.types
    assert rows == [f"{a},{b if b == 0.5 else int(b)},{c}" for a, b, c in found.rows]
    first = found.outcome.columns[0]
    assert (5_000, 0, 4_999, 2_499.5) == (
        found.outcome.records,
        *(first[word] for word in ("min", "max", "mean")),
    )


def test_a_late_value_of_another_kind_is_rejected_alone(tmp_path: Path) -> None:
    found = read(late("2026-01-31", "mañana"), tmp_path)

    assert "date" == found.types[1]
    assert [(60_002, "value"), (60_003, "value")] == found.lines


def test_latin_letters_may_come_late(tmp_path: Path) -> None:
    """All before them was ASCII, so it can still be either."""
    rows = "".join(f"{n},abc\n" for n in range(1_000_000)).encode()
    found = read(b"n,x\n" + rows + "7,ñandú\n".encode("latin-1"), tmp_path)

    assert "windows-1252" == found.outcome.table.encoding
    assert ("ñandú", 0) == (found.rows[-1][1], found.outcome.rejected)


def test_names_of_columns_are_made_where_they_lack_or_repeat(tmp_path: Path) -> None:
    assert ["a", "column_2", "a_2", "^b$", "*"] == read(
        b"a,,a,^b$,*\n1,2,3,4,5\n6,7,8,9,10\n", tmp_path
    ).names
    found = read(b"1,2\n3,4\n", tmp_path)
    assert (["column_1", "column_2"], 2) == (found.names, found.outcome.records)


def test_a_single_column_is_a_table(tmp_path: Path) -> None:
    found = read(b"numero\n1\n\n2\nx\n3\n4\n", tmp_path)

    assert [(1,), (2,), (3,), (4,)] == found.rows
    assert [(5, "value")] == found.lines


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(b"", "file_empty", id="nothing"),
        pytest.param(b"\xef\xbb\xbf", "file_empty", id="a mark alone"),
        pytest.param(b"\n\n  \n", "file_empty", id="blank lines alone"),
        pytest.param(gzip.compress(b""), "file_empty", id="nothing, packed"),
        pytest.param(b"a,b,c\n", "file_header_only", id="a header"),
        pytest.param(
            "año,día,hora\n\n".encode("utf-16"), "file_header_only", id="a header in UTF-16"
        ),
        pytest.param(random.Random(1).randbytes(9_000), "file_binary", id="noise"),
        pytest.param(b"a,b\n\0\0\0\0\n", "file_binary", id="zeros"),
        pytest.param(b"PK\x03\x04" + bytes(50), "file_binary", id="a workbook"),
        pytest.param(b"%PDF-1.7\n%abc\n", "file_binary", id="a PDF"),
        pytest.param(
            gzip.compress(gzip.compress(PLAIN.encode())), "file_binary", id="packed twice"
        ),
        pytest.param(PLAIN.encode("utf-32"), "file_encoding", id="UTF-32"),
        pytest.param(gzip.compress(PLAIN.encode())[:-12], "file_damaged", id="half a gzip"),
        pytest.param(gzip.compress(PLAIN.encode()) + b"abc", "file_damaged", id="more than a gzip"),
        pytest.param(zstd(PLAIN.encode())[:-3], "file_damaged", id="half a zstd"),
        pytest.param(b"\x28\xb5\x2f\xfd" + bytes(20), "file_damaged", id="no zstd"),
        pytest.param(
            b"a" + b",a" * 2_500 + b"\n" + b"1" + b",1" * 2_500 + b"\n",
            "file_too_many_columns",
            id="columns",
        ),
        pytest.param(
            b"a,b,c\n" + b"1,2\n" * 3 + b'1,"2\n' * 5, "file_all_rejected", id="no row fits"
        ),
    ],
)
def test_a_file_that_is_no_table_fails_with_its_reason(
    content: bytes, code: str, tmp_path: Path
) -> None:
    with pytest.raises(FileFailed) as failed:
        read(content, tmp_path)

    assert code == failed.value.error_code
    assert str(failed.value).endswith(".")


def test_a_line_of_no_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileFailed, match=r"^Line 3 is longer than 16 MiB") as failed:
        read(b"a,b\n1,2\n" + b"x" * 2**25, tmp_path)
    assert "file_line_too_long" == failed.value.error_code
    # Also where it is the header, and the only one.
    with pytest.raises(FileFailed, match=r"^Line 1 is longer than 16 MiB"):
        read(b"x" * 2**25, tmp_path)
    # Lines that were cut before it count, those of a block in order as those of another.
    monkeypatch.setattr("encola.tables.unpacking.BLOCK", 2**18)
    table = b"a,b\n" + b"1,2\n" * 2**17 + b"1\n" + b"1,2\n" * 2**17
    with pytest.raises(FileFailed, match=rf"^Line {2**18 + 3} is longer than 16 MiB"):
        read(table + b"x" * 2**25, tmp_path)


def bomb(megabytes: int, line: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    million = line * (2**20 // len(line))
    return b"".join([packer.compress(million) for _ in range(megabytes)]) + packer.flush()


def test_a_bomb_is_given_up(tmp_path: Path) -> None:
    """It unpacks to more than is allowed: whether it is one line or many rows."""
    for line in (b"\0", b"a,b\n"):
        with pytest.raises(FileFailed) as failed:
            read(bomb(64, line), tmp_path, most=2**25)
        assert failed.value.error_code in ("file_unpacks_too_large", "file_binary")


def test_a_bomb_is_known_by_how_far_it_unpacks(tmp_path: Path) -> None:
    """Below any limit of size, but a thousandfold: 1.1 GB out of a megabyte."""
    (tmp_path / "f").write_bytes(packed := bomb(1_100, b"1,2\n"))
    with io.FileIO(tmp_path / "f") as file:
        blocks = Blocks(file, len(packed), 2**40)
        with pytest.raises(FileFailed, match="300 times its size") as failed:
            for block in blocks:
                assert len(block) <= BLOCK
    assert "file_unpacks_too_large" == failed.value.error_code


def test_a_file_that_became_shorter_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"a,b\n1,2\n")
    with io.FileIO(tmp_path / "f") as file, pytest.raises(FileFailed) as failed:
        list(Blocks(file, 100, 2**40))
    assert "file_changed" == failed.value.error_code


def test_the_profile_is_that_of_the_values(tmp_path: Path) -> None:
    content = "n;x;t\n" + "".join(f"{n};{n % 7},5;{'a' * (n % 3)}\n" for n in range(9_999))
    found = read(content.encode(), tmp_path)
    n, x, t = found.outcome.columns

    assert abs(n["distinct"] - 9_999) < 500
    assert {"nulls": 0, "min": 0, "max": 9_998, "mean": 4_999.0} == {
        key: n[key] for key in ("nulls", "min", "max", "mean")
    }
    assert (7, 0.5, 6.5) == (x["distinct"], x["min"], x["max"])
    assert abs(x["mean"] - sum(k % 7 + 0.5 for k in range(9_999)) / 9_999) < 1e-9
    assert (2, "a", "aa", 3_333, None) == (t["distinct"], t["min"], t["max"], t["nulls"], t["mean"])
