"""
The scripts of ``lua/``: each with what it uses of the shared parts put in front.

A script is text that the server runs anew each time, its functions included: the
fifty shared ones took longer to make than a short script to run. So each gets
those alone that it names, or that one of them names.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Final

#: A function of a shared part: from its line without indentation to its ``end``.
_FUNCTION: Final = re.compile(
    r"^local function (?P<name>\w+)(?:.* end$|(?:.|\n)*?^end$)", re.MULTILINE
)
_COMMENT: Final = re.compile(r"^ *--.*\n?", re.MULTILINE)
_NAME: Final = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Script:
    """The text of one script, and the name the server knows it by."""

    name: str
    source: str
    sha: str


class Library:
    """
    The scripts by name.

    Args:
        clock: source of ``now_ms()``; the tests inject a clock of their own.
        overrides: name of a file -> text in its place.
    """

    #: All but these may run when the server is out of memory, so that a
    #: full server can still finish, and so forget, what it has.
    REFUSED_WHEN_FULL: Final[frozenset[str]] = frozenset({"enqueue", "fire"})
    #: Script -> the shared parts it needs besides ``_record``.
    NEEDS: Final[dict[str, tuple[str, ...]]] = {
        "enqueue": ("_acts",),
        "claim": ("_adopt",),
        "sweep": ("_adopt", "_held"),
        "pause": ("_held",),
        "purge": ("_adopt",),
        "cancel": ("_acts",),
        "retry": ("_acts",),
        "bulk": ("_acts",),
    }

    def __init__(self, clock: str | None = None, overrides: dict[str, str] | None = None) -> None:
        self._clock = clock if clock is not None else _read("_clock")
        self._overrides = overrides or {}
        self._scripts: dict[str, Script] = {}

    def __getitem__(self, name: str) -> Script:
        if name not in self._scripts:
            self._scripts[name] = self._made(name, [name], self._text(name))
        return self._scripts[name]

    def even_when_full(self, name: str) -> Script:
        """The script *name*, which a server that is out of memory runs too."""
        own_name = f"{name} even when full"
        if own_name not in self._scripts:
            script = self._made(own_name, [name], self._text(name), refused_when_full=frozenset())
            self._scripts[own_name] = script
        return self._scripts[own_name]

    def both(self, first: str, second: str) -> Script:
        """Two scripts as one, for one round trip; their arguments: see ``_both.lua``."""
        name = f"{first}+{second}"
        if name not in self._scripts:
            parts = [_as_function("first", self._text(first))]
            parts += [_as_function("second", self._text(second)), self._text("_both")]
            self._scripts[name] = self._made(name, [first, second], "\n".join(parts))
        return self._scripts[name]

    def _made(
        self,
        name: str,
        of: list[str],
        text: str,
        refused_when_full: frozenset[str] = REFUSED_WHEN_FULL,
    ) -> Script:
        flags = "" if refused_when_full.intersection(of) else " flags=allow-oom"
        needs = dict.fromkeys(part for each in of for part in self.NEEDS.get(each, ()))
        shared = "\n".join([self._clock, *map(self._text, ("_record", *needs))])
        body = (
            f"{_as_function('script', text)}\nlocal reply = script(ARGV)\nfinish()\nreturn reply\n"
        )
        source = "\n".join([f"#!lua{flags}", *filter(None, _what_is_used(shared, body)), body])
        sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
        return Script(name, source, sha)

    def _text(self, name: str) -> str:
        return self._overrides.get(name) or _read(name)


def _as_function(name: str, text: str) -> str:
    return f"local function {name}(ARGV)\n{text}\nend"


def _what_is_used(shared: str, text: str) -> Iterator[str]:
    """Of *shared*, in its order: all that is no function, and the functions that *text* needs."""
    functions = {found["name"]: found[0] for found in _FUNCTION.finditer(shared)}
    needed: set[str] = set()
    unread = [_FUNCTION.sub("", shared), text]
    while unread:
        named = functions.keys() & _names_in(unread.pop())
        unread += [functions[name] for name in named - needed]
        needed |= named
    at = 0
    for found in _FUNCTION.finditer(shared):
        yield _COMMENT.sub("", shared[at : found.start()]).strip()
        if found["name"] in needed:
            yield found[0]
        at = found.end()
    yield _COMMENT.sub("", shared[at:]).strip()


def _names_in(text: str) -> set[str]:
    return set(_NAME.findall(_COMMENT.sub("", text)))


@functools.cache
def _read(name: str) -> str:
    return resources.files(__package__).joinpath("lua", f"{name}.lua").read_text("utf-8")
