"""Hostile text in every field of every screen: it is read as text, and nothing else happens."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect
from service import Service
from window import Open

ATTACKS = (
    "<script>alert('script')</script>",
    "<img src=x onerror=\"alert('img')\">",
    "\"><svg onload=alert('svg')>",
    "javascript:alert('url')",
    "<iframe srcdoc=\"<script>parent.alert('frame')</script>\"></iframe>",
    "{{constructor.constructor('alert(1)')()}}",
    "</textarea><style>body{display:none}</style>",
    "\u202e\u0000\u001b[31m%s%n",
)
ALL = " ".join(ATTACKS[:-1])


def calm(page: Page) -> None:
    """Nothing ran, nothing was asked for, no element came out of text."""
    assert (
        0 == page.locator("main script, main style, main img, main iframe:not(.mail-frame)").count()
    )
    assert [] == page.evaluate("[...violations, ...scripted]")


@pytest.mark.parametrize("attack", [ALL, ATTACKS[-1]])
def test_a_hostile_input_is_shown_as_it_is(opened: Open, service: Service, attack: str) -> None:
    """In the input, in the error, in the traceback, in the list, on the first screen, in the form."""
    text = attack.replace("\u0000", "").replace("\u001b", "")
    task_id = service.submit("refuse", {"reason": text}, user_id="mallory")
    service.wait_for(task_id, "FAILURE")
    page = opened(f"/#/task/{task_id}")
    expect(page.locator(".error-text")).to_have_text(text)
    page.get_by_text("Traza del error").click()
    calm(page)
    page.get_by_role("button", name="Editar y reintentar").click()
    expect(page.get_by_role("dialog").get_by_label("Reason")).to_have_value(text)
    calm(page)
    page.keyboard.press("Escape")
    page.goto(f"/#/tasks?user_id=mallory&task={task_id}")
    expect(page.locator(".row-input b").first).not_to_be_empty()
    calm(page)
    page.goto("/#/")
    expect(page.locator(".card-error").first).not_to_be_empty()
    calm(page)


def test_hostile_names_of_users_labels_and_keys(opened: Open, service: Service) -> None:
    """All that a caller may say besides the input."""
    options = {
        "user_id": ALL[:250],
        "labels": {ATTACKS[0]: ATTACKS[1]},
        "idempotency_key": ALL[:200],
    }
    task_id = service.submit("charge", {"order_id": 1, "cents": 1}, **options)
    page = opened(f"/#/task/{task_id}")
    expect(page.locator(".facts")).to_contain_text(ATTACKS[0])
    page.locator(".facts").get_by_role("link", name="<script>").click()
    expect(page.locator(".row-user").first).to_contain_text("<script>")
    calm(page)


def test_hostile_results_and_progress(opened: Open, service: Service) -> None:
    """What a task says while it runs and when it ends; a "file" that leads elsewhere is no link."""
    task_id = service.submit("echo", {"text": ALL, "file_url": "javascript:alert(1)"})
    service.wait_for(task_id, "SUCCESS")
    page = opened(f"/#/task/{task_id}")
    expect(page.locator(".part", has_text="Resultado").locator(".json")).to_contain_text("onerror")
    expect(page.get_by_role("link", name="Descargar")).to_have_count(0)
    assert [] == page.evaluate(
        "[...document.links].map(a => a.protocol).filter(p => !/^http/.test(p))"
    )
    calm(page)


@pytest.mark.parametrize("attack", [ALL, ATTACKS[0]])
def test_a_hostile_address(opened: Open, attack: str) -> None:
    """What stands behind the `#` is a stranger's text too."""
    hostile = quote(attack, safe="")
    page = opened(f"/#/tasks?type={hostile}&queue={hostile}&user_id={hostile}&task={hostile}")
    expect(page.get_by_text("Tarea no encontrada")).to_be_visible()
    calm(page)
    page.goto(f"/#/{hostile}/{hostile}?{hostile}={hostile}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.keyboard.press("Control+k")
    page.keyboard.insert_text(attack.replace(" ", "-") + "-12345678")
    calm(page)


def test_a_hostile_mail_is_seen_and_does_nothing(opened: Open, service: Service) -> None:
    """Its HTML is shown with its own style, runs nothing, and loads nothing from anywhere."""
    mail = EmailMessage()
    mail["From"] = "Mallory <mallory@example.com>"
    mail["To"] = "ana@example.com"
    mail["Subject"] = ATTACKS[1]
    mail.set_content(ALL)
    html = "<h1 style='color: rgb(1, 2, 3)'>Oferta</h1><img src='http://tracker.example/x.png'>"
    html += (
        "<script>top.alert('mail')</script><form action='http://evil.example'><button>x</button>"
    )
    html += (
        "<a href='http://evil.example' target='_top' id='away'>aquí</a><meta http-equiv=refresh "
    )
    html += "content='0;url=http://evil.example'>" + " ".join(ATTACKS[:5])
    mail.add_alternative(html, subtype="html")
    host, port = service.smtp
    with smtplib.SMTP(host, port) as smtp:
        smtp.send_message(mail)
    mail_id = service.get("/mailbox")["items"][0]["id"]

    page = opened(f"/#/mailbox?mail={mail_id}")
    title = page.frame_locator(".mail-frame").get_by_role("heading", name="Oferta")
    expect(title).to_have_css("color", "rgb(1, 2, 3)")
    page.frame_locator(".mail-frame").locator("#away").click()
    calm(page)
    assert page.url.startswith(service.address)
    page.get_by_role("button", name="Texto").click()
    expect(page.locator(".mail-text")).to_contain_text("<script>alert('script')</script>")
    calm(page)


def test_the_policy_forbids_what_the_page_does_not_need(service: Service, opened: Open) -> None:
    """Were a string to become an element after all, the browser itself would refuse it."""
    page = opened("/")
    tried = page.evaluate(
        """() => {
            const ways = {
                inner: () => { document.body.innerHTML = '<b>x</b>'; },
                frame: () => { document.createElement('iframe').srcdoc = '<b>x</b>'; },
            };
            return Object.entries(ways).filter(([, way]) => { try { way(); return true; } catch { return false; } });
        }"""
    )
    page.evaluate("violations.length = 0")

    assert [] == tried
