"""
The tasks that cancel or retry others, as a worker runs them.

The API runs its own (:mod:`encola.api.bulk`), so that no worker is needed, and none of them waits behind
the very tasks that it is to cancel. Here comes what an API process left unfinished, and what was
submitted like any other task. The work is :mod:`encola.bulk`.
"""

from __future__ import annotations

import asyncio
from typing import Final

from ..bulk import BulkFilter, BulkResult, carry_out
from ..errors import StoreError
from ..task import RetryPolicy, TaskContext, task

_GO_ON: Final = RetryPolicy(retry_on=(StoreError,))


@task(
    name="bulk_cancel",
    wire_name="encola.tasks.bulk_cancel",
    retry=_GO_ON,
    time_limit=None,
    soft_time_limit=None,
)
def bulk_cancel(context: TaskContext, filter: BulkFilter) -> BulkResult:  # noqa: A002 - the contract's name
    """Cancels the tasks that fit *filter* and have no outcome."""
    return asyncio.run(carry_out(context.task_id, context.token, "cancel", filter))


@task(
    name="bulk_retry",
    wire_name="encola.tasks.bulk_retry",
    retry=_GO_ON,
    time_limit=None,
    soft_time_limit=None,
)
def bulk_retry(context: TaskContext, filter: BulkFilter) -> BulkResult:  # noqa: A002 - the contract's name
    """Runs the tasks that fit *filter* and have their outcome again, each as its own next attempt."""
    return asyncio.run(carry_out(context.task_id, context.token, "retry", filter))
