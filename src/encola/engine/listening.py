"""
Which queues a worker leaves to others: those whose tasks it could only fail.

    1. ``leave_to_others`` before anything else: queues whose libraries it has not.
    2. ``FolderWatch`` once the server is there, and with each heartbeat: queues whose
       tasks need files, while it does not see the installation's data folder.
"""

from __future__ import annotations

import logging
from typing import Any

from ..embedded.runfile import shown
from ..errors import SettingsError, StoreError
from ..extras import install, lacking
from ..installation import QUEUES, sees_folder
from .lease import Lease
from .mistakes import USAGE

logger = logging.getLogger(__name__)


def leave_to_others(queues: Any) -> None:
    """
    Listens to no queue whose tasks this worker has not the libraries for.

    Raises:
        SettingsError: there is no other that it was told to listen to.
    """
    named = list(queues.consume_from)
    without = {queue: missing for queue in named if (missing := lacking(queue))}
    words = [
        f"This worker does not listen to the queue {queue}: it lacks {', '.join(missing)}. "
        f"{install(queue)}"
        for queue, missing in without.items()
    ]
    if len(without) == len(named):
        raise SettingsError([f"ENCOLA_QUEUES: {sentence}" for sentence in words])
    for sentence in words:
        logger.warning("%s", sentence)
    queues.deselect(list(without))


class FolderWatch:
    """Leaves the queues of files while this worker does not see them, and comes back to them."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._left: list[str] = []

    @property
    def _lease(self) -> Lease:
        lease: Lease = self._worker.encola_lease
        return lease

    def look_first(self) -> None:
        """
        Before anything is consumed.

        Raises:
            SystemExit: it was told to listen to nothing else.
        """
        needing = self._needing()
        if not needing or self._sees() is not False:
            return
        if len(needing) == len(self._lease.queues):
            logger.critical("ENCOLA_QUEUES: %s", self._sentence(needing))
            raise SystemExit(USAGE)
        logger.warning("%s", self._sentence(needing))
        self._worker.app.amqp.queues.deselect(needing)
        self._lease.queues = [queue for queue in self._lease.queues if queue not in needing]
        self._left = needing

    def look(self) -> None:
        """On the event loop, while it works. A store that does not answer changes nothing."""
        consumer = self._worker.consumer
        needing = self._needing()
        if getattr(consumer, "task_consumer", None) is None or not (needing or self._left):
            return
        seen = self._sees()
        if seen is False and needing:
            logger.warning("%s", self._sentence(needing))
            # Remembered first: where the connection breaks in between, the next look goes on.
            self._left = sorted({*self._left, *needing})
            for queue in needing:
                consumer.cancel_task_queue(queue)
        elif seen and self._left:
            logger.info(
                "The installation's data folder is seen now; listening to %s.", _all(self._left)
            )
            for queue in list(self._left):
                consumer.add_task_queue(queue)
                self._left.remove(queue)

    def _needing(self) -> list[str]:
        return [queue for queue in self._lease.queues if queue in QUEUES]

    def _sees(self) -> bool | None:
        session, data_dir = self._lease.session, self._lease.settings.data_dir
        try:
            return sees_folder(session.client, session.keys, data_dir)
        except StoreError:
            return None

    def _sentence(self, queues: list[str]) -> str:
        return (
            f"This worker does not listen to {_all(queues)}: {shown(self._lease.settings.data_dir)} "
            "is not the data folder that the API uses, so the files of such tasks are not there. "
            "Share that folder with this machine, and name it in ENCOLA_DATA_DIR."
        )


def _all(queues: list[str]) -> str:
    return f"the queue{'s' * (len(queues) > 1)} {' and '.join(queues)}"
