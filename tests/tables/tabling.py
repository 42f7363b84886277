"""What the tests of tables have in common: a data folder, and a file processed in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from encola.files import data_uri, open_data
from encola.settings import Settings, load_settings
from encola.tables.failures import FileFailed
from encola.tables.processing import Processed, process
from encola.tables.reading import Outcome, read_table
from encola.tables.rejected import RejectedFile


@dataclass
class Reading:
    """A table that was read in this process: quick, for what needs no process of its own."""

    outcome: Outcome
    rows: list[tuple[Any, ...]]
    names: list[str]
    rejected: list[dict[str, str]]
    """Rows of the file of rejected rows."""

    @property
    def types(self) -> list[str]:
        return [column["type"] for column in self.outcome.columns]

    @property
    def lines(self) -> list[tuple[int, str]]:
        """(line, code) of each rejected row."""
        return [(int(row["line"]), row["code"]) for row in self.rejected]


def read(content: bytes, folder: Path, *, language: str = "en", most: int = 2**40) -> Reading:
    """Reads *content* as a file."""
    source, target, aside = folder / "source", folder / "target", folder / "aside"
    source.write_bytes(content)
    with (
        io.FileIO(source) as file,
        target.open("w+b") as out,
        aside.open("w+b") as rejects,
    ):
        rejected = RejectedFile(rejects, language)
        outcome = read_table(file, len(content), out, rejected, most, lambda *_: None)
    table = pl.read_parquet(target)
    return Reading(outcome, table.rows(), table.columns, rows_of(aside.read_text()))


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@dataclass
class Folder:
    """A data folder."""

    settings: Settings

    @property
    def path(self) -> Path:
        return self.settings.data_dir

    def upload(self, name: str, content: bytes) -> str:
        uploads = self.path / "uploads"
        uploads.mkdir(parents=True, exist_ok=True)
        (uploads / name).write_bytes(content)
        return data_uri("uploads", name)

    def process(
        self, path: str, user: int | str = 7, task_id: str = "t1", **more: Any
    ) -> Processed:
        return process(path, user, task_id, self.settings, lambda _: None, **more)

    def fails(self, path: str) -> tuple[str, str]:
        """(code, sentence) of why the file at *path* cannot be processed."""
        with pytest.raises(FileFailed) as failed:
            self.process(path)
        assert [] == self.results()
        return failed.value.error_code, str(failed.value)

    def content(self, uri: str) -> bytes:
        with open_data(self.path, uri) as file:
            return file.read()

    def results(self) -> list[str]:
        """Every file below datasets and rejected, also those that begin with a dot."""
        return sorted(
            str(path.relative_to(self.path))
            for name in ("datasets", "rejected")
            for path in (self.path / name).rglob("*")
            if not path.is_dir()
        )


Make = Callable[..., Folder]


@pytest.fixture
def make_folder(tmp_path: Path) -> Make:
    """Makes a data folder with these settings."""

    def make(**settings: Any) -> Folder:
        return Folder(load_settings(data_dir=tmp_path / "data", language="en", **settings))

    return make


@pytest.fixture
def folder(make_folder: Make) -> Folder:
    return make_folder()
