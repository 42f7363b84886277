from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from encola.engine.session import forget_session
from encola.settings import get_settings
from harness import Bench, Server


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A server and one worker with the engine's tasks; this process is a client of it."""
    folder: Path = tmp_path_factory.mktemp("engine")
    (folder / "valkey").mkdir()
    server = Server(folder / "valkey")
    server.start()
    made = Bench(server, folder, lease=6.0)
    here = str(Path(__file__).parent)
    made.extra_env = {
        "ENCOLA_TASK_MODULES": "ledger_tasks,engine_tasks",
        "PYTHONPATH": os.pathsep.join([made.env()["PYTHONPATH"], here]),
    }
    # This process takes the same settings, so that `.delay()` finds the server.
    before = dict(os.environ)
    wanted = {k: v for k, v in made.env().items() if k.startswith(("ENCOLA_", "REDIS_", "LEDGER"))}
    os.environ.update(wanted)
    get_settings.cache_clear()
    forget_session()
    made.worker().wait_ready()
    yield made
    made.close()
    os.environ.clear()
    os.environ.update(before)
    get_settings.cache_clear()
    forget_session()


@pytest.fixture(scope="module")
def tasks(bench: Bench) -> Iterator[Any]:
    """The module of tasks, on an application that has read this server's address."""
    import sys

    from encola.engine import celery_app

    sys.path.insert(0, str(Path(__file__).parent))
    celery_app.loader.import_default_modules()
    from encola.engine.app import configuration

    celery_app.conf.update(configuration())
    import engine_tasks

    yield engine_tasks
    celery_app.pool.force_close_all()
    celery_app._pool = None
    celery_app.amqp._producer_pool = None
    sys.path.remove(str(Path(__file__).parent))
