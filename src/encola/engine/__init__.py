"""
Celery lives here and nowhere else.

``celery -A encola.engine worker|inspect|control|events|flower`` find
``celery_app``. The story of a task through this package: ``transport`` claims
it, ``request`` hands it to a child, ``task`` runs it there, ``backend`` settles
it, and ``lease`` is the right to do all that.
"""

from . import guests as _guests
from .app import celery_app

assert _guests  # takes in the workers of other people's applications

__all__ = ["celery_app"]
