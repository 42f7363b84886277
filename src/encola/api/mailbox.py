"""The embedded mailbox: what the service has sent when no mail server is configured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from ..embedded.maildir import list_mail, open_mail, read_mail, remove_all, remove_mail
from ..settings import get_settings
from .answers import answer, problems
from .deps import aside
from .download import Download
from .language import choose_language, say
from .problems import Problem, unfit
from .shapes import MailboxEmptied, MailPage, MailRemoved, MailView

router = APIRouter(prefix="/mailbox", tags=["mailbox"])

#: A mail is a stranger's page. It may be seen, with its own style, inside a page of ours; it
#: gets no origin, no script, no form, and nothing from the network, opened by itself or not.
HARMLESS: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)


def folder() -> Path:
    return get_settings().data_dir / "mail"


@router.get("", response_model=MailPage, responses=problems(422))
async def list_messages(
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """Mail, newest first."""
    try:
        items, next_cursor = await aside(lambda: list_mail(folder(), limit, cursor))
    except ValueError as error:
        raise unfit(["query", "cursor"], str(error), "cursor") from None
    return answer({"items": items, "next_cursor": next_cursor})


@router.get(
    "/{mail_id}.eml",
    response_class=Response,
    responses={
        200: {"content": {"message/rfc822": {"schema": {"type": "string", "format": "binary"}}}},
        **problems(404),
    },
)
async def read_raw(mail_id: str) -> Response:
    """One mail as it came in, to be saved."""
    file = await aside(lambda: open_mail(folder(), mail_id))
    if file is None:
        raise Problem(404, "mail_not_found", "No mail has this id.")
    headers = {"Content-Disposition": 'attachment; filename="mail.eml"'}
    return Download(file, "message/rfc822", headers)


@router.get(
    "/{mail_id}.html",
    response_class=Response,
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}, **problems(404)},
)
async def read_html(mail_id: str) -> Response:
    """The HTML of one mail, to be shown in a frame: it runs nothing and loads nothing."""
    mail = await aside(lambda: read_mail(folder(), mail_id))
    if mail is None or mail["html"] is None:
        raise Problem(404, "mail_not_found", "No mail with HTML has this id.")
    headers = {"Content-Security-Policy": HARMLESS}
    return Response(mail["html"], media_type="text/html", headers=headers)


@router.get("/{mail_id}", response_model=MailView, responses=problems(404))
async def read_message(mail_id: str) -> Response:
    """One mail with its text and its HTML."""
    mail = await aside(lambda: read_mail(folder(), mail_id))
    if mail is None:
        raise Problem(404, "mail_not_found", "No mail has this id.")
    return answer(mail)


@router.delete("", response_model=MailboxEmptied, responses=problems(403))
async def empty(request: Request) -> Response:
    """Removes all mail."""
    count = await aside(lambda: remove_all(folder()))
    message = say("mailbox_emptied", choose_language(request), count=count)
    emptied: MailboxEmptied = {"removed": count, "message": message}
    return answer(emptied)


@router.delete("/{mail_id}", response_model=MailRemoved, responses=problems(403, 404))
async def remove(request: Request, mail_id: str) -> Response:
    """Removes one mail."""
    if not await aside(lambda: remove_mail(folder(), mail_id)):
        raise Problem(404, "mail_not_found", "No mail has this id.")
    message = say("mail_removed", choose_language(request))
    removed: MailRemoved = {"id": mail_id, "message": message}
    return answer(removed)
