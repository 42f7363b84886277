"""Kinds of values as they come from outside, each checked the same way wherever it is taken."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AwareDatetime, BeforeValidator, Field

#: Characters of a text that is a name or a key.
KEY_LENGTH: Final = 255


def _number_as_text(value: object) -> object:
    # The lesson's user ids are numbers.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _written_out(value: object) -> object:
    # Pydantic would take "5" for five seconds after 1970.
    if not isinstance(value, str) or "T" not in value.upper():
        raise ValueError("expected a time such as 2026-11-22T09:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]
Text = Annotated[str, Field(min_length=1, max_length=KEY_LENGTH, pattern=r"^[^\x00-\x1f\x7f]+$")]
UserId = Annotated[Text, BeforeValidator(_number_as_text)]
