"""
The open conversations of one event loop, kept between mails.

A mail takes the conversation that was used last, or opens one. Afterwards it is kept for
the next mail, for some seconds and for some number of mails, and then left. It is kept
only while nothing is in doubt: after an answer to the last command. A mail that was
interrupted (a time limit, a cancel) hangs up, so that nothing of it is taken later.

A kept conversation can have ended in the meantime. That shows before the content of the
next mail is sent, and the mail goes over a new one. No mail is ever sent twice by this:
once its content is on its way, what happens is told to the caller and not tried again.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import NamedTuple

import aiosmtplib

from .answers import MailRefused
from .conversation import HANGS_UP, Conversation, Stale, open_conversation
from .message import Letter
from .server import SmtpServer

MOST_OPEN = 10
"""Mails of one event loop that are handed over at the same time; others wait for their turn.
Mail servers count the connections of a client, and refuse what is above some tens."""


class Keep(NamedTuple):
    """How long a conversation is kept for the next mail."""

    seconds: float
    """Without use; 0: it is not kept."""
    mails: int
    """At most so many in one."""


ONCE = Keep(0, 1)
"""A connection for each mail."""


class Place(NamedTuple):
    """Where a conversation can be used again."""

    server: SmtpServer
    timeout: float


class _Kept(NamedTuple):
    conversation: Conversation
    expiry: asyncio.TimerHandle


class Connections:
    """Of one event loop; :func:`encola.loops.of_this_loop` makes and closes it."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(MOST_OPEN)
        self._kept: dict[Place, list[_Kept]] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    async def hand_over(self, letter: Letter, place: Place, keep: Keep) -> None:
        """
        Coming back means that the server took it.

        Raises:
            PermanentFailure, MailDelayed, aiosmtplib.SMTPException, OSError: as
                :func:`.open_conversation` and :meth:`.Conversation.hand_over` do.
        """
        async with self._turns:
            kept = self._take(place)
            if kept is not None:
                with suppress(Stale):
                    return await self._use(kept, letter, place, keep)
                # The server was restarted, or the way to it is cut: the others have ended too.
                self._hang_up(place)
            opened = await open_conversation(place.server, place.timeout)
            return await self._use(opened, letter, place, keep)

    async def close(self) -> None:
        """Leave every conversation that is kept."""
        kept = [one for place in list(self._kept) for one in self._kept.pop(place)]
        for one in kept:
            one.expiry.cancel()
        await asyncio.gather(*(one.conversation.leave() for one in kept), *self._leaving)

    async def _use(
        self, conversation: Conversation, letter: Letter, place: Place, keep: Keep
    ) -> None:
        try:
            await conversation.hand_over(letter)
        except BaseException as error:
            if _is_an_answer(error):
                await self._put_back(conversation, place, keep)
            else:
                conversation.hang_up()
            raise
        await self._put_back(conversation, place, keep)

    def _take(self, place: Place) -> Conversation | None:
        kept = self._kept.get(place, [])
        while kept:
            conversation, expiry = kept.pop()
            expiry.cancel()
            if conversation.goes_on:
                return conversation
            conversation.hang_up()
        return None

    async def _put_back(self, conversation: Conversation, place: Place, keep: Keep) -> None:
        if keep.seconds <= 0 or conversation.mails >= keep.mails or not conversation.goes_on:
            await conversation.leave()
            return
        loop = asyncio.get_running_loop()
        expiry = loop.call_later(keep.seconds, self._expire, place, conversation)
        self._kept.setdefault(place, []).append(_Kept(conversation, expiry))

    def _expire(self, place: Place, conversation: Conversation) -> None:
        kept = [one for one in self._kept[place] if one.conversation is not conversation]
        self._kept[place] = kept
        leaving = asyncio.ensure_future(conversation.leave())
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    def _hang_up(self, place: Place) -> None:
        for conversation, expiry in self._kept.pop(place, []):
            expiry.cancel()
            conversation.hang_up()


def _is_an_answer(error: BaseException) -> bool:
    """Whether the server has answered, and goes on listening."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return 400 <= error.code <= 599 and error.code != HANGS_UP
    return isinstance(error, MailRefused)  # said by us, before a command
