"""Compare two untrusted files or folders by name, kind and content."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from localrun.units import format_bytes
from localrun.values.compare.change import Change
from localrun.values.compare.file_contents import diff_contents
from localrun.values.listing import FileEntry, list_folder
from localrun.values.untrusted import UnsafePath, UntrustedDir


def diff_files(section: str, path: str, first: Path, second: Path) -> Iterator[Change]:
    """Yield the differences between two files or folders that a user chose."""
    if first.is_dir() and second.is_dir():
        for change in diff_folders(section, first.resolve(), second.resolve()):  # a user may choose a link
            yield replace(change, path=f"{path}/{change.path}")
        return
    missing = [file for file in (first, second) if not file.is_file()]
    if not missing:
        yield from _streams(section, path, lambda: (first.open("rb"), second.open("rb")))
    elif len(missing) == 1 or first != second:
        yield Change(section, path, note=f"cannot compare: no file {' and '.join(map(str, missing))}")


def diff_folders(
    section: str, first: Path, second: Path, inside: tuple[str, str] = ("/", "/")
) -> Iterator[Change]:
    """Yield the differences between two folders, by path.

    `inside` are their paths in the container. Links are compared as the files that they were there, or as
    links if they lead to anything else.
    """
    one, other = list_folder(first), list_folder(second)
    found = {entry.path: entry for entry in one.entries}
    others = {entry.path: entry for entry in other.entries}
    with ExitStack() as stack:
        folders = [pair for pair in zip((first, second), inside, strict=True) if pair[0].is_dir()]
        trees = [stack.enter_context(UntrustedDir(*pair)) for pair in folders]
        for path in sorted({*found, *others}):
            yield from _entry(section, path, found.get(path), others.get(path), trees)
    if one.is_truncated or other.is_truncated:
        yield Change(section, "", note="too many files: some were not compared")


def _entry(
    section: str, path: str, first: FileEntry | None, second: FileEntry | None, trees: list[UntrustedDir]
) -> Iterator[Change]:
    if first is None or second is None or first.kind != second.kind or first.target != second.target:
        if first and second and all(_is_file(tree, path) for tree in trees):
            yield from _files(section, path, trees)
            return
        one, other = (None if entry is None else _describe(entry) for entry in (first, second))
        yield Change(section, path, one, other)
    elif first.kind == "file":
        yield from _files(section, path, trees)


def _is_file(tree: UntrustedDir, path: str) -> bool:
    """Whether a path is a regular file, or a link to one."""
    try:
        entry = tree.find(tuple(path.split("/")))
    except UnsafePath:
        return False
    return entry is not None and entry.kind == "file"


def _describe(entry: FileEntry) -> str:
    match entry.kind:
        case "file":
            return f"a file of {format_bytes(entry.size)}"
        case "link":
            return f"a link to {entry.target}"
        case kind:
            return f"a {kind}"


def _files(section: str, path: str, trees: list[UntrustedDir]) -> Iterator[Change]:
    parts = tuple(path.split("/"))
    return _streams(section, path, lambda: (_open(trees[0], parts), _open(trees[1], parts)))


def _open(tree: UntrustedDir, parts: tuple[str, ...]) -> BinaryIO:
    entry = tree.find(parts)
    if entry is None:
        raise UnsafePath("removed in the meantime")
    return tree.open(entry)


def _streams(section: str, path: str, open_both: Callable[[], tuple[BinaryIO, BinaryIO]]) -> Iterator[Change]:
    try:
        one, other = open_both()
        with one, other:
            found = diff_contents(one, other)
    except (UnsafePath, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        yield Change(section, path, note=f"cannot compare: {reason}")
        return
    if found is not None:
        yield Change(section, path, note=found.summary, details=found.details)
