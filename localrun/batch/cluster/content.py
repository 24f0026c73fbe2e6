"""Files of clients on a node, by the SHA-256 of their content.

CONTENT/
  ab/ab12.../NAME       a file that has this digest, or a folder of such files; under each name that it had
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from localrun import fs
from localrun.batch.cluster.orders import SentFile, SentFolder, machine
from localrun.copying import DiskLimit
from localrun.errors import LocalrunError
from localrun.task.file_state import FileState
from localrun.values.reuse.digests import ContentDigests

_IDLE = 600.0  # seconds without a chunk after which an upload is given up


class _Upload:
    """A file that is being received."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stream = path.open("wb")
        self.hash = hashlib.sha256()
        self.offset = 0
        self.used = time.monotonic()

    def abort(self) -> None:
        self.stream.close()
        fs.remove(self.path)


class ContentStore:
    """The files of clients on a node. Thread-safe, and shared by the workers of a machine.

    Nothing is written above `disk_limit` percent of the disk. The digest of each file is added to `digests`,
    so that results can be reused by content.
    """

    def __init__(self, path: Path, digests: ContentDigests, disk_limit: float = 100.0) -> None:
        self.path = path
        self._digests = digests
        self._disk_limit = disk_limit
        self._lock = threading.Lock()
        self._uploads: dict[str, _Upload] = {}

    def locate(self, sent: SentFile) -> Path | None:
        """Return the path of a file: that of the client if shared, else in the store; None if missing."""
        if self._is_shared(sent):
            return Path(sent.path)
        return self._named(sent)

    def locate_folder(self, sent: SentFolder) -> Path | None:
        """Return the path of a folder, as `locate`. Its files must be in the store if it is not shared."""
        if _file_count(Path(sent.path)) == len(sent.files) and all(map(self._is_shared, sent.files.values())):
            return Path(sent.path)
        found = self._entry(sent.digest) / (_safe(sent.name))
        if found.is_dir():
            os.utime(found.parent)
            return found
        with fs.wrap_os_errors(self.path), fs.temp_file(self.path / sent.digest) as temp:
            temp.mkdir(parents=True)
            for name, each in sent.files.items():
                source = self._named(each)
                if source is None:
                    return None
                (temp / name).parent.mkdir(parents=True, exist_ok=True)
                (temp / name).hardlink_to(source)
            found.parent.mkdir(parents=True, exist_ok=True)
            try:
                temp.rename(found)
            except OSError:
                if not found.is_dir():  # by another worker
                    raise
        return found

    def lacks(self, sent: SentFile) -> bool:
        return self.locate(sent) is None

    def write(self, sent: SentFile, offset: int, data: bytes) -> int:
        """Receive a part of a file, and return the offset of the next one; its size when it is complete.

        A part at another offset than the expected one is ignored. Raises `LocalrunError` if the content does
        not have the digest, or with cause DISK_FULL.
        """
        if self._named(sent) is not None:
            return sent.size
        with self._lock, fs.wrap_os_errors(self.path):
            upload = self._upload(sent)
            if offset != upload.offset:
                return upload.offset
            try:
                DiskLimit(self._disk_limit).check(upload.stream.fileno(), len(data))
                upload.stream.write(data)
                upload.hash.update(data)
                upload.offset += len(data)
                upload.used = time.monotonic()
                if upload.offset >= sent.size:
                    self._finish(sent, upload)
            except BaseException:
                self._uploads.pop(sent.digest, upload).abort()
                raise
            return upload.offset

    def _upload(self, sent: SentFile) -> _Upload:
        for digest, other in list(self._uploads.items()):
            if time.monotonic() - other.used > _IDLE:
                self._uploads.pop(digest).abort()
        if sent.digest not in self._uploads:
            self.path.mkdir(parents=True, exist_ok=True)
            self._uploads[sent.digest] = _Upload(Path(fs.temp_path(str(self.path / sent.digest))))
        return self._uploads[sent.digest]

    def _finish(self, sent: SentFile, upload: _Upload) -> None:
        upload.stream.close()
        if upload.hash.hexdigest() != sent.digest or upload.offset != sent.size:
            raise LocalrunError(
                f"{sent.path} does not have the expected content: it changed, or was damaged on its way",
                remedy="do not change the inputs while the batch runs, and resume it",
            )
        upload.path.chmod(0o644)  # any user of a container may read it
        target = self._entry(sent.digest) / _safe(sent.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        upload.path.replace(target)
        del self._uploads[sent.digest]

    def _named(self, sent: SentFile) -> Path | None:
        """Return the path of a file in the store, under the name that it has on the client."""
        folder = self._entry(sent.digest)
        found = folder / _safe(sent.name)
        try:
            if not _is_complete(found, sent.size):
                others = (path for path in folder.iterdir() if _is_complete(path, sent.size))
                other = next(others, None)
                if other is None:
                    return None
                with fs.temp_file(found) as temp:
                    temp.hardlink_to(other)
                    temp.replace(found)
            os.utime(folder)  # it is in use
            self._digests.add(FileState.of(found.stat()), f"0x{sent.digest}")
        except OSError:
            return None
        return found

    def _entry(self, digest: str) -> Path:
        return self.path / digest[:2] / digest

    def _is_shared(self, sent: SentFile) -> bool:
        """Return whether this machine sees the file of the client under the same path."""
        digest = f"0x{sent.digest}"
        try:
            state = FileState.of(os.stat(sent.path))  # noqa: PTH116 - may be no text
            if state.size != sent.size:
                return False
            if sent.machine and (sent.machine, sent.state) == (machine(), state):
                self._digests.add(state, digest)
                return True
            return self._digests.find(sent.path)[0] == digest
        except (OSError, ValueError):
            return False

    def prune(self, max_age: float) -> None:
        """Delete files that no row has needed for `max_age` seconds, and abandoned uploads."""
        oldest = time.time() - max_age
        for folder in _entries(self.path):
            if folder.name.startswith("."):
                if fs.is_abandoned(folder):
                    fs.remove(folder)
                continue
            for entry in _entries(folder):
                if entry.stat().st_mtime < oldest:
                    shutil.rmtree(entry, ignore_errors=True)

    def close(self) -> None:
        """Give up all uploads."""
        with self._lock:
            for upload in self._uploads.values():
                upload.abort()
            self._uploads.clear()


def _entries(folder: Path) -> Iterator[Path]:
    try:
        yield from list(folder.iterdir())
    except OSError:
        return


def _is_complete(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size and path.is_file()
    except OSError:
        return False


def _safe(name: str) -> str:
    return name if name not in ("", ".", "..") and "\0" not in name else "file"


def _file_count(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))
