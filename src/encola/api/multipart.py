"""
One file out of a ``multipart/form-data`` body, as it comes in: nothing waits for the rest.

Source: RFC 7578.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from ..errors import InvalidInput
from .problems import Problem

if TYPE_CHECKING:
    # The library has this type for type checkers alone.
    from python_multipart.multipart import MultipartCallbacks

#: Bytes of everything beside the file (64 KiB).
MOST_BESIDE: Final = 2**16
FIELD: Final = b"file"


class _Parts:
    """What the parser tells of, until somebody takes it away."""

    def __init__(self) -> None:
        self.name: str | None = None
        """Of the file, once its part has begun."""
        self.data: list[bytes] = []
        self.size = 0
        """Bytes of the file so far."""
        self.is_over = False
        self._header = b""
        self._value = b""
        self._disposition = b""
        self._is_file = False

    def begin(self) -> None:
        self._disposition, self._is_file = b"", False

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def headers_over(self) -> None:
        _, options = parse_options_header(self._disposition)
        if options.get(b"name") != FIELD or b"filename" not in options:
            return
        if self.name is not None:
            raise _invalid("expected one file, got more")
        self._is_file = True
        self.name = options[b"filename"].decode("utf-8", "replace")

    def part_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self.data.append(data[start:end])
            self.size += end - start

    def over(self) -> None:
        self.is_over = True


class FilePart:
    """The file of a request's body."""

    def __init__(self, request: Request) -> None:
        """
        Raises:
            Problem: 415, the body is no form; 400, its boundary is none.
        """
        kind, options = parse_options_header(request.headers.get("content-type", ""))
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise Problem(
                415,
                "unsupported_media_type",
                "Expected multipart/form-data with the file in its field `file`.",
            )
        self._stream = request.stream()
        self._received = 0
        self._parts = _Parts()
        self._parser = _parser(options[b"boundary"], self._parts)

    async def find_name(self) -> str:
        """
        Reads on until the file begins; its name.

        Raises:
            InvalidInput: there is no file.
            Problem: 400, the body is not well-formed.
        """
        while self._parts.name is None:
            if not await self._read():
                raise _invalid("Field required")
        return self._parts.name

    async def data(self) -> AsyncIterator[bytes]:
        """The file, in pieces as they come."""
        while True:
            if self._parts.data:
                found, self._parts.data = b"".join(self._parts.data), []
                yield found
            if not await self._read():
                return

    async def _read(self) -> bool:
        """The next bytes of the body; False: there are no more, and it was whole."""
        try:
            chunk = await anext(self._stream)
        except StopAsyncIteration:
            if not self._parts.is_over:
                raise _malformed("it ends in the middle") from None
            return False
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _malformed(str(error)) from None
        self._received += len(chunk)
        if self._received - self._parts.size > MOST_BESIDE:
            raise _invalid(f"expected at most {MOST_BESIDE} bytes beside the file")
        return True


def _parser(boundary: bytes, parts: _Parts) -> MultipartParser:
    callbacks: MultipartCallbacks = {
        "on_part_begin": parts.begin,
        "on_header_field": parts.header_name,
        "on_header_value": parts.header_value,
        "on_header_end": parts.header_end,
        "on_headers_finished": parts.headers_over,
        "on_part_data": parts.part_data,
        "on_end": parts.over,
    }
    try:
        return MultipartParser(boundary, callbacks)
    except FormParserError as error:
        raise _malformed(str(error)) from None


def _malformed(reason: str) -> Problem:
    return Problem(400, "invalid_multipart", f"The form cannot be read: {reason}.")


def _invalid(message: str) -> InvalidInput:
    return InvalidInput("upload", [{"loc": ["body", "file"], "msg": message, "type": "file"}])
