"""
Bodies as strict JSON: what another reader might read otherwise is refused.

NaN, infinities, invalid UTF-8 and lone surrogates are no JSON to orjson, so
they are 400. Names given twice it would silently take the last of; a second,
slower look finds them, and only where a name can occur twice at all.
"""

from __future__ import annotations

import json
from typing import Any

import orjson
from starlette.requests import Request

from ..errors import TooLarge
from ..settings import get_settings
from ..submit import MAX_DEPTH
from .problems import Problem


async def read_json(request: Request) -> Any:
    """
    The request's body.

    Raises:
        TooLarge: more bytes than ENCOLA_MAX_BODY; the rest is not read.
        Problem: 400 ``invalid_json``, 415 ``unsupported_media_type``.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type and media_type != "application/json" and not media_type.endswith("+json"):
        raise Problem(
            415, "unsupported_media_type", f"Expected application/json, got {media_type}."
        )
    return parse(await read_body(request))


async def read_body(request: Request) -> bytes:
    """The raw body, of at most ENCOLA_MAX_BODY bytes, whether its length was announced or not."""
    limit = get_settings().max_body
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise TooLarge("body", int(announced), limit)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise TooLarge("body", size, limit)
        parts.append(part)
    return b"".join(parts)


def parse(body: bytes) -> Any:
    """
    Raises:
        Problem: 400 ``invalid_json`` with what was wrong.
    """
    # Before anything recursive sees it. Brackets in strings only make the bound stricter
    # by what a person would not write.
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        _check_depth(body)
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, "invalid_json", f"The body is not strict JSON: {error}.") from None
    if isinstance(value, (dict, list)) and _may_repeat(value):
        _refuse_duplicates(body)
    return value


def _may_repeat(value: Any) -> bool:
    # An empty container cannot: orjson would have shown at least one of two equal names.
    return bool(value)


def _refuse_duplicates(body: bytes) -> None:
    def pairs(found: list[tuple[str, Any]]) -> None:
        names = {name for name, _ in found}
        if len(names) != len(found):
            seen: set[str] = set()
            twice = next(name for name, _ in found if name in seen or seen.add(name))  # type: ignore[func-returns-value]
            raise Problem(400, "invalid_json", f"The name {twice!r} is given twice.")

    try:
        json.loads(body, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        # orjson read it, so it is JSON; Python's reader has limits of its own (digits).
        raise Problem(400, "invalid_json", "The body holds a number that is too long.") from None


def _check_depth(body: bytes) -> None:
    depth, in_string, escaped = 0, False, False
    for byte in body:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in (0x5B, 0x7B):
            depth += 1
            if depth > MAX_DEPTH:
                raise Problem(400, "invalid_json", f"Nested deeper than {MAX_DEPTH}.")
        elif byte in (0x5D, 0x7D):
            depth -= 1
