"""Settings of this project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest


@pytest.fixture(scope="session")
def localrun_settings() -> Mapping[str, Any]:
    """Kill the program soon after SIGTERM, since it has nothing to clean up."""
    return {"grace": 1}
