"""Columns are found by their names, in two languages, and by their types."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encola.reports.columns import Column, candidates, plain_words
from encola.reports.document import Bar, Scale, breakable, columns_chart
from encola.reports.periods import MOST, Periods
from encola.reports.wording import Wording, rounded, shortened, shown


def first(role: str, *columns: tuple[str, str]) -> str | None:
    found = candidates([Column(*column) for column in columns], role)
    return found[0].name if found else None


@pytest.mark.parametrize(
    "name", ["fechaVenta", "FECHA_VENTA", "Fecha de la venta", "fecha-venta", " Fecha  Venta "]
)
def test_a_name_is_taken_apart_into_words(name: str) -> None:
    assert ("fecha", "venta") == plain_words(name)


@pytest.mark.parametrize(
    ("role", "columns", "found"),
    [
        ("amount", [("total", "DOUBLE"), ("importe", "DOUBLE")], "importe"),
        ("amount", [("total_iva", "DOUBLE"), ("total", "DOUBLE")], "total"),
        ("amount", [("importe", "DATE"), ("Total (€)", "DECIMAL(9,2)")], "Total (€)"),
        ("amount", [("total_unidades", "BIGINT")], None),
        ("amount", [("cliente_id", "BIGINT"), ("tipo_venta", "VARCHAR")], None),
        ("amount", [("sales_amount_usd", "DOUBLE")], "sales_amount_usd"),
        ("quantity", [("precio", "DOUBLE"), ("uds", "BIGINT")], "uds"),
        ("quantity", [("stock_quantity", "BIGINT")], None),
        ("date", [("fecha_nacimiento", "DATE"), ("fecha", "DATE")], "fecha"),
        ("date", [("fecha", "BIGINT"), ("cuando", "TIMESTAMP")], "cuando"),
        ("date", [("desde", "DATE"), ("hasta", "DATE")], None),
        ("product", [("producto_id", "BIGINT"), ("nombre_producto", "VARCHAR")], "nombre_producto"),
        ("product", [("Artículo", "VARCHAR")], "Artículo"),
        ("product", [("precio_producto", "DOUBLE")], None),
        ("price", [("precio_unitario", "DOUBLE"), ("precio", "DOUBLE")], "precio_unitario"),
    ],
)
def test_the_likeliest_column_is_the_first(
    role: str, columns: list[tuple[str, str]], found: str | None
) -> None:
    assert found == first(role, *columns)


@given(st.dates(dt.date(1000, 1, 1)), st.dates(dt.date(1000, 1, 1)))
def test_any_time_is_cut_into_a_number_of_periods_that_fits(one: dt.date, other: dt.date) -> None:
    """Every day is in exactly one of them, the first day of a period in its own."""
    first_day, last_day = min(one, other), max(one, other)
    periods = Periods.over(first_day, last_day)
    starts = list(periods.starts())

    assert 1 <= len(starts) <= max(MOST, 91)
    assert starts == sorted(set(starts))
    assert starts[0] <= first_day
    assert {periods.start_of(first_day), periods.start_of(last_day)} <= set(starts)
    assert starts == [periods.start_of(start) for start in starts]


@pytest.mark.parametrize(
    ("label", "number", "every"),
    [("sept 2025", 12, 1), ("11 ene 2025", 60, 6), ("11 ene 2025", 62, 7), ("x" * 300, 5, 5)],
)
def test_labels_of_upright_bars_do_not_run_into_one_another(
    label: str, number: int, every: int
) -> None:
    chart = columns_chart([Bar(label, [(1.0, "main")])] * number, alt="", format_tick=str)

    assert [label if at % every == 0 else "" for at in range(number)] == [
        bar["label"] for bar in chart["bars"]
    ]


@given(st.lists(st.floats(1e-6, 1e30) | st.floats(-1e30, -1e-6), max_size=20))
def test_a_scale_has_room_for_all_and_few_lines(values: list[float]) -> None:
    scale = Scale.over(values)

    assert 2 <= len(scale.ticks) <= 9
    assert all(-1e-9 <= scale.at(value) <= 1 + 1e-9 for value in [0.0, *values])


@given(st.text())
def test_a_strangers_text_fits_a_cell(text: str) -> None:
    """One line, of bounded length, without a sign that does something."""
    cell = shown(text, 50)

    assert len(cell) <= 50
    assert not set(cell) & set("\n\r\t\x00\u202e\u2066")


@given(st.text(alphabet="ab_./- \u0301é", max_size=80))
def test_a_long_word_can_be_broken_and_loses_nothing(text: str) -> None:
    cell = breakable(text, 12)

    assert text == cell.replace("\u200b", "")
    assert not re.search("\u200b[\u0301]", cell)
    assert all(len(part) <= 12 for part in re.split("[\\s\u200b\u0301-]", cell))


def test_a_cut_does_not_part_what_is_one_sign() -> None:
    family = "👩\u200d👩\u200d👧"

    assert "ab…" == shortened(f"ab{family}cd", 5)
    assert f"ab{family}cd" == shortened(f"ab{family}cd", 9)


def test_numbers_are_written_as_the_language_has_it() -> None:
    spanish, english = Wording("es"), Wording("en")

    assert ("1.234.567,89", "1,234,567.89") == (
        spanish.money(Decimal("1234567.894999")),
        english.money(Decimal("1234567.894999")),
    )
    assert "100.000.000.000.000.000.000.000.000.000,01" == spanish.money(Decimal(f"1{'0' * 29}.01"))
    assert "0,00" == spanish.money(Decimal("-0.001"))
    assert Decimal("0.12") == rounded(Decimal("0.125"), 2)
    assert ("4·10²⁰", "1,2\xa0M", "-500", "2,5") == tuple(
        spanish.compact(value) for value in (4e20, 1.2e6, -500.0, 2.5)
    )
    assert ("0 ms", "320 ms", "4,2 s", "3,5 min", "2,0 h") == tuple(
        spanish.duration(ms).replace("\xa0", " ") for ms in (0, 320, 4200, 210_000, 7_200_000)
    )
    moment = dt.datetime(2026, 11, 22, 9, 5, tzinfo=dt.UTC)
    assert ("22 nov, 09:05", "22 Nov, 09:05") == (
        spanish.short_moment(moment),
        english.short_moment(moment),
    )
    assert ("–", "33,3 %", "0,0 %") == tuple(
        spanish.percent(part, whole).replace("\xa0", " ")
        for part, whole in ((1, 0), (1, 3), (0, 5))
    )
