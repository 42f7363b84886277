"""Settings: read from the environment, and all wrong ones told at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from encola.errors import SettingsError
from encola.settings import load_settings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("ENCOLA_") or name == "REDIS_URL":
            monkeypatch.delenv(name)


def test_without_any_variable_everything_has_its_documented_default() -> None:
    """A laptop needs no configuration, and listens to itself alone."""
    settings = load_settings()

    assert (None, Path(".encola"), "127.0.0.1", 8000) == (
        settings.redis_url,
        settings.data_dir,
        settings.host,
        settings.port,
    )
    assert settings.queues == ("encola", "files", "reports")
    assert (
        settings.language,
        settings.durability,
        settings.grace_seconds,
    ) == ("es", "process", 30.0)


def test_variables_of_the_environment_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists are comma-separated, words may be in capitals, REDIS_URL has no prefix."""
    monkeypatch.setenv("REDIS_URL", "rediss://:secret@example.com:6380/1")
    monkeypatch.setenv("ENCOLA_QUEUES", " mails , files,")
    monkeypatch.setenv("ENCOLA_LOG_FORMAT", "JSON")
    monkeypatch.setenv("ENCOLA_PORT", "0")

    settings = load_settings()

    assert settings.redis_url == "rediss://:secret@example.com:6380/1"
    assert settings.queues == ("mails", "files")
    assert (settings.log_format, settings.port) == ("json", 0)


def test_all_wrong_settings_are_listed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to start three times to learn of three mistakes."""
    monkeypatch.setenv("ENCOLA_PORT", "80000")
    monkeypatch.setenv("ENCOLA_LANGUAGE", "fr")
    monkeypatch.setenv("ENCOLA_QUEUES", ",")

    with pytest.raises(SettingsError) as caught:
        load_settings()

    assert caught.value.problems == [
        "ENCOLA_PORT=80000: Input should be less than or equal to 65535",
        "ENCOLA_QUEUES=,: expected at least one queue name",
        "ENCOLA_LANGUAGE=fr: Input should be 'es' or 'en'",
    ]
    assert str(caught.value).startswith("3 settings are wrong:\n  - ENCOLA_PORT=80000")


def test_a_wrong_address_is_refused_without_showing_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error text is logged and copied into issues."""
    monkeypatch.setenv("REDIS_URL", "mysql://user:hunter2@example.com")

    with pytest.raises(SettingsError) as caught:
        load_settings()

    assert "hunter2" not in str(caught.value)
    assert "REDIS_URL: expected an address that starts with one of redis://" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mx.example:587", "expected smtp://[user:password@]host[:port] or smtps://…; "),
        ("smtp://user:hunter2@", "expected smtp://[user:password@]host[:port] or smtps://…; "),
        ("smtp://user:hun/ter2@mx.example", "expected smtp://[user:password@]host[:port] or "),
        ("smtp://user:hunter2@mx.example?starttls=yes", "starttls is required or never, "),
        ("smtps://user:hunter2@mx.example?retry=3", "the options of the address are starttls, "),
    ],
)
def test_a_wrong_mail_server_is_found_at_the_start_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, url: str, expected: str
) -> None:
    """Not at the first mail; it stands in one list with whatever else is wrong."""
    monkeypatch.setenv("ENCOLA_SMTP_URL", url)
    monkeypatch.setenv("ENCOLA_MAIL_FROM", "Encola")

    with pytest.raises(SettingsError) as caught:
        load_settings()

    address, sender = caught.value.problems
    assert address.startswith(f"ENCOLA_SMTP_URL: {expected}")
    assert "ter2" not in repr(caught.value)
    assert "ENCOLA_MAIL_FROM=Encola: expected one @ with a name before and a domain after it" == (
        sender
    )


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2@localhost:six",
        "redis://:hun/ter2@localhost:6379",
        "redis://:hunter2@localhost:70000",
        "redis://:hunter2@[::1/0",
        "sentinel://:hunter2@one:26379;sentinel://two:port/0",
        "sentinel://:hunter2@one:26379/first",
    ],
)
def test_an_address_that_cannot_be_read_is_refused_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    """A slash in a password makes the rest of it a port: the library's error would show that."""
    monkeypatch.setenv("REDIS_URL", url)

    with pytest.raises(SettingsError) as caught:
        load_settings()

    (problem,) = caught.value.problems
    assert problem.startswith("REDIS_URL: expected ")
    assert "hun" not in problem


def test_no_password_is_shown_with_the_settings() -> None:
    """They stand in the frames that a debugger or an error collector shows."""
    settings = load_settings(
        redis_url="redis://:hunter2@localhost", smtp_url="smtp://ana:hunter2@mx.example"
    )

    assert "hunter2" not in f"{settings!r} {settings}"


def test_a_mail_server_that_is_empty_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that a compose file leaves empty means the embedded mailbox."""
    monkeypatch.setenv("ENCOLA_SMTP_URL", "")

    assert load_settings().smtp_url is None


def test_any_address_but_loopback_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed by default: there are no credentials yet."""
    monkeypatch.setenv("ENCOLA_HOST", "0.0.0.0")

    with pytest.raises(SettingsError) as caught:
        load_settings()

    assert caught.value.problems == [
        "ENCOLA_HOST=0.0.0.0: expected 127.0.0.1, localhost or ::1: other addresses need credentials"
    ]


def test_a_heartbeat_longer_than_a_third_of_the_lease_is_refused() -> None:
    """Two lost renewals must not cost a worker its tasks."""
    with pytest.raises(SettingsError) as caught:
        load_settings(lease_seconds=9.0, heartbeat_seconds=4.0)

    assert caught.value.problems == [
        "ENCOLA_HEARTBEAT_SECONDS=4.0: too long for ENCOLA_LEASE_SECONDS=9: expected at most a third of it"
    ]


def test_a_lease_too_short_for_the_heartbeat_is_told_with_the_other_mistakes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What two settings say together is looked at where a third is wrong, too."""
    monkeypatch.setenv("ENCOLA_LEASE_SECONDS", "6")
    monkeypatch.setenv("ENCOLA_PORT", "x")

    with pytest.raises(SettingsError) as caught:
        load_settings()

    assert caught.value.problems == [
        "ENCOLA_PORT=x: Input should be a valid integer, unable to parse string as an integer",
        "ENCOLA_HEARTBEAT_SECONDS=5.0: too long for ENCOLA_LEASE_SECONDS=6: expected at most a third of it",
    ]


@pytest.mark.parametrize("value", ["abc", "-5", "0", "nan", "inf", ""])
def test_a_limit_that_is_no_time_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("ENCOLA_TASK_TIME_LIMIT", value)
    monkeypatch.setenv("ENCOLA_MAX_TASKS_PER_CHILD", "2.5")

    with pytest.raises(SettingsError) as caught:
        load_settings()

    assert caught.value.problems == [
        f"ENCOLA_TASK_TIME_LIMIT={value}: expected a number above 0, or none",
        "ENCOLA_MAX_TASKS_PER_CHILD=2.5: expected a whole number above 0, or none",
    ]


def test_a_limit_is_a_number_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENCOLA_TASK_TIME_LIMIT", "0.5")
    monkeypatch.setenv("ENCOLA_TASK_SOFT_TIME_LIMIT", "None")
    monkeypatch.setenv("ENCOLA_MAX_TASKS_PER_CHILD", "10")
    settings = load_settings()

    assert (0.5, "none", 10) == (
        settings.task_time_limit,
        settings.task_soft_time_limit,
        settings.max_tasks_per_child,
    )
