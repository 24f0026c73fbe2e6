"""Copy a file or folder that a task wrote, with its links as the container saw them."""

from __future__ import annotations

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
        self._copy(entry, target, (), ())

    def _copy(self, entry: TreeEntry, target: Path, path: Parts, outer: tuple[Parts, ...]) -> None:
        if entry.kind == "file":
            with self._tree.open(entry) as stream:
                copying.copy_file(stream.fileno(), target, limit=self._limit)
            return
        if entry.kind != "folder":
            raise UnsafePath(f"not a regular file but a {entry.kind}")
        if entry.parts in outer:
            raise UnsafePath("circular link")
        if len(outer) > MAX_DEPTH:
            raise UnsafePath(f"nested deeper than {MAX_DEPTH} folders", "use fewer levels of folders")
        names = sorted(self._tree.list_names(entry, self._left))
        self._left -= len(names)
        target.mkdir()
        for name in names:
            self._copy_inner((*entry.parts, name), target / name, (*path, name), (*outer, entry.parts))

    def _copy_inner(self, parts: Parts, target: Path, path: Parts, outer: tuple[Parts, ...]) -> None:
        try:
            found = self._tree.find(parts)
            if found is not None:
                self._copy(found, target, path, outer)
        except UnsafePath as error:
            self.skipped.append((path, str(error)))
