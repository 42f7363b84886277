"""One e-mail address, and nothing else."""

from __future__ import annotations

import pytest

from encola.mail.address import check_address


@pytest.mark.parametrize(
    "address",
    [
        "ana@example.com",
        "encola@localhost",
        "ana.maria+tag@sub.example.co.uk",
        "o'brien!#$%&*/=?^_`{|}~-@example.com",
        "josé@example.com",
        "用户@例え.jp",
        "ana@straße.de",
        "ana@xn--strae-oqa.de",
        "a" * 64 + "@example.com",
    ],
)
def test_one_plain_address_is_taken_as_it_is(address: str) -> None:
    """Ordinary, local, tagged and international addresses come back unchanged."""

    assert address == check_address(address)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("", "expected an e-mail address, got nothing"),
        ("a@b.c,d@e.f", "expected one e-mail address, got a list"),
        ("a@b.c;d@e.f", "expected one e-mail address, got a list"),
        ("a@b.c\nd@e.f", "an e-mail address has no line breaks or control characters"),
        ("a@b.c\r\nBcc: d@e.f", "an e-mail address has no line breaks or control characters"),
        ("a@b.c\x00", "an e-mail address has no line breaks or control characters"),
        ("a@b.c\u2028", "an e-mail address has no line breaks or control characters"),
        ("Ana <a@b.c>", "expected an address alone, such as ana@example.com, without name"),
        ("<a@b.c>", "expected an address alone, such as ana@example.com, without name"),
        (" a@b.c", "expected an address alone, such as ana@example.com, without name"),
        ('"a b"@c.d', "expected an address alone, such as ana@example.com, without name"),
        ("a@b@c.d", "expected one @ with a name before and a domain after it"),
        ("ana", "expected one @ with a name before and a domain after it"),
        ("@b.c", "expected one @ with a name before and a domain after it"),
        ("a@", "expected one @ with a name before and a domain after it"),
        (".a@b.c", "the part before the @ has a character or a dot where none may be"),
        ("a..b@b.c", "the part before the @ has a character or a dot where none may be"),
        ("a\u200b@b.c", "the part before the @ has a character or a dot where none may be"),
        ("a\ud800@b.c", "the part before the @ has a character or a dot where none may be"),
        ("a:b@b.c", "the part before the @ has a character or a dot where none may be"),
        ("a@[127.0.0.1]", "the part after the @ is not a domain name"),
        ("a@127.0.0.1", "the part after the @ is not a domain name"),
        ("a@b..c", "the part after the @ is not a domain name"),
        ("a@-b.c", "the part after the @ is not a domain name"),
        ("a@b\uff0cc.d", "the part after the @ is not a domain name"),  # a wide comma
        ("a@b_c.d", "the part after the @ is not a domain name"),
        ("a" * 65 + "@b.c", "the part before the @ has more than 64 bytes"),
        (f"{'a' * 60}@{'.'.join(['b' * 60] * 4)}", "an e-mail address has at most 254 bytes"),
    ],
)
def test_anything_but_one_plain_address_is_refused(address: str, sentence: str) -> None:
    """No list, line break, display name or malformed part gets through, and the error says why."""
    with pytest.raises(ValueError) as caught:
        check_address(address)

    assert sentence == str(caught.value)
