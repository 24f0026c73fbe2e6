"""Copy a file or folder that a task wrote, with its links as the container saw them."""

from __future__ import annotations

import os
from pathlib import Path

from localrun import copying
from localrun.values.untrusted import MAX_DEPTH, Parts, TreeEntry, UnsafePath, UntrustedDir

_MAX_ENTRIES = 100_000  # of one output: links to folders could multiply them


class OutputTree:
    """The source of copies. `skipped` has what cannot be copied from folders: the path, and the reason."""

    def __init__(self, tree: UntrustedDir, limit: copying.DiskLimit) -> None:
        self.skipped: list[tuple[Parts, str]] = []
        self._tree = tree
        self._limit = limit
        self._left = _MAX_ENTRIES

    def copy(self, entry: TreeEntry, target: Path) -> None:
        """Copy a file or folder to the new path `target`.

        Raises `UnsafePath` for any other kind of entry, and `OSError`.
        """
        self._copy(entry, str(target), (), ())

    def _copy(self, entry: TreeEntry, target: str, path: Parts, outer: tuple[Parts, ...]) -> None:
        if entry.kind == "file":
            source = self._tree.open_descriptor(entry)
            try:
                if path:
                    copying.copy_into(source, target, limit=self._limit)
                else:
                    copying.copy_file(source, Path(target), limit=self._limit)
            finally:
                os.close(source)
            return
        if entry.kind != "folder":
            raise UnsafePath(f"not a regular file but a {entry.kind}")
        if entry.parts in outer:
            raise UnsafePath("circular link")
        if len(outer) > MAX_DEPTH:
            raise UnsafePath(f"nested deeper than {MAX_DEPTH} folders", "use fewer levels of folders")
        names = sorted(self._tree.list_names(entry, self._left))
        self._left -= len(names)
        os.mkdir(target)  # noqa: PTH102 - paths are strings: there may be many files
        outer = (*outer, entry.parts)
        for name in names:
            self._copy_inner(entry, name, target, (*path, name), outer)

    def _copy_inner(
        self, folder: TreeEntry, name: str, target: str, path: Parts, outer: tuple[Parts, ...]
    ) -> None:
        try:
            found = self._tree.find_in(folder, name)
            if found is not None:
                self._copy(found, f"{target}/{name}", path, outer)
        except UnsafePath as error:
            self.skipped.append((path, str(error)))
