"""The bundles and files that requests can name: below the configured folders, and uploaded bundles.

Names are untrusted input. A name is resolved first, including links, and must then be below a root, and not
hidden or private, so nothing else can be reached, not even through a link inside.
"""

from __future__ import annotations

import filecmp
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from localrun import descriptor
from localrun.bundle.folder import read_descriptor
from localrun.bundle.parts import is_descriptor
from localrun.bundle.reader import read_bundle
from localrun.bundle.zip import open_zip
from localrun.errors import BundleError, Cause, DescriptorError, InputsError, LocalrunError, Problem
from localrun.server import temp_folders
from localrun.server.served_folders import ServedFolders
from localrun.units import format_bytes
from localrun.values.urls import is_url, mask_url

if TYPE_CHECKING:
    from localrun.descriptor import Descriptor

_NAME = re.compile(r"[^/:\s]{1,200}:[^/:\s]{1,100}")  # namespace:version
_MAX_DEPTH = 3  # levels below a root to search for bundles
_MAX_ENTRIES = 5000  # directory entries to read in one search


class BundleTooLarge(BundleError):
    """The uploaded bundle is larger than the limit."""


class BundleExists(BundleError):
    """A different bundle has the same namespace and version."""


@dataclass(frozen=True, slots=True)
class BundleEntry:
    """A bundle that tasks can refer to by `name` (`namespace:version`) or by `path`."""

    name: str
    title: str
    path: Path
    description: str = ""  # its first line
    inputs: int = 0
    outputs: int = 0


class BundleStore:
    """The bundles and files below `roots`, and the uploaded bundles in the folder `uploads`.

    `others` returns further bundles, which can be referred to by `namespace:version`. `cache` is the folder
    for facts about bundles, `limit` the maximum size of an upload in bytes. Files in the folders `home` and
    `logs`, and hidden files, cannot be named.
    """

    def __init__(
        self,
        roots: Sequence[Path],
        uploads: Path,
        *,
        cache: Path,
        limit: int = 8 * 1024**3,
        home: Path | None = None,
        logs: Path | None = None,
        others: Callable[[], Iterable[Path]] = tuple,
    ) -> None:
        self._folders = ServedFolders(roots, home, logs)
        self.roots = self._folders.roots
        self.uploads = uploads
        self._others = others
        self._cache = cache
        self._limit = limit
        self._entries: dict[tuple[str, int, int], BundleEntry | None] = {}

    # -- finding ---------------------------------------------------------------------------------

    def find_bundle(self, name: str) -> Path:
        """Return the path of a bundle named by path or `namespace:version`. Raises `BundleError`."""
        found = self._folders.find(name)
        if found is not None:
            return found
        if _NAME.fullmatch(name):
            for entry in self.entries():
                if entry.name == name:
                    return entry.path
        raise BundleError(
            f"unknown bundle {_quote(name)}",
            remedy="use a path below the server's bundle folders, NAMESPACE:VERSION, or upload the bundle",
            bundle=name[:200],
        )

    def find_file(self, name: str) -> Path:
        """Return the path of a file or folder for an input or a build. Raises `InputsError`.

        A folder with private files in it cannot be named: all of its files would be read.
        """
        found = self._folders.find(name)
        remedy = "use a path below the server's bundle folders, or upload the file"
        if found is None and is_url(name):
            message = f"{_quote(mask_url(name))} is a URL, which the server does not read"
            remedy = "download the file, and upload it"
        elif found is None:
            message = f"file {_quote(name)} not found (hidden files and the server's own are not served)"
        elif found.is_dir() and self._folders.holds_private(found):
            message = f"folder {_quote(name)} contains files of the server"
            remedy = "use a folder without the server's home and logs"
        else:
            return found
        problem = Problem("inputs", message, remedy)
        raise InputsError("invalid input file", remedy=remedy, problems=[problem])

    def relative(self, path: Path) -> str:
        """Return the name of a file or folder below a root, as requests can use it."""
        for root in self.roots:
            if path.is_relative_to(root):
                return str(path.relative_to(root))
        return str(path)

    def reference(self, path: Path) -> str | None:
        """Return how a request can refer to a bundle; None if it cannot."""
        if path.parent.resolve() == self.uploads.resolve() and path.suffix == ".zip":
            return unquote(path.stem)
        if path in self._others():
            entry = self._entry(path)  # an uploaded bundle of the same name precedes it
            return entry.name if entry and self.find_bundle(entry.name) == path else None
        found = self._folders.find(str(path))
        return None if found is None else self.relative(found)

    def entries(self) -> Iterator[BundleEntry]:
        """Yield the available bundles, uploaded ones first."""
        uploads = _candidates(self.uploads, depth=1)
        served = (path for root in self.roots for path in _candidates(root, depth=_MAX_DEPTH))
        for path in chain(uploads, self._others(), filter(self._folders.contains, served)):
            if entry := self._entry(path):
                yield entry

    def _entry(self, path: Path) -> BundleEntry | None:
        try:
            status = path.stat()
            key = (str(path), status.st_mtime_ns, status.st_size)
            if key not in self._entries:
                self._entries[key] = _read_entry(path)
        except (OSError, BundleError, DescriptorError):
            return None
        return self._entries[key]

    # -- adding ----------------------------------------------------------------------------------

    def add(self, chunks: Iterable[bytes], *, replace: bool = False) -> BundleEntry:
        """Store a zip from chunks of bytes. Raises as `add_file`, and `BundleTooLarge`."""
        with self.receive() as path:
            with _wrap_errors():
                self._write(path, chunks)
            return self.add_file(path, replace=replace)

    @contextmanager
    def receive(self) -> Iterator[Path]:
        """Yield the path of a new file for an upload, which is deleted afterwards."""
        with ExitStack() as stack:
            with _wrap_errors():
                self.uploads.mkdir(parents=True, exist_ok=True)
                folder = stack.enter_context(temp_folders.locked(self.uploads, "bundle"))
            yield folder / "bundle.zip"

    def add_file(self, path: Path, *, replace: bool = False) -> BundleEntry:
        """Store the zip of `receive` if it is a valid bundle.

        The same bundle can be uploaded again. Raises `BundleExists` if a bundle of that name has other
        content and `replace` is false, and the errors of `read_bundle`.
        """
        with _wrap_errors():
            found = read_bundle(path, cache=self._cache).descriptor
            return self._publish(path, found, replace=replace)

    def _write(self, path: Path, chunks: Iterable[bytes]) -> None:
        remaining = self._limit
        with path.open("xb") as stream:
            for chunk in chunks:
                remaining -= len(chunk)
                if remaining < 0:
                    raise BundleTooLarge(
                        f"the bundle is larger than {format_bytes(self._limit)}",
                        remedy="increase the limit with `localrun serve --upload-limit`",
                    )
                stream.write(chunk)
            stream.flush()
            os.fsync(stream.fileno())

    def _publish(self, path: Path, found: Descriptor, *, replace: bool) -> BundleEntry:
        name = f"{found.namespace}:{found.version}"
        target = self.uploads / f"{quote(name, safe='')}.zip"
        if not _NAME.fullmatch(name) or len(target.name) > 255:
            raise BundleError(
                f"invalid bundle name {_quote(name)}",
                remedy="use a short namespace and version without spaces, slashes and colons",
            )
        try:
            target.hardlink_to(path)
        except FileExistsError:
            if replace:
                path.replace(target)
            elif not filecmp.cmp(path, target, shallow=False):
                raise BundleExists(
                    f"a different bundle {name} exists",
                    remedy="increase its version, or upload it with ?replace=true",
                ) from None
        return BundleEntry(name, found.name, target)


@contextmanager
def _wrap_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LocalrunError(
            f"cannot store the bundle: {error.strerror}",
            remedy="free some disk space, and make the task folder writable",
            cause=Cause.DISK_FULL,
        ) from error


def _quote(name: str) -> str:
    return repr(name if len(name) <= 120 else f"{name[:120]}...")


def _candidates(root: Path, *, depth: int) -> Iterator[Path]:
    """Yield folders with a descriptor and zip files, sorted by name, without hidden ones."""
    budget = _MAX_ENTRIES
    stack = [(root, depth)]
    while stack and budget > 0:
        folder, levels = stack.pop()
        names = _listing(folder)
        budget -= len(names)
        if any(map(is_descriptor, names)):
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


def _read_entry(path: Path) -> BundleEntry | None:
    """Describe a bundle without reading its image; None if it has no descriptor."""
    if path.is_dir():
        name = next(filter(is_descriptor, _listing(path)), None)
        text = read_descriptor(path / name) if name else None
    else:
        with open_zip(path) as archive:
            name = next(filter(is_descriptor, archive.names), None)
            text = archive.read(name) if name else None
    if text is None:
        return None
    found = descriptor.read(text)
    lines = found.description.strip().splitlines()
    name, first = f"{found.namespace}:{found.version}", lines[0] if lines else ""
    return BundleEntry(name, found.name, path, first, len(found.inputs), len(found.outputs))
