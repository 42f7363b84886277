"""The mailbox over HTTP: read, saved, and emptied."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from encola.api import app
from encola.settings import get_settings
from harness import Bench
from mail_box import keep_mail
from mail_servers import a_mail

client = TestClient(app)


@pytest.fixture
def folder(served: Bench) -> Path:
    return get_settings().data_dir / "mail"


def test_a_mail_is_listed_read_and_saved(folder: Path) -> None:
    """The list has its head, the mail its text and HTML, the .eml is what lies on the disk."""
    mail_id = keep_mail(folder, a_mail(subject="Año").as_bytes())
    listed = client.get("/mailbox").json()
    mail = client.get(f"/mailbox/{mail_id}").json()
    saved = client.get(f"/mailbox/{mail_id}.eml")

    assert ([mail_id], None) == ([item["id"] for item in listed["items"]], listed["next_cursor"])
    assert ("Año", "Hola, Ana.\n", False) == (mail["subject"], mail["text"], mail["truncated"])
    assert listed["items"][0] == {key: mail[key] for key in listed["items"][0]}
    assert (folder / "new" / mail_id).read_bytes() == saved.content
    assert "message/rfc822" == saved.headers["content-type"]
    assert 'attachment; filename="mail.eml"' == saved.headers["content-disposition"]


def test_one_mail_is_removed(folder: Path) -> None:
    """Once; after that it is unknown, and the others are still there."""
    first, second = (keep_mail(folder, a_mail().as_bytes()) for _ in range(2))
    removed = client.delete(f"/mailbox/{first}")
    again = client.delete(f"/mailbox/{first}")

    assert {"id": first, "message": "Correo eliminado"} == removed.json()
    assert (404, "mail_not_found") == (again.status_code, again.json()["code"])
    assert [second] == [item["id"] for item in client.get("/mailbox").json()["items"]]


def test_the_mailbox_is_emptied(folder: Path) -> None:
    """And can be emptied again."""
    for _ in range(3):
        keep_mail(folder, a_mail().as_bytes())
    english = {"Accept-Language": "en"}

    assert {"removed": 3, "message": "Mailbox emptied: 3 mails"} == client.delete(
        "/mailbox", headers=english
    ).json()
    assert 0 == client.delete("/mailbox").json()["removed"]
    assert [] == client.get("/mailbox").json()["items"]


@pytest.mark.parametrize("path", ["/mailbox", "/mailbox/x"])
def test_another_site_cannot_empty_it(folder: Path, path: str) -> None:
    """A page that somebody has open beside the service gets no say."""
    keep_mail(folder, a_mail().as_bytes())
    response = client.delete(path, headers={"Origin": "http://evil.example"})

    assert (403, "foreign_origin") == (response.status_code, response.json()["code"])
    assert 1 == len(client.get("/mailbox").json()["items"])


@pytest.mark.parametrize("path", ["/mailbox/x", "/mailbox/x.eml", "/mailbox/x.html"])
def test_a_mail_that_is_not_there_is_unknown(folder: Path, path: str) -> None:
    response = client.get(path)

    assert (404, "mail_not_found") == (response.status_code, response.json()["code"])
