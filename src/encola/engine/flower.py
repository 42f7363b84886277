"""
Flower on our engine: where it listens, whom it answers, how long the queues are.

Two ways lead here, both to the real Flower:

    ``encola flower``                    :func:`run_flower`. Without credentials it is on the loopback
                                         address alone, its HTTP API open, other sites' pages refused.
    ``celery -A encola.engine flower``   :func:`prepare`. Flower's own command, with its own options; without
                                         credentials and without ``--address`` it is on the loopback
                                         address too, and its HTTP API stays closed.

Flower is an extra; this module is imported where it is installed and asked for.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

import flower.app
import flower.command
import flower.views
from flower.options import options
from tornado.options import Error as OptionError
from tornado.web import HTTPError, RequestHandler

from ..embedded.ports import check_port_free
from ..embedded.runfile import resolve_redis_url
from ..settings import LOOPBACK, get_settings
from ..store import Keys, connect_async

logger = logging.getLogger(__name__)

SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
#: Without this in its environment Flower answers its API only to who has credentials.
OPEN_API: Final = "FLOWER_UNAUTHENTICATED_API"


class Broker:
    """
    Lengths of queues, for Flower's broker page and ``/api/queues/length``.

    In place of Flower's own, which knows neither ``unix://`` nor the database of a
    socket, nor the options of an address.
    """

    def __init__(self, *_: Any, **__: Any) -> None:
        settings = get_settings()
        self._url = resolve_redis_url(settings)
        self._keys = Keys(settings.key_prefix, settings.list_prefix)

    async def queues(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """``{name, messages}`` of each; what is delayed or runs is not counted, as on any broker."""
        names = list(names)
        client = connect_async(self._url)
        async with client, client.pipeline(transaction=False) as pipeline:
            for name in names:
                for key in self._keys.ready_lists(name):
                    pipeline.llen(key)
            lengths = iter(await pipeline.execute())
        steps = self._keys.ready_lists("")
        return [{"name": name, "messages": sum(next(lengths) for _ in steps)} for name in names]


class Flower(flower.app.Flower):
    """
    Flower without credentials on the loopback address: other sites' pages get nothing.

    With its API open Flower lets every page that a browser here has open read it and use it.
    """

    def find_handler(self, request: Any, **kwargs: Any) -> Any:
        if is_foreign(request.method, request.headers):
            return self.get_handler_delegate(request, Refusal)
        return super().find_handler(request, **kwargs)


class Refusal(RequestHandler):
    """403 to every method."""

    def prepare(self) -> None:
        raise HTTPError(403)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        self.finish("Flower answers pages of its own and programs on this machine only.\n")


def is_foreign(method: str, headers: Any) -> bool:
    """Whether a request comes for another host, or from another site's page."""
    host = headers.get("Host", "")
    origin = headers.get("Origin")
    try:
        is_ours = urlsplit(f"//{host}").hostname in LOOPBACK
        # Also to read: with its API open Flower allows that to every origin.
        is_own_page = origin is None or urlsplit(origin).netloc == host
    except ValueError:
        return True  # `[`, say: no browser sends this
    if not (is_ours and is_own_page):
        return True
    site = headers.get("Sec-Fetch-Site", "none")
    return method not in SAFE_METHODS and site not in ("none", "same-origin")


def prepare() -> None:
    """For Flower's own command, once it has read its options and before it listens."""
    flower.views.Broker = Broker
    if options.basic_auth or options.auth or options.unix_socket:
        return
    if not options.address:
        options.address = "127.0.0.1"
    elif options.address not in LOOPBACK:
        logger.warning(
            "Flower answers whoever reaches %s:%s. Give it --basic-auth=user:password.",
            options.address,
            options.port,
        )


def run_flower(app: Any, arguments: Sequence[str], *, say: Callable[[str], None]) -> NoReturn:
    """
    Runs Flower in this process until it is told to stop, and ends the process.

    *arguments*: Flower's own options, ``--port=5555`` and so on. *say* is told the address, once it listens.

    Raises:
        ValueError: an option that Flower does not know or cannot read, or one that would open it to all.
        CannotStart: the port is taken.
    """
    read_options(arguments)
    flower.views.Broker = Broker
    if is_open():
        os.environ[OPEN_API] = "true"
    if not options.unix_socket:
        check_port_free(options.address, options.port, "--port")
    kind = Flower if is_open() else flower.app.Flower
    server = kind(capp=app, options=options, **flower.command.settings)
    # Flower's own handler raises SystemExit wherever it strikes, also where Python drops it.
    server.io_loop.asyncio_loop.add_signal_handler(signal.SIGTERM, server.io_loop.stop)
    port = server.start_http_server()
    # Flower asks for events every five seconds, the first time after five.
    server.io_loop.add_callback(server.events.on_enable_events)
    say(address_of(port))
    with contextlib.suppress(KeyboardInterrupt):
        server.start()
    server.stop()
    logging.shutdown()
    sys.stdout.flush()
    # Its threads may be asking a server that has gone; Python would wait for them.
    os._exit(0)


def read_options(arguments: Sequence[str]) -> None:
    """
    Flower's options from ``FLOWER_…`` variables, ``flowerconfig.py`` and *arguments*; the last wins.

    Raises:
        ValueError
    """
    for one in arguments:
        if not (one.startswith("-") and flower.command.is_flower_option(one)):
            raise ValueError(f"Flower has no option {one!r}; its options are written --name=value.")
    try:
        flower.command.apply_env_options()
        # Our own logging is set up by then.
        flower.command.apply_options("encola flower", ["--logging=none", *arguments])
    except (OptionError, ValueError) as error:
        raise ValueError(f"An option of Flower's cannot be read: {error}.") from None
    options.address = options.address or "127.0.0.1"
    _check_credentials()
    flower.command.setup_logging()
    try:
        flower.command.extract_settings()
    except SystemExit:
        raise ValueError("Flower cannot start like this; the line above says why.") from None


def _check_credentials() -> None:
    wrong = [one for one in options.basic_auth or () if not all(one.partition(":"))]
    if wrong:
        raise ValueError("--basic-auth: expected user:password.")
    if is_open() and options.address not in LOOPBACK:
        raise ValueError(
            f"--address={options.address}: without credentials Flower is for this machine alone. "
            "Add --basic-auth=user:password, or set FLOWER_BASIC_AUTH, which `ps` does not show."
        )


def is_open() -> bool:
    """Whether Flower, with the options it has, answers without credentials."""
    return not (options.basic_auth or options.auth or options.unix_socket)


def address_of(port: int | None) -> str:
    """Where a person finds it. *port*: None on a socket file."""
    if port is None:
        return f"unix socket {options.unix_socket}"
    scheme = "https" if options.certfile else "http"
    host = f"[{options.address}]" if ":" in options.address else options.address
    return f"{scheme}://{host}:{port}/{(options.url_prefix or '').strip('/')}"
