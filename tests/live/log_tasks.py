"""Tasks that write, each in one of the ways in which code does; nothing here knows of encola's logs."""

from __future__ import annotations

import logging
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

from encola import RetryPolicy, task
from ledger_tasks import *  # noqa: F403 - the harness asks for that module by this setting

logger = logging.getLogger("shop.bank")


@task
def says(name: str, lines: int, pause: float = 0.0) -> int:
    """A line in each way, again and again."""
    for number in range(lines):
        logger.info("%s logs %d", name, number)
        print(f"{name} prints {number}")
        if pause:
            time.sleep(pause)
    return lines


@task
def everything(name: str) -> None:
    logger.debug("not shown at this level")
    logger.warning("careful, %s", name)
    try:
        raise ValueError("kaput")
    except ValueError:
        logger.exception("it went wrong")
    print("half a line, ", end="")
    print("and the rest")
    print("10 %\r50 %\r100 %")
    sys.stderr.write("on the other stream\n")
    warnings.warn("a warning", stacklevel=1)
    handler = logging.StreamHandler()
    own = logging.getLogger("own")
    own.addHandler(handler)
    own.error("once, though it has a handler of its own")
    own.removeHandler(handler)
    print("no end of line", end="")


@task
def in_threads(name: str) -> None:
    """Its threads carry no context, and one of them goes on after the task has ended."""
    started = threading.Event()

    def straggle() -> None:
        started.set()
        time.sleep(1.5)
        logger.info("%s straggles", name)

    threading.Thread(target=straggle).start()
    started.wait()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda n: logger.info("%s in a pool %d", name, n), range(3)))
    thread = threading.Thread(target=lambda: print(f"{name} in a thread"))
    thread.start()
    thread.join()


@task(retry=RetryPolicy(max_retries=1, first_delay=0.05))
def fails_once(name: str) -> None:
    logger.error("%s fails", name)
    raise RuntimeError("again")


@task
def tells_secrets(password: str) -> None:
    print(f"the password is {password}, and redis://me:other@host/0 too")
    logger.info("?token=abcdef")


@task(retry=RetryPolicy(max_retries=0))
def raises_secrets(password: str) -> None:
    raise RuntimeError(f"login {password} at redis://me:other@host/0 refused")


@task
def floods(lines: int) -> None:
    for number in range(lines):
        print(f"line {number}")


@task
def dies_after(name: str) -> None:
    print(f"{name} is about to die")
    time.sleep(0.5)
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)
