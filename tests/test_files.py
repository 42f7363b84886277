"""Files of the data folder: whole or not at all, and never through a link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from encola.files import (
    FileUnavailable,
    data_uri,
    list_data,
    open_data,
    read_data,
    remove_data,
    write_data,
    writing_data,
)

URI = data_uri("reports", "a.pdf")


def test_a_file_is_written_read_listed_and_removed(tmp_path: Path) -> None:
    write_data(tmp_path, URI, b"%PDF")
    (found,) = list_data(tmp_path, "reports")

    assert b"%PDF" == read_data(tmp_path, URI)
    assert (URI, "a.pdf", 4) == (found.uri, found.name, found.size)
    remove_data(tmp_path, URI)
    assert [] == list_data(tmp_path, "reports")
    with pytest.raises(FileUnavailable):
        remove_data(tmp_path, URI)


def test_what_was_not_written_to_its_end_is_not_there(tmp_path: Path) -> None:
    """An error in the middle leaves the older file as it was, and nothing beside it."""
    write_data(tmp_path, URI, b"old")

    with pytest.raises(ZeroDivisionError), writing_data(tmp_path, URI) as file:
        file.write(b"new")
        assert ["a.pdf"] == [found.name for found in list_data(tmp_path, "reports")]
        raise ZeroDivisionError
    assert b"old" == read_data(tmp_path, URI)
    assert ["a.pdf"] == os.listdir(tmp_path / "reports")


def test_a_folder_that_is_a_link_is_not_entered(tmp_path: Path) -> None:
    """The link stands in the middle of the way, where a check of the last part would not see it."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.pdf").write_text("secret")
    data = tmp_path / "data"
    data.mkdir()
    (data / "reports").symlink_to(tmp_path / "elsewhere")

    assert [] == list_data(data, "reports")
    for attempt in (read_data, remove_data):
        with pytest.raises(FileUnavailable):
            attempt(data, URI)
    with pytest.raises(OSError):
        write_data(data, URI, b"x")
    assert "secret" == (tmp_path / "elsewhere" / "a.pdf").read_text()


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    """A pipe that nobody writes to would be waited for; a folder is nothing to read."""
    (tmp_path / "reports" / "b.pdf").mkdir(parents=True)
    os.mkfifo(tmp_path / "reports" / "a.pdf")

    for name in ("a.pdf", "b.pdf"):
        for attempt in (open_data, remove_data):
            with pytest.raises(FileUnavailable):
                attempt(tmp_path, data_uri("reports", name))
    assert [] == list_data(tmp_path, "reports")


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    uri = data_uri("reports", "a" * 255)
    write_data(tmp_path, uri, b"x")

    assert b"x" == read_data(tmp_path, uri)
