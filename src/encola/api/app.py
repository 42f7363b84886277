"""
The FastAPI application.

Works with and without its lifespan: each request finds the running loop's own
connections. The lifespan adds what goes on between requests, the store's
housekeeping once a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import logging
import time
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from .. import __version__
from ..client import current_loop_client, register_types
from ..engine.app import import_task_modules
from ..errors import EncolaError
from ..installation import FolderElsewhere, share_folder
from ..loops import end_task, of_this_loop
from ..mail.connections import Connections
from ..settings import get_settings
from ..store.safety import check_info
from . import (
    actions,
    bulk,
    control,
    dashboard,
    events,
    files,
    health,
    logs,
    mailbox,
    records,
    reports,
    schedules,
    stats,
    tasks,
    websocket,
)
from .answers import describe
from .guard import Guard
from .inprocess import close_in_process
from .problems import (
    Problem,
    on_crash,
    on_disconnect,
    on_encola_error,
    on_http_exception,
    on_problem,
    on_validation,
)

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0
PRUNE_SECONDS = 60.0


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Keeps house while the process serves."""
    # What was imported stays. Looked through for garbage again and again, a third of a
    # million objects, it would hold up every request of that moment by some 50 ms.
    gc.collect()
    gc.freeze()
    keeping = asyncio.create_task(keep_house())
    yield
    await end_task(keeping)
    await close_in_process()
    # Here, because uvicorn ends the process by the signal that stopped it, and its loop with it.
    await of_this_loop(Connections).close()


async def keep_house() -> None:
    """Sweeps every second, prunes every minute; waits while the store is away."""
    settings, introduced, pruned_at, away = get_settings(), False, 0.0, False
    while True:
        try:
            client = current_loop_client()
            if not introduced:
                info = await client.redis.info()
                for warning in check_info(info, settings.durability):
                    logger.warning("%s", warning)
                await register_types()
                introduced = True
                await name_folder()
            await client.run(client.verbs.sweep(settings.lease_ms, settings.queues))
            if time.monotonic() - pruned_at > PRUNE_SECONDS:
                await prune()
                pruned_at = time.monotonic()
            away = False
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - housekeeping goes on, whatever came up
            if not away:
                logger.warning("The store cannot be kept in order at the moment: %s", error)
            away = True
        await asyncio.sleep(min(SWEEP_SECONDS, settings.lease_seconds / 10))


async def name_folder() -> None:
    """Makes the data folder the installation's, or says that it is not."""
    client, settings = current_loop_client(), get_settings()
    try:
        await share_folder(client.redis, client.verbs.keys, settings.data_dir)
    except FolderElsewhere as error:
        logger.error("%s", error)
    except OSError as error:
        logger.warning("The data folder cannot be written to: %s. No file can come in.", error)


async def prune() -> None:
    """Removes finished records beyond the retention, oldest first, a bounded step at a time."""
    client, settings = current_loop_client(), get_settings()
    before_ms = round((time.time() - settings.retention_days * 86_400) * 1000)
    removed = 0
    while True:
        looked, gone = await client.run(client.verbs.prune(before_ms, settings.retention_count))
        removed += gone
        if looked < 500:
            break
    if removed:
        logger.info("Removed %d records beyond the retention.", removed)


def make_app() -> FastAPI:
    """The application with its routes, its guard and its problems."""
    import_task_modules()
    app = FastAPI(
        title="encola",
        version=__version__,
        summary="Background tasks that cannot be lost.",
        # FastAPI's pages fetch their scripts from a CDN; dashboard.py serves our own at /docs.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.add_middleware(Guard)
    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(EncolaError, on_encola_error)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(ClientDisconnect, on_disconnect)
    app.add_exception_handler(Exception, on_crash)
    # In the order in which they are looked through: the busiest first, the route of any id last.
    service = (stats, control, schedules)
    for part in (
        tasks,
        bulk,
        actions,
        logs,
        events,
        *service,
        records,
        mailbox,
        reports,
        files,
        health,
        dashboard,
        websocket,
    ):
        app.include_router(part.router)
    documented = functools.cache(lambda: describe(app))
    app.openapi = documented  # type: ignore[method-assign]
    return app


app = make_app()
