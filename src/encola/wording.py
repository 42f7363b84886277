"""
The sentences of our own tasks' progress, in Spanish and English.

A record keeps the key and the values of a sentence beside its words, so that each reader gets it in
their own language. What a user's task says is kept as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

#: key -> (Spanish, English)
_PROGRESS: Final[dict[str, tuple[str, str]]] = {
    "file_reading": (
        "Procesando {name}: {read} de {size}, {records} filas, {rate}/s{left}",
        "Processing {name}: {read} of {size}, {records} rows, {rate}/s{left}",
    ),
    "report_reading": ("Leyendo los datos", "Reading the data"),
    "report_drawing": ("Componiendo el PDF", "Drawing the PDF"),
    "bulk_cancel": (
        "{changed} de {total} tareas canceladas",
        "{changed} of {total} tasks cancelled",
    ),
    "bulk_retry": (
        "{changed} de {total} tareas en cola de nuevo",
        "{changed} of {total} tasks queued again",
    ),
}
_LEFT: Final = (", quedan {time}", ", {time} left")
_UNITS: Final = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))
#: Values of a sentence that are bytes, and such that are counts.
_BYTES: Final = frozenset({"read", "size", "rate"})
_COUNTS: Final = frozenset({"records", "rejected", "changed", "total"})


def say_progress(key: str, values: Mapping[str, Any], language: str) -> str | None:
    """The sentence; None: it is none of ours, or a value is missing."""
    which = 1 if language == "en" else 0
    try:
        sentence = _PROGRESS[key][which]
        shown = {name: _shown(name, value, language) for name, value in values.items()}
        left = values.get("seconds_left")
        shown["left"] = "" if left is None else _LEFT[which].format(time=_time(left))
        return sentence.format(**shown)
    except (KeyError, TypeError, ValueError):
        return None


def progress_in(progress: Mapping[str, Any] | None, language: str) -> dict[str, Any] | None:
    """A record's progress with its sentence in *language*, where the sentence is one of ours."""
    if progress is None:
        return None
    said: str | None = None
    values = progress.get("values")
    if isinstance(values, Mapping):
        said = say_progress(str(progress.get("key")), values, language)
    return {**progress, "status": said} if said else dict(progress)


def _shown(name: str, value: Any, language: str) -> str:
    if name in _BYTES:
        return _bytes(value, language)
    return _count(value, language) if name in _COUNTS else str(value)


def _bytes(count: float, language: str) -> str:
    for size, unit in _UNITS:
        if count >= size:
            return f"{_decimal(count / size, language)} {unit}"
    return f"{count:.0f} B"


def _decimal(number: float, language: str) -> str:
    text = f"{number:.1f}" if number < 10 else f"{number:.0f}"
    return text if language == "en" else text.replace(".", ",")


def _count(number: int, language: str) -> str:
    text = f"{number:,}"
    return text if language == "en" else text.replace(",", ".")


def _time(seconds: float) -> str:
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
