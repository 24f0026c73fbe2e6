"""The folders whose files requests can name, without the private files of the server in them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

Identity = tuple[int, int]  # device and inode

JOURNAL_PREFIX = "heartbeat_"  # of the files of the journal


class ServedFolders:
    """The files below `roots`, except hidden ones and those in the folders `home` and `logs`.

    Paths are compared after links are resolved, and folders by their inode, so that another spelling or a
    bind mount of a private folder is recognised.
    """

    def __init__(self, roots: Sequence[Path], home: Path | None = None, logs: Path | None = None) -> None:
        self.roots = tuple(root.resolve() for root in roots)
        self._home = home
        self._logs = logs

    def find(self, name: str) -> Path | None:
        """Return the real path of a file or folder that a request may read; None if there is none."""
        if any(part.startswith(".") and part not in (".", "..") for part in self._below_root(name)):
            return None
        for root in self.roots:
            try:
                path = (root / name).resolve(strict=True)
            except (OSError, ValueError, RuntimeError):  # missing, a null byte, a loop of links
                continue
            if self.contains(path):
                return path
        return None

    def contains(self, path: Path) -> bool:
        """Return whether a request may read a file, or a file in a folder."""
        real = path.resolve()
        return any(real.is_relative_to(root) and self._is_public(real, root) for root in self.roots)

    def holds_private(self, folder: Path) -> bool:
        """Return whether the home or the logs are in a folder, at any depth."""
        return any(
            _identity(parent) == _identity(folder)
            for private in (self._home, self._logs)
            if private is not None and private.exists()
            for parent in private.resolve().parents
        )

    def _below_root(self, name: str) -> tuple[str, ...]:
        """Return the parts of a name. A root may itself be in a hidden folder."""
        path = Path(name)
        for root in self.roots:
            if path.is_relative_to(root):
                return path.relative_to(root).parts
        return path.parts

    def _is_public(self, real: Path, root: Path) -> bool:
        parts = real.relative_to(root).parts
        if any(part.startswith(".") for part in parts):
            return False
        chain = [real, *real.parents]
        if _is_below(chain, self._home):
            return False
        # `--logs .` makes the served folder the one of the journal
        if self._logs is None or _is_below([root, *root.parents], self._logs):
            return not real.name.startswith(JOURNAL_PREFIX)
        return not _is_below(chain, self._logs)


def _is_below(chain: Iterable[Path], folder: Path | None) -> bool:
    """Return whether a folder is one of `chain`, a path and its parents."""
    if folder is None:
        return False
    private = _identity(folder)
    return any(path == folder or (private is not None and _identity(path) == private) for path in chain)


def _identity(path: Path) -> Identity | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - as fast as possible
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino
