"""The scripts under everything that can be done to them, in every order that Hypothesis finds."""

from __future__ import annotations

import os
import random

import hypothesis
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from machine import QueueMachine
from support import Server

from encola.store import connect

#: Hypothesis chooses how many of the 50 steps a run has; about 50 runs reach the
#: number of steps that is asked for.
RUNS = int(os.environ.get("ENCOLA_MACHINE_RUNS", "70"))
LEAST_STEPS = 2_000


def test_no_sequence_of_steps_loses_or_doubles_a_task(valkey: Server) -> None:
    """Whatever clients, workers, people, faults and the clock do, every invariant holds."""
    seed = int(os.environ.get("ENCOLA_MACHINE_SEED", random.randrange(2**32)))
    print(f"ENCOLA_MACHINE_SEED={seed}")

    class Machine(QueueMachine):
        client = connect(valkey.url)

    hypothesis.seed(seed)(Machine)
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=RUNS,
            stateful_step_count=50,
            derandomize=False,
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    Machine.client.close()

    print(f"{Machine.steps} steps")
    assert Machine.steps >= LEAST_STEPS or "ENCOLA_MACHINE_RUNS" in os.environ
