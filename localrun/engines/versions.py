"""The oldest supported version of each engine."""

from __future__ import annotations

from localrun.engines.base import EngineInfo

_OLDEST = {"docker": "20.10", "podman": "4.3"}  # that the contract tests ran with


def oldest_version(info: EngineInfo) -> str:
    """Return the oldest supported version of an engine of this kind; empty if any is supported."""
    return _OLDEST.get(info.name, "")
