"""The input and the output folder of a run: values, single files, items of arrays, and all files."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from typing import Any, BinaryIO

from localrun.descriptor import Descriptor
from localrun.server.appengine.archives import ZipMember
from localrun.server.appengine.errors import unreadable_file
from localrun.server.appengine.parameter_values import ValueReader, find_name
from localrun.server.appengine.starting import null_inputs
from localrun.task.record import TaskRecord
from localrun.task.workspace import Workspace
from localrun.values.untrusted import Parts, TreeEntry, UnsafePath, UntrustedDir

_MAX_FILES = 1_000_000


class RunFolder:
    """The folder of the inputs or of the outputs of a run. Links in it are followed inside of it only."""

    def __init__(self, run_id: str, record: TaskRecord, descriptor: Descriptor, *, is_input: bool) -> None:
        self._run_id = run_id
        self._record = record
        self._parameters = descriptor.inputs if is_input else descriptor.outputs
        self._is_input = is_input
        workspace, plan = Workspace(record.folder), record.run_plan
        self._path = workspace.inputs if is_input else workspace.outputs
        self._inside = plan.input_folder if is_input else plan.output_folder

    def _tree(self) -> UntrustedDir:
        return UntrustedDir(self._path, self._inside)

    def values(self) -> list[dict[str, Any]]:
        """Return the ParameterValue of each parameter that has one."""
        nulls = null_inputs(self._record) if self._is_input else ()
        with self._tree() as tree:
            reader = ValueReader(tree, self._run_id, is_input=self._is_input, nulls=nulls)
            found = [reader.read(self._parameters[name].type, name) for name in self._names()]
        return [value for value in found if value is not None]

    def _names(self) -> list[str]:
        """Return the parameters that may have a value: all inputs, and the valid outputs."""
        return [name for name in self._parameters if self._is_input or name in self._record.outputs]

    def members(self) -> Generator[ZipMember]:
        """Yield the files of all parameters, by their paths, while the folder is open."""
        with self._tree() as tree:
            for name in self._names():
                entry = tree.find((name,))
                if entry is not None:
                    yield from _members(tree, entry, name)

    def has_files(self) -> bool:
        with closing(self.members()) as found:
            return next(found, None) is not None

    def has_folders(self) -> bool:
        """Return whether a parameter is a folder: an array or a slide."""
        return any((self._path / name).is_dir() for name in self._parameters)

    def open(self, name: str, indexes: Sequence[str] = ()) -> BinaryIO | None:
        """Open the file of a parameter or of an item; None for a folder. Raises `AppEngineError`."""
        with self._tree() as tree:
            entry = self._find(tree, name, indexes)
            return tree.open(entry) if entry.kind == "file" else None

    def folder_members(self, name: str, indexes: Sequence[str] = ()) -> Iterator[ZipMember]:
        """Yield the files of a folder: with the name of a parameter, without those of an item."""
        with self._tree() as tree:
            entry = self._find(tree, name, indexes)
            yield from _members(tree, entry, "" if indexes else entry.parts[0])

    def _find(self, tree: UntrustedDir, name: str, indexes: Sequence[str]) -> TreeEntry:
        parts = (find_name(self._parameters, name) or name, *indexes)
        try:
            found = None if _is_special(name) else tree.find(parts)
        except UnsafePath:
            found = None
        if found is None or found.kind not in ("file", "folder"):
            raise unreadable_file("/".join(parts))
        return found


def _is_special(name: str) -> bool:
    return name in ("", ".", "..") or "/" in name or "\0" in name


def _members(
    tree: UntrustedDir, entry: TreeEntry, path: str, outer: tuple[Parts, ...] = ()
) -> Iterator[ZipMember]:
    """Yield the files at and below an entry, sorted by their paths, which begin with `path`.

    Links that lead nowhere, outside or in a circle are omitted. `outer` are the folders around the entry.
    """
    if entry.kind == "file":
        yield ZipMember(path, entry.size, partial(tree.open, entry))
    if entry.kind != "folder" or entry.parts in outer:
        return
    for name in sorted(tree.list_names(entry, _MAX_FILES)):
        with suppress(UnsafePath):
            inner = tree.find((*entry.parts, name))
            if inner is not None:
                shown = f"{path}/{name}" if path else name
                yield from _members(tree, inner, shown, (*outer, entry.parts))
