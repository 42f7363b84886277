"""The embedded mailbox: what the service has sent when no mail server is configured."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Query
from starlette.responses import Response

from ..embedded.maildir import list_mail, raw_mail, read_mail
from ..settings import get_settings
from .answers import answer
from .problems import Problem

router = APIRouter(prefix="/mailbox", tags=["mailbox"])


def folder() -> Path:
    return get_settings().data_dir / "mail"


@router.get("")
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
    return answer({"items": [_plain(item) for item in items], "next_cursor": next_cursor})


@router.get("/{mail_id}.eml")
async def read_raw(mail_id: str) -> Response:
    """One mail as it came in, to be saved."""
    raw = await anyio.to_thread.run_sync(raw_mail, folder(), mail_id)
    if raw is None:
        raise Problem(404, "mail_not_found", "No mail has this id.")
    headers = {"Content-Disposition": 'attachment; filename="mail.eml"'}
    return Response(raw, media_type="message/rfc822", headers=headers)


@router.get("/{mail_id}")
async def read_message(mail_id: str) -> Response:
    """One mail with its text and its HTML."""
    mail = await anyio.to_thread.run_sync(read_mail, folder(), mail_id)
    if mail is None:
        raise Problem(404, "mail_not_found", "No mail has this id.")
    return answer(_plain(mail))


def _plain(mail: Any) -> Any:
    return dataclasses.asdict(mail) if dataclasses.is_dataclass(mail) else mail  # type: ignore[arg-type]
