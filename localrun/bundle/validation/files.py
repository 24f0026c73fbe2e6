"""The files of an image, found by path as a program in it would find them."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Literal, Protocol

HEAD = 256  # bytes of a program that tell what it is
USERS = "etc/passwd"  # the names that a USER of an image may have
USERS_LIMIT = 64 * 1024  # bytes
LINKS = 40  # as Linux has it


@dataclass(frozen=True, slots=True)
class File:
    """One file or folder, links followed. `head` holds the first bytes of what can be executed."""

    path: str
    kind: Literal["file", "folder", "other"]
    mode: int
    size: int
    head: bytes = b""

    @property
    def executable(self) -> bool:
        """Whether somebody may execute it."""
        return bool(self.mode & 0o111)


class Files(Protocol):
    """Where files are looked up."""

    def find(self, path: str) -> File | None:
        """The file at an absolute path, links followed; None when there is none."""

    def is_filled(self, path: str) -> bool:
        """Whether there is a folder with something in it."""


def absolute(path: str, folder: str = "/") -> str:
    """A path as seen from a folder, without `..`, which cannot lead out of the root."""
    joined = posixpath.normpath(posixpath.join("/", folder or "/", path))
    return "/" + joined.lstrip("/")
