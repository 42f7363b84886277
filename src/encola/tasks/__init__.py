"""
What encola can do out of the box, one family of tasks a file.

The lesson's names: coroutines that run here and now, and Celery tasks with
``.delay()``. A Celery client elsewhere may call the latter by their bare names too.
"""

from typing import Any

from celery.signals import worker_process_shutdown

from ..engine.app import add_task_type, celery_app
from ..mail.carrier import stop_carrier
from . import bulk as _bulk
from . import cleanup as _cleanup
from . import email as _email
from . import files as _files
from . import reports as _reports
from .cleanup import cleanup_old_data_task
from .email import send_email_task
from .files import process_file_task

send_notification_email = add_task_type(
    celery_app, _email.send_notification_email, alias="send_notification_email"
)
cleanup_old_data = add_task_type(celery_app, _cleanup.cleanup_old_data, alias="cleanup_old_data")
process_large_file = add_task_type(
    celery_app, _files.process_large_file, alias="process_large_file"
)
for _declared in (_bulk.bulk_cancel, _bulk.bulk_retry):
    add_task_type(celery_app, _declared)
generate_report = add_task_type(celery_app, _reports.generate_report, alias="generate_report")


def _say_goodbye(**_: Any) -> None:
    """A child that is replaced leaves its mail server as one should; it runs no exit handlers."""
    stop_carrier()


worker_process_shutdown.connect(_say_goodbye)

__all__ = [
    "cleanup_old_data",
    "cleanup_old_data_task",
    "generate_report",
    "process_file_task",
    "process_large_file",
    "send_email_task",
    "send_notification_email",
]
