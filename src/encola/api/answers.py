"""Answers as JSON, and request bodies in the OpenAPI page."""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import BaseModel
from starlette.responses import Response


def answer(value: Any, status: int = 200) -> Response:
    """A JSON answer. Records are our own and need no second validation on the way out."""
    return Response(orjson.dumps(value), status_code=status, media_type="application/json")


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """The OpenAPI part for a body that the route reads itself, as strict JSON."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
