"""A bench whose worker sends mail."""

from __future__ import annotations

from itertools import pairwise

from encola.record import TaskRecord, TaskState
from encola.store import run
from encola.submit import prepare_valid
from encola.task import Options
from encola.tasks.email import send_notification_email
from harness import Bench


class Mailing(Bench):
    """Its worker's mail server is ``ENCOLA_SMTP_URL`` in ``extra_env``."""

    def mail(self, *to: str) -> list[str]:
        """Enqueues a mail to each; the ids of the tasks."""
        news = [
            prepare_valid(
                send_notification_email, [one, "Hola", "Hola."], Options(), max_input=10**6
            )
            for one in to
        ]
        run(self.client, self.verbs.enqueue(news, 10**6))
        self.sent += [new.id for new in news]
        return [new.id for new in news]

    def state(self, task_id: str) -> TaskState | None:
        record = self.record(task_id)
        return record and record.state

    def ended(self, task_id: str) -> TaskRecord:
        """Its record, once it has an outcome."""
        self.wait_finished(30, [task_id])
        record = self.record(task_id)
        assert record is not None
        return record

    def pauses(self, record: TaskRecord) -> list[float]:
        """Seconds from the end of each attempt to the start of the next."""
        return [
            (after.started_at - before.ended_at).total_seconds()
            for before, after in pairwise(record.attempts)
            if before.ended_at is not None
        ]
