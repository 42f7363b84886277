"""
What the programs of this folder share; each imports it before anything else.

`python bench/http.py` puts this folder first on the path, where ``http.py`` and ``email.py`` would
hide the standard library's ``http`` and ``email`` from whoever imports them later. So the folder is
taken off again here, before the first of those imports (ruff's isort keeps this one first).
"""

import os
import sys

sys.path.remove(os.path.dirname(os.path.dirname(__file__)))
