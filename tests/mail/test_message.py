"""A mail as it is written: what was given arrives, and nothing else gets in."""

from __future__ import annotations

import re
from email import message_from_bytes, policy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encola.mail.message import check_subject
from mail_servers import a_mail


def test_a_message_has_text_and_html_and_an_id_from_the_task() -> None:
    """Text first and HTML second, as readers prefer the last; the id is the task's."""
    message = a_mail(body="Hola <b>Ana</b> & co.\nAdiós.\n\nP. D.")
    text, page = message.iter_parts()

    assert "multipart/alternative" == message.get_content_type()
    assert "text/plain" == text.get_content_type()
    assert "Hola <b>Ana</b> & co.\nAdiós.\n\nP. D.\n" == text.get_content()
    assert "text/html" == page.get_content_type()
    assert "<p>Hola &lt;b&gt;Ana&lt;/b&gt; &amp; co.<br>\nAdiós.</p>" in page.get_content()
    assert "<0199a0b1-0000-7000-8000-000000000001@localhost>" == message["Message-ID"]
    assert message["Date"].datetime.tzinfo is not None


def test_html_of_ones_own_is_sent_as_it_is() -> None:
    """A task that has its own HTML is not second-guessed."""
    _, page = a_mail(html="<h1>Hola</h1>").iter_parts()

    assert "<h1>Hola</h1>\n" == page.get_content()


def test_a_sender_may_have_a_name() -> None:
    """ENCOLA_MAIL_FROM can be written as people write it; the domain of the id is its own."""
    message = a_mail(sender='"Peña, S. A." <no-reply@peña.example>')

    assert "Peña, S. A." == message["From"].addresses[0].display_name
    assert "no-reply@xn--pea-8ma.example" == message["From"].addresses[0].addr_spec
    assert message["Message-ID"].endswith("@xn--pea-8ma.example>")


@pytest.mark.parametrize(
    "subject", ["a\nb", "a\r\nBcc: x@y.z", "a\n", "a\x00", "a\x85b", "a\u2028b", "a\x0bb"]
)
def test_a_subject_with_a_line_break_is_refused(subject: str) -> None:
    """No subject can add a header, whichever of Unicode's line breaks it uses."""
    for refuse in (check_subject, lambda text: a_mail(subject=text)):
        with pytest.raises(ValueError) as caught:
            refuse(subject)

        assert "expected a subject of one line without control characters" == str(caught.value)


def test_half_a_surrogate_pair_is_refused_where_it_is() -> None:
    """What no mail can carry is a clear error, not a failure in the middle of sending."""
    for name, changes in (
        ("subject", {"subject": "\ud800"}),
        ("body", {"body": "\ud800"}),
        ("HTML", {"html": "\ud800"}),
    ):
        with pytest.raises(ValueError) as caught:
            a_mail(**changes)

        assert f"the {name} has half of a surrogate pair" == str(caught.value)


@pytest.mark.parametrize("seed", ["a\r\nBcc: x@y.z", "<a@b>", "", "ñ", "x" * 255, "a b", "\ud800"])
def test_any_task_id_makes_a_sound_message_id(seed: str) -> None:
    """A Celery client's id may hold anything; it stays one id on one line, and distinct."""
    message_id = str(a_mail(message_id_seed=seed)["Message-ID"])
    raw = a_mail(message_id_seed=seed).as_bytes()

    assert message_id == message_from_bytes(raw)["Message-ID"].strip()
    assert re.fullmatch(r"<[A-Za-z0-9_-]{1,48}@localhost>", message_id)
    assert b"\r\nBcc:" not in raw
    assert message_id != a_mail(message_id_seed=f"{seed}/")["Message-ID"]
    assert message_id == a_mail(message_id_seed=seed)["Message-ID"]


_ONE_LINE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=200)
_WORDS = st.lists(
    st.sampled_from(
        ["hola", "ñandú", "é" * 60, "a" * 90, "=?utf-8?q?x?=", "<x@y>", ",", "  ", "😀"]
    )
).map(" ".join)


@settings(max_examples=200, deadline=None)
@given(subject=_ONE_LINE | _WORDS, body=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_arrives_as_it_was(subject: str, body: str) -> None:
    """Subject and body of any script come out unchanged, through lines of plain short ASCII."""
    raw = a_mail(subject=subject, body=body).as_bytes()
    message = message_from_bytes(raw, policy=policy.default)
    text = message.get_body(("plain",))

    assert text is not None
    assert subject.strip(" ") == message["Subject"].strip(" ")
    assert _lines(body) == _lines(text.get_content())
    assert raw.isascii()
    assert 998 >= max(len(line) for line in raw.split(b"\r\n"))
    assert b"" == raw.replace(b"\r\n", b"").translate(None, bytes(set(range(256)) - {10, 13}))


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")
