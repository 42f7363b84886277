"""
A document as PDF, by Typst.

The page (``page.typ``) is ours and gets the document as data: a text in it is shown as
it is, whatever it looks like. Typst reads no other file and fetches nothing.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib.resources
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import orjson
import typst

from .document import Document

#: In this order; what none of them has is looked for among the fonts of this machine.
FONTS: Final = (
    "Noto Sans",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Noto Sans Armenian",
    "Noto Sans Bengali",
    "Noto Sans Devanagari",
    "Noto Sans Ethiopic",
    "Noto Sans Georgian",
    "Noto Sans Gujarati",
    "Noto Sans Gurmukhi",
    "Noto Sans Kannada",
    "Noto Sans Khmer",
    "Noto Sans Lao",
    "Noto Sans Malayalam",
    "Noto Sans Myanmar",
    "Noto Sans Oriya",
    "Noto Sans Sinhala",
    "Noto Sans Tamil",
    "Noto Sans Telugu",
    "Noto Sans Thai",
    "Noto Sans Symbols",
    "Noto Emoji",
)


def draw(document: Document, made_at: dt.datetime) -> bytes:
    """The PDF. *made_at* is in its properties, so that the same document gives the same bytes."""
    fonts = typst.Fonts(include_embedded_fonts=False, font_paths=[font_folder()])
    page = importlib.resources.files(__package__).joinpath("page.typ").read_bytes()
    made = typst.compile(
        page,
        format="pdf",
        font_paths=fonts,
        sys_inputs={
            "document": orjson.dumps(dataclasses.asdict(document)).decode(),
            "fonts": orjson.dumps(FONTS).decode(),
        },
        timestamp=made_at.replace(microsecond=0),
    )
    assert isinstance(made, bytes)
    return made


def font_folder() -> Path:
    """Where the package of fonts has put them."""
    found = find_spec("manimgx_fonts")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("manimgx_fonts", name="manimgx_fonts")
    return Path(found.submodule_search_locations[0])
