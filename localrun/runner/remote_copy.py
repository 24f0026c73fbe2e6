"""Copy inputs and outputs as archives, for remote engines."""

from __future__ import annotations

import io
import os
import posixpath
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from localrun import fs
from localrun.copying import DiskLimit
from localrun.engines.base import Engine, Handle
from localrun.errors import EngineError, Problem
from localrun.undecodable import quote

_CHUNK = 1024 * 1024
_READABLE, _WRITABLE = (0o644, 0o755), (0o666, 0o777)


def pack(folder: Path, replacements: dict[str, Path], *, writable: bool = False) -> Iterator[bytes]:
    """Yield a tar of a folder in chunks; `replacements` maps paths in it to the files that replace them."""
    file_mode, folder_mode = _WRITABLE if writable else _READABLE
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir():
            yield _header(name, tarfile.DIRTYPE, folder_mode, 0)
        else:
            yield from _file(name, replacements.get(name, path), file_mode)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _header(name: str, kind: bytes, mode: int, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size = kind, mode, size
    return info.tobuf(tarfile.PAX_FORMAT)


def _file(name: str, path: Path, mode: int) -> Iterator[bytes]:
    with path.open("rb") as stream:
        size = left = os.fstat(stream.fileno()).st_size
        yield _header(name, tarfile.REGTYPE, mode, size)
        while left:
            data = stream.read(min(_CHUNK, left))
            # pad a file that has shrunk, because its size is already in the header
            data = data or bytes(min(_CHUNK, left))
            left -= len(data)
            yield data
    yield bytes(-size % tarfile.BLOCKSIZE)


class _ChunkStream(io.RawIOBase):
    """A stream that reads the chunks of an iterator."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self._rest:
            self._rest = next(filter(None, self._chunks), b"")  # an empty chunk is not the end
        part, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def copy_out(
    engine: Engine, handle: Handle, source: str, folder: Path, limit: DiskLimit | None = None
) -> list[Problem]:
    """Copy the content of the container's folder `source` into `folder` and return what was rejected.

    This user owns the copies. Nothing is written through a link: links are created last, and only if they
    stay inside the container's folder. Raises `LocalrunError` for a file that does not fit on the disk, with
    the disk filled up to the `limit`; nothing of it is written then.
    """
    unpacker = _Unpacker(source, folder, limit or DiskLimit())
    links: list[tarfile.TarInfo] = []
    problems: list[Problem] = []
    stream = io.BufferedReader(_ChunkStream(engine.copy_out(handle, source)), _CHUNK)
    with _reading(source), tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            name = unpacker.relative_path(member.name)
            if name == PurePosixPath():
                continue
            if name is None:
                problems.append(_rejected(member.name, "its path leaves the folder"))
            elif member.issym():
                links.append(member)
            else:
                problems += unpacker.extract(archive, member, folder / name)
    return problems + [problem for link in links for problem in unpacker.create_link(link)]


@contextmanager
def _reading(source: str) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError) as error:
        raise EngineError(
            f"cannot copy {source} from the container: invalid archive from the engine: {error}",
            remedy="run the task again; if that fails too, restart the engine",
        ) from error


class _Unpacker:
    """Unpacks members of an archive of the container's folder `source` into `folder`."""

    def __init__(self, source: str, folder: Path, limit: DiskLimit) -> None:
        self._source = source
        self._folder = folder
        self._limit = limit
        self._root: str | None = None  # the folder itself in the archive

    def relative_path(self, name: str) -> PurePosixPath | None:
        """Return where a member belongs in the folder; None outside of it. The first one is the folder."""
        if self._root is None:
            self._root = name.strip("/")
        if not self._root:  # the folder has no name in the archive
            name = f"-/{name.lstrip('/')}"
        parts = PurePosixPath(name).parts[1:]
        return None if ".." in parts or name.startswith("/") else PurePosixPath(*parts)

    def extract(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> list[Problem]:
        if member.isdir():
            path.mkdir(exist_ok=True, parents=True)
        elif member.isreg():
            self._copy(archive, member, path)
        elif member.islnk():
            return self._hard_link(member, path)
        else:
            name = path.relative_to(self._folder).as_posix()
            return [_rejected(name, "it is a device, a pipe or a socket")]
        return []

    def _copy(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
        content = archive.extractfile(member)
        assert content is not None
        path.parent.mkdir(exist_ok=True, parents=True)
        with fs.wrap_os_errors(path), fs.atomic_file(path) as temp, temp.open("wb") as stream:
            # an archive has no holes, so a huge file costs its whole length of time
            self._limit.check(stream.fileno(), member.size)
            while data := content.read(_CHUNK):
                if data.count(0) == len(data):
                    stream.seek(len(data), os.SEEK_CUR)
                else:
                    self._limit.use(stream.fileno(), len(data))
                    stream.write(data)
            stream.truncate()

    def _hard_link(self, member: tarfile.TarInfo, path: Path) -> list[Problem]:
        origin = self.relative_path(member.linkname)
        if origin is None or not (self._folder / origin).is_file():
            reason = f"it is a link to {quote(member.linkname)}, which is not in the folder"
            return [_rejected(member.name, reason)]
        path.hardlink_to(self._folder / origin)
        return []

    def create_link(self, member: tarfile.TarInfo) -> list[Problem]:
        name = self.relative_path(member.name)
        assert name is not None
        # where it leads in the container, if no folder of its path is a link; see `UntrustedDir`
        end = posixpath.normpath(posixpath.join(self._source, name.parent, member.linkname))
        if not PurePosixPath(end).is_relative_to(posixpath.normpath(self._source)):
            return [
                _rejected(str(name), f"it is a link to {quote(member.linkname)}, which leaves the folder")
            ]
        path = self._folder / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.symlink_to(member.linkname)
        return []


def _rejected(name: str, reason: str) -> Problem:
    return Problem(f"outputs/{name}", f"not copied: {reason}", "write a regular file")
