"""What the tests of the reports share: datasets from CSV, and the text of a PDF."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from encola.files import data_uri
from encola.reports.names import report_name
from encola.reports.rendering import Job, Rendered, render

MIB = 2**20


@pytest.fixture(scope="session", autouse=True)
def poppler() -> None:
    """pdftotext reads what was drawn, by another program than ours."""
    if shutil.which("pdftotext") is None:
        reason = "pdftotext is not installed (Debian: apt install poppler-utils)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


class Desk:
    """A data folder, and reports made in it."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir

    def dataset(self, user_id: int, csv: str | Path, name: str = "ventas") -> Path:
        """A CSV as a processed dataset: its own column names, the types found out."""
        folder = self.data_dir / "datasets" / str(user_id)
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(csv, str):
            source = self.data_dir / f"{name}.csv"
            source.write_text(csv, encoding="utf-8")
        else:
            source = csv
        made = folder / f"{name}.parquet"
        table = duckdb.read_csv(str(source))
        table.write_parquet(str(made))
        return made

    def job(self, user_id: int, report_type: str = "sales", **changes: object) -> Job:
        values: dict[str, object] = {
            "report_type": report_type,
            "user_id": user_id,
            "language": "es",
            "data_dir": str(self.data_dir),
            "memory": 1024 * MIB,
            "time_limit": 60.0,
        }
        return Job(**{**values, **changes})  # type: ignore[arg-type]

    def render(self, job: Job) -> Rendered:
        return render(job, self.uri(job), lambda *_: None)

    def uri(self, job: Job) -> str:
        return data_uri("reports", str(report_name(job.user_id, job.report_type, "t")))

    def pdf(self, job: Job) -> Path:
        return self.data_dir.joinpath(*self.uri(job).removeprefix("data://").split("/"))

    def text(self, job: Job) -> str:
        """Makes the report and reads it."""
        self.render(job)
        return text_of(self.pdf(job))


def text_of(pdf: Path) -> str:
    """The text of a PDF, each line as it stands on its page."""
    command = ["pdftotext", "-layout", "-enc", "UTF-8", str(pdf), "-"]
    read = subprocess.run(command, capture_output=True, check=True)
    assert b"" == read.stderr
    return read.stdout.decode()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


MakeCsv = Callable[[int, int], Path]


@pytest.fixture
def make_csv(tmp_path: Path) -> MakeCsv:
    """``make_csv(rows, seed)``: sales with returns, empty months and names of all kinds."""
    import csv
    import datetime as dt
    import random

    def make(rows: int, seed: int) -> Path:
        rng = random.Random(seed)
        path = tmp_path / f"sales-{rows}-{seed}.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["fecha", "producto", "cantidad", "importe"])
            for _ in range(rows):
                month = rng.choice([1, 2, 5, 6, 9, 12])
                day = dt.date(2025, month, rng.randrange(1, 29))
                amount = rng.randrange(-2_000, 30_000) / 100
                writer.writerow(
                    [day, f"Artículo {rng.randrange(40)}", rng.randrange(1, 9), f"{amount:.2f}"]
                )
        return path

    return make
