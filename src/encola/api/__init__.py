"""The HTTP API: ``encola.api:app``. One router a file; it holds no state that a request needs."""

from .app import app

__all__ = ["app"]
