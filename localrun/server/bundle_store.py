"""Which bundles and files a stranger may name: those below given folders, and those that were uploaded.

Names are hostile input. A name is resolved first, links and all, and then has to lie below a root; so
nothing outside can be reached, not even through a link inside.
"""

from __future__ import annotations

import filecmp
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from localrun import descriptor as descriptors
from localrun import fs
from localrun.bundle.folder import read_descriptor
from localrun.bundle.parts import is_descriptor
from localrun.bundle.reader import read_bundle
from localrun.errors import BundleError, Cause, DescriptorError, InputsError, LocalrunError, Problem
from localrun.units import format_bytes

if TYPE_CHECKING:
    from localrun.descriptor import Descriptor

_NAME = re.compile(r"[^/:\s]{1,200}:[^/:\s]{1,100}")  # namespace:version
_DEPTH = 3  # levels below a root at which bundles are looked for
_ENTRIES = 5000  # that are looked at in one search


class BundleTooLarge(BundleError):
    """More bytes were sent than a bundle may have."""


class BundleExists(BundleError):
    """There is another bundle of the same namespace and version."""


@dataclass(frozen=True, slots=True)
class BundleEntry:
    """A bundle that can be named: by `name` (`namespace:version`), or by `path`."""

    name: str
    title: str
    path: Path


class BundleStore:
    """The bundles and files below `roots`, and uploaded bundles, which are kept in `uploads`.

    `cache` is the folder where what is found in bundles is noted, `limit` the bytes that a bundle may have.
    """

    def __init__(
        self, roots: Sequence[Path], uploads: Path, *, cache: Path, limit: int = 8 * 1024**3
    ) -> None:
        self.roots = tuple(root.resolve() for root in roots)
        self.uploads = uploads
        self._cache = cache
        self._limit = limit
        self._known: dict[tuple[str, int, int], BundleEntry | None] = {}

    # -- finding ---------------------------------------------------------------------------------

    def find_bundle(self, name: str) -> Path:
        """The bundle of that path or `namespace:version`. Raises `BundleError`."""
        found = self._below_a_root(name)
        if found is not None:
            return found
        if _NAME.fullmatch(name):
            for entry in self.entries():
                if entry.name == name:
                    return entry.path
        raise BundleError(
            f"there is no bundle {_shown(name)} here",
            remedy="give a path below the server's bundle folders, namespace:version, or upload it first",
            bundle=name[:200],
        )

    def find_file(self, name: str) -> Path:
        """The file or folder of that path. Raises `InputsError`."""
        found = self._below_a_root(name)
        if found is None:
            raise InputsError(
                "a file of the inputs cannot be used",
                remedy="give a path below the server's bundle folders, or send the file",
                problems=[Problem("inputs", f"there is no file {_shown(name)} here")],
            )
        return found

    def entries(self) -> Iterator[BundleEntry]:
        """The bundles that can be named, uploaded ones first."""
        for path in _candidates(self.uploads, depth=1):
            entry = self._entry(path)
            if entry:
                yield entry
        for root in self.roots:
            for path in _candidates(root, depth=_DEPTH):
                entry = self._entry(path) if self._is_inside(path) else None
                if entry:
                    yield entry

    def _below_a_root(self, name: str) -> Path | None:
        for root in self.roots:
            try:
                path = (root / name).resolve(strict=True)
            except (OSError, ValueError, RuntimeError):  # not there, a null byte, a circle of links
                continue
            if self._is_inside(path):
                return path
        return None

    def _is_inside(self, path: Path) -> bool:
        real = path.resolve()
        return any(real.is_relative_to(root) for root in self.roots)

    def _entry(self, path: Path) -> BundleEntry | None:
        try:
            status = path.stat()
            key = (str(path), status.st_mtime_ns, status.st_size)
            if key not in self._known:
                self._known[key] = _entry(path)
        except (OSError, BundleError, DescriptorError):
            return None
        return self._known[key]

    # -- adding ----------------------------------------------------------------------------------

    def add(self, chunks: Iterable[bytes], *, replace: bool = False) -> BundleEntry:
        """Keep a zip that comes in pieces, after it was read and found whole; nothing of another one stays.

        The same bundle may be sent again. Raises `BundleTooLarge`, `BundleExists` for another content
        under a name that is taken (unless it may `replace` it), and as `bundle.read`.
        """
        try:
            self.uploads.mkdir(parents=True, exist_ok=True)
            for path in self.uploads.iterdir():
                if fs.is_abandoned(path):
                    fs.remove(path)
            with fs.temp_file(self.uploads / "bundle.zip") as path:
                self._write(path, chunks)
                found = read_bundle(path, cache=self._cache).descriptor
                return self._publish(path, found, replace=replace)
        except OSError as error:
            raise LocalrunError(
                f"the bundle cannot be kept: {error.strerror}",
                remedy="make room on the disk, and the folder of the tasks writable",
                cause=Cause.DISK_FULL,
            ) from error

    def _write(self, path: Path, chunks: Iterable[bytes]) -> None:
        room = self._limit
        with path.open("xb") as stream:
            for chunk in chunks:
                room -= len(chunk)
                if room < 0:
                    raise BundleTooLarge(
                        f"the bundle is larger than {format_bytes(self._limit)}",
                        remedy="start the server with a higher --upload-limit",
                    )
                stream.write(chunk)
            stream.flush()
            os.fsync(stream.fileno())

    def _publish(self, path: Path, found: Descriptor, *, replace: bool) -> BundleEntry:
        name = f"{found.namespace}:{found.version}"
        target = self.uploads / f"{quote(name, safe='')}.zip"
        if not _NAME.fullmatch(name) or len(target.name) > 255:
            raise BundleError(
                f"the bundle calls itself {_shown(name)}, which is no name to keep it under",
                remedy="give it a short namespace and version without spaces, slashes and colons",
            )
        try:
            target.hardlink_to(path)
        except FileExistsError:
            if replace:
                path.replace(target)
            elif not filecmp.cmp(path, target, shallow=False):
                raise BundleExists(
                    f"there is another bundle {name}",
                    remedy="raise its version, or send it with ?replace=true",
                ) from None
        return BundleEntry(name, found.name, target)


def _shown(name: str) -> str:
    return repr(name if len(name) <= 120 else f"{name[:120]}...")


def _candidates(root: Path, *, depth: int) -> Iterator[Path]:
    """Folders with a descriptor, and zips, in the order of their names; hidden ones are left out."""
    room = _ENTRIES
    stack = [(root, depth)]
    while stack and room > 0:
        folder, levels = stack.pop()
        names = _listing(folder)
        room -= len(names)
        if any(is_descriptor(name) for name in names):
            yield folder
            continue
        yield from (folder / name for name in names if name.lower().endswith(".zip"))
        if levels > 1:
            inner = [folder / name for name in reversed(names) if (folder / name).is_dir()]
            stack += [(path, levels - 1) for path in inner if not path.is_symlink()]


def _listing(folder: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))  # noqa: PTH208 - names
    except OSError:
        return []


def _entry(path: Path) -> BundleEntry | None:
    found = _described(path)
    return BundleEntry(f"{found.namespace}:{found.version}", found.name, path) if found else None


def _described(path: Path) -> Descriptor | None:
    """What a bundle says of itself; its image is not looked at."""
    if path.is_dir():
        name = next((name for name in _listing(path) if is_descriptor(name)), None)
        return descriptors.read(read_descriptor(path / name)) if name else None
    from localrun.bundle.zip import open_zip

    with open_zip(path) as archive:
        name = next((name for name in archive.names if is_descriptor(name)), None)
        return descriptors.read(archive.read(name)) if name else None
