"""
What `encola doctor` looks at: an installation, read only.

``findings`` is what it says, ``machine`` looks at this machine (versions, data folder, modules), ``server`` at
the store and who works for it, ``tasks`` at records and places, and ``neighbours`` at the mail server and the API.
Each check is a function that yields findings and raises nothing; each finding that is not "ok"
says what to do.
"""

from .examination import examine
from .findings import Finding, Level

__all__ = ["Finding", "Level", "examine"]
