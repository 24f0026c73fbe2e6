"""The tar of a build context for the engine's classic builder, made while it is sent."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from localrun import fs
from localrun.engines.context.files import DOCKERIGNORE, BuildContext, ContextFile, open_file, read_error
from localrun.errors import Cause, ImageError

CHUNK = 1 << 20  # bytes
_BLOCK = 512
_DOCKERFILE = ".dockerfile.localrun"  # a Dockerfile that is not part of the context
_CAPABILITY = "security.capability"


class PackedContext(NamedTuple):
    """The name of the Dockerfile in the tar, and the tar in chunks of about 1 MiB."""

    dockerfile: str
    chunks: Iterator[bytes]


def pack_context(context: BuildContext, dockerfile: bytes | None = None) -> PackedContext:
    """Return the tar of a context, which is read while the chunks are consumed.

    Owners are 0 and times are whole seconds, as docker sends them. The Dockerfile is always part of the tar.
    The engine removes it, and the ignore file, if they are excluded. `dockerfile` is sent instead of its
    content. Raises `ImageError`, also while the chunks are consumed.
    """
    if not context.dockerfile.is_file():
        raise ImageError(
            f"cannot build {context.folder}: {context.dockerfile} does not exist",
            remedy="add the file, select another one with `-f FILE`, or pass an image with --image",
            cause=Cause.IMAGE_BUILD_FAILED,
            folder=str(context.folder),
        )
    context.patterns  # noqa: B018 - reports an invalid pattern before the request
    name = _name_inside(context)
    own_ignore_file = context.ignore_file not in (None, context.folder / DOCKERIGNORE)
    if not name or own_ignore_file or dockerfile is not None:
        return PackedContext(
            _DOCKERFILE, _chunks(_with_hidden_dockerfile(context, dockerfile), context.folder)
        )
    return PackedContext(name, _chunks(_with_forced_files(context, name), context.folder))


def _name_inside(context: BuildContext) -> str:
    """Return the Dockerfile's path in the context, empty if it is outside."""
    try:
        path = context.dockerfile.resolve().relative_to(context.folder.resolve())
    except ValueError:
        return ""
    return path.as_posix()


def _with_forced_files(context: BuildContext, dockerfile: str) -> Iterator[bytes]:
    packer = _Packer(context.folder)
    forced = {dockerfile, DOCKERIGNORE}
    for file in context.files():
        forced.discard(file.path)
        yield from packer.member(file)
    for name in sorted(forced):
        path = context.folder / name
        if path.is_file():
            yield from packer.member(ContextFile(name, path.stat()))


def _with_hidden_dockerfile(context: BuildContext, dockerfile: bytes | None) -> Iterator[bytes]:
    """Yield a tar as `docker build -f` sends it: the engine removes the Dockerfile and the ignore file."""
    packer = _Packer(context.folder)
    ignored = b".dockerignore"
    for file in context.files():
        if file.path == DOCKERIGNORE:
            ignored = fs.read_regular(context.folder / DOCKERIGNORE)
        else:
            yield from packer.member(file)
    yield _file(DOCKERIGNORE, ignored + f"\n{_DOCKERFILE}\n".encode())
    yield _file(_DOCKERFILE, fs.read_regular(context.dockerfile) if dockerfile is None else dockerfile)


def _chunks(parts: Iterable[bytes], folder: Path) -> Iterator[bytes]:
    """Join small parts and end the tar."""
    waiting = bytearray()
    try:
        for part in parts:
            if len(part) < CHUNK:
                waiting += part
            if waiting and (len(part) >= CHUNK or len(waiting) >= CHUNK):
                yield bytes(waiting)
                waiting.clear()
            if len(part) >= CHUNK:  # not copied
                yield part
    except OSError as error:
        raise read_error(folder, error) from error
    yield bytes(waiting) + bytes(2 * _BLOCK)


class _Packer:
    """Makes tar members. A further hard link to a file becomes a link in the tar, as docker sends it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._linked: dict[tuple[int, int], str] = {}

    def member(self, file: ContextFile) -> Iterator[bytes]:
        """Yield a member; nothing if the file was deleted or replaced after the listing."""
        mode = file.status.st_mode
        info = tarfile.TarInfo(file.path)
        info.mode, info.mtime = mode & 0o7777, int(file.status.st_mtime)
        if stat.S_ISREG(mode):
            yield from self._regular(info, file)
            return
        if stat.S_ISDIR(mode):
            info.type = tarfile.DIRTYPE
        elif stat.S_ISLNK(mode):
            info.type, info.linkname = tarfile.SYMTYPE, file.target
        elif stat.S_ISFIFO(mode):
            info.type = tarfile.FIFOTYPE
        else:
            info.type = tarfile.CHRTYPE if stat.S_ISCHR(mode) else tarfile.BLKTYPE
            info.devmajor, info.devminor = os.major(file.status.st_rdev), os.minor(file.status.st_rdev)
        yield _header(info)

    def _regular(self, info: tarfile.TarInfo, listed: ContextFile) -> Iterator[bytes]:
        path = self._folder / listed.path
        file = open_file(path)
        if file is None:
            return
        with file:
            status = os.fstat(file.fileno())
            inode = (status.st_dev, status.st_ino)
            if inode in self._linked:
                info.type, info.linkname = tarfile.LNKTYPE, self._linked[inode]
                yield _header(info)
                return
            if status.st_nlink > 1:
                self._linked[inode] = listed.path
            info.size = status.st_size
            if capability := read_capability(path):
                info.pax_headers = {f"SCHILY.xattr.{_CAPABILITY}": os.fsdecode(capability)}
            yield _header(info)
            # the size is fixed now: what a program appends is left out, what it cuts off becomes zeros
            left = info.size
            while left and (data := file.read(min(left, CHUNK))):
                left -= len(data)
                yield data
            while left:
                zeros = bytes(min(left, CHUNK))
                left -= len(zeros)
                yield zeros
            yield bytes(-info.size % _BLOCK)


def read_capability(path: Path) -> bytes:
    """Return the file capabilities (`setcap`), which docker sends; empty if there are none."""
    try:
        return os.getxattr(path, _CAPABILITY, follow_symlinks=False)
    except OSError:
        return b""


def _file(name: str, data: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o600
    return _header(info) + data + bytes(-len(data) % _BLOCK)


def _header(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
