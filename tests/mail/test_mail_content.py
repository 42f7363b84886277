"""What a stranger's mail says: shown as well as it can be, at a bounded cost."""

from __future__ import annotations

import json
import time
import tracemalloc
from email.message import EmailMessage
from pathlib import Path

import pytest

from encola.embedded.mail_content import MOST_BYTES, MOST_TEXT
from encola.embedded.maildir import list_mail, read_mail
from mail_box import keep_mail


@pytest.mark.parametrize(
    ("mail", "subject", "text"),
    [
        (b"", "", None),
        (b"\r\n\r\n", "", "\n"),
        (b"no headers at all", "", "no headers at all"),
        (b"Subject: =?utf-8?q?half\r\n\r\nx", "=?utf-8?q?half", "x"),
        (b"Subject: =?x-none?b?AAAA?=\r\n\r\nx", None, "x"),
        (b"Subject: a\r\n b\r\n\r\nx", "a b", "x"),
        ("Subject: ñandú\r\n\r\nñ".encode(), "ñandú", "ñ"),
        (b"Subject: \xff\xfe\r\n\r\n\xff", "\ufffd\ufffd", "\ufffd"),
        (b"Content-Type: text/plain; charset=x-none\r\n\r\n\xc3\xb1", "", "ñ"),
        (b"Content-Type: text/plain; charset=\x00\r\n\r\nx", "", "x"),
        (b"Content-Transfer-Encoding: base64\r\n\r\n!!!", "", None),
        (b"Content-Type: multipart/mixed\r\n\r\nno boundary", "", None),
        (b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx", "", "x"),
        (b"From: <\r\nFrom: a@\r\nTo: @@\r\nSubject: s\r\n\r\nx", "s", "x"),
        (b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner", "", "inner"),
    ],
)
def test_a_malformed_mail_is_shown_as_well_as_it_can_be(
    tmp_path: Path, mail: bytes, subject: str | None, text: str | None
) -> None:
    """No mail that anybody can send breaks the list or itself; all of it can be written as JSON."""
    mail_id = keep_mail(tmp_path, mail)
    shown = read_mail(tmp_path, mail_id)
    items, _ = list_mail(tmp_path, 10)

    assert shown is not None
    json.dumps([shown, items], ensure_ascii=False).encode()
    assert ["ana@example.com"] == items[0]["to"]
    if subject is not None:
        assert subject == shown["subject"]
    if text is not None:
        assert text == shown["text"]


def test_an_attachment_is_not_taken_for_the_text(tmp_path: Path) -> None:
    """A mail of an attachment alone has no text."""
    mail = EmailMessage()
    mail.add_attachment("not the text", filename="notes.txt")
    shown = read_mail(tmp_path, keep_mail(tmp_path, mail.as_bytes()))

    assert shown is not None
    assert (None, None) == (shown["text"], shown["html"])


@pytest.mark.parametrize("wanted", ["text", "html"])
def test_a_mail_of_one_kind_alone_has_that_and_not_the_other(tmp_path: Path, wanted: str) -> None:
    """None, and not an empty text, for what is not there."""
    mail = EmailMessage()
    mail.set_content("<p>Hola</p>", subtype="html" if wanted == "html" else "plain")
    shown = read_mail(tmp_path, keep_mail(tmp_path, mail.as_bytes()))

    assert shown is not None
    assert ("<p>Hola</p>\n", None) == (
        shown["text" if wanted == "text" else "html"],
        shown["html" if wanted == "text" else "text"],
    )


def test_the_text_is_found_behind_an_attachment(tmp_path: Path) -> None:
    """The first part that is meant to be read counts, wherever it stands."""
    raw = (
        b'Content-Type: multipart/mixed; boundary="a"\r\n\r\n'
        b"--a\r\nContent-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nnotes\r\n"
        b'--a\r\nContent-Type: multipart/alternative; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\nHola\r\n"
        b"--b\r\nContent-Type: text/html\r\n\r\n<p>Hola</p>\r\n--b--\r\n--a--\r\n"
    )
    shown = read_mail(tmp_path, keep_mail(tmp_path, raw))

    assert shown is not None
    assert ("Hola", "<p>Hola</p>", False) == (shown["text"], shown["html"], shown["truncated"])


def test_a_very_long_text_is_cut_and_said_to_be(tmp_path: Path) -> None:
    """A page that shows it stays usable; the whole is in the .eml."""
    raw = b"Subject: long\r\n\r\n" + "ñandú ".encode() * (MOST_TEXT // 3)
    shown = read_mail(tmp_path, keep_mail(tmp_path, raw))

    assert shown is not None
    assert shown["text"] is not None
    assert (MOST_TEXT, True) == (len(shown["text"]), shown["truncated"])


def _nested(depth: int) -> bytes:
    """Multiparts within multiparts: the parser of the standard library recurses for each."""
    opened = b"".join(
        b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n)
        for n in range(depth)
    )
    return b"Subject: deep\r\n" + opened + b"\r\ntext"


def _crowded(parts: int) -> bytes:
    """Five bytes a part, for which the parser makes an object of a thousand."""
    return b'Subject: many\r\nContent-Type: multipart/mixed; boundary="a"\r\n\r\n' + (
        b"--a\n\n" * parts
    )


@pytest.mark.parametrize(
    ("raw", "subject"),
    [
        pytest.param(_nested(5_000), "deep", id="nested without end"),
        pytest.param(_crowded(1_000_000), "many", id="a million parts"),
        pytest.param(b"Subject: wide\r\n\r\n" + b"x" * 25_000_000, "wide", id="one line of 25 MB"),
        pytest.param(b"Subject: s\r\n" + b"X: y\r\n" * 2_000_000, "s", id="two million headers"),
        pytest.param(b"Subject: " + b"s" * 20_000_000, "s" * 100, id="a subject of 20 MB"),
        pytest.param(b"Subject: =?utf-8?q?" + b"=41" * 60_000, "AAA", id="a subject in code"),
        pytest.param(b"Subject: s\r\nFrom: " + b"(" * 60_000, "s", id="a sender of brackets"),
    ],
)
def test_a_mail_that_is_made_to_hurt_costs_little(tmp_path: Path, raw: bytes, subject: str) -> None:
    """Neither the list nor the mail takes long or much memory, whatever stands in it."""
    mail_id = keep_mail(tmp_path, raw)
    started = time.process_time()
    (item,), _ = list_mail(tmp_path, 1)
    shown = read_mail(tmp_path, mail_id)
    took = time.process_time() - started
    tracemalloc.start()  # apart from the time, which it multiplies
    read_mail(tmp_path, mail_id)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert shown is not None
    assert subject in item["subject"]
    assert item["subject"] == shown["subject"]
    assert len(json.dumps([item, shown], ensure_ascii=False)) < 2.2 * MOST_TEXT
    assert 3 > took
    assert 80 * 1024 * 1024 > peak


def test_what_lies_behind_the_first_megabytes_is_not_shown(tmp_path: Path) -> None:
    """A large attachment first, the text after it: said to be more than is shown."""
    raw = (
        b'Content-Type: multipart/mixed; boundary="a"\r\n\r\n'
        b"--a\r\nContent-Type: application/pdf\r\n\r\n"
        + b"x" * 70
        + b"\r\n" * (MOST_BYTES // 2)
        + b"\r\n--a\r\nContent-Type: text/plain\r\n\r\nHola\r\n--a--\r\n"
    )
    shown = read_mail(tmp_path, keep_mail(tmp_path, raw))

    assert shown is not None
    assert (None, True) == (shown["text"], shown["truncated"])
