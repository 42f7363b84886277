"""What an exception becomes in a record: text, with a stable word for the cause, and without passwords."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from encola import logs
from encola.engine.outcome import describe, error_code
from encola.errors import PermanentFailure, StoreFull, TooLarge
from encola.logs import keep_secret
from encola.settings import load_settings


@pytest.fixture
def secret() -> Iterator[str]:
    """A password of this process's settings."""
    before = list(logs._secrets)
    keep_secret(load_settings(smtp_url="smtp://ana:hunter2@mx.example"))
    yield "hunter2"
    logs._secrets[:] = before


def test_no_password_gets_into_a_record(secret: str) -> None:
    """An HTTP library names the address it could not reach, with all that is in it."""
    address = "https://ana:other@bank.example/pay?token=abc"
    error = ConnectionError(f"no answer from {address}", {"tried": [address, f"login {secret}"]})
    stored = describe(error, f'File "pay.py", line 3: login("{secret}", "{address}")')

    assert "no answer from https://ana:***@bank.example/pay?token=***" in stored.message
    assert [
        "no answer from https://ana:***@bank.example/pay?token=***",
        {"tried": ["https://ana:***@bank.example/pay?token=***", "login ***"]},
    ] == stored.args
    assert not any(word in repr(stored) for word in (secret, "other", "abc"))


def test_a_password_that_a_cut_goes_through_is_gone_too(secret: str) -> None:
    """First it is looked for, then the text is cut: half a password is one too."""
    stored = describe(ValueError("x" * 3_996 + secret), secret + "y" * 15_996)

    assert "hunt" not in stored.message
    assert "ter2" not in stored.traceback


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("no"), "failed"),
        (PermanentFailure("expired", "card_expired"), "card_expired"),
        (TooLarge("progress", 3_000, 2_048), "too_large"),
        (StoreFull(), "store_full"),
    ],
)
def test_the_cause_has_a_word(error: Exception, expected: str) -> None:
    """Our own errors keep theirs: a program goes by it, and not by the sentence."""
    assert expected == error_code(error)
