"""The ends of files that a task writes, also while it writes them."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from contextlib import ExitStack, suppress
from pathlib import PurePosixPath
from typing import Any, BinaryIO, TextIO

from localrun.api.outputs import missing_files_error
from localrun.errors import UsageError
from localrun.task.workspace import Workspace
from localrun.values.untrusted import UnsafePath, UntrustedDir

_LOOK = 0.1  # seconds between two looks at a growing file, for which the system has no portable event
_CHUNK = 64 * 1024
_TAIL = 1024 * 1024  # bytes of a file in which its last lines are looked for
_NAMES = 20

End = futures.Future[Any]


def last_lines(text: str, count: int) -> str:
    """The last lines of a text, as they are."""
    return "".join(text.splitlines(keepends=True)[-count:]) if count > 0 else ""


def tail(
    workspace: Workspace,
    container_folder: str,
    names: Sequence[str],
    *,
    lines: int,
    end: End | None,
    out: TextIO,
) -> None:
    """Write the last lines of files; with an `end`, also what is added to them until then.

    `inside` is what the container calls the output folder. Raises `UsageError` for names that are not
    there, and for what a task may not have us open.
    """
    if not workspace.outputs.is_dir():  # a task without a container
        if names:
            raise _not_there(names, [])
        return
    with ExitStack() as stack:
        tails = _tails(workspace, container_folder, names, lines, stack)
        missing = [one.name for one in tails if not one.found()]
        if missing and end is None and names:
            raise _not_there(missing, sorted(entry.name for entry in workspace.outputs.iterdir())[:_NAMES])
        _follow(tails, end, _Paper(out, titles=len(tails) > 1))


def _not_there(names: Sequence[str], there: Sequence[str]) -> UsageError:
    return missing_files_error("the task has written no such files", names, there)


def _tails(
    workspace: Workspace, inside: str, names: Sequence[str], lines: int, stack: ExitStack
) -> list[_Tail]:
    folder = workspace.outputs if names else workspace.logs
    tree = stack.enter_context(UntrustedDir(folder, inside if names else "/"))
    tails = [_Tail(tree, name, lines, is_log=not names) for name in names or [workspace.log.name]]
    for one in tails:
        stack.callback(one.close)
    return tails


def _follow(tails: list[_Tail], end: End | None, paper: _Paper) -> None:
    while True:
        last = end is None or end.done()  # asked before reading: what came before the end is read
        for one in tails:
            for text in one.pieces():
                paper.put(one.name, text)
        paper.flush()
        if end is None or last:
            return
        futures.wait([end], _LOOK)


class _Tail:
    """One file: its last lines first, then what is added.

    A file may be made anew. Then it is read from its start; but who carries a task on writes its log again
    from the start, with the same beginning.
    """

    def __init__(self, tree: UntrustedDir, name: str, lines: int, *, is_log: bool) -> None:
        self.name = name
        self._is_log = is_log
        self._tree = tree
        self._lines = lines
        self._stream: BinaryIO | None = None
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode  # pieces may split a character

    def found(self) -> bool:
        """Whether the file is there. Raises `UsageError` for what is no file of the task."""
        if self._stream is None:
            try:
                self._stream = self._opened()
            except UnsafePath as error:
                raise UsageError(f"{self.name} {error}", remedy=error.remedy) from error
        return self._stream is not None

    def _opened(self) -> BinaryIO | None:
        spot = self._tree.find(PurePosixPath("/", self.name).parts[1:])
        if spot is not None and spot.kind != "file":
            raise UnsafePath(f"is a {spot.kind}", "name a file")
        return self._tree.open(spot) if spot is not None else None

    def pieces(self) -> Iterator[str]:
        """What has not been read yet."""
        if self._stream is not None:
            self._renew()
        if not self.found():
            return
        assert self._stream is not None
        if not self._stream.tell():
            yield self._last()
        while data := self._stream.read(_CHUNK):
            yield self._decode(data)

    def _renew(self) -> None:
        """Go on with the file that has taken the place of this one, or that was cut."""
        assert self._stream is not None
        position = self._stream.tell()
        with suppress(UnsafePath):  # gone, or no file any more: what was opened is read on
            other = self._opened()
            if other is not None and not _same(other, self._stream):
                self._stream.close()
                self._stream = other
                self._stream.seek(position if self._is_log else 0)
            elif other is not None:
                other.close()
        if not self._is_log and os.fstat(self._stream.fileno()).st_size < self._stream.tell():
            self._stream.seek(0)

    def _last(self) -> str:
        assert self._stream is not None
        size = os.fstat(self._stream.fileno()).st_size
        self._stream.seek(max(0, size - _TAIL))
        return last_lines(self._decode(self._stream.read(_TAIL)), self._lines)

    def close(self) -> None:
        """Let go of the file."""
        if self._stream is not None:
            self._stream.close()


def _same(one: BinaryIO, other: BinaryIO) -> bool:
    return os.path.samestat(os.fstat(one.fileno()), os.fstat(other.fileno()))


class _Paper:
    """Where the pieces are written; on a terminal nothing that it would obey."""

    def __init__(self, out: TextIO, *, titles: bool) -> None:
        self._out = out
        self._titles = titles
        self._title = ""
        self._clean = _clean(out)

    def put(self, title: str, text: str) -> None:
        """Write a piece, below the name of its file when there are several."""
        if not text:
            return
        if self._titles and title != self._title:
            self._out.write(f"==> {title} <==\n")
        self._title = title
        self._out.write(self._clean(text))

    def flush(self) -> None:
        """Send it on its way."""
        self._out.flush()


def _clean(out: TextIO) -> Callable[[str], str]:
    if not out.isatty():
        return str
    from localrun.console.display.sanitize import escape_lines

    return lambda text: escape_lines(text.replace("\r\n", "\n"))
