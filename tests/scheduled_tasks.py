"""Tasks with schedules, for schedulers that are killed. Each run leaves its rows in the ledger."""

from __future__ import annotations

import encola
from encola import every
from ledger_tasks import note


@encola.task(schedule=[every(seconds=1), every(seconds=2, id="slow", input={"n": 2})])
def tick(n: int = 1) -> int:
    note("start")
    note("end")
    return n
