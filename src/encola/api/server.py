"""
The connections of `encola api`: uvicorn's, with one thing more, that who answers can cut them.

A client that takes nothing cannot be told so, and whoever closes its connection in good order waits until
it has taken all that was written. An answer finds the way out in its scope, under :data:`CUT`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

#: Name of the ASGI extension; its key ``now`` is called without arguments.
CUT: Final = "encola.cut"
#: For what is on its way to a client when the process stops, or a client that is too slow is told so (s).
FAREWELL_SECONDS: Final = 1.0


class Connection(HttpToolsProtocol):
    """One of HTTP."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {CUT: {"now": self.transport.abort}}


class SocketConnection(WebSocketsSansIOProtocol):
    """One WebSocket."""

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.close_sent:  # else it is refused, and has no scope
            self.scope["extensions"] = {
                **self.scope["extensions"],
                CUT: {"now": self.transport.abort},
            }

    def shutdown(self) -> None:
        super().shutdown()
        self.loop.call_later(FAREWELL_SECONDS, self.transport.abort)


def cut_of(scope: Mapping[str, Any]) -> Callable[[], None] | None:
    """What cuts the connection of *scope*; None: another server than ours runs the application."""
    found: Callable[[], None] | None = (scope.get("extensions") or {}).get(CUT, {}).get("now")
    return found
