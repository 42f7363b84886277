"""
Who may speak to the API: the middleware in front of every route.

A page of another site must not reach a service that answers on the loopback
address. Two checks stop it: the ``Host`` must be one of ours (against DNS
rebinding), and a changing request must not say that it comes from elsewhere
(``Origin``, ``Sec-Fetch-Site``).

Source: OWASP Cross-Site Request Forgery Prevention, "Fetch Metadata headers".
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..settings import get_settings
from .problems import Problem, problem_response

#: ``testserver`` is the name by which Starlette's TestClient calls an application
#: in its own process; no resolver knows it, so no page can be served from it.
OUR_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1", "testserver"})
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """Pure ASGI: costs no task and no copy of the body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        reason = refusal(scope.get("method", "GET"), Headers(scope=scope))
        if reason:
            await problem_response(Problem(403, "foreign_origin", reason))(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Cache-Control", "no-store")
                headers.setdefault("Referrer-Policy", "same-origin")
                headers.append("Vary", "Accept-Language")
            await send(message)

        await self.app(scope, receive, send_guarded)


def refusal(method: str, headers: Headers) -> str | None:
    """Why this request is not answered, or None."""
    host = _name(headers.get("host", ""))
    if host not in OUR_HOSTS and host != get_settings().host:
        return f"This service does not answer for the host {host[:100]!r}."
    if method in SAFE_METHODS:
        return None
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return "Requests that change something are taken from this service's own pages only."
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host", ""):
        return "Requests that change something are taken from this service's own pages only."
    return None


def _name(host: str) -> str:
    """The host without its port: ``[::1]:8000`` is ``::1``."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()
