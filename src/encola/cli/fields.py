"""
From ``--field value`` to a task's input, by the JSON Schema of its type.

Pure: words and a schema in, a dict out. The API validates; here only what the words
*mean* is decided, so that ``--pages 3`` is a number where the model wants one.

    --user 7        user_id, because there is no field ``user``
    --html          a boolean; ``--no-html`` is its opposite
    --to a --to b   a list
    ventas.csv      the field ``file_path``
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from .exits import USAGE, CommandError

FILE_FIELD = "file_path"
TRUE_WORDS = frozenset({"true", "yes", "on", "1", "si", "sí"})
FALSE_WORDS = frozenset({"false", "no", "off", "0"})


def parse(words: Sequence[str], schema: dict[str, Any]) -> dict[str, Any]:
    """
    The input that *words* describe.

    Raises:
        CommandError: an unknown field, a missing or unfitting value; exit code 2.
    """
    properties = cast("dict[str, dict[str, Any]]", schema.get("properties") or {})
    found: dict[str, Any] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word.startswith("--") and len(word) > 2:
            name, value = _option(word, rest, properties, schema)
        else:
            name, value = FILE_FIELD, _file(word, properties)
        if isinstance(value, list) and isinstance(found.get(name), list):
            found[name] += value
        elif name in found:
            raise CommandError(f"The field {name} is given twice.", USAGE)
        else:
            found[name] = value
    return found


def _option(
    word: str,
    rest: list[str],
    properties: dict[str, dict[str, Any]],
    schema: dict[str, Any],
) -> tuple[str, Any]:
    flag, equals, inline = word[2:].partition("=")
    name = _field(flag, properties)
    if name is None and flag.startswith("no-") and not equals:
        name = _field(flag.removeprefix("no-"), properties)
        if name and "boolean" in _kinds(properties[name], schema):
            return name, False
        name = None
    if name is None:
        raise _unknown(flag, properties)
    kinds = _kinds(properties[name], schema)
    if equals:
        return name, _convert(flag, inline, kinds, properties[name], schema)
    if kinds[:1] == ["boolean"] and (not rest or rest[0].lower() not in TRUE_WORDS | FALSE_WORDS):
        return name, True
    if not rest:
        raise CommandError(f"--{flag} needs a value.", USAGE)
    return name, _convert(flag, rest.pop(0), kinds, properties[name], schema)


def _field(flag: str, properties: dict[str, dict[str, Any]]) -> str | None:
    name = flag.replace("-", "_")
    for candidate in (flag, name, f"{name}_id"):
        if candidate in properties:
            return candidate
    return None


def _kinds(field: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    """The JSON types that *field* may have, ``null`` apart, in the order of its schema."""
    if "$ref" in field:
        target: Any = schema
        for part in str(field["$ref"]).removeprefix("#/").split("/"):
            target = target.get(part, {})
        return _kinds(cast("dict[str, Any]", target), schema)
    kinds: list[str] = []
    for choice in (
        *field.get("anyOf", ()),
        *field.get("oneOf", ()),
        *field.get("allOf", ()),
    ):
        kinds += _kinds(cast("dict[str, Any]", choice), schema)
    own = field.get("type", [])
    kinds += [own] if isinstance(own, str) else cast("list[str]", own)
    return [kind for kind in kinds if kind != "null"]


def _convert(
    flag: str,
    text: str,
    kinds: list[str],
    field: dict[str, Any],
    schema: dict[str, Any],
) -> Any:
    # From the narrowest to the widest: what fits a number is meant as one.
    for kind in ("integer", "number", "boolean", "object", "array", "string"):
        if kind in kinds:
            try:
                return _as(kind, flag, text, field, schema)
            except ValueError:
                continue
    if not kinds:  # a field of any type: JSON where it is JSON, else the text
        try:
            return json.loads(text)
        except ValueError:
            return text
    raise CommandError(f"--{flag}: expected {_expected(kinds)}, got {text!r}.", USAGE)


def _as(kind: str, flag: str, text: str, field: dict[str, Any], schema: dict[str, Any]) -> Any:
    if kind == "integer":
        return int(text)
    if kind == "number":
        return float(text)
    if kind == "boolean":
        if text.lower() in TRUE_WORDS | FALSE_WORDS:
            return text.lower() in TRUE_WORDS
        raise ValueError(text)
    if kind == "object":
        value: object = json.loads(text)
        if isinstance(value, dict):
            return cast("dict[str, Any]", value)
        raise ValueError(text)
    if kind == "array":
        if text.lstrip().startswith("["):
            return json.loads(text)
        items = cast("dict[str, Any]", field.get("items") or {})
        return [_convert(flag, text, _kinds(items, schema), items, schema)]
    return text


def _file(word: str, properties: dict[str, dict[str, Any]]) -> str:
    if FILE_FIELD not in properties:
        raise CommandError(
            f"Unexpected {word!r}: this task type takes no file. {_listed(properties)}",
            USAGE,
        )
    # The worker has another current folder; a URI such as data://… is no path.
    path = Path(word)
    return str(path.absolute()) if "://" not in word and path.exists() else word


def _unknown(flag: str, properties: dict[str, dict[str, Any]]) -> CommandError:
    close = difflib.get_close_matches(flag.replace("-", "_"), properties, n=1)
    hint = f" Did you mean --{close[0].replace('_', '-')}?" if close else ""
    return CommandError(f"Unknown field --{flag}.{hint} {_listed(properties)}", USAGE)


def _listed(properties: dict[str, dict[str, Any]]) -> str:
    names = ", ".join(f"--{name.replace('_', '-')}" for name in properties)
    return f"Fields: {names}." if names else "It has no fields."


def _expected(kinds: list[str]) -> str:
    words = {
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
        "object": "a JSON object",
        "array": "a JSON list",
        "string": "text",
    }
    return " or ".join(words.get(kind, kind) for kind in dict.fromkeys(kinds))
