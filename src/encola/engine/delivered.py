"""A delivered message, whose body is mostly plain JSON."""

from __future__ import annotations

import json
from typing import Any

from kombu.transport import virtual

#: Kombu's JSON has its dates, numbers and bytes in objects with this key.
_MARK = b"__type__"


class Delivered(virtual.Message):
    """Kombu's message, read by JSON's own reader where nothing in it stands for something else."""

    def _decode(self) -> Any:
        if self._is_plain():
            try:
                return json.loads(self.body.decode())
            except (ValueError, RecursionError):
                # Kombu says what is wrong with it.
                pass
        return super()._decode()

    def _is_plain(self) -> bool:
        return (
            self.content_type == "application/json"
            and self.content_encoding == "utf-8"
            and (self.accept is None or self.content_type in self.accept)
            and isinstance(self.body, bytes)
            and _MARK not in self.body
        )
