"""The folders of tasks as archives: from the node that ran a task to the client."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from localrun import fs
from localrun.copying import DiskLimit
from localrun.errors import LocalrunError
from localrun.task.workspace import Workspace

CHUNK = 4 * 1024**2  # bytes of one message
_READ = 1024**2
_LEFT_OUT = ("reserve", "hosts", "secrets.json", "kill", "taken")


def pack(folders: Sequence[Path]) -> Iterator[bytes]:
    """Yield a tar with the folders of tasks in chunks. Special files are left out."""
    for folder in folders:
        yield from _members(folder, folder.name)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _members(folder: Path, name: str) -> Iterator[bytes]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        status, place = entry.stat(follow_symlinks=False), f"{name}/{entry.name}"
        if stat.S_ISDIR(status.st_mode):
            yield _header(place, tarfile.DIRTYPE, status, 0)
            yield from _members(Path(entry.path), place)
        elif stat.S_ISLNK(status.st_mode):
            yield _header(place, tarfile.SYMTYPE, status, 0, os.readlink(entry.path))  # noqa: PTH115
        elif stat.S_ISREG(status.st_mode) and ("/" in name or entry.name not in _LEFT_OUT):
            yield from _file(place, Path(entry.path))


def _header(name: str, kind: bytes, status: os.stat_result, size: int, target: str = "") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size, info.linkname = kind, stat.S_IMODE(status.st_mode), size, target
    info.mtime = status.st_mtime
    return info.tobuf(tarfile.PAX_FORMAT, errors="surrogateescape")


def _file(name: str, path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as stream:
        status = os.fstat(stream.fileno())
        size = left = status.st_size
        yield _header(name, tarfile.REGTYPE, status, size)
        while left:
            data = stream.read(min(_READ, left)) or bytes(min(_READ, left))  # it has shrunk
            left -= len(data)
            yield data
    yield bytes(-size % tarfile.BLOCKSIZE)


def chunks(parts: Iterable[bytes], size: int = CHUNK) -> Iterator[bytes]:
    """Combine parts to chunks of about `size` bytes."""
    held: list[bytes] = []
    count = 0
    for part in parts:
        held.append(part)
        count += len(part)
        if count >= size:
            yield b"".join(held)
            held, count = [], 0
    yield b"".join(held)


class ChunkedReader:
    """Reads an iterator of chunks once, in order, and computes its digest."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._chunks = chunks(parts)
        self._hash = hashlib.sha256()
        self.number = 0

    def next(self) -> tuple[bytes, str]:
        """Return the next chunk, and after the last one no data and the digest of all."""
        data = next(self._chunks, b"")
        self._hash.update(data)
        self.number += 1
        return data, "" if data else self._hash.hexdigest()


class _Stream(io.RawIOBase):
    """A stream over the chunks of an iterator."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = memoryview(next(filter(None, self._parts), b""))
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def unpack(
    parts: Iterator[bytes], target: Path, rename: Callable[[str], str], limit: DiskLimit
) -> list[Workspace]:
    """Unpack an archive of tasks below a new folder, and return the folder of each task.

    `rename` maps the targets of links. Links are created last, so nothing is written through one. Raises
    `LocalrunError` for an invalid archive, or with cause DISK_FULL.
    """
    links: list[tuple[Path, str]] = []
    found: dict[str, Workspace] = {}
    try:
        with (
            fs.wrap_os_errors(target),
            tarfile.open(fileobj=io.BufferedReader(_Stream(parts), _READ), mode="r|") as archive,
        ):
            for member in archive:
                path = target / _checked(member.name)
                task = PurePosixPath(member.name).parts[0]
                found.setdefault(task, Workspace(target / task))
                path.parent.mkdir(parents=True, exist_ok=True)
                if member.isdir():
                    path.mkdir(exist_ok=True)
                elif member.issym():
                    links.append((path, rename(member.linkname)))
                elif member.isreg():
                    _extract(archive, member, path, limit)
            for path, link in links:
                path.symlink_to(link)
    except (tarfile.TarError, EOFError, UnicodeError) as error:
        raise LocalrunError(
            f"a node sent an invalid archive of a task: {error}", remedy="resume the batch"
        ) from error
    return list(found.values())


def _checked(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or len(path.parts) < 2:
        raise tarfile.TarError(f"{name!r} is outside of the folder")
    return path


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path, limit: DiskLimit) -> None:
    content = archive.extractfile(member)
    assert content is not None
    with path.open("xb", buffering=0) as stream:
        limit.check(stream.fileno(), 0)
        while data := content.read(_READ):
            if len(data) == _READ and not any(data[:: _READ // 4]) and data.count(0) == len(data):
                stream.seek(len(data), os.SEEK_CUR)  # a hole
            else:
                limit.use(stream.fileno(), len(data))
                fs.write_all(stream, data)
        stream.truncate()
        os.fchmod(stream.fileno(), member.mode & 0o777)
        os.utime(stream.fileno(), (member.mtime, member.mtime))
