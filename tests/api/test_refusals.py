"""What is refused, and that nothing is left of it."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from redis.exceptions import BusyLoadingError, OutOfMemoryError
from redis.exceptions import ConnectionError as RedisConnectionError

from encola.api import app
from encola.api.problem_words import words_of
from encola.client import _honest
from encola.errors import (
    EncolaError,
    InvalidInput,
    StoreError,
    StoreUnavailable,
    TaskActive,
    TaskFinished,
    TaskTypeNotFound,
    TooLarge,
)
from encola.store.callers import translate
from harness import Bench

client = TestClient(app)


def broken_off(error: StoreError) -> StoreError:
    error.__cause__ = RedisConnectionError("Connection closed by server.")
    return _honest(error)


JSON = {"Content-Type": "application/json"}


def body(value: str) -> bytes:
    return b'{"email":"a@example.com","subject":"s","body":' + value.encode() + b"}"


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (body("NaN"), 400, "invalid_json"),
        (body("Infinity"), 400, "invalid_json"),
        (body('"\\ud800"'), 400, "invalid_json"),
        (body('"a","body":"b"'), 400, "invalid_json"),
        (body("[" * 70 + "]" * 70), 400, "invalid_json"),
        (b"{", 400, "invalid_json"),
        (b"", 400, "invalid_json"),
        (b"\xff\xfe", 400, "invalid_json"),
        (b"[]", 422, "validation"),
        (b"null", 422, "validation"),
        (b"{}", 422, "validation"),
        (body("1"), 422, "validation"),
        (body('"x","extra":1'), 422, "validation"),
        (body('"' + "x" * 300_000 + '"'), 413, "too_large"),
        (b'{"email":"a@b.es,c@d.es","subject":"s","body":"b"}', 422, "validation"),
        (b'{"email":"a@b.es\\nBcc: c@d.es","subject":"s","body":"b"}', 422, "validation"),
        (b'{"email":"a@b.es","subject":"s\\r\\nBcc: c@d.es","body":"b"}', 422, "validation"),
    ],
)
@pytest.mark.parametrize("route", ["celery", "simple"])
def test_a_bad_body_is_a_problem_and_leaves_nothing(
    served: Bench, route: str, sent: bytes, status: int, code: str
) -> None:
    """4xx with a stable code; no record, no message."""
    response = client.post(f"/tasks/email/{route}", content=sent, headers=JSON)

    assert (status, code) == (response.status_code, response.json()["code"])
    assert "application/problem+json" == response.headers["content-type"]
    assert 0 == served.client.exists("encola:i::all:", "encola")


def test_a_body_without_an_announced_length_is_limited_too(served: Bench) -> None:
    def chunks() -> object:
        for _ in range(40):
            yield b" " * 10_000

    response = client.post("/tasks/email/celery", content=chunks(), headers=JSON)

    assert (413, "too_large") == (response.status_code, response.json()["code"])


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"Host": "evil.example"}),
        ("GET", {"Host": "127.0.0.1:80@evil.example"}),
        ("GET", {"Host": "127.0.0.1:http"}),
        ("GET", {"Host": ""}),
        ("GET", [("Host", "127.0.0.1"), ("Host", "evil.example")]),
        ("POST", {"Origin": "https://evil.example"}),
        ("POST", {"Sec-Fetch-Site": "cross-site"}),
        ("POST", {"Origin": "null"}),
    ],
)
def test_another_sites_page_is_not_answered(
    served: Bench, method: str, headers: dict[str, str] | list[tuple[str, str]]
) -> None:
    response = client.request(method, "/tasks", headers=headers, json={})

    assert (403, "foreign_origin") == (response.status_code, response.json()["code"])


def test_a_store_that_is_away_is_503_and_comes_back_without_a_restart(served: Bench) -> None:
    """Nothing half-done; the next request after its return is served."""
    good = {"email": "a@example.com", "subject": "s", "body": "b"}
    served.server.kill()
    for method, path in (("POST", "/tasks/email/celery"), ("GET", "/tasks/x"), ("GET", "/tasks")):
        response = client.request(method, path, json=good if method == "POST" else None)
        assert (503, "store_unavailable") == (response.status_code, response.json()["code"])
        assert "Retry-After" in response.headers
    assert 503 == client.get("/ready").status_code
    assert 200 == client.get("/health").status_code
    served.server.start()

    assert 200 == client.post("/tasks/email/celery", json=good).status_code
    assert 200 == client.get("/ready").status_code


def test_a_full_store_is_503(served: Bench) -> None:
    good = {"email": "a@example.com", "subject": "s", "body": "b"}
    served.client.config_set("maxmemory-policy", "noeviction")
    served.client.config_set("maxmemory", "1")
    response = client.post("/tasks/email/celery", json=good)
    served.client.config_set("maxmemory", "0")

    assert (503, "store_full") == (response.status_code, response.json()["code"])
    assert 0 == served.client.exists("encola")
    assert 200 == client.post("/tasks/email/celery", json=good).status_code


def test_an_unknown_state_or_cursor_is_422(served: Bench) -> None:
    for query in ("state=DONE", "limit=0", "limit=201", "cursor=%00"):
        response = client.get(f"/tasks?{query}")
        assert (422, "validation") == (response.status_code, response.json()["code"])


@pytest.mark.parametrize("time", ["5", "yesterday", "2026-11-22", "2026-11-22T09:00:00"])
def test_a_time_without_its_day_hour_and_zone_is_422(served: Bench, time: str) -> None:
    """Named as the query names it."""
    response = client.get("/tasks", params={"since": time})

    assert (422, "validation") == (response.status_code, response.json()["code"])
    assert ["query", "since"] == response.json()["errors"][0]["loc"]


def test_tasks_are_listed_by_time_and_by_the_beginning_of_their_id(served: Bench) -> None:
    """As the query says it; what is given and empty is not given."""
    good = {"email": "a@example.com", "subject": "s", "body": "b"}
    made = [client.post("/tasks/email/celery", json=good).json() for _ in range(2)]
    first, second = (task["task_id"] for task in made)

    def listed(**query: str) -> list[str]:
        return [task["task_id"] for task in client.get("/tasks", params=query).json()["items"]]

    assert [second, first] == listed(search=first[:4], since="", until="", type="")
    assert [first] == listed(search=first)
    assert [first] == listed(search=first[:-1])
    assert [] == listed(search=first, state="SUCCESS")
    assert [second, first] == listed(since=made[0]["created_at"])
    assert [] == listed(since="2100-01-01T00:00:00+01:00")
    assert [] == listed(until=made[0]["created_at"])


@pytest.mark.parametrize(
    ("method", "path", "spanish", "english"),
    [
        ("GET", "/tasks/status/x", "Tarea no encontrada", "Task not found"),
        ("GET", "/nowhere", "No existe", "Not Found"),
        ("PUT", "/tasks", "Método no permitido", "Method Not Allowed"),
        ("GET", "/tasks?limit=0", "La petición no es válida.", "The request does not fit."),
        ("GET", "/mailbox/x", "Ningún correo tiene este id.", "No mail has this id."),
        (
            "GET",
            "/reports/report_7_sales.pdf",
            "Ningún reporte tiene este nombre: nunca se hizo, o se ha eliminado.",
            "No report has this name: it was never made, or has been removed.",
        ),
        (
            "POST",
            "/queues/reprots/pause",
            "Cola desconocida: 'reprots'. Colas conocidas: encola, files, reports.",
            "Unknown queue 'reprots'. Known queues: encola, files, reports.",
        ),
        (
            "POST",
            "/workers/x/drain",
            "Worker desconocido: 'x': se ha ido, o su plazo ha vencido.",
            "Unknown worker 'x': it has left, or its lease ran out.",
        ),
        (
            "POST",
            "/schedules/x/run",
            "Programación desconocida: 'x': ningún programa la declara.",
            "Unknown schedule 'x': no program declares it.",
        ),
    ],
)
def test_what_is_refused_is_said_in_the_callers_language(
    served: Bench, method: str, path: str, spanish: str, english: str
) -> None:
    told = client.request(method, path)
    in_english = client.request(method, path, headers={"Accept-Language": "en"})

    assert (spanish, english) == (told.json()["detail"], in_english.json()["detail"])
    assert "Accept-Language" in told.headers["Vary"]


@pytest.mark.parametrize(
    ("error", "spanish"),
    [
        (TaskFinished("x", "SUCCESS"), "La tarea x ya ha terminado (SUCCESS)."),
        (
            TaskActive("x", "RETRY"),
            "La tarea x no ha terminado (RETRY); cancélela antes, o espere su resultado.",
        ),
        (
            TaskTypeNotFound("x", ["email", "file"]),
            "Tipo de tarea desconocido: 'x'. Tipos conocidos: email, file.",
        ),
        (TooLarge("body", 9, 8), "Demasiado grande: 9 bytes; se admiten 8 como máximo."),
        (
            InvalidInput("email", [{"loc": ["body", "email"], "msg": "Field required"}]),
            "Entrada no válida para 'email': body.email: Field required",
        ),
        (
            StoreUnavailable(),
            "El almacén no responde. No se ha encolado nada; inténtelo de nuevo en un momento.",
        ),
        (
            translate(OutOfMemoryError()),
            "El almacén no tiene más memoria. No se ha encolado nada; aumente maxmemory, o retire registros.",
        ),
        (
            translate(BusyLoadingError()),
            "El almacén está cargando sus datos. Inténtelo de nuevo en un momento.",
        ),
        (
            broken_off(StoreUnavailable()),
            (
                "El almacén se cortó antes de responder: no se sabe si la tarea está en cola. "
                "Envíela de nuevo con el mismo Idempotency-Key."
            ),
        ),
        (StoreError("one that nobody knows"), "one that nobody knows"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_has_its_spanish_sentence(error: EncolaError, spanish: str) -> None:
    assert (spanish, str(error)) == (words_of(error, "es"), words_of(error, "en"))


def test_whoever_only_looks_whether_it_is_there_may_ask_with_head(served: Bench) -> None:
    """As load balancers do."""
    for path in ("/health", "/ready"):
        response = client.head(path)
        assert 200 == response.status_code
    served.server.kill()

    assert 503 == client.head("/ready").status_code
