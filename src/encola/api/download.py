"""An answer that is a file of the data folder, whole or the part that was asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import BinaryIO

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, MalformedRangeHeader, RangeNotSatisfiable
from starlette.types import Receive, Scope, Send


class Download(FileResponse):
    """
    Sends *file*, which is open, and closes it at the end, also where the client hangs up.

    By its descriptor: whoever opened it has looked at what it is, and by its name it could be another
    by now. A part of it (``Range``) is sent as 206, so that what broke off can be taken up again.
    """

    #: Bytes that are read at once.
    chunk_size = 2**18

    def __init__(self, file: BinaryIO, media_type: str, headers: Mapping[str, str]) -> None:
        super().__init__(
            f"/dev/fd/{file.fileno()}",
            headers=headers,
            media_type=media_type,
            stat_result=os.fstat(file.fileno()),
        )
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._file:
            await super().__call__(scope, receive, send)

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        """
        As RFC 9110 (14.2) allows: a ``Range`` that cannot be read counts as none, and the file is sent whole.

        Raises:
            HTTPException: 416, the file has no such part.
        """
        try:
            return super()._parse_range_header(http_range, file_size)
        except MalformedRangeHeader:
            return []
        except RangeNotSatisfiable:
            detail = (
                f"The file has {file_size} bytes; the part that was asked for lies behind its end."
            )
            headers = {"Content-Range": f"bytes */{file_size}"}
            raise HTTPException(416, detail, headers) from None
