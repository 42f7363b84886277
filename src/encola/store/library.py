"""
The scripts of ``lua/``, as one library of functions that the server keeps.

A script that is sent as text (``EVAL``) is run anew each time, with all the functions
that it shares with others: they took longer to make than a short script to run. A
library is made once (``FUNCTION LOAD``) and its functions called (``FCALL``). Each
library is named by its text, so that programs of two versions work on one server.

The text of one script remains: for a server that has lost the library and takes no
other, because its memory is full. It must still be possible to finish what it has.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import Final

#: In this order, before the scripts; after them ``_call``.
_SHARED: Final = ("_record", "_places", "_adopt", "_held", "_acts")

#: All but these may run when the server is out of memory, so that a full server can
#: still finish, and so forget, what it has.
REFUSED_WHEN_FULL: Final[frozenset[str]] = frozenset({"enqueue", "fire"})


@dataclass(frozen=True, slots=True)
class Script:
    """One script, as it is called."""

    name: str
    """That of its file."""
    function: str
    """What ``FCALL`` calls it."""
    library: Library
    needs_room: bool
    """A server that is out of memory refuses it."""

    @property
    def text(self) -> str:
        """What ``EVAL`` does without the library."""
        flags = "" if self.needs_room else " flags=allow-oom"
        return f"#!lua{flags}\n{self.library.body}\nreturn answer_call('{self.name}', KEYS, ARGV)\n"


class Library:
    """
    The scripts by name.

    Args:
        clock: source of ``now_ms()``; the tests inject a clock of their own.
        overrides: name of a file -> text in its place.
    """

    def __init__(self, clock: str | None = None, overrides: dict[str, str] | None = None) -> None:
        self._clock = clock if clock is not None else _read("_clock")
        self._overrides = overrides or {}
        self.body = self._made()
        """The scripts with all that they share."""
        digest = hashlib.sha1(self.body.encode(), usedforsecurity=False).hexdigest()
        self.name = f"encola_{digest[:12]}"
        self._scripts = {
            name: Script(name, f"{self.name}_{name}", self, name in REFUSED_WHEN_FULL)
            for name in script_names()
        }
        self._even_when_full = {
            name: Script(name, f"{self.name}_{name}_even_when_full", self, needs_room=False)
            for name in REFUSED_WHEN_FULL
        }

    def __getitem__(self, name: str) -> Script:
        return self._scripts[name]

    def even_when_full(self, name: str) -> Script:
        """The script *name*, which a server that is out of memory runs too."""
        return self._even_when_full.get(name) or self._scripts[name]

    @functools.cached_property
    def source(self) -> str:
        """What ``FUNCTION LOAD`` is given."""
        scripts = (*self._scripts.values(), *self._even_when_full.values())
        return "\n".join([f"#!lua name={self.name}", self.body, *map(_registration, scripts)])

    def _made(self) -> str:
        scripts = [
            f"VERBS['{name}'] = function(ARGV)\n{self._text(name)}\nend" for name in script_names()
        ]
        shared = map(self._text, _SHARED)
        return "\n".join([self._clock, *shared, "local VERBS = {}", *scripts, self._text("_call")])

    def _text(self, name: str) -> str:
        return self._overrides.get(name) or _read(name)


@functools.cache
def shipped() -> Library:
    """The scripts as they are; made once a process."""
    return Library()


@functools.cache
def script_names() -> tuple[str, ...]:
    """The scripts that may be called: the files whose name does not begin with an underscore."""
    files = resources.files(__package__).joinpath("lua").iterdir()
    names = (file.name.removesuffix(".lua") for file in files if file.name.endswith(".lua"))
    return tuple(sorted(name for name in names if not name.startswith("_")))


def _registration(script: Script) -> str:
    flags = "" if script.needs_room else "'allow-oom'"
    callback = f"function(keys, argv) return answer_call('{script.name}', keys, argv) end"
    return (
        f"redis.register_function{{function_name='{script.function}', callback={callback}, "
        f"flags={{{flags}}}}}"
    )


@functools.cache
def _read(name: str) -> str:
    return resources.files(__package__).joinpath("lua", f"{name}.lua").read_text("utf-8")
