"""Where the modules of ENCOLA_TASK_MODULES are found."""

from __future__ import annotations

import os
import sys


def look_in_this_folder() -> None:
    """
    From here on modules of the current folder can be imported, as with `celery -A` and `python -m`.

    They come last, so that a file of the folder hides no module of Python's or of a library's.
    """
    sys.path.append(os.getcwd())
