"""
What encola can do out of the box, one family of tasks a file.

The lesson's names: coroutines that run here and now, and Celery tasks with
``.delay()``. A Celery client elsewhere may call the latter by their bare names too.
"""

from ..engine.app import add_task_type, celery_app
from . import email as _email
from .email import send_email_task

send_notification_email = add_task_type(
    celery_app, _email.send_notification_email, alias="send_notification_email"
)

__all__ = ["send_email_task", "send_notification_email"]
