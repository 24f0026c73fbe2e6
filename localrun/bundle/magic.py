"""Detect the type of a file by its first bytes."""

from __future__ import annotations

from typing import BinaryIO

_MAGIC = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "empty zip"),
    (b"PK\x07\x08", "part of a split zip"),
    (b"7z\xbc\xaf\x27\x1c", "7z archive"),
    (b"\x1f\x8b", "gzip file"),
    (b"BZh", "bzip2 file"),
    (b"\xfd7zXZ\x00", "xz file"),
    (b"\x28\xb5\x2f\xfd", "zstd file"),
    (b"Rar!\x1a\x07", "rar archive"),
)


def detect(file: BinaryIO) -> str:
    """Return the type of a file: `zip`, `7z archive`, `tar`, `text`, `empty file`, `unknown file`, ..."""
    head = file.read(512)
    if not head:
        return "empty file"
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head.startswith(b"version https://git-lfs.github.com/spec/v1"):
        return "Git LFS pointer"
    if head[257:262] == b"ustar":
        return "tar"
    is_binary = any(byte < 32 and byte not in b"\t\n\r\f" for byte in head)
    return "unknown file" if is_binary else "text"
