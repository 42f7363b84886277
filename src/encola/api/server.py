"""
The HTTP connections of `encola api`: uvicorn's, with one thing more, that an answer can cut them.

A client that takes nothing cannot be told so, and whoever closes its connection in good order waits until
it has taken all that was written. An answer finds the way out in its scope, under :data:`CUT`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Name of the ASGI extension; its key ``now`` is called without arguments.
CUT: Final = "encola.cut"


class Connection(HttpToolsProtocol):
    """One connection."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {CUT: {"now": self.transport.abort}}


def cut_of(scope: Mapping[str, Any]) -> Callable[[], None] | None:
    """What cuts the connection of *scope*; None: another server than ours runs the application."""
    found: Callable[[], None] | None = (scope.get("extensions") or {}).get(CUT, {}).get("now")
    return found
