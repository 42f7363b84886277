"""The mailbox on the disk: how mails are kept, listed, read and removed."""

from __future__ import annotations

import errno
import mailbox as stdlib_mailbox
import os
import re
import time
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import pytest

from encola.embedded import maildir
from encola.embedded.maildir import list_mail, read_mail, remove_all, remove_mail
from encola.embedded.maildir_writer import Limits, MaildirWriter
from mail_box import keep_mail, raw_mail
from mail_servers import a_mail

# The writer


def test_other_mail_programs_can_read_the_folder(tmp_path: Path) -> None:
    """It is a Maildir as the standard library understands it."""
    keep_mail(tmp_path, a_mail().as_bytes())
    box = stdlib_mailbox.Maildir(tmp_path, create=False)

    assert ["Hola"] == [message["Subject"] for message in box]


def test_a_mail_that_another_program_has_moved_is_still_found(tmp_path: Path) -> None:
    """Seen mail lies in ``cur`` with its flags; its id here stays the same."""
    mail_id = keep_mail(tmp_path, a_mail().as_bytes())
    (tmp_path / "new" / mail_id).rename(tmp_path / "cur" / f"{mail_id}:2,S")

    assert [mail_id] == [item["id"] for item in list_mail(tmp_path, 10)[0]]
    assert raw_mail(tmp_path, mail_id) is not None


def test_a_failed_write_leaves_nothing_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error reaches the caller; neither ``tmp`` nor ``new`` has a part of the mail."""

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    writer = MaildirWriter(tmp_path)
    writer.prepare()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        writer.keep(b"Subject: x\r\n\r\n", sender="a@b.c", recipients=["d@e.f"])

    assert [] == [path for path in tmp_path.rglob("*") if path.is_file()]


def test_old_leftovers_are_swept_and_fresh_ones_left(tmp_path: Path) -> None:
    """What a crash left in ``tmp`` goes after 36 hours; another program may be writing the rest."""
    writer = MaildirWriter(tmp_path)
    writer.prepare()
    old, fresh = tmp_path / "tmp" / "old", tmp_path / "tmp" / "fresh"
    for path, age in ((old, 37), (fresh, 35)):
        path.touch()
        os.utime(path, (0, time.time() - age * 3600))
    writer.prepare()

    assert (False, True) == (old.exists(), fresh.exists())


def _kept(folder: Path, count: int, limits: Limits, size: int = 10) -> list[str]:
    """Keeps so many mails; the subjects that are there afterwards, oldest first."""
    writer = MaildirWriter(folder, limits)
    writer.prepare()
    for number in range(count):
        mail = b"Subject: %d\r\n\r\n" % number + b"x" * size
        writer.keep(mail, sender="a@b.c", recipients=["d@e.f"])
    return [item["subject"] for item in list_mail(folder, 1000)[0]][::-1]


def test_a_full_mailbox_lets_the_oldest_go_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Never more than the limit; a twentieth at once, so that not each mail counts them all."""
    subjects = _kept(tmp_path, 105, Limits(mails=100))

    assert [str(number) for number in range(6, 105)] == subjects
    assert [
        "The mailbox is full (100 mails, 1073741824 bytes): removed the 6 oldest."
    ] == caplog.messages


def test_a_mailbox_of_one_mail_has_the_last(tmp_path: Path) -> None:
    """The smallest limit holds as well."""

    assert ["2"] == _kept(tmp_path, 3, Limits(mails=1))


def test_the_size_of_all_mails_is_bounded(tmp_path: Path) -> None:
    """Large mails push out more than one small one."""
    subjects = _kept(tmp_path, 30, Limits(bytes=20_000), size=1000)
    total = sum(path.stat().st_size for path in (tmp_path / "new").iterdir())

    assert 20_000 >= total > 15_000
    assert "29" == subjects[-1]


def test_a_mail_larger_than_the_mailbox_is_kept_alone(tmp_path: Path) -> None:
    """It was accepted, so it is there."""

    assert ["1"] == _kept(tmp_path, 2, Limits(bytes=5_000), size=10_000)


def test_what_others_have_removed_makes_room(tmp_path: Path) -> None:
    """The folder is counted anew before a mail goes: nobody loses one for those that are gone."""
    writer = MaildirWriter(tmp_path, Limits(mails=10))
    writer.prepare()
    for number in range(10):
        writer.keep(b"Subject: %d\r\n\r\n" % number, sender="a@b.c", recipients=["d@e.f"])
    for item in list_mail(tmp_path, 9)[0]:
        remove_mail(tmp_path, item["id"])
    writer.keep(b"Subject: new\r\n\r\n", sender="a@b.c", recipients=["d@e.f"])

    assert ["new", "0"] == [item["subject"] for item in list_mail(tmp_path, 20)[0]]


def test_mails_of_an_earlier_run_count_too(tmp_path: Path) -> None:
    """And those that a mail program has moved to ``cur``."""
    _kept(tmp_path, 10, Limits(mails=10))
    oldest = min((tmp_path / "new").iterdir())
    oldest.rename(tmp_path / "cur" / f"{oldest.name}:2,S")
    subjects = _kept(tmp_path, 1, Limits(mails=10))

    assert ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0"] == subjects


# The reader
def test_a_folder_that_does_not_exist_yet_is_an_empty_mailbox(tmp_path: Path) -> None:
    """Before the first mail there is nothing to list and nothing to fail on."""

    assert ([], None) == list_mail(tmp_path / "mail", 10)
    assert read_mail(tmp_path / "mail", "1795338000.M123456P1Rdeadbeef") is None


def test_a_mail_has_the_fields_of_the_contract(tmp_path: Path) -> None:
    """Names and forms are those of ``GET /mailbox`` and ``GET /mailbox/{id}``."""
    before = time.time()
    mail_id = keep_mail(
        tmp_path,
        a_mail(sender="Encola <encola@localhost>", subject="Año", body="Uno\nDos").as_bytes(),
    )
    (item,), cursor = list_mail(tmp_path, 1)
    mail = read_mail(tmp_path, mail_id)
    raw = raw_mail(tmp_path, mail_id)

    assert cursor is None
    assert raw is not None
    assert {
        "id": mail_id,
        "from": "Encola <encola@localhost>",
        "to": ["ana@example.com"],
        "subject": "Año",
        "received_at": item["received_at"],
        "size": len(raw),
    } == item
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", item["received_at"])
    received = datetime.fromisoformat(item["received_at"]).timestamp()
    assert before - 0.001 <= received <= time.time()
    assert mail is not None
    assert {*item, "text", "html", "truncated"} == set(mail)
    assert False is mail["truncated"]
    assert "Uno\nDos\n" == mail["text"]


def test_pages_are_newest_first_and_meet_without_gap_or_overlap(tmp_path: Path) -> None:
    """Mail that comes in while somebody turns pages shifts nothing."""
    writer = MaildirWriter(tmp_path)
    writer.prepare()
    names = [
        writer.keep(b"Subject: %d\r\n\r\n" % n, sender="a@b.c", recipients=["d@e.f"])
        for n in range(7)
    ]
    seen: list[str] = []
    page, cursor = list_mail(tmp_path, 3)
    seen += [item["id"] for item in page]
    writer.keep(b"Subject: late\r\n\r\n", sender="a@b.c", recipients=["d@e.f"])
    while cursor is not None:
        page, cursor = list_mail(tmp_path, 3, cursor)
        seen += [item["id"] for item in page]

    assert names[::-1] == seen


def test_a_page_that_ends_with_the_last_mail_has_no_next(tmp_path: Path) -> None:
    """No empty page follows."""
    for _ in range(2):
        keep_mail(tmp_path, b"Subject: x\r\n\r\n")

    assert list_mail(tmp_path, 2)[1] is None
    assert list_mail(tmp_path, 1)[1] is not None


def test_a_page_of_a_large_box_opens_only_its_own_mails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 3,000 mails a page of 5 opens 5."""
    MaildirWriter(tmp_path).prepare()
    for number in range(3000):
        (tmp_path / "new" / f"1795338000.M{number:06d}P1Rdeadbeef").write_bytes(b"Subject: x\n\n")
    opened: list[Path] = []
    real = maildir._open

    def counted(path: Path) -> BinaryIO | None:
        opened.append(path)
        return real(path)

    monkeypatch.setattr(maildir, "_open", counted)
    items, _ = list_mail(tmp_path, 5)

    assert (5, 5) == (len(items), len(opened))
    assert "2026-11-22T09:00:00.002999Z" == items[0]["received_at"]


@pytest.mark.parametrize(
    "mail_id",
    [
        "",
        ".",
        "..",
        "../new/1795338000.M123456P1Rdeadbeef",
        "../../secret",
        "/etc/passwd",
        "new/1795338000.M123456P1Rdeadbeef",
        "1795338000.M123456P1Rdeadbeef\x00",
        "1795338000.M123456P1Rdeadbeef\n",
        "1795338000.M123456P1Rdeadbeef:2,S",
        "1795338000.M123456P1R0000000g",
        "*",
        "\ud800",
        "x" * 5000,
        "١795338000.M123456P1Rdeadbeef",
    ],
)
def test_an_id_that_is_not_one_of_ours_is_no_mail(tmp_path: Path, mail_id: str) -> None:
    """Whatever a client puts into the path, nothing outside of the folder is read."""
    (tmp_path / "secret").write_text("secret")
    folder = tmp_path / "box"
    MaildirWriter(folder).prepare()
    (folder / "new" / "1795338000.M123456P1Rdeadbeef").write_text("Subject: x\n\n")

    assert read_mail(folder, mail_id) is None
    assert raw_mail(folder, mail_id) is None


def test_a_link_or_a_pipe_in_the_folder_is_no_mail(tmp_path: Path) -> None:
    """A name of ours that leads elsewhere is not followed, and a pipe does not hang us."""
    (tmp_path / "secret").write_text("Subject: secret\n\n")
    folder = tmp_path / "box"
    MaildirWriter(folder).prepare()
    link, pipe = "1795338000.M000001P1Rdeadbeef", "1795338000.M000002P1Rdeadbeef"
    (folder / "new" / link).symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "new" / pipe)

    assert ([], None) == list_mail(folder, 10)
    assert (None, None) == (raw_mail(folder, link), raw_mail(folder, pipe))


@pytest.mark.parametrize("cursor", ["", "x", "../x", "1795338000"])
def test_a_cursor_that_we_did_not_make_is_an_error(tmp_path: Path, cursor: str) -> None:
    """It is refused, rather than taken for the beginning."""
    with pytest.raises(ValueError) as caught:
        list_mail(tmp_path, 10, cursor)

    assert "unknown cursor; take it from next_cursor of the page before" == str(caught.value)


def test_a_page_among_a_hundred_thousand_mails_comes_at_once(tmp_path: Path) -> None:
    """The first page and one from the middle; names are read, mails are not."""
    MaildirWriter(tmp_path).prepare()
    for number in range(100_000):
        os.mknod(tmp_path / "new" / _name(number))
    took = []
    for cursor in (None, _name(50_000)):
        started = time.process_time()
        page, following = list_mail(tmp_path, 50, cursor)
        took.append(time.process_time() - started)

        assert (50, page[-1]["id"]) == (len(page), following)

    assert _name(49_950) == following
    assert 1 > max(took)


def _name(number: int) -> str:
    return f"1795338000.M{number:06d}P1Rdeadbeef"


def test_a_mail_is_removed_wherever_it_lies(tmp_path: Path) -> None:
    """Also when a mail program has moved it; a second time there is none."""
    first, second = (keep_mail(tmp_path, b"Subject: x\r\n\r\n") for _ in range(2))
    (tmp_path / "new" / first).rename(tmp_path / "cur" / f"{first}:2,S")

    assert [True, False] == [remove_mail(tmp_path, first) for _ in range(2)]
    assert [second] == [item["id"] for item in list_mail(tmp_path, 10)[0]]


@pytest.mark.parametrize("mail_id", ["", "..", "../secret", "../../secret", "*", "x" * 5000])
def test_nothing_but_a_mail_is_removed(tmp_path: Path, mail_id: str) -> None:
    """Whatever a client puts into the path, and whatever else lies in the folder."""
    (tmp_path / "secret").write_text("secret")
    folder = tmp_path / "box"
    kept = keep_mail(folder, b"Subject: x\r\n\r\n")
    (folder / "new" / "notes").write_text("not a mail")

    assert False is remove_mail(folder, mail_id)
    assert 1 == remove_all(folder)
    assert ["notes"] == [path.name for path in (folder / "new").iterdir()]
    assert read_mail(folder, kept) is None
    assert (tmp_path / "secret").exists()
