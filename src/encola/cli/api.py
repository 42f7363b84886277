"""``encola api``: one API process."""

from __future__ import annotations

import contextlib
import socket
from typing import Annotated

import typer

from encola.logs import configure_logging
from encola.settings import Settings, load_settings

from .exits import NOTHING_RUNS, CommandError
from .modules import look_in_this_folder

GRACEFUL_SECONDS = 5
"""How long open requests and streams may go on after a stop was asked for."""


def api(
    host: Annotated[
        str | None, typer.Option(metavar="HOST", help="Address to listen on; default: ENCOLA_HOST.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(metavar="PORT", help="Port to listen on; default: ENCOLA_PORT.")
    ] = None,
) -> None:
    """
    Start the HTTP API with the dashboard, and nothing else.

    It finds its server in REDIS_URL, or in what `encola up` started on this folder.

    \b
    Examples:
        REDIS_URL=redis://localhost:6379/0 encola api
        REDIS_URL=redis://localhost:6379/0 encola api --port 9000
    """
    look_in_this_folder()
    given = {"host": host, "port": port}
    settings = load_settings(**{name: value for name, value in given.items() if value is not None})
    configure_logging("api", settings)
    _serve(settings)


def _serve(settings: Settings) -> None:
    import uvicorn

    from encola.api.fanout import Fanout
    from encola.api.server import Connection, SocketConnection
    from encola.embedded.ports import check_port_free
    from encola.errors import NothingRuns
    from encola.loops import of_this_loop

    class Server(uvicorn.Server):
        """Ends the open event streams first: they would hold up every stop."""

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            with contextlib.suppress(NothingRuns):  # then nobody listens
                of_this_loop(Fanout).end_all()
            await super().shutdown(sockets)

    check_port_free(settings.host, settings.port, "ENCOLA_PORT")
    _check_store(settings)
    server = Server(
        uvicorn.Config(
            "encola.api:app",
            host=settings.host,
            port=settings.port,
            loop="uvloop",
            http=Connection,
            access_log=False,  # a task's record tells more, and costs no line a request
            log_config=None,  # ours
            server_header=False,
            ws=SocketConnection,
            # Each connection's compressor would take more memory than all the rest of it.
            ws_per_message_deflate=False,
            ws_max_size=64 * 1024,
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
        )
    )
    try:
        server.run()
    except SystemExit:
        # uvicorn has logged the reason; its own exit codes mean something else here.
        raise CommandError(
            "The API could not start; the lines above say why.", NOTHING_RUNS
        ) from None
    if not server.started:
        raise CommandError("The API could not start; the lines above say why.", NOTHING_RUNS)


def _check_store(settings: Settings) -> None:
    """
    Raises:
        StoreNewer
    """
    from encola.embedded.runfile import resolve_redis_url
    from encola.errors import NothingRuns, StoreError, StoreNewer
    from encola.store import Keys, connect
    from encola.store.schema import check_schema

    try:
        with connect(resolve_redis_url(settings)) as client:
            check_schema(client, Keys(settings.key_prefix, settings.list_prefix))
    except StoreNewer:
        raise
    except (StoreError, NothingRuns):
        return  # it may be on its way up; requests say so until it is there
