"""Two files or folders, which are trusted with nothing: by names, kinds and contents."""

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
    """In what two files or folders differ that were chosen by a user."""
    if first.is_dir() and second.is_dir():
        for change in diff_folders(section, first, second):
            yield replace(change, path=f"{path}/{change.path}")
        return
    gone = [file for file in (first, second) if not file.is_file()]
    if not gone:
        yield from _streams(section, path, lambda: (first.open("rb"), second.open("rb")))
    elif len(gone) == 1 or first != second:
        yield Change(section, path, note=f"cannot be compared: {' and '.join(map(str, gone))} is not there")


def diff_folders(section: str, first: Path, second: Path) -> Iterator[Change]:
    """Everything in which two folders differ, by path; links are compared as links."""
    ours, theirs = list_folder(first), list_folder(second)
    found = {leaf.path: leaf for leaf in ours.entries}
    others = {leaf.path: leaf for leaf in theirs.entries}
    with ExitStack() as stack:
        trees = [stack.enter_context(UntrustedDir(path, "/")) for path in (first, second) if path.is_dir()]
        for path in sorted({*found, *others}):
            yield from _entry(section, path, found.get(path), others.get(path), trees)
    if ours.is_truncated or theirs.is_truncated:
        yield Change(section, "", note="there are more files than can be compared; some were left out")


def _entry(
    section: str, path: str, first: FileEntry | None, second: FileEntry | None, trees: list[UntrustedDir]
) -> Iterator[Change]:
    if first is None or second is None or first.kind != second.kind or first.target != second.target:
        one, other = (None if leaf is None else _words(leaf) for leaf in (first, second))
        yield Change(section, path, one, other)
    elif first.kind == "file":
        yield from _files(section, path, trees)


def _words(leaf: FileEntry) -> str:
    match leaf.kind:
        case "file":
            return f"a file of {format_bytes(leaf.size)}"
        case "link":
            return f"a link to {leaf.target}"
        case kind:
            return f"a {kind}"


def _files(section: str, path: str, trees: list[UntrustedDir]) -> Iterator[Change]:
    parts = tuple(path.split("/"))
    return _streams(section, path, lambda: (_opened(trees[0], parts), _opened(trees[1], parts)))


def _opened(tree: UntrustedDir, parts: tuple[str, ...]) -> BinaryIO:
    spot = tree.find(parts)
    if spot is None:
        raise UnsafePath("went away meanwhile")
    return tree.open(spot)


def _streams(section: str, path: str, opened: Callable[[], tuple[BinaryIO, BinaryIO]]) -> Iterator[Change]:
    try:
        one, other = opened()
        with one, other:
            found = diff_contents(one, other)
    except (UnsafePath, OSError) as error:
        said = error.strerror if isinstance(error, OSError) else f"it {error}"
        yield Change(section, path, note=f"cannot be compared: {said}")
        return
    if found is not None:
        yield Change(section, path, note=found.summary, details=found.details)
