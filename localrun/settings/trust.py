"""Which settings files of projects the user trusts.

As in direnv, trust is bound to the path and the content of a file: a later commit that changes its settings
is not trusted, because the user has not seen it. Only the settings count, not the comments around them or the
rest of `pyproject.toml`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from localrun.settings.files import SettingsFile, user_folder


def trust_folder(environ: Mapping[str, str]) -> Path | None:
    """Return the folder with one file for each trusted settings file; None for a user without a home."""
    folder = user_folder(environ, "XDG_DATA_HOME", ".local/share")
    return folder / "trusted" if folder else None


def trust_entry(file: SettingsFile, folder: Path) -> Path:
    """Return the file below `folder` that exists if the settings file is trusted; it holds its path."""
    content = json.dumps(file.table, sort_keys=True, default=str)
    digest = hashlib.sha256(f"{file.path.resolve()}\n{content}".encode("utf-8", "surrogateescape"))
    return folder / digest.hexdigest()


def is_trusted(file: SettingsFile, environ: Mapping[str, str]) -> bool:
    """Return whether the user trusts the settings file as it is now."""
    folder = trust_folder(environ)
    return folder is not None and trust_entry(file, folder).exists()


def trusted_paths(folder: Path) -> dict[Path, Path]:
    """Return the settings file of each entry of a folder of `trust_folder`."""
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    complete = (entry for entry in entries if not entry.name.startswith("."))
    return {entry: Path(os.fsdecode(entry.read_bytes())) for entry in complete}
