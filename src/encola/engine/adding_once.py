"""Celery's event loop, for those who add a reader of a pipe or socket again and again."""

from __future__ import annotations

from typing import Any


class AddingOnce:
    """
    The event loop; a reader that it has is not added to it again.

    Kombu adds each of its sockets before each look at them, and Celery each child's pipe after each
    message from it, at two system calls and an exception each. A pipe or socket that is new under an
    old number its owner has added itself by then.
    """

    def __init__(self, loop: Any) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def add_reader(self, fd: int, callback: Any, *args: Any) -> None:
        if self._loop.readers.get(fd) != (callback, args):
            self._loop.add_reader(fd, callback, *args)
