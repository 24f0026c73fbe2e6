"""Docker's configuration as a build client gets it: without credential helpers that would stop the build."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from localrun.engines.dockerd.configuration.file import ConfigFile

_STORE, _HELPERS = "credsStore", "credHelpers"


class ClientConfig:
    """The configuration for the client of one build. `folder` is its `DOCKER_CONFIG`.

    That is docker's own folder, unless a credential helper fails: then it is a copy of `config.json` in the
    `temporary` folder of the build, which only this user can read.
    """

    def __init__(self, own: Path, temporary: Path) -> None:
        self.file = ConfigFile(own)
        self.folder = own
        self._own = own
        self._temporary = temporary
        if not self.has_helpers:
            return
        from localrun.engines.dockerd.configuration.credentials import failed_helpers

        if failed := failed_helpers(self.file):
            self._write(_without(self.file.content, failed))

    @property
    def has_helpers(self) -> bool:
        return bool(self.file.content.get(_STORE) or self.file.content.get(_HELPERS))

    @property
    def variables(self) -> list[str]:
        """Environment variables for the client's own files: with them, it sends only changed files."""
        if not _is_writable(self._own):
            return [f"BUILDX_CONFIG={self._temporary / 'state'}"]
        return [] if self.folder == self._own else [f"BUILDX_CONFIG={self._own / 'buildx'}"]

    def remove_helpers(self) -> None:
        """Continue without any credential helper."""
        content = self.file.content
        for name in (_STORE, _HELPERS):
            content.pop(name, None)
        self._write(content)

    def _write(self, content: dict[str, Any]) -> None:
        self.folder = self._temporary / "config"
        self.folder.mkdir(mode=0o700, exist_ok=True)
        file = self.folder / "config.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(content))


def _without(content: dict[str, Any], failed: Collection[str]) -> dict[str, Any]:
    kept = dict(content)
    if kept.get(_STORE) in failed:
        del kept[_STORE]
    if kept.get(_HELPERS):
        kept[_HELPERS] = {registry: name for registry, name in kept[_HELPERS].items() if name not in failed}
    return kept


def _is_writable(config: Path) -> bool:
    existing = next(path for path in (config, *config.parents) if path.exists())
    return os.access(existing, os.W_OK)
