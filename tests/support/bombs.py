"""Small files that cost a lot to read."""

from __future__ import annotations

import gzip
from pathlib import Path

from tests.support.environment import DESCRIPTOR
from tests.support.images import member

_PIECE = 16 << 20  # bytes


def gzip_bomb(size: int) -> bytes:
    """Return a gzipped tar of one file with `size` zeros."""
    header = bytearray(member("zeros").tobuf())
    header[124:136] = b"%011o\0" % size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    head = gzip.compress(bytes(header), 1, mtime=0)
    return head + gzip.compress(bytes(_PIECE), 9, mtime=0) * (size // _PIECE)


def slow_bundle(folder: Path, size: int = 4000 << 20) -> Path:
    """Write a bundle whose image takes seconds to read: `size` bytes, compressed a thousand times."""
    folder.mkdir()
    (folder / "descriptor.yml").write_text(DESCRIPTOR)
    (folder / "com.example.add-1.0.0.tar.gz").write_bytes(gzip_bomb(size))
    return folder
