"""
What a problem says, in Spanish. In English it is the error's own sentence.

A sentence with values is found by the error's code and takes them from the error; one without, by its
English words. What is in neither table is told in English, as logs and the command line's own words are.
"""

from __future__ import annotations

from typing import Any, Final

from ..errors import EncolaError

#: code -> Spanish, with the error's attributes in place.
_BY_CODE: Final[dict[str, str]] = {
    "task_finished": "La tarea {task_id} ya ha terminado ({state}).",
    "task_active": "La tarea {task_id} no ha terminado ({state}); cancélela antes, o espere su resultado.",
    "task_type_not_found": "Tipo de tarea desconocido: {name!r}. Tipos conocidos: {known}.",
    "queue_not_found": "Cola desconocida: {queue!r}. Colas conocidas: {known}.",
    "worker_not_found": "Worker desconocido: {worker!r}: se ha ido, o su plazo ha vencido.",
    "schedule_not_found": "Programación desconocida: {schedule_id!r}: ningún programa la declara.",
    "too_large": "Demasiado grande: {size} bytes; se admiten {limit} como máximo.",
    "validation": "Entrada no válida para {type_name!r}: {fields}",
}
#: English -> Spanish.
_BY_WORDS: Final[dict[str, str]] = {
    "The store did not answer. Nothing was queued; try again in a moment.": (
        "El almacén no responde. No se ha encolado nada; inténtelo de nuevo en un momento."
    ),
    "The store broke off before it answered: whether the task was queued is not known. "
    "Send it again with the same Idempotency-Key.": (
        "El almacén se cortó antes de responder: no se sabe si la tarea está en cola. "
        "Envíela de nuevo con el mismo Idempotency-Key."
    ),
    "The store is loading its data. Try again in a moment.": (
        "El almacén está cargando sus datos. Inténtelo de nuevo en un momento."
    ),
    "The store is out of memory. Nothing was queued; raise maxmemory, or prune records.": (
        "El almacén no tiene más memoria. No se ha encolado nada; aumente maxmemory, o retire registros."
    ),
    "The request does not fit.": "La petición no es válida.",
    "The request ended before its body did.": "La petición terminó antes que su contenido.",
    "Something went wrong on our side.": "Algo ha fallado en el servicio.",
    "No mail has this id.": "Ningún correo tiene este id.",
    "No mail with HTML has this id.": "Ningún correo con HTML tiene este id.",
    "No report has this name: it was never made, or has been removed.": (
        "Ningún reporte tiene este nombre: nunca se hizo, o se ha eliminado."
    ),
    "A whole number in the body is beyond 64 bits.": "Un número entero del cuerpo pasa de 64 bits.",
    "Not Found": "No existe",
    "Method Not Allowed": "Método no permitido",
}


def words_of(error: EncolaError, language: str) -> str:
    """The sentence of *error* in *language*."""
    template = _BY_CODE.get(error.code) if language == "es" else None
    if template is None:
        return in_language(str(error), language)
    try:
        return template.format(**{name: _listed(value) for name, value in vars(error).items()})
    except KeyError:
        # One of the same code that carries other values.
        return str(error)


def in_language(sentence: str, language: str) -> str:
    """A sentence without values in *language*."""
    return _BY_WORDS.get(sentence, sentence) if language == "es" else sentence


def _listed(value: Any) -> Any:
    return ", ".join(str(item) for item in value) if isinstance(value, list) else value
