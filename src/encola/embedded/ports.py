"""Ports of this machine: whether one is free, and a free one."""

from __future__ import annotations

import socket

from .data_folder import CannotStart


def check_port_free(host: str, port: int, variable: str) -> None:
    """
    Bind the port and let it go again.

    Raises:
        CannotStart: it is taken, or not ours to take; names *variable*.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As the server itself binds: connections that linger from a last run do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotStart(
                f"Port {port} on {host} cannot be used ({error.strerror}). "
                f"Stop what uses it, or choose another with {variable} (0: any free one).",
                exit_code=5,
            ) from None


def free_port(host: str) -> int:
    """A port that nothing uses at this moment."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
