"""Whom we speak to: the mail server and the API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final

import aiosmtplib
import httpx

from encola.embedded import runfile
from encola.errors import EncolaError, SettingsError
from encola.logs import one_line, redact
from encola.mail.answers import explain
from encola.mail.conversation import open_conversation
from encola.mail.server import SmtpServer, parse_smtp_url
from encola.settings import Settings

from .findings import Finding, fault, ok, warning

#: Seconds for each step with another program.
TIMEOUT: Final = 5.0
PLACEHOLDER: Final = "encola@localhost"


def check_mail(settings: Settings) -> Iterator[Finding]:
    """The mail server answers, takes our login, and would take mail from ENCOLA_MAIL_FROM."""
    try:
        server = parse_smtp_url(runfile.resolve_smtp_url(settings))
    except SettingsError:
        yield warning(
            "mail",
            "It has nowhere to go.",
            "Start `encola up`, which brings a mailbox, or set ENCOLA_SMTP_URL.",
        )
        return
    reason = asyncio.run(_why_not(server))
    if reason:
        yield fault("mail", reason, "Mail is tried again; look at ENCOLA_SMTP_URL and the server.")
        return
    if settings.smtp_url and settings.mail_from == PLACEHOLDER:
        yield warning(
            "mail",
            f"{server} answers, and our mail says that it is from {PLACEHOLDER}.",
            "Set ENCOLA_MAIL_FROM to an address that the server may send for.",
        )
        return
    where = str(server) if settings.smtp_url else "the mailbox of this installation, and no further"
    yield ok("mail", f"Goes to {where}, from {settings.mail_from}.")


async def _why_not(server: SmtpServer) -> str:
    """Greets and logs in, sends nothing; the sentence says why that failed, and is empty if not."""
    try:
        conversation = await open_conversation(server, TIMEOUT)
    except (aiosmtplib.SMTPException, OSError) as error:
        return one_line(str(explain(error, server, TIMEOUT)))
    except EncolaError as error:
        return one_line(str(error))
    await conversation.leave()
    return ""


def check_api(url: str) -> Iterator[Finding]:
    """The API at *url* says that it is ready."""
    try:
        # A proxy of the environment cannot reach this machine's loopback address.
        with httpx.Client(timeout=TIMEOUT, trust_env=False) as client:
            answer = client.get(f"{url}/ready")
    except httpx.HTTPError as error:
        yield warning(
            "API",
            one_line(f"None answers at {redact(url)} ({error})."),
            "Start `encola api`, or say where it is: ENCOLA_URL, or ENCOLA_HOST and ENCOLA_PORT.",
        )
        return
    if answer.is_success:
        yield ok("API", f"{redact(url)} is ready.")
    else:
        yield fault(
            "API",
            f"{redact(url)} answers, and is not ready ({answer.status_code}).",
            f"GET {redact(url)}/ready and its log say why.",
        )
