"""
The dashboard: its pages and its files, under a strict content security policy.

Files are read once, packed once, and served under an address that holds a digest of all of
them: a browser keeps them for good, and a new version is a new address. Every module is
named in the page for preloading, so that the first paint does not wait for one import after
another.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import mimetypes
from pathlib import Path
from typing import Final, NamedTuple

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from .language import choose_language
from .problems import Problem

router = APIRouter(include_in_schema=False)

FOLDER: Final = Path(__file__).parent.parent / "dashboard"
#: No inline script or style, and nothing from elsewhere.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
#: And, for a page that is all ours, no way from a string to an element (Trusted Types).
TRUSTED: Final = "require-trusted-types-for 'script'; trusted-types 'none'"
FOR_GOOD: Final = "public, max-age=31536000, immutable"
#: No modules of the first page, or fetched only once a screen needs them.
LATE: Final = ("vendor/", "boot.js", "docs.js")
#: Below this many bytes packing gains nothing.
PACKED: Final = 500


class Asset(NamedTuple):
    """One file as it is sent."""

    content: bytes
    media_type: str


@functools.cache
def assets() -> dict[str, Asset]:
    """Path below the dashboard's folder -> file."""
    paths = sorted(path for path in FOLDER.rglob("*") if path.is_file())
    return {path.relative_to(FOLDER).as_posix(): _read(path) for path in paths}


def _read(path: Path) -> Asset:
    media_type = mimetypes.guess_type(path.name)[0] or "text/plain"
    if path.suffix == ".js":
        # What the table of the machine says of it varies; a module needs exactly this.
        media_type = "text/javascript"
    return Asset(path.read_bytes(), media_type)


@functools.cache
def packed(path: str) -> bytes | None:
    """The file in gzip; None where that gains nothing."""
    content = assets()[path].content
    return gzip.compress(content, mtime=0) if len(content) > PACKED else None


@functools.cache
def version() -> str:
    """A digest of all files."""
    digest = hashlib.sha256()
    for path, asset in assets().items():
        digest.update(path.encode() + b"\0" + asset.content + b"\0")
    return digest.hexdigest()[:16]


@functools.cache
def page(name: str, language: str) -> bytes:
    """An HTML page with its language, the address of its files, and what to load early."""
    base = f"/assets/{version()}"
    early = [path for path in assets() if path.endswith(".js") and not path.startswith(LATE)]
    links = [f'<link rel="modulepreload" href="{base}/{path}">' for path in early]
    text = assets()[name].content.decode()
    for mark, value in (("language", language), ("assets", base), ("preload", "\n  ".join(links))):
        text = text.replace("{{" + mark + "}}", value)
    return text.encode()


@router.get("/")
async def read_dashboard(request: Request) -> Response:
    """The dashboard."""
    return _page("index.html", choose_language(request), f"{POLICY}; {TRUSTED}")


@router.get("/docs")
async def read_docs() -> Response:
    """The page of the API, made by Swagger UI from /openapi.json."""
    return _page("docs.html", "en", POLICY)


def _page(name: str, language: str, policy: str) -> Response:
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache"}
    return Response(page(name, language), media_type="text/html", headers=headers)


@router.get("/assets/{digest}/{path:path}")
async def read_asset(request: Request, digest: str, path: str) -> Response:
    """A file of the dashboard; of this version, as a page of another one must not mix with it."""
    asset = assets().get(path)
    if asset is None or digest != version():
        raise Problem(404, "not_found", "There is no such file in this version.")
    headers = {"Cache-Control": FOR_GOOD, "Vary": "Accept-Encoding"}
    content = asset.content
    if "gzip" in request.headers.get("accept-encoding", "") and (small := packed(path)):
        headers["Content-Encoding"] = "gzip"
        content = small
    return Response(content, media_type=asset.media_type, headers=headers)
