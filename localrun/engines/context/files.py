"""The files of a build context, after the ignore file next to the Dockerfile or at the root."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from functools import cached_property
from io import BufferedReader
from pathlib import Path

import msgspec

from localrun import fs
from localrun.engines.base import DEFAULT_IGNORES
from localrun.engines.context.patterns import InvalidPattern, Patterns, parse_lines
from localrun.errors import Cause, ImageError

DOCKERIGNORE = ".dockerignore"
# the errors of a path that was deleted or replaced: by a folder, a link, a socket or another kind of file
_REPLACED = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.EINVAL)
_HOME_FILES = {".gitignore", "active", "tasks"}
_SPECIAL = frozenset("\\*?[^")


class ContextFile(msgspec.Struct, frozen=True):
    """One file, link or folder of a context. `path` is relative, with `/`; `target` is that of a link."""

    path: str
    status: os.stat_result
    target: str = ""


class BuildContext:
    """The folder of a build and its Dockerfile, which may lie outside.

    Excluded is what `Dockerfile.dockerignore` next to the Dockerfile or else `.dockerignore` excludes, `.git`
    and `.localrun` unless that file includes them, other task folders of localrun, and sockets.
    """

    def __init__(self, folder: Path, dockerfile: str | Path = "Dockerfile") -> None:
        self.folder = folder
        self.dockerfile = folder / dockerfile
        self.homes: list[str] = []  # the task folders found by `files`

    @cached_property
    def ignore_file(self) -> Path | None:
        """The ignore file that applies, if any. Raises `ImageError` for a special file."""
        own = self.dockerfile.with_name(f"{self.dockerfile.name}{DOCKERIGNORE}")
        for path in (own, self.folder / DOCKERIGNORE):
            if path.is_file():
                return path
            if path.exists() and not path.is_dir():  # the engine would wait for the writer of a pipe
                raise ImageError(
                    f"{path} is not a regular file",
                    remedy="replace it with a regular file, or delete it",
                    cause=Cause.IMAGE_BUILD_FAILED,
                )
        return None

    @cached_property
    def _lines(self) -> list[str]:
        if self.ignore_file is None:
            return [*DEFAULT_IGNORES]
        text = fs.read_regular(self.ignore_file).decode("utf-8", "surrogateescape")
        return [*DEFAULT_IGNORES, *parse_lines(text)]

    @cached_property
    def patterns(self) -> Patterns:
        """The patterns that apply. Raises `ImageError` for one that the engine would refuse."""
        try:
            return Patterns(self._lines)
        except InvalidPattern as error:
            raise ImageError(
                f"invalid pattern in {self.ignore_file}: {error}",
                remedy="correct the pattern; put \\ before [, *, ? or \\ to match the character itself",
                cause=Cause.IMAGE_BUILD_FAILED,
            ) from error
        except OSError as error:
            raise read_error(self.folder, error) from error

    def ignore_lines(self) -> list[str]:
        """Return an ignore file that excludes the same files in any version of docker.

        Reads the whole folder to find the task folders in it.
        """
        for _ in self.files():
            pass
        return [*self.patterns.portable_lines(), *map(_literal, self.homes)]

    def files(self) -> Iterator[ContextFile]:
        """Yield the files of the context, sorted, each folder before its content.

        A file that is deleted in the meantime is left out. Raises `ImageError` for one that cannot be read.
        """
        self.homes.clear()
        try:
            yield from _Walk(self.patterns, self.homes).files(self.folder)
        except OSError as error:
            raise read_error(self.folder, error) from error


def read_error(folder: Path, error: OSError) -> ImageError:
    """Return the error for a file of a context that cannot be read."""
    return ImageError(
        f"cannot read {error.filename or folder}: {error.strerror}",
        cause=Cause.IMAGE_BUILD_FAILED,
        remedy="make it readable, or add it to .dockerignore",
    )


def open_file(path: Path) -> BufferedReader | None:
    """Open a file for reading; None if it was deleted, or replaced by something else, after the listing.

    Raises `OSError` for other reasons, e.g. missing permissions.
    """
    try:
        # a pipe that replaced the file must not block
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except OSError as error:
        if error.errno in _REPLACED:
            return None
        raise
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    return None


def is_task_home(folder: str, names: set[str]) -> bool:
    """Return whether a folder with these names holds tasks of localrun, see `TaskStore`."""
    if not names >= _HOME_FILES:
        return False
    try:
        with fs.open_regular(f"{folder}/.gitignore") as file:
            content = file.read(3)
    except OSError:
        return False
    return content == b"*\n" and os.path.isdir(f"{folder}/tasks") and os.path.isdir(f"{folder}/active")  # noqa: PTH112


class _Walk:
    """One pass over a folder. `_pending` are excluded folders, which appear only with a file below."""

    def __init__(self, patterns: Patterns, homes: list[str]) -> None:
        self._patterns = patterns
        self._homes = homes
        self._pending: list[ContextFile] = []

    def files(self, folder: Path) -> Iterator[ContextFile]:
        yield from self._below(_list(str(folder)), "", ())

    def _below(
        self, items: list[os.DirEntry[str]], prefix: str, parent: tuple[bool, ...]
    ) -> Iterator[ContextFile]:
        for item in items:
            path = prefix + item.name
            excluded, matched = self._patterns.match(path, parent)
            is_folder = item.is_dir(follow_symlinks=False)
            if excluded and not (is_folder and self._patterns.may_include_below(path)):
                continue
            found = _stat(item, path)
            if found is None:
                continue
            if is_folder:
                yield from self._folder(item.path, found, matched, excluded=excluded)
            else:
                yield from self._with_parents(found)

    def _folder(
        self, name: str, found: ContextFile, matched: tuple[bool, ...], *, excluded: bool
    ) -> Iterator[ContextFile]:
        try:
            items = _list(name)
        except OSError as error:
            if error.errno in _REPLACED or (excluded and isinstance(error, PermissionError)):
                return
            raise
        if is_task_home(name, {item.name for item in items}):
            self._homes.append(found.path)
            return
        if excluded:
            self._pending.append(found)
        else:
            yield from self._with_parents(found)
        yield from self._below(items, f"{found.path}/", matched)
        if self._pending and self._pending[-1] is found:
            self._pending.pop()

    def _with_parents(self, found: ContextFile) -> Iterator[ContextFile]:
        yield from self._pending
        self._pending.clear()
        yield found


def _list(folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as items:
        return sorted(items, key=lambda item: item.name)


def _stat(item: os.DirEntry[str], path: str) -> ContextFile | None:
    """Return the state of a file; None for a socket, and if it was deleted after the listing."""
    try:
        status = item.stat(follow_symlinks=False)
        target = os.readlink(item.path) if item.is_symlink() else ""  # noqa: PTH115 - hot
    except OSError as error:
        if error.errno in _REPLACED:
            return None
        raise
    return None if stat.S_ISSOCK(status.st_mode) else ContextFile(path, status, target)


def _literal(path: str) -> str:
    """Return a pattern for exactly this path."""
    escaped = "".join(f"\\{character}" if character in _SPECIAL else character for character in path)
    return "/" + escaped.replace("\n", "?").replace("\r", "?").removesuffix(" ") + "[ ]" * path.endswith(" ")
