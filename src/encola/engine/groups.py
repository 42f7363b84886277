"""
Groups and chords of the result backend.

What a chord's parts return is kept in one hash until the last has ended, who publishes the
body; a group is kept where somebody may ask for it by its id.
"""

from __future__ import annotations

import contextlib
import logging
from typing import Any

import orjson
from celery import states
from celery.backends.base import Backend as CeleryBackend
from celery.backends.base import _create_chord_error_with_cause
from celery.canvas import maybe_signature
from celery.exceptions import ChordError
from celery.result import GroupResult, allow_join_result, result_from_tuple
from celery.utils.functional import _regen

from ..store.records import decode_error, encode_error
from .outcome import describe, restore
from .sending import mark_of, sending
from .session import current_session

logger = logging.getLogger(__name__)

#: Groups and half-finished chords are kept so long.
GROUP_SECONDS = 7 * 86_400


class GroupBackend(CeleryBackend):
    """What a result backend does for groups and chords, on the store."""

    def _save_group(self, group_id: str, result: GroupResult) -> GroupResult:
        session = current_session()
        value = self.encode({"result": result.as_tuple()})
        session.client.set(session.keys.group(group_id), value, ex=GROUP_SECONDS)
        return result

    def _restore_group(self, group_id: str) -> dict[str, Any] | None:
        session = current_session()
        value = session.client.get(session.keys.group(group_id))
        if value is None:
            return None
        meta: dict[str, Any] = self.decode(value.decode())
        meta["result"] = result_from_tuple(meta["result"], self.app)
        return meta

    def _delete_group(self, group_id: str) -> None:
        session = current_session()
        session.client.delete(session.keys.group(group_id))

    def apply_chord(self, header_result_args: Any, body: Any, **kwargs: Any) -> None:
        if isinstance(header_result_args[1], _regen):
            # A generator is taken as it comes: to look at its results would run it to its end.
            return
        header = self.app.GroupResult(*header_result_args)
        if any(isinstance(part, GroupResult) for part in header.results):
            # The parts' results must come back in the shape of the header.
            self.save_group(header.id, header)

    def set_chord_size(self, group_id: str, chord_size: int) -> None:
        session = current_session()
        session.run(session.verbs.chord(group_id, "", b"", chord_size, GROUP_SECONDS * 1000))

    def add_to_chord(self, group_id: str, result: Any) -> None:
        """``Task.add_to_chord``: the body waits for one part more."""
        session = current_session()
        session.run(session.verbs.grow_chord(group_id, GROUP_SECONDS * 1000))

    def _fail_chain(self, chain: Any, *args: Any, **kwargs: Any) -> None:
        """The links after one that failed have their end too; Celery leaves out the tasks of a group among them."""
        if isinstance(chain, list):
            chain = [part for link in chain for part in _tasks_of(link)]
        super()._fail_chain(chain, *args, **kwargs)

    def on_chord_part_return(self, request: Any, state: str, result: Any, **kwargs: Any) -> None:
        """One part of a chord has ended; the last one publishes the body."""
        group_id, task_id = request.group, request.id
        if not group_id or not task_id:
            return
        index = request.group_index
        part = f"{index:09d}:{task_id}" if isinstance(index, int) else f"~:{task_id}"
        if state in states.PROPAGATE_STATES and isinstance(result, BaseException):
            value = {
                "id": task_id,
                "state": state,
                "error": orjson.loads(encode_error(describe(result))),
            }
        else:
            value = {"id": task_id, "state": state, "value": self._encode_value(result).decode()}
        session = current_session()
        call = session.verbs.chord(
            group_id,
            part,
            orjson.dumps(value),
            None,
            GROUP_SECONDS * 1000,
            sending=mark_of(request),
        )
        parts, size, round_ = session.run(call)
        if size >= 0 and parts >= size:
            with sending(f"{group_id}:{round_}"):
                self._run_chord_body(request, group_id)

    def _run_chord_body(self, request: Any, group_id: str) -> None:
        session = current_session()
        callback = maybe_signature(request.chord, app=self.app)
        key = session.keys.chord(group_id)
        stored = session.client.hgetall(key)
        # Before each value stands its sending.
        parts = [
            orjson.loads(v.partition(b"\n")[2])
            for k, v in sorted(stored.items())
            if k.startswith(b"p")
        ]
        try:
            results = self._join_parts(group_id, parts)
        except ChordError as error:
            logger.warning("Chord %s: %s", group_id, error)
            self.chord_error_from_stack(callback, error)
        else:
            # The body has its id and sending already, so a repeated last part publishes it once.
            self.app.amqp._retry_publish(callback.delay, results)
        session.client.delete(session.keys.group(group_id))

    def _join_parts(self, group_id: str, parts: list[dict[str, Any]]) -> list[Any]:
        for part in parts:
            if "error" in part:
                error = part["error"]
                message = f"Dependency {part['id']} raised {error.get('type')}({error.get('message', '')!r})"
                cause = restore(decode_error(error))
                raise _create_chord_error_with_cause(message, cause)
        values = {part["id"]: self.decode(part["value"]) for part in parts}
        header = self.app.GroupResult.restore(group_id, app=self.app)
        if header is None:
            return list(values.values())
        with contextlib.suppress(KeyError):
            # Not by the records: the last part's has no outcome yet, we are about to write it.
            return [_shaped(part, values) for part in header.results]
        with allow_join_result():
            header.on_ready()
            joined: list[Any] = header.join_native(
                timeout=self.app.conf.result_chord_join_timeout, propagate=True
            )
            return joined

    def _encode_value(self, value: Any) -> bytes:
        """
        A result as stored JSON.

        Raises:
            kombu.exceptions.EncodeError: it is none; Celery makes a FAILURE of it.
        """
        if value is None:
            return b"null"
        encoded = self.encode(self.prepare_value(value))
        return encoded.encode() if isinstance(encoded, str) else bytes(encoded)


def _tasks_of(link: Any) -> list[Any]:
    """A link of a chain; of a group, and of what stands in it, the tasks."""
    if not isinstance(link, dict) or link.get("subtask_type") not in ("group", "chain"):
        return [link]
    return [part for task in link["kwargs"].get("tasks") or () for part in _tasks_of(task)]


def _shaped(result: Any, values: dict[str, Any]) -> Any:
    """The values of a chord's parts in the shape of its header. Raises KeyError where one is missing."""
    if isinstance(result, GroupResult):
        return [_shaped(part, values) for part in result.results]
    return values[result.id]
