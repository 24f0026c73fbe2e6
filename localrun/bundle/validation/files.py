"""The files of an image, found by path as a program in the container would find them."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Literal, Protocol

HEAD_SIZE = 256  # bytes that identify a program
PASSWD = "etc/passwd"  # noqa: S105 - the user names of an image
PASSWD_LIMIT = 64 * 1024  # bytes
LINK_LIMIT = 40  # as in Linux


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file or folder after following links. `head` is the beginning of an executable file."""

    path: str
    kind: Literal["file", "folder", "other"]
    mode: int
    size: int
    head: bytes = b""

    @property
    def is_executable(self) -> bool:
        return bool(self.mode & 0o111)


class ImageFiles(Protocol):
    """A source of image files."""

    def find(self, path: str) -> ImageFile | None:
        """Return the file at an absolute path, following links, or None."""

    def has_entries(self, path: str) -> bool:
        """Return whether the path is a folder that is not empty."""


def absolute_path(path: str, folder: str = "/") -> str:
    """Return the absolute path of `path` in `folder`, without `..`, as below a root."""
    joined = posixpath.normpath(posixpath.join("/", folder or "/", path))
    return "/" + joined.lstrip("/")
