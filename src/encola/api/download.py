"""An answer that is a file of the data folder, whole or the part that was asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import BinaryIO

from starlette.responses import FileResponse
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
