"""The embedded mailbox: what the service has sent when no mail server is configured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import anyio.to_thread
from fastapi import APIRouter, Query
from starlette.responses import Response

from ..embedded.maildir import list_mail, raw_mail, read_mail
from ..settings import get_settings
from .answers import answer, problems
from .problems import Problem
from .shapes import MailPage, MailView

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
        items, next_cursor = await anyio.to_thread.run_sync(list_mail, folder(), limit, cursor)
    except ValueError as error:
        errors = [{"loc": ["query", "cursor"], "msg": str(error), "type": "cursor"}]
        raise Problem(422, "validation", "The request does not fit.", errors) from None
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
    raw = await anyio.to_thread.run_sync(raw_mail, folder(), mail_id)
    if raw is None:
        raise Problem(404, "mail_not_found", "No mail has this id.")
    headers = {"Content-Disposition": 'attachment; filename="mail.eml"'}
    return Response(raw, media_type="message/rfc822", headers=headers)


@router.get(
    "/{mail_id}.html",
    response_class=Response,
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}, **problems(404)},
)
async def read_html(mail_id: str) -> Response:
    """The HTML of one mail, to be shown in a frame: it runs nothing and loads nothing."""
    mail = await anyio.to_thread.run_sync(read_mail, folder(), mail_id)
    if mail is None or mail["html"] is None:
        raise Problem(404, "mail_not_found", "No mail with HTML has this id.")
    headers = {"Content-Security-Policy": HARMLESS}
    return Response(mail["html"], media_type="text/html", headers=headers)


@router.get("/{mail_id}", response_model=MailView, responses=problems(404))
async def read_message(mail_id: str) -> Response:
    """One mail with its text and its HTML."""
    mail = await anyio.to_thread.run_sync(read_mail, folder(), mail_id)
    if mail is None:
        raise Problem(404, "mail_not_found", "No mail has this id.")
    return answer(mail)
