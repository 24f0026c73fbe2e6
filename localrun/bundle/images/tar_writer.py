"""Write tar members with fixed times, owners and modes."""

from __future__ import annotations

import tarfile

from localrun.bundle.images.tar_reader import BLOCK


def member(name: str, data: bytes) -> bytes:
    """Return a complete member: header, data and padding."""
    return header(name, len(data)) + data + padding(len(data))


def header(name: str, size: int) -> bytes:
    """Return the header of a regular file."""
    info = tarfile.TarInfo(name)  # time 0, owner 0, mode 0644
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def padding(size: int) -> bytes:
    """Return the zero bytes after `size` bytes of data."""
    return bytes(-size % BLOCK)
