"""
The sentences of the API in Spanish and English, and which of the two a caller wants.

The Spanish ones of the lesson are kept word for word.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import HTTPConnection

from ..settings import get_settings

LANGUAGES: Final = ("es", "en")

#: key -> (Spanish, English)
SENTENCES: Final[dict[str, tuple[str, str]]] = {
    "email_simple": ("Email programado para envío", "E-mail scheduled to be sent"),
    "email_celery": ("Email programado con Celery", "E-mail scheduled with Celery"),
    "file": ("Archivo programado para procesamiento", "File scheduled for processing"),
    "file_removed": ("Archivo {name} eliminado", "File {name} removed"),
    "report": ("Reporte programado para generación", "Report scheduled to be made"),
    "report_removed": ("Reporte {name} eliminado", "Report {name} removed"),
    "mail_removed": ("Correo eliminado", "Mail removed"),
    "mailbox_emptied": ("Buzón vaciado: {count} correos", "Mailbox emptied: {count} mails"),
    "accepted": ("Tarea programada", "Task scheduled"),
    "retried": ("Tarea programada de nuevo", "Task scheduled again"),
    "cancelled": ("Tarea {task_id} cancelada", "Task {task_id} cancelled"),
    "not_found": ("Tarea no encontrada", "Task not found"),
    "queue_paused": ("Cola {queue} en pausa", "Queue {queue} paused"),
    "queue_resumed": ("Cola {queue} reanudada", "Queue {queue} resumed"),
    "would_purge": (
        "Se cancelarían {count} tareas de la cola {queue}",
        "{count} tasks of the queue {queue} would be cancelled",
    ),
    "purged": (
        "Canceladas {count} tareas de la cola {queue}",
        "{count} tasks of the queue {queue} cancelled",
    ),
    "type_paused": ("Tareas de tipo {type} en pausa", "Tasks of type {type} paused"),
    "type_resumed": ("Tareas de tipo {type} reanudadas", "Tasks of type {type} resumed"),
    "worker_drains": (
        "El worker {worker} no toma más tareas",
        "Worker {worker} takes no more tasks",
    ),
    "worker_resumed": (
        "El worker {worker} toma tareas de nuevo",
        "Worker {worker} takes tasks again",
    ),
    "schedule_paused": ("Programación {id} en pausa", "Schedule {id} paused"),
    "schedule_resumed": ("Programación {id} reanudada", "Schedule {id} resumed"),
    "schedule_run": ("Tarea de la programación {id} en cola", "Task of schedule {id} queued"),
    "PENDING": ("Tarea pendiente...", "Task pending..."),
    "SCHEDULED": ("Tarea programada para más tarde", "Task scheduled for later"),
    "STARTED": ("Tarea en ejecución", "Task running"),
    "PROCESSING": ("Tarea en proceso", "Task in progress"),
    "RETRY": ("Se volverá a intentar", "Will be tried again"),
    "SUCCESS": ("Tarea completada", "Task completed"),
    "FAILURE": ("Tarea fallida", "Task failed"),
    "REVOKED": ("Tarea cancelada", "Task cancelled"),
}


def say(key: str, language: str, **values: Any) -> str:
    """The sentence for *key*, with its values in place."""
    spanish, english = SENTENCES[key]
    return (english if language == "en" else spanish).format(**values)


def choose_language(request: HTTPConnection) -> str:
    """``es`` or ``en``: by Accept-Language (RFC 9110, 12.5.4), else the setting."""
    best, best_quality = get_settings().language, 0.0
    for part in request.headers.get("accept-language", "").split(","):
        tag, _, parameter = part.strip().partition(";")
        language = tag.partition("-")[0].lower()
        if language not in LANGUAGES:
            continue
        quality = _quality(parameter)
        if quality > best_quality:
            best, best_quality = language, quality  # type: ignore[assignment]
    return best


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(1.0, max(0.0, float(value)))
    except ValueError:
        return 0.0
