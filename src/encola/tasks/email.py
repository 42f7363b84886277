"""
The e-mail task: one validated address, real SMTP, a retry where it can help.

:mod:`encola.mail` writes the message and carries it; this module says
what its outcome means. A server that says "later" (4xx), or that cannot be
reached, is tried again; one that says "no" (5xx) is believed, and its words
become the task's error.
"""

from __future__ import annotations

import datetime as dt
import logging
from email.message import EmailMessage
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from ..embedded.runfile import resolve_smtp_url
from ..errors import PermanentFailure
from ..mail.address import check_address
from ..mail.answers import MailDelayed
from ..mail.connections import Keep
from ..mail.delivery import deliver, deliver_sync
from ..mail.message import build_message, check_subject
from ..record import iso
from ..settings import Settings, get_settings
from ..submit import new_task_id
from ..task import RetryPolicy, TaskContext, task

logger = logging.getLogger(__name__)


EmailAddress = Annotated[
    str, AfterValidator(check_address), Field(json_schema_extra={"format": "email"})
]
Subject = Annotated[str, Field(max_length=998), AfterValidator(check_subject)]


class SentEmail(TypedDict):
    """What the queued task returns."""

    task_id: str
    email: str
    subject: str
    status: str
    message_id: str
    sent_at: str


@task(
    name="email",
    wire_name="encola.tasks.send_notification_email",
    retry=RetryPolicy(retry_on=(MailDelayed,)),
)
def send_notification_email(
    context: TaskContext, email: EmailAddress, subject: Subject, body: str
) -> SentEmail:
    """Sends one e-mail."""
    settings = get_settings()
    message = _message(context.task_id, email, subject, body)
    deliver_sync(
        message,
        smtp_url=resolve_smtp_url(settings),
        timeout=settings.smtp_timeout_seconds,
        keep=_keep(settings),
    )
    logger.info("Mail to %s handed over.", email)
    return _sent(context.task_id, email, subject, str(message["Message-ID"]))


async def send(task_id: str, email: str, subject: str, body: str) -> SentEmail:
    """
    :func:`send_notification_email` on the event loop, for a task that runs in the API.

    Raises:
        MailDelayed: it can be tried again.
        PermanentFailure: it cannot.
    """
    message_id = await _deliver(task_id, email, subject, body)
    return _sent(task_id, email, subject, message_id)


async def send_email_task(email: str, subject: str, body: str) -> dict[str, Any]:
    """
    The lesson's coroutine: sends one e-mail now, without a queue.

    Returns:
        ``{"status": "sent", "email": …, "message_id": …, "timestamp": …}``

    Raises:
        ValueError: no single valid address, or a subject of several lines.
        MailDelayed, PermanentFailure: it was not sent.
    """
    check_address(email)
    check_subject(subject)
    message_id = await _deliver(new_task_id(), email, subject, body)
    return {"status": "sent", "email": email, "message_id": message_id, "timestamp": _now()}


async def _deliver(seed: str, email: str, subject: str, body: str) -> str:
    settings = get_settings()
    message = _message(seed, email, subject, body)
    await deliver(
        message,
        smtp_url=resolve_smtp_url(settings),
        timeout=settings.smtp_timeout_seconds,
        keep=_keep(settings),
    )
    return str(message["Message-ID"])


def _keep(settings: Settings) -> Keep:
    return Keep(settings.smtp_idle_seconds, settings.smtp_mails_per_connection)


def _message(seed: str, email: str, subject: str, body: str) -> EmailMessage:
    try:
        return build_message(
            sender=get_settings().mail_from,
            to=email,
            subject=subject,
            body=body,
            message_id_seed=seed,
        )
    except ValueError as error:
        # No later attempt can mend what the message itself says.
        raise PermanentFailure(str(error), "validation") from error


def _sent(task_id: str, email: str, subject: str, message_id: str) -> SentEmail:
    return {
        "task_id": task_id,
        "email": email,
        "subject": subject,
        "status": "sent",
        "message_id": message_id,
        "sent_at": _now(),
    }


def _now() -> str:
    return iso(dt.datetime.now(dt.UTC))
