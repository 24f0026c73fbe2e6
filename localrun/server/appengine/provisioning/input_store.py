"""The input folder of a run that has not started: files as App Engine writes them.

Each input is one entry of the folder: a file with its text, an uploaded file, or a folder with the items `0`,
`1`, ... and `array.yml`. A new value is written next to the inputs first, and then replaces the entry.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from localrun import fs
from localrun.copying import DiskLimit, copy_file
from localrun.descriptor import Descriptor
from localrun.server.appengine.provisioning.contents import Content
from localrun.server.appengine.provisioning.invalid_value import InvalidValue
from localrun.task.workspace import Workspace
from localrun.values.collection import is_index
from localrun.values.image_headers.bounded_reader import CorruptFile
from localrun.values.image_headers.zips import CHUNK, unpack_zip
from localrun.values.input_folder import REGION

_METADATA = "array.yml"
_FILE_MODE, _FOLDER_MODE = 0o644, 0o755  # readable for any user of the container


class InputStore:
    """The inputs of one run. Copies do not fill the disk to more than `disk_limit` percent."""

    def __init__(self, workspace: Workspace, descriptor: Descriptor, disk_limit: float = 100.0) -> None:
        self._inputs = workspace.inputs
        self._staging = workspace.uploads
        self._descriptor = descriptor
        self._limit = disk_limit

    def has(self, name: str) -> bool:
        """Return whether an input is provisioned: an array has an item, or was sent as a whole."""
        return os.path.lexists(self._inputs / name)

    def count(self, name: str) -> int:
        """Return the number of items of an array."""
        return _count(self._inputs / name)

    def missing(self) -> list[str]:
        """Return the required inputs that are not provisioned. Defaults do not count."""
        inputs = self._descriptor.inputs
        return [name for name, one in inputs.items() if not one.optional and not self.has(name)]

    def provisioned(self) -> list[str]:
        return [name for name in self._descriptor.inputs if self.has(name)]

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Yield a path for a new file or folder, which is deleted afterwards if it is still there."""
        with fs.wrap_os_errors(self._staging.parent):
            self._staging.mkdir(exist_ok=True)
            with fs.temp_file(self._staging / "input") as path:
                yield path

    # -- values ----------------------------------------------------------------------------------

    def put(self, name: str, content: Content) -> None:
        """Replace an input. Raises `LocalrunError` if the disk is full."""
        with self.staging() as path:
            self._write(content, path)
            self._replace(path, self._inputs / name)

    def put_item(self, name: str, indexes: list[str], content: Content) -> None:
        """Replace an item of an array, and update the sizes of the arrays around it."""
        with self.staging() as path:
            self._write(content, path)
            self._insert(name, indexes, path)

    def _write(self, content: Content, path: Path) -> None:
        if isinstance(content, dict):
            path.mkdir()
            path.chmod(_FOLDER_MODE)
            for index, item in content.items():
                self._write(item, path / str(index))
            _write_size(path / _METADATA, len(content))
        elif isinstance(content, Path):
            copy_file(content, path, limit=DiskLimit(self._limit))
            path.chmod(_FILE_MODE)
        else:
            path.write_bytes(content)
            path.chmod(_FILE_MODE)

    # -- files -----------------------------------------------------------------------------------

    def put_file(self, name: str, path: Path, region: Path | None, *, unpack: bool) -> None:
        """Move an uploaded file to an input, or `unpack` it there, and its region next to it."""
        self._move(path, self._inputs / name, unpack=unpack)
        target = self._inputs / f"{name}{REGION}"
        if region is None:
            fs.remove(target)  # a region belongs to the image that it was sent with
        else:
            region.chmod(_FILE_MODE)
            region.replace(target)

    def put_item_file(self, name: str, indexes: list[str], path: Path, *, unpack: bool) -> None:
        """Move an uploaded file to an item of an array."""
        with self.staging() as item:
            self._move(path, item, unpack=unpack)
            self._insert(name, indexes, item)

    def _move(self, source: Path, target: Path, *, unpack: bool) -> None:
        if not unpack:
            source.chmod(_FILE_MODE)
            self._replace(source, target)
            return
        with self.staging() as folder:
            folder.mkdir()
            folder.chmod(_FOLDER_MODE)
            self._unpack(source, folder)
            self._replace(folder, target)

    def _unpack(self, source: Path, folder: Path) -> None:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        limit = DiskLimit(self._limit)
        try:
            unpack_zip(source, folder, (_FILE_MODE, _FOLDER_MODE), lambda: limit.use(descriptor, CHUNK))
        except CorruptFile as error:
            raise InvalidValue("invalid image format") from error
        finally:
            os.close(descriptor)

    # -- entries ---------------------------------------------------------------------------------

    def _replace(self, path: Path, target: Path) -> None:
        """Move to `target`, which is missing at no time, unless the file system cannot exchange names."""
        if not os.path.lexists(target) or not (path.is_dir() or target.is_dir()):
            path.replace(target)
        elif fs.exchange(path, target):
            fs.remove(path)
        else:
            with self.staging() as old:
                target.rename(old)
                path.rename(target)

    def _insert(self, name: str, indexes: list[str], path: Path) -> None:
        folders = [self._inputs / name]
        for index in indexes[:-1]:
            folders.append(folders[-1] / index)
        for folder in folders:
            if not folder.is_dir():
                folder.mkdir()
                folder.chmod(_FOLDER_MODE)
        self._replace(path, folders[-1] / indexes[-1])
        for folder in reversed(folders):
            with self.staging() as size:
                _write_size(size, _count(folder))
                size.replace(folder / _METADATA)


def _count(folder: Path) -> int:
    return sum(map(is_index, os.listdir(folder)))  # noqa: PTH208 - names


def _write_size(path: Path, size: int) -> None:
    """Write the metadata of an array, without a line break at the end, as App Engine does."""
    path.write_bytes(f"size: {size}".encode())
    path.chmod(_FILE_MODE)
