"""The files of an image, found by path as a program in it would find them."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Literal, Protocol

HEAD_SIZE = 256  # bytes of a program that tell what it is
PASSWD = "etc/passwd"  # noqa: S105 - the names that a USER of an image may have
PASSWD_LIMIT = 64 * 1024  # bytes
LINK_LIMIT = 40  # as Linux has it


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One file or folder, links followed. `head` holds the first bytes of what can be executed."""

    path: str
    kind: Literal["file", "folder", "other"]
    mode: int
    size: int
    head: bytes = b""

    @property
    def is_executable(self) -> bool:
        """Whether somebody may execute it."""
        return bool(self.mode & 0o111)


class ImageFiles(Protocol):
    """Where files are looked up."""

    def find(self, path: str) -> ImageFile | None:
        """The file at an absolute path, links followed; None when there is none."""

    def has_entries(self, path: str) -> bool:
        """Whether there is a folder with something in it."""


def absolute_path(path: str, folder: str = "/") -> str:
    """A path as seen from a folder, without `..`, which cannot lead out of the root."""
    joined = posixpath.normpath(posixpath.join("/", folder or "/", path))
    return "/" + joined.lstrip("/")
