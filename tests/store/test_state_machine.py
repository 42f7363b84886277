"""The scripts under everything that can be done to them, in every order that Hypothesis finds."""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import ClassVar

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from machine import QueueMachine
from schedule_machine import ScheduleMachine

from encola.store import connect
from support import Server

#: A run has up to 50 steps; Hypothesis chooses how many.
RUNS = int(os.environ.get("ENCOLA_MACHINE_RUNS", "60"))
LEAST_STEPS = 4_000
MOST_ROUNDS = 40

#: A machine that never gets here would pass whatever the scripts do.
MUST_BE_SEEN = {
    "adopted by a claim",
    "adopted by the sweep",
    "cancelled in delayed",
    "cancelled in held",
    "cancelled in leased",
    "cancelled in ready",
    "claimed as it became due",
    "duplicate by key",
    "given back by resync",
    "given back to its queue",
    "held by a claim",
    "kept by resync",
    "lost reply of a claim",
    "next delivery of an earlier attempt",
    "next delivery of the attempt",
    "outcome of a zombie FENCED",
    "outcome of a zombie REPEATED",
    "parked at the third crash",
    "promoted by the sweep",
    "pruned",
    "purged while held",
    "purged before it was adopted",
    "rescue postponed",
    "rescued",
    "run again by a person from FAILURE",
    "run again by a person from REVOKED",
    "run again by a person from SUCCESS",
    "run again by a person from dead",
}


#: The same of schedules; the machine of tasks goes on beneath.
SCHEDULES_MUST_BE_SEEN = {
    "declared CHANGED",
    "declared KEPT",
    "declared NEW",
    "declared SAME",
    "fired BEATEN",
    "fired ENQUEUED",
    "fired KNOWN",
    "fired MISSED",
    "fired PAUSED",
    "fired STALE",
    "fired UNKNOWN",
    "forgotten",
    "kept after a time without schedulers",
    "resumed after a time",
}


def test_no_sequence_of_steps_loses_or_doubles_a_task(valkey: Server) -> None:
    """Whatever clients, workers, people, faults and the clock do, every invariant holds."""

    class Machine(QueueMachine):
        client = connect(valkey.url)
        seen: ClassVar[Counter[str]] = Counter()

    prove(Machine, MUST_BE_SEEN)


def test_no_sequence_of_steps_loses_or_doubles_a_scheduled_run(valkey: Server) -> None:
    """Nor do any number of schedulers, programs of two ages, pauses and a clock that goes back."""

    class Machine(ScheduleMachine):
        client = connect(valkey.url)
        seen: ClassVar[Counter[str]] = Counter()

    prove(Machine, SCHEDULES_MUST_BE_SEEN)


def prove(machine: type[QueueMachine], must_be_seen: set[str]) -> None:
    """Runs the machine for so many steps, and on until chance has brought up all of *must_be_seen*."""
    seed = int(os.environ.get("ENCOLA_MACHINE_SEED", random.randrange(2**32)))
    print(f"ENCOLA_MACHINE_SEED={seed}")
    is_quick_look = "ENCOLA_MACHINE_RUNS" in os.environ
    # What chance has not brought up in one round, another brings; a seed names them all.
    for round_seed in range(seed, seed + MOST_ROUNDS):
        hypothesis.seed(round_seed)(machine)
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=RUNS,
                stateful_step_count=50,
                derandomize=False,
                deadline=None,
                database=None,
                print_blob=True,
                # What a person reads is the smallest run; a quick look need not shrink.
                phases=set(Phase) - ({Phase.shrink} if is_quick_look else set()),
                suppress_health_check=list(HealthCheck),
            ),
        )
        is_enough = machine.steps >= LEAST_STEPS and set(+machine.seen) >= must_be_seen
        if is_quick_look or is_enough:
            break
    machine.client.close()

    print(f"{machine.steps} steps", *sorted(machine.seen.items()), sep="\n  ")
    if not is_quick_look:
        assert machine.steps >= LEAST_STEPS
        assert set(+machine.seen) >= must_be_seen
