"""The sales report says what is in the user's files, to the cent."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

import pytest
from desk import Desk, MakeCsv

from encola.reports.failures import ReportFailed

HEAD = "fecha,producto,cantidad,importe\n"


def totals(path: Path) -> tuple[str, str, str, dict[str, Decimal]]:
    """Rows, units, amount and amount by product, by a script that knows nothing of ours."""
    rows = units = 0
    amount = Decimal(0)
    by_product: dict[str, Decimal] = defaultdict(Decimal)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            rows, units = rows + 1, units + int(row["cantidad"])
            amount += Decimal(row["importe"])
            by_product[row["producto"]] += Decimal(row["importe"])
    return f"{rows}", f"{units}", f"{amount:.2f}", by_product


def in_spanish(number: str) -> str:
    return f"{Decimal(number):,}".translate(str.maketrans(",.", ".,"))


def exact(text: str, figure: str) -> str:
    """The value in the table of exact figures at the end."""
    found = re.findall(
        rf"^\s*{figure}\s+(\S+)\s*$", text.partition("Cifras exactas")[2], re.MULTILINE
    )
    return str(found[0])


@pytest.mark.parametrize("rows", [10, 100_000])
def test_the_totals_are_those_of_the_csv(desk: Desk, make_csv: MakeCsv, rows: int) -> None:
    """With ten rows and with a hundred thousand; another CSV gives other totals."""
    seen: set[str] = set()
    for seed in (1, 2):
        path = make_csv(rows, seed)
        desk.dataset(seed, path)
        text = desk.text(desk.job(seed))
        counted, units, amount, by_product = totals(path)

        assert amount == exact(text, "Importe total")
        assert counted == exact(text, "Ventas")
        assert units == exact(text, "Unidades")
        assert in_spanish(amount) in text.partition("Ventas por")[0]
        for product, sold in by_product.items():
            assert re.search(rf"{product}\s.*\s{re.escape(in_spanish(f'{sold:.2f}'))}\s", text), (
                product
            )
        seen.add(amount)

    assert 2 == len(seen)


def test_the_sums_of_the_months_are_those_of_the_csv_and_empty_months_are_there(desk: Desk) -> None:
    rows = "2025-01-31,A,1,10\n2025-01-01,A,1,0.10\n2025-04-01,B,2,-3.05\n2025-12-31,C,1,99.99\n"
    desk.dataset(7, HEAD + rows)
    text = desk.text(desk.job(7))

    assert re.search(r"ene 2025\s+2\s+2\s+10,10\s", text)
    assert re.search(r"feb 2025\s+0\s+0\s+0,00\s", text)
    assert re.search(r"abr 2025\s+1\s+2\s+-3,05\s", text)
    assert re.search(r"dic 2025\s+1\s+1\s+99,99\s", text)
    assert re.search(r"Total\s+4\s+5\s+107,04\s", text)
    assert "1 negativas: -3,05" in text


def test_the_report_speaks_english_where_it_is_asked_to(desk: Desk) -> None:
    desk.dataset(7, HEAD + "2025-01-31,A,1,1234567.5\n")
    text = desk.text(desk.job(7, language="en"))

    assert "Sales report" in text
    assert "1,234,567.50" in text
    assert not re.search("Ventas|Importe|Página", text)


def test_english_names_and_camel_case_are_found(desk: Desk) -> None:
    desk.dataset(
        7, "orderDate,ProductName,Units Sold,Total Amount,customer\n2025-03-01,Tea,2,5.5,x\n"
    )
    text = desk.text(desk.job(7))

    assert "5.50" == exact(text, "Importe total")
    assert "fecha = orderDate, producto = ProductName, cantidad = Units Sold" in re.sub(
        r"\s+", " ", text
    )


def test_an_amount_is_reckoned_from_price_and_quantity(desk: Desk) -> None:
    desk.dataset(
        7, "fecha,producto,unidades,precio unitario\n2025-03-01,Té,3,19.99\n2025-03-02,Té,2,0.01\n"
    )

    assert "59.99" == exact(desk.text(desk.job(7)), "Importe total")


def test_spanish_numbers_and_dates_in_text_are_read(desk: Desk) -> None:
    """``1.234,50 €`` and ``31/12/2024`` are text to a CSV reader; the day comes first."""
    rows = '31/12/2024;Té;1;"1.234,50 €"\n01/02/2025;Té;1;"-0,25 €"\n'
    desk.dataset(7, "fecha;producto;cantidad;importe\n" + rows)
    text = desk.text(desk.job(7))

    assert "1234.25" == exact(text, "Importe total")
    assert "31 dic 2024 – 1 feb 2025" in text


def test_rows_without_an_amount_do_not_count_and_are_told(desk: Desk) -> None:
    rows = "".join(f"2025-03-0{day},Té,1,10\n" for day in range(1, 9))
    desk.dataset(7, HEAD + rows + "2025-03-09,Té,1,\n")
    text = desk.text(desk.job(7))

    assert "80.00" == exact(text, "Importe total")
    assert "1 filas sin un importe legible no cuentan" in re.sub(r"\s+", " ", text)


def test_huge_numbers_are_added_digit_by_digit(desk: Desk) -> None:
    """A float would have lost the cents long before."""
    rows = "2025-03-01,A,1,99999999999999999999.99\n2025-03-01,B,1,0.02\n2025-03-01,C,1,-0.01\n"
    path = desk.data_dir / "datasets" / "7" / "huge.parquet"
    desk.dataset(7, HEAD + rows, "small").unlink()
    import duckdb

    duckdb.execute(
        "COPY (SELECT * REPLACE (importe::DECIMAL(38, 2) AS importe) FROM "
        f"read_csv('{desk.data_dir}/small.csv', types={{'importe': 'VARCHAR'}})) TO '{path}'"
    )
    text = desk.text(desk.job(7))

    assert "100000000000000000000.00" == exact(text, "Importe total")
    assert "100.000.000.000.000.000.000,00" in text


def test_several_files_are_added_and_the_same_file_counts_once(desk: Desk) -> None:
    """Processing a file twice is no second sale; the report says which file it left out."""
    desk.dataset(7, HEAD + "2025-03-01,Té,1,10\n2025-03-02,Té,1,20\n", "a")
    desk.dataset(7, HEAD + "2025-03-02,Té,1,20\n2025-03-01,Té,1,10\n", "b")
    desk.dataset(7, HEAD + "2025-03-02,Té,1,20\n2025-03-01,Té,1,11\n", "c")
    desk.dataset(7, "nombre,email\nAna,ana@example.com\n", "d")
    (desk.data_dir / "datasets/7/e.parquet").write_bytes(b"no parquet")
    (desk.data_dir / "datasets/7/.f.parquet").write_bytes(b"not yet whole")
    text = re.sub(r"\s+", " ", desk.text(desk.job(7)))

    assert "Importe total 61.00" in text
    assert "No se usa: tiene las mismas filas que a.parquet" in text
    assert "d.parquet 1 No se usa: no tiene columnas de ventas" in text
    assert "e.parquet No se usa: no se puede leer como Parquet" in text
    assert "f.parquet" not in text


@pytest.mark.parametrize(
    "name", ["a[1].parquet", "a*.parquet", "a?.parquet", "it's.parquet", "ñ 😀.parquet"]
)
def test_a_file_may_have_any_name(desk: Desk, name: str) -> None:
    """A path is no pattern: ``a*.parquet`` is that file and no other."""
    made = desk.dataset(7, HEAD + "2025-03-01,Té,1,10\n")
    made.rename(made.with_name(name))
    desk.dataset(7, HEAD + "2025-03-01,Té,1,5\n", "ab")

    assert "15.00" == exact(desk.text(desk.job(7)), "Importe total")


def test_columns_may_have_any_name(desk: Desk) -> None:
    """A name is quoted, never pasted into a query."""
    head = '"fecha"";DROP TABLE x;--",producto,"importe ""\'"\n'
    desk.dataset(7, head + "2025-03-01,Té,10\n")

    assert "10.00" == exact(desk.text(desk.job(7)), "Importe total")


@pytest.mark.parametrize(
    ("csv_text", "code"),
    [
        ("nombre,email\nAna,ana@example.com\n", "no_sales_columns"),
        ("fecha,producto,importe\n2025-01-01,Té,muchos\n2025-01-02,Té,pocos\n", "no_sales_columns"),
        ("total,saldo\n1,2\n", "no_sales_columns"),
        (HEAD, "no_sales_columns"),
    ],
)
def test_files_without_sales_are_a_clear_failure(desk: Desk, csv_text: str, code: str) -> None:
    desk.dataset(7, csv_text)

    with pytest.raises(ReportFailed) as raised:
        desk.render(desk.job(7))
    assert code == raised.value.error_code
    assert not desk.pdf(desk.job(7)).exists()


def test_a_user_without_datasets_is_a_clear_failure(desk: Desk) -> None:
    with pytest.raises(ReportFailed) as raised:
        desk.render(desk.job(7))

    assert "no_datasets" == raised.value.error_code


def test_a_folder_of_datasets_that_is_a_link_is_not_entered(desk: Desk, tmp_path: Path) -> None:
    """Another user's sales do not get into the report by a link."""
    desk.dataset(8, HEAD + "2025-03-01,Té,1,10\n")
    (desk.data_dir / "datasets/7").symlink_to(desk.data_dir / "datasets/8")

    with pytest.raises(ReportFailed) as raised:
        desk.render(desk.job(7))
    assert "no_datasets" == raised.value.error_code
