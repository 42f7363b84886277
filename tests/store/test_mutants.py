"""
Scripts broken on purpose: a test that cannot fail proves nothing.

Each mutant is one change to the text of one script. The state machine has to
notice it; the three that only a very long list or another server's clock would
show have a small test of their own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from importlib import resources
from typing import ClassVar

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import Flaky
from hypothesis.stateful import run_state_machine_as_test
from machine import CLOCK, QueueMachine

import encola.store
from encola.errors import StoreError
from encola.store import connect
from encola.store.scripts import Library
from support import Server

#: Each mutant is met by the same runs, so that one which is caught stays caught.
SEED = 36
RUNS = 400


@dataclass(frozen=True, slots=True)
class Mutant:
    """A fault that somebody could make."""

    name: str
    script: str
    text: str
    becomes: str
    times: int = 1
    """How often *text* stands in the script; all are changed."""

    def library(self) -> Library:
        source = original(self.script)
        found = source.count(self.text)
        assert found == self.times, f"{self.name}: its text stands {found} times in {self.script}"
        assert self.text != self.becomes
        return Library(
            clock=CLOCK, overrides={self.script: source.replace(self.text, self.becomes)}
        )


def original(script: str) -> str:
    lua = resources.files(encola.store) / "lua" / f"{script}.lua"
    return lua.read_text("utf-8")


MUTANTS = [
    # Fencing.
    Mutant("settle takes any token", "settle", "if not holds(rec, token) then", "if false then"),
    Mutant("start takes any token", "start", "if not holds(rec, token) then return 0 end", ""),
    Mutant("progress takes any token", "progress", "if not holds(rec, token) or", "if"),
    Mutant("release takes any token", "release", "holds(rec, ARGV[a + 1])", "rec.worker"),
    Mutant("confirm takes any token", "confirm", "holds(rec, token)", "rec.worker"),
    Mutant(
        "a zombie asks for the next delivery",
        "enqueue",
        "token ~= '' and holds(rec, token)",
        "token ~= ''",
    ),
    Mutant(
        "tokens do not grow",
        "_record",
        "rec.token = rec.token + 1",
        "rec.token = math.max(1, rec.token)",
    ),
    Mutant(
        "a heartbeat does not tell of another attempt",
        "heartbeat",
        "rec.worker == worker and rec.token == tonumber(ARGV[a + 1])",
        "rec.worker == worker",
    ),
    # One place.
    Mutant(
        "claim forgets the lease",
        "_record",
        "  redis.call('SADD', P .. 'leased:' .. worker, rec.id)\n",
        "",
    ),
    Mutant("promotion leaves it delayed", "_record", "    redis.call('ZREM', DELAYED, id)\n", ""),
    Mutant("settle leaves it leased", "settle", "leave_place(rec)\n", ""),
    Mutant("confirm leaves it leased", "confirm", "    leave_place(rec)\n", ""),
    Mutant("cancel leaves it in its place", "cancel", "leave_place(rec)\n", ""),
    Mutant("a person's retry leaves it dead", "retry", "leave_place(rec)\n", ""),
    Mutant(
        "a crash leaves it leased",
        "_record",
        "  leave_place(rec)\n  if rec.started",
        "  if rec.started",
    ),
    Mutant(
        "the sweep loses what it adopts",
        "sweep",
        "          redis.call('LSET', list, index - 1, rec.id)\n",
        "",
    ),
    Mutant(
        "a requeued task says PENDING while it is delayed",
        "_record",
        "'RETRY' or 'SCHEDULED'",
        "'RETRY' or 'PENDING'",
    ),
    # Leases.
    Mutant(
        "a worker without a lease may claim",
        "claim",
        "if not lease_until or tonumber(lease_until) < NOW then",
        "if not lease_until then",
    ),
    Mutant(
        "rescue does not look at the lease", "sweep", "'(' .. NOW, 'BYSCORE'", "'+inf', 'BYSCORE'"
    ),
    Mutant(
        "rescue right after everybody slept",
        "sweep",
        "if NOW - last > lease_ms / 3 then",
        "if false then",
    ),
    Mutant(
        "a holder that nobody knows is not looked for",
        "enqueue",
        "      redis.call('ZADD', WORKERS, 'NX', NOW + UNKNOWN_LEASE_MS, worker)\n",
        "",
    ),
    Mutant("resync gives back what is held", "resync", "if not held[id] then", "if true then"),
    Mutant(
        "claim does not look at pauses",
        "claim",
        "if redis.call('SISMEMBER', PAUSED, 'queue:' .. ARGV[a]) == 0 then",
        "if true then",
    ),
    # Counting and ending.
    Mutant("crashes without end", "_record", "if rec.crashes >= MAX_CRASHES then", "if false then"),
    Mutant(
        "a crash counts for what never ran",
        "_record",
        "if rec.started then rec.crashes",
        "if true then rec.crashes",
    ),
    Mutant(
        "a person runs an unfinished task again",
        "retry",
        "if not FINISHED[rec.state] then return {0, rec.state} end",
        "",
    ),
    Mutant(
        "cancel tells the worker nothing",
        "cancel",
        "  redis.call('LPUSH', inbox, rec.token .. ' ' .. rec.id)\n",
        "",
    ),
    Mutant(
        "the next delivery is forgotten",
        "_record",
        "  redis.call('HSET', rec.key, 'm', next[1])\n",
        "",
    ),
    Mutant(
        "the next delivery outlives its attempt",
        "_record",
        ", 'ph', 'nx', 'nd')",
        ", 'ph')",
        times=2,
    ),
    # Accepting.
    Mutant(
        "idempotency keys do nothing", "enqueue", "idem_key and redis.call('GET', idem_key)", "nil"
    ),
    Mutant(
        "a known id is accepted again",
        "enqueue",
        "  elseif rec then\n",
        "  elseif rec and kept then\n",
    ),
    Mutant(
        "a pruned task hides a known id",
        "enqueue",
        "kept and load(kept) or load(id)",
        "load(kept or id)",
    ),
    Mutant(
        "adoption does not look for duplicates",
        "_adopt",
        "  if redis.call('EXISTS', record_key(id)) == 1 then return nil end\n",
        "",
    ),
    Mutant("creation times run backwards", "_record", "math.max(last, NOW)", "NOW"),
    # Indexes, events, retention.
    Mutant(
        "the old state stays in its index",
        "_record",
        "if rec.state then redis.call('ZREM'",
        "if false then redis.call('ZREM'",
    ),
    Mutant(
        "a promotion without an event",
        "_record",
        "      redis.call('HDEL', rec.key, 'du')\n      emit(rec)\n",
        "      redis.call('HDEL', rec.key, 'du')\n",
    ),
    Mutant(
        "prune removes what runs again",
        "prune",
        "if rec and FINISHED[rec.state] and tonumber(redis.call('HGET', rec.key, 'f')) <= finished then",
        "if rec then",
    ),
    Mutant(
        "prune leaves empty indexes",
        "prune",
        "  if redis.call('XLEN', index) == 0 then redis.call('DEL', index) end\n",
        "",
    ),
]


def meet(server: Server, mutated: Library, runs: int) -> BaseException | None:
    """What the machine says of the scripts of *mutated*; None: nothing to complain of."""

    class Machine(QueueMachine):
        client = connect(server.url)
        library = mutated
        seen: ClassVar[Counter[str]] = Counter()

    hypothesis.seed(SEED)(Machine)
    try:
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=runs,
                stateful_step_count=50,
                # Nobody reads the runs of a mutant, so they need not be small.
                phases=[Phase.generate],
                report_multiple_bugs=False,
                deadline=None,
                database=None,
                print_blob=False,
                suppress_health_check=list(HealthCheck),
            ),
        )
    except (AssertionError, StoreError, Flaky) as error:
        return error
    finally:
        Machine.client.close()
    return None


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_state_machine_catches(valkey: Server, mutant: Mutant) -> None:
    """The fault breaks something that is checked after every step."""
    caught = meet(valkey, mutant.library(), RUNS)

    assert caught is not None, f"nobody noticed: {mutant.name}"
    print(f"{mutant.name}: {str(caught).splitlines()[0] if str(caught) else type(caught).__name__}")


def test_the_scripts_as_they_are_are_not_caught(valkey: Server) -> None:
    """The same runs have nothing to say against the scripts that we ship."""
    caught = meet(valkey, Library(clock=CLOCK), 30)

    assert caught is None
