"""
The memory: records, queues and events in one Valkey or Redis.

Every change is one script (:mod:`.scripts`, ``lua/``); reading is
:mod:`.records`. Nothing above this package knows a key.
"""

from .callers import run, run_async, run_many
from .connection import connect, connect_async
from .indexes import Filter
from .keys import Keys
from .message import Message, encode_body
from .records import Page, Records, decode_record
from .scripts import Call, Verbs
from .shapes import Acceptance, Enqueued, NewTask, NextDelivery, Settled, Start

__all__ = [
    "Acceptance",
    "Call",
    "Enqueued",
    "Filter",
    "Keys",
    "Message",
    "NewTask",
    "NextDelivery",
    "Page",
    "Records",
    "Settled",
    "Start",
    "Verbs",
    "connect",
    "connect_async",
    "decode_record",
    "encode_body",
    "run",
    "run_async",
    "run_many",
]
