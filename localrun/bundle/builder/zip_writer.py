"""Write a bundle as a zip that App Engine can read as a stream.

Members are stored uncompressed: a run can read the image in place, and a stream reader knows all sizes in
advance. Times and owners are fixed.
"""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterable
from pathlib import Path

_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest time in a zip
_UNIX = 3


class ZipWriter:
    """A zip that is being written, as a context manager. Closing it writes the central directory."""

    def __init__(self, path: Path) -> None:
        self._archive = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED)

    def __enter__(self) -> ZipWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._archive.close()

    def add(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        """Write a member of `size` bytes."""
        info = zipfile.ZipInfo(name, _TIME)
        info.create_system = _UNIX  # on every system
        info.external_attr = (stat.S_IFREG | 0o644) << 16
        info.file_size = size  # decides whether Zip64 is needed
        with self._archive.open(info, "w") as member:
            for chunk in chunks:
                member.write(chunk)
