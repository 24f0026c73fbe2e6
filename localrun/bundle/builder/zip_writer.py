"""A bundle as a zip that App Engine reads from its beginning: the descriptor, the image archive, the logo.

Nothing is compressed, so that a run reads the image where it lies, and a stream reader knows every size
beforehand. Times and owners are fixed.
"""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterable
from pathlib import Path

_TIME = (1980, 1, 1, 0, 0, 0)  # the first one that a zip can hold
_UNIX = 3


class ZipWriter:
    """Writes a zip to a file that can be sought in. A context manager: the list of members comes last."""

    def __init__(self, path: Path) -> None:
        self._archive = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED)

    def __enter__(self) -> ZipWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._archive.close()

    def add(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        """Write a member of `size` bytes."""
        info = zipfile.ZipInfo(name, _TIME)
        info.create_system = _UNIX  # whatever system writes it
        info.external_attr = (stat.S_IFREG | 0o644) << 16
        info.file_size = size  # tells whether it needs the form for large files
        with self._archive.open(info, "w") as member:
            for chunk in chunks:
                member.write(chunk)
