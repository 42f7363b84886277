"""Why a row was rejected, in Spanish and English: for the person who opens the file of rejected rows."""

from __future__ import annotations

from typing import Final

from .lines import Reason

#: key -> (Spanish, English)
_REASONS: Final[dict[str, tuple[str, str]]] = {
    "ragged": (
        "se esperaban {expected} campos y hay {found}",
        "expected {expected} fields, found {found}",
    ),
    "encoding": ("no es texto UTF-8 válido", "is not valid UTF-8 text"),
    "open_quote": ("comillas que no se cierran", "a quote that is not closed"),
    "bad_quote": (
        "hay texto después de unas comillas de cierre",
        "there is text after a closing quote",
    ),
    "value": (
        "{column}: se esperaba {kind} y hay {value!r}",
        "{column}: expected {kind}, found {value!r}",
    ),
}
_KINDS: Final[dict[str, tuple[str, str]]] = {
    "integer": ("un número entero", "a whole number"),
    "decimal": ("un número", "a number"),
    "date": ("una fecha", "a date"),
    "datetime": ("una fecha y hora", "a date and time"),
    "boolean": ("verdadero o falso", "true or false"),
}


def say_reason(reason: Reason, language: str) -> str:
    """The sentence for why a row was rejected."""
    which = 1 if language == "en" else 0
    values = dict(reason.values)
    if "kind" in values:
        values["kind"] = _KINDS[str(values["kind"])][which]
    return _REASONS[reason.key][which].format(**values)
