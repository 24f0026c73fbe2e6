"""What this project decides otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest


@pytest.fixture(scope="session")
def localrun_settings() -> Mapping[str, Any]:
    """The program does nothing on SIGTERM that would take long."""
    return {"grace": 1}
