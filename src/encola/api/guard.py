"""
Who may speak to the API: the middleware in front of every route.

A page of another site must not reach a service that answers on the loopback
address. Two checks stop it: the ``Host`` must be one of ours (against DNS
rebinding), and a changing request must not say that it comes from elsewhere
(``Origin``, ``Sec-Fetch-Site``).

Source: OWASP Cross-Site Request Forgery Prevention, "Fetch Metadata headers".
"""

from __future__ import annotations

import re
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..settings import LOOPBACK, get_settings
from .problems import SAFE_HEADERS, Problem, problem_response

#: The name by which Starlette's TestClient calls an application in its own process.
#: Over a socket it is refused as any other: a search domain may well resolve it.
TEST_HOST: Final = "testserver"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: Source: RFC 3986, 3.2.2; a name as DNS has it.
_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::\d{0,5})?")
ELSEWHERE: Final = "Requests that change something are taken from this service's own pages only."


class Guard:
    """Pure ASGI: costs no task and no copy of the body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        reason = refusal(scope)
        if reason:
            await refuse(reason, scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SAFE_HEADERS.items():
                    headers.setdefault(name, value)
                headers.append("Vary", "Accept-Language")
            await send(message)

        await self.app(scope, receive, send_guarded)


def refusal(scope: Scope) -> str | None:
    """Why this request is not answered, or None."""
    headers = Headers(scope=scope)
    # With two of them, who stands between might go by the other one.
    given = headers.getlist("host")
    named = given[0] if len(given) == 1 else ""
    host = _name(named)
    if host not in LOOPBACK and host != get_settings().host and not _is_test(host, scope):
        return f"This service does not answer for the host {host[:100]!r}."
    # A WebSocket opens with a GET and is bound by no same-origin rule of the browser's.
    if scope["type"] == "http" and scope["method"] in SAFE_METHODS:
        return None
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return ELSEWHERE
    origin = headers.get("origin")
    # An origin is scheme, "://" and exactly what stands in Host, or else it is not ours.
    if origin is not None and origin.lower().partition("://")[2] != named.lower():
        return ELSEWHERE
    return None


async def refuse(reason: str, scope: Scope, receive: Receive, send: Send) -> None:
    """403, also to a WebSocket: closed before it was accepted, it is answered so."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": "foreign_origin"})
        return
    await problem_response(Problem(403, "foreign_origin", reason))(scope, receive, send)


def _name(host: str) -> str:
    """The host without its port: ``[::1]:8000`` is ``::1``; empty where it is none."""
    found = _HOST.fullmatch(host)
    return (found[1] or found[2]).lower() if found else ""


def _is_test(host: str, scope: Scope) -> bool:
    # What a server puts here is the address of its own socket, never a name out of the request.
    return host == TEST_HOST and (scope.get("server") or ("",))[0] == TEST_HOST
