"""
Background tasks that cannot be lost.

A newcomer starts at ``docs/quickstart.md``; who wants to know how it works, at
``docs/internals.md``.
"""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

# What can go wrong.
from .errors import EncolaError, InvalidInput, PermanentFailure, StoreUnavailable, TaskNotFound

# What is known of a task.
from .record import TaskRecord, TaskState

# When tasks are enqueued by themselves.
from .schedule import cron, every

# Declaring a task. (`task` is the decorator here, and a module to `import encola.task`.)
from .task import Options, RetryPolicy, TaskContext, TaskType, install_submitter, task

if TYPE_CHECKING:
    # Enqueueing.
    from .client import enqueue, enqueue_async, enqueue_many

try:
    __version__ = version("encola")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "(not installed)"

__all__ = [
    "EncolaError",
    "InvalidInput",
    "Options",
    "PermanentFailure",
    "RetryPolicy",
    "StoreUnavailable",
    "TaskContext",
    "TaskNotFound",
    "TaskRecord",
    "TaskState",
    "__version__",
    "cron",
    "enqueue",
    "enqueue_async",
    "enqueue_many",
    "every",
    "task",
]


class _LateSubmitter:
    """Where ``.enqueue()`` of a task type puts tasks: this process's client, once there is need of it."""

    def submit(self, task_type: TaskType, values: Mapping[str, Any], options: Options) -> str:
        from .client import current_client

        return current_client().submit(task_type, values, options)


install_submitter(_LateSubmitter())


def __getattr__(name: str) -> Any:
    # Late, because enqueueing brings redis-py along and `encola --help` must answer at once.
    if name in ("enqueue", "enqueue_async", "enqueue_many"):
        from . import client

        return getattr(client, name)
    raise AttributeError(f"module 'encola' has no attribute {name!r}")
