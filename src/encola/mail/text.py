"""What may stand in the text of a mail, whichever part of it."""

from __future__ import annotations

import re

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Control characters and line breaks, those of Unicode too."""


def whole(text: str, what: str) -> str:
    """
    *text*, when it can be encoded.

    Raises:
        ValueError: it has half of a surrogate pair; *what* names the part.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the {what} has half of a surrogate pair") from None
    return text
