from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from mail_servers import make_certificate


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate for ``localhost`` that signed itself, and its key."""
    if shutil.which("openssl") is None:
        reason = "openssl is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return make_certificate(tmp_path_factory.mktemp("certificate"))
