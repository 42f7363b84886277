"""
Names of what is made of a file: whose folder, and which file in it.

``datasets/{user}/{stem}.{task}.parquet`` are its clean rows, ``rejected/{task}.csv`` the others.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import PurePosixPath
from typing import Final

from ..files import data_uri
from ..reports.names import task_part

DATASETS: Final = "datasets"
REJECTED: Final = "rejected"
UPLOADS: Final = "uploads"

#: What an upload's name has in front of the name that its owner gave it: 32 digits of a UUID.
UPLOAD_ID: Final = re.compile(r"[0-9a-f]{32}-")
#: Endings that say how a file is written, not what it is called.
_ENDINGS: Final = re.compile(r"(\.(csv|tsv|tab|txt|gz|gzip|zst|zstd))+$", re.IGNORECASE)
#: Users whose id may name a folder as it is. No capitals: some disks take Ana and ana for one.
_PLAIN: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
STEM_LENGTH: Final = 80


def user_folder(user_id: int | str) -> str:
    """
    The folder of a user's datasets: a number or a plain word as it is, anything else by its digest.

    Two users never share one: a digest follows a dot, which a plain word has not.
    """
    text = str(user_id)
    if _PLAIN.fullmatch(text):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{plain_name(text, 40)}.{digest[:32]}"


def dataset_uri(user_id: int | str, file_name: str, task_id: str) -> str:
    """Where the clean rows of a file go."""
    name = f"{stem_of(file_name)}.{task_part(task_id)}.parquet"
    return data_uri(DATASETS, user_folder(user_id), name)


def rejected_uri(task_id: str) -> str:
    """Where the rejected rows of a file go."""
    return data_uri(REJECTED, f"{task_part(task_id)}.csv")


def stem_of(file_name: str) -> str:
    """``ventas`` of ``/a/ventas.csv.gz``, in letters that any disk takes."""
    name = UPLOAD_ID.sub("", PurePosixPath(file_name).name, count=1)
    return plain_name(_ENDINGS.sub("", name), STEM_LENGTH)


def plain_name(name: str, length: int) -> str:
    """*name* in plain letters: ``Año nuevo (2).csv`` is ``Ano_nuevo_2_.csv``; ``file`` where none is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", plain).lstrip("._-")
    return plain[:length] or "file"
