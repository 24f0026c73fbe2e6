"""Docker's own files, as `docker context create` and `docker login` write them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def write_config(folder: Path, **content: Any) -> Path:
    """Write `config.json` and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.json"
    path.write_text(json.dumps(content))
    return path


def write_context(folder: Path, name: str, endpoint: dict[str, Any], *, tls: bool = False) -> Path:
    """Write a context below docker's folder and return the path of its `meta.json`."""
    key = hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "contexts" / "meta" / key
    meta.mkdir(parents=True, exist_ok=True)
    path = meta / "meta.json"
    path.write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}}))
    if tls:
        (folder / "contexts" / "tls" / key / "docker").mkdir(parents=True)
    return path


def write_helper(folder: Path, name: str, script: str) -> Path:
    """Write the credential helper `docker-credential-NAME`, a shell script."""
    path = folder / f"docker-credential-{name}"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path
