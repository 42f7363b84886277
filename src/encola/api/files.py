"""Files: send one, list what was sent, read or remove one; and what tasks have made of them."""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack, suppress
from typing import Annotated, Any, BinaryIO, Final
from urllib.parse import quote

from fastapi import APIRouter, Path, Query
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from ..client import current_loop_client
from ..disk import check_room
from ..errors import NothingRuns, StoreError, TooLarge
from ..files import DataFile, FileUnavailable, data_uri, open_data, remove_data
from ..installation import share_folder
from ..record import iso
from ..settings import get_settings
from ..tables.names import DATASETS, REJECTED, UPLOAD_ID, UPLOADS
from ..uploads import Upload, list_uploads, receiving
from .answers import answer, problems
from .deps import aside
from .download import Download
from .language import choose_language, say
from .multipart import MOST_BESIDE, FilePart
from .problems import Problem, unfit
from .shapes import FileItem, FilePage, FileRemoved, UploadedFile
from .tasks import Handler

#: Bytes that are gathered before they are written.
GATHERED: Final = 2**20
FOLDERS: Final = (UPLOADS, DATASETS, REJECTED)
TYPES: Final = {".csv": "text/csv; charset=utf-8", ".parquet": "application/vnd.apache.parquet"}


class UploadRoute(APIRoute):
    """A route that reads its body itself: FastAPI would wait for all of it."""

    def get_route_handler(self) -> Handler:
        handler: Handler = self.endpoint
        return handler


router = APIRouter(tags=["files"])
uploading = APIRouter(route_class=UploadRoute)
FilePathParameter = Annotated[
    str,
    Path(
        description="Name of an upload, or what follows data:// in a result: datasets/7/….parquet"
    ),
]
BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


@uploading.post(
    "/files",
    status_code=201,
    response_model=UploadedFile,
    openapi_extra=BODY,
    responses=problems(400, 403, 413, 415, 422, 503, 507),
)
async def upload_file(request: Request) -> Response:
    """Takes a file of any size, up to the limit, as it comes; its `file_path` goes into a file task."""
    settings = get_settings()
    declared = request.headers.get("content-length", "")
    # Digits and no more than a length can have: int() has a limit of its own.
    size = int(declared[:18]) if declared.isdecimal() else 0
    if size > settings.max_upload + MOST_BESIDE:
        raise TooLarge("file", size, settings.max_upload)
    await aside(lambda: check_room(settings.data_dir, size))
    await _check_folder()
    part = FilePart(request)
    name = await part.find_name()
    kept = await _keep(part, name)
    return answer(_uploaded(kept), 201)


@router.get("/files", response_model=FilePage, responses=problems(422))
async def list_files(
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=300)] = None,
) -> Response:
    """Uploads, newest first."""
    data_dir = get_settings().data_dir
    try:
        items, next_cursor = await aside(lambda: list_uploads(data_dir, limit, cursor or None))
    except ValueError as error:
        raise unfit(["query", "cursor"], str(error), "cursor") from None
    page: FilePage = {"items": [_item(one) for one in items], "next_cursor": next_cursor}
    return answer(page)


@router.head("/files/{path:path}", include_in_schema=False)
@router.get(
    "/files/{path:path}",
    response_class=Response,
    responses={
        200: {
            "content": {
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
            }
        },
        206: {"description": "The part that `Range` asked for"},
        **problems(404, 416),
    },
)
async def read_file(path: FilePathParameter) -> Response:
    """An upload, a dataset, or a file of rejected rows, to be saved; or the part of it that `Range` names."""
    uri = _uri(path)
    file = await aside(lambda: _open(uri))
    name = uri.rpartition("/")[2]
    kind = "." + name.rpartition(".")[2]
    # What somebody sent is never shown as a page of ours, whatever it says it is.
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(_own_name(name))}",
        "Content-Security-Policy": "sandbox",
    }
    is_ours = not uri.startswith(data_uri(UPLOADS))
    media_type = TYPES.get(kind, "") if is_ours else ""
    return Download(file, media_type or "application/octet-stream", headers)


@router.delete("/files/{path:path}", response_model=FileRemoved, responses=problems(403, 404))
async def remove_file(request: Request, path: FilePathParameter) -> Response:
    """Removes one. A task that is reading it reads on to its end."""
    uri = _uri(path)
    await aside(lambda: _remove(uri))
    name = uri.rpartition("/")[2]
    message = say("file_removed", choose_language(request), name=_own_name(name))
    removed: FileRemoved = {"file_path": uri, "message": message}
    return answer(removed)


async def _check_folder() -> None:
    """
    Raises:
        FolderElsewhere: no worker would see the file.
    """
    # A file may come in while the store is away; the task that reads it comes later.
    with suppress(StoreError, NothingRuns):
        client = current_loop_client()
        await share_folder(client.redis, client.verbs.keys, get_settings().data_dir)


async def _keep(part: FilePart, name: str) -> Upload:
    """Writes the part to the data folder. Each step in a thread: the disk may be slow."""
    settings = get_settings()
    with ExitStack() as opened:
        new = receiving(settings.data_dir, name, settings.max_upload)
        target = await aside(lambda: opened.enter_context(new))
        gathered: list[bytes] = []
        size = 0
        async for data in part.data():
            gathered.append(data)
            size += len(data)
            if size >= GATHERED:
                whole = b"".join(gathered)
                await aside(lambda: target.write(whole))  # noqa: B023 - called at once
                gathered, size = [], 0
        rest = b"".join(gathered)
        await aside(lambda: target.write(rest))
        kept = target.done()
        # The name is given, and the disk waited for, before the answer.
        await aside(opened.close)
    return kept


def _uri(path: str) -> str:
    """
    Raises:
        Problem: 404, nothing of ours can have this name.
    """
    parts = path.split("/")
    uri = data_uri(UPLOADS, *parts) if len(parts) == 1 else data_uri(*parts)
    if len(parts) > 1 and parts[0] not in FOLDERS:
        raise _not_found(uri)
    return uri


def _open(uri: str) -> BinaryIO:
    try:
        return open_data(get_settings().data_dir, uri)
    except FileUnavailable:
        raise _not_found(uri) from None


def _remove(uri: str) -> None:
    try:
        remove_data(get_settings().data_dir, uri)
    except FileUnavailable:
        raise _not_found(uri) from None


def _not_found(uri: str) -> Problem:
    return Problem(404, "file_not_found", f"There is no file {uri[:300]!r}.")


def _uploaded(upload: Upload) -> UploadedFile:
    return {
        "file_path": upload.file_path,
        "name": upload.name,
        "size": upload.size,
        "sha256": upload.sha256,
        "created_at": iso(dt.datetime.fromtimestamp(upload.created_at, dt.UTC)),
    }


def _item(file: DataFile) -> FileItem:
    return {
        "file_path": file.uri,
        "name": _own_name(file.name),
        "size": file.size,
        "created_at": iso(dt.datetime.fromtimestamp(file.modified_ns / 1e9, dt.UTC)),
    }


def _own_name(name: str) -> str:
    return UPLOAD_ID.sub("", name, count=1)


router.include_router(uploading)
