"""Addresses of mail servers, as ENCOLA_SMTP_URL has them."""

from __future__ import annotations

import asyncio

import pytest

from encola.errors import PermanentFailure
from encola.mail.delivery import deliver
from encola.mail.server import parse_smtp_url
from mail_servers import a_mail, everything


def test_the_address_of_a_server_says_everything() -> None:
    """Scheme, default ports, percent-encoding, IPv6 and options are read."""
    plain = parse_smtp_url("smtp://mx.example")
    full = parse_smtp_url("smtps://ana%40x:p%2Fw%3A@[::1]:2465/?ca=/etc/ca.pem")
    options = parse_smtp_url("smtp://localhost:2525?starttls=required&verify=no")

    assert ("mx.example", 25, False, "offered") == (
        plain.host,
        plain.port,
        plain.is_tls,
        plain.starttls,
    )
    assert (None, True, None) == (plain.user, plain.is_verified, plain.ca)
    assert ("::1", 2465, True) == (full.host, full.port, full.is_tls)
    assert ("ana@x", "p/w:", "/etc/ca.pem") == (full.user, full.password, full.ca)
    assert ("required", False) == (options.starttls, options.is_verified)
    assert 465 == parse_smtp_url("smtps://mx.example").port


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mx.example",
        "http://mx.example",
        "smtp://",
        "smtp://user:s3c/ret@mx.example",
        "smtp://user:s3c#ret@mx.example",
        "smtp://user:s3c?ret@mx.example",
        "smtp://:s3cret@mx.example",
        "smtp://user:s3cret@mx.example:0",
        "smtp://user:s3cret@mx.example:99999",
        "smtp://user:s3cret@mx.example/inbox",
        "smtp://user:s3cret@mx..example",
        "smtp://user:s3cret@[::1",
        "smtp://user:s3cret@mx.example?retries=3",
        "smtp://user:s3cret@mx.example?verify=maybe",
        "smtp://user:s3cret@mx.example?verify=no&verify=yes",
        "smtp://user:s3cret@mx.example?starttls=yes",
        "smtps://user:s3cret@mx.example?starttls=required",
        "smtp://user:s3cret@mx.example?verify=no&ca=/etc/ca.pem",
        "smtp://user:s3cret@mx.example?ca=/no/such/file.pem",
    ],
)
def test_a_wrong_server_address_fails_for_good_and_is_not_shown(url: str) -> None:
    """No retry can mend a setting; its password is nowhere in the error, nor in what caused it."""
    with pytest.raises(PermanentFailure) as caught:
        asyncio.run(deliver(a_mail(), smtp_url=url, timeout=1))

    assert "mail_settings" == caught.value.error_code
    assert str(caught.value).startswith("ENCOLA_SMTP_URL: ")
    assert "s3c" not in everything(caught.value)
