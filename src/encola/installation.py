"""
Which data folder is the installation's: the one that files come into, and that its workers must see.

The folder's marker file has an id. The store has the id of the folder that the installation uses, in one
field of ``meta``; processes that name the same server and see the same folder find both equal.

1. An API process marks its folder, and names it in the store where none is named yet: files come in there.
2. `encola up`, which is a whole installation, names its own where nobody works on another.
3. A worker that finds another one named than it sees leaves ``files`` and ``reports`` to others.
4. While none is named no API has been there, so that no file has come in that a worker could miss.

Owns neither the marker nor the folder; :mod:`encola.embedded.data_folder` does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import anyio.to_thread
import redis

from .embedded.data_folder import installation_id, mark
from .embedded.runfile import shown
from .errors import EncolaError
from .store import Keys
from .store.callers import translated

#: The queues whose tasks read and write files of the data folder.
QUEUES: Final = ("files", "reports")
_FIELD: Final = "folder"


class FolderElsewhere(EncolaError):
    """This process does not see the data folder that the installation uses."""

    code = "folder_elsewhere"

    def __init__(self, data_dir: Path) -> None:
        super().__init__(
            f"{shown(data_dir)} is not the data folder that this installation uses: its workers would not "
            "see what is put there. Share that folder with this machine, and name it in ENCOLA_DATA_DIR; "
            "where it is gone for good, stop the workers and start `encola up` here once."
        )


def named_folder(client: redis.Redis, keys: Keys) -> str | None:
    """
    The id of the folder that the installation uses; None: none is named yet.

    Raises:
        StoreError
    """
    with translated():
        named: Any = client.hget(keys.named("meta"), _FIELD)
    return named.decode() if named else None


def sees_folder(client: redis.Redis, keys: Keys, data_dir: Path) -> bool:
    """
    Whether *data_dir* is the installation's, as far as anybody has said.

    Raises:
        StoreError
    """
    return named_folder(client, keys) in (None, installation_id(data_dir))


async def share_folder(client: Any, keys: Keys, data_dir: Path) -> None:
    """
    Marks *data_dir*, and names it where none is named.

    Raises:
        FolderElsewhere: another one is the installation's.
        OSError: it cannot be written to.
        StoreError
    """
    own = await anyio.to_thread.run_sync(mark, data_dir)
    pipeline = client.pipeline(transaction=True)
    pipeline.hsetnx(keys.named("meta"), _FIELD, own)
    pipeline.hget(keys.named("meta"), _FIELD)
    with translated():
        _, named = await pipeline.execute()
    if named != own.encode():
        raise FolderElsewhere(data_dir)


def take_folder(client: redis.Redis, keys: Keys, data_dir: Path, *, is_alone: bool) -> bool:
    """
    Names *data_dir*, in place of another too where no worker is left; False: one is, and may use that.

    *is_alone*: the store lies in this very folder, so that nobody can use another with it.

    Raises:
        OSError: it cannot be written to.
        StoreError
    """
    own = mark(data_dir)
    others = not is_alone and named_folder(client, keys) not in (None, own)
    if others and _anybody_works(client, keys):
        return False
    with translated():
        client.hset(keys.named("meta"), _FIELD, own)
    return True


def _anybody_works(client: Any, keys: Keys) -> bool:
    with translated():
        seconds, micros = client.time()
        now_ms = seconds * 1000 + micros // 1000
        return bool(client.zcount(keys.named("workers"), now_ms, "+inf"))
