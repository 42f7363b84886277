"""Results that are too large for a record: each in a file of the data folder."""

from __future__ import annotations

import hashlib

import orjson

from ..files import data_uri, read_data, write_data
from ..settings import get_settings

#: Key of what the record has in place of such a result.
RESULT_FILE = "encola_result_file"


def put_in_file(task_id: str, value: bytes) -> bytes:
    """A result above the limit goes to a file; the record says where, and how large it is."""
    # An id may be any text a Celery client chose; a file's name may not.
    name = hashlib.sha256(task_id.encode()).hexdigest()
    uri = data_uri("results", f"{name}.json")
    write_data(get_settings().data_dir, uri, value)
    return orjson.dumps({RESULT_FILE: uri, "size": len(value)})


def take_from_file(value: bytes) -> bytes:
    """The result itself, of *value* as a record has it."""
    if not value.startswith(b'{"' + RESULT_FILE.encode()):
        return value
    return read_data(get_settings().data_dir, orjson.loads(value)[RESULT_FILE])
