"""Answers as JSON, and what OpenAPI says of bodies, headers and problems."""

from __future__ import annotations

from typing import Any, Final

import orjson
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel, TypeAdapter
from starlette.responses import Response

from .shapes import ProblemDocument

REFERENCE: Final = "#/components/schemas/{model}"

#: Models of the bodies that routes read themselves; FastAPI does not see these.
_bodies: Final[list[type[BaseModel]]] = []

MEANINGS: Final = {
    400: "The body is not strict JSON.",
    403: "The request comes from elsewhere: `foreign_origin`.",
    404: "There is no such thing.",
    409: "The task is in a state that does not allow it.",
    413: "The body is too large.",
    415: "The body is not declared as JSON.",
    416: "The file has no such part. `Content-Range` says how long it is.",
    422: "A value does not fit; `errors` names each field.",
    503: "The store is away or full. `Retry-After` says when to try again.",
    507: "The disk of the data folder is full: `disk_full`.",
}


def answer(value: Any, status: int = 200) -> Response:
    """A JSON answer. Records are our own and need no second validation on the way out."""
    return Response(orjson.dumps(value), status_code=status, media_type="application/json")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI part for the problems that a route may answer with."""
    schema = {"$ref": REFERENCE.format(model="ProblemDocument")}
    return {
        status: {
            "description": MEANINGS[status],
            "content": {"application/problem+json": {"schema": schema}},
        }
        for status in sorted(statuses)
    }


def body_of(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """The OpenAPI part for a body that the route reads itself, as strict JSON."""
    if model not in _bodies:
        _bodies.append(model)
    schema = {"$ref": REFERENCE.format(model=model.__name__)}
    return {
        "requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}
    }


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the schemas that the routes only name."""
    document = get_openapi(
        title=app.title, version=app.version, summary=app.summary, routes=app.routes
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    named: list[tuple[str, dict[str, Any]]] = [
        (model.__name__, model.model_json_schema(ref_template=REFERENCE)) for model in _bodies
    ]
    problem = TypeAdapter(ProblemDocument).json_schema(ref_template=REFERENCE)
    named.append(("ProblemDocument", problem))
    for name, schema in named:
        schemas.update(schema.pop("$defs", {}))
        schemas[name] = schema
    _drop_validation_errors(document)
    return document


def _drop_validation_errors(document: dict[str, Any]) -> None:
    """FastAPI's own shape of a 422, which is never sent: ours is a problem document."""
    for operations in document["paths"].values():
        for operation in operations.values():
            if "application/json" in operation["responses"].get("422", {}).get("content", {}):
                del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
