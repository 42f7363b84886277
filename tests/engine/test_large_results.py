"""A result above the limit is a reference in the record, and whole for who asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from encola.files import FileUnavailable, data_uri, read_data, write_data
from harness import Bench


def test_a_large_result_is_kept_in_a_file(tasks: Any, bench: Bench) -> None:
    """`.get()` gives it whole; the record holds where it is and how large."""
    result = tasks.add.delay("x" * 200_000, "y" * 200_000)

    assert 400_000 == len(result.get(timeout=20))
    record = bench.record(result.id)
    assert record is not None
    assert 400_002 == record.result["size"]
    assert record.result["encola_result_file"].startswith("data://results/")


@pytest.mark.parametrize(
    "uri", ["data://../x", "data://a/../../x", "/etc/passwd", "data:///etc/passwd", "data://", "x"]
)
def test_no_name_leads_out_of_the_data_folder(tmp_path: Path, uri: str) -> None:
    (tmp_path / "x").write_text("secret")

    with pytest.raises(FileUnavailable):
        read_data(tmp_path / "data", uri)
    with pytest.raises(FileUnavailable):
        write_data(tmp_path / "data", uri, b"")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "a").symlink_to("/etc/hostname")

    with pytest.raises(FileUnavailable):
        read_data(tmp_path, data_uri("results", "a"))
