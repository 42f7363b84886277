"""
Bodies as strict JSON: what another reader might read otherwise is refused.

NaN, infinities, invalid UTF-8 and lone surrogates are no JSON to orjson. Two things
it lets pass: of a name that is given twice it keeps the last, and a whole number
beyond 64 bits becomes the nearest floating one. Neither can happen unnoticed:

    1. Every string in JSON stands between two quotation marks. Fewer strings in
       the value than pairs of marks in the body: a name was dropped.
    2. Such a number is a float without a fraction, beyond 2**63.

Where one of the two shows, Python's own reader looks again and says what it is.
That costs a tenth of reading every body twice.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

import orjson
from starlette.requests import Request

from ..errors import TooLarge
from ..record import MAX_DEPTH
from ..settings import get_settings
from .problems import Problem

#: A backslash and what it escapes, which may be a quotation mark.
_ESCAPED: Final = re.compile(rb"\\.", re.DOTALL)


async def read_json(request: Request) -> Any:
    """
    The request's body.

    Raises:
        TooLarge: more bytes than ENCOLA_MAX_BODY; the rest is not read.
        Problem: 400 ``invalid_json``, 415 ``unsupported_media_type``.
    """
    check_media_type(request)
    return parse(await read_body(request))


def check_media_type(request: Request) -> None:
    """
    A body without a declared type is taken as JSON.

    Raises:
        Problem: 415 ``unsupported_media_type``
    """
    declared = request.headers.get("content-type", "")
    if declared in ("application/json", ""):
        return
    media_type = declared.partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        detail = f"Expected application/json, got {media_type[:100]}."
        raise Problem(415, "unsupported_media_type", detail)


async def read_body(request: Request) -> bytes:
    """
    The raw body, whether its length was announced or not.

    Raises:
        TooLarge: more bytes than ENCOLA_MAX_BODY; the rest is not read.
    """
    limit = get_settings().max_body
    announced = request.headers.get("content-length", "")
    # Digits and no more than a length can have: int() has a limit of its own.
    if announced.isdecimal() and (len(announced) > 18 or int(announced) > limit):
        raise TooLarge("body", int(announced[:18]), limit)
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
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, "invalid_json", f"The body is not strict JSON: {error}.") from None
    strings, is_rounded = _look(value, 0)
    plain = body if b"\\" not in body else _ESCAPED.sub(b"", body)
    if is_rounded or 2 * strings != plain.count(b'"'):
        _look_again(body)
    return value


def _look(value: Any, depth: int) -> tuple[int, bool]:
    """How many strings there are in *value*, and whether a number may have been rounded."""
    kind = type(value)
    if kind is str:
        return 1, False
    if kind is float:
        return 0, value.is_integer() and abs(value) >= 2**63
    if kind is not dict and kind is not list:
        return 0, False
    if depth == MAX_DEPTH:
        raise Problem(400, "invalid_json", f"Nested deeper than {MAX_DEPTH}.")
    strings, is_rounded, inner = 0, False, value
    if kind is dict:
        strings, inner = len(value), value.values()
    for item in inner:
        if type(item) is str:
            strings += 1
        else:
            more, rounded = _look(item, depth + 1)
            strings, is_rounded = strings + more, is_rounded or rounded
    return strings, is_rounded


def _look_again(body: bytes) -> None:
    def pairs(found: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for name, _ in found:
            if name in seen:
                detail = f"The name {name[:100]!r} is given twice."
                raise Problem(400, "invalid_json", detail)
            seen.add(name)

    def whole(digits: str) -> int:
        if len(digits) > 20 or not -(2**63) <= int(digits) < 2**64:
            _refuse_number()
        return int(digits)

    json.loads(body, object_pairs_hook=pairs, parse_int=whole)


def _refuse_number() -> NoReturn:
    raise Problem(400, "invalid_json", "A whole number in the body is beyond 64 bits.")
