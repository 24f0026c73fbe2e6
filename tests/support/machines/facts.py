"""What an engine says about itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Facts:
    """Version, image store and cgroups of an engine."""

    version: str
    store: str
    cgroups: str
    rootless: bool

    @classmethod
    def read(cls, file: Path) -> Facts:
        """Read the output of `docker info --format '{{json .}}'`."""
        info = json.loads(file.read_text())
        containerd = any(
            "containerd.snapshotter" in " ".join(pair) for pair in info.get("DriverStatus") or ()
        )
        return cls(
            version=info["ServerVersion"].partition("+")[0],
            store=f"{info['Driver']} (containerd)" if containerd else info["Driver"],
            cgroups=f"v{info.get('CgroupVersion', 1)}",
            rootless=any("rootless" in option for option in info.get("SecurityOptions") or ()),
        )
