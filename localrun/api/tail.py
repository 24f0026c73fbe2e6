"""The last lines of files of a task, also while it writes them."""

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

_POLL_INTERVAL = 0.1  # seconds; there is no portable notification for growing files
_CHUNK = 64 * 1024
_TAIL = 1024 * 1024  # bytes at the end of a file that are searched for its last lines
_NAMES = 20

End = futures.Future[Any]


def last_lines(text: str, count: int) -> str:
    """Return the last `count` lines of a text, with their line ends."""
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
    """Write the last lines of files; with an `end`, also new data until it is done.

    `container_folder` is the path of the output folder in the container. Raises `UsageError` for missing
    files and unsafe paths.
    """
    if not workspace.outputs.is_dir():  # a task without a container
        if names:
            raise _not_found(names, [])
        return
    with ExitStack() as stack:
        tails = _tails(workspace, container_folder, names, lines, stack)
        missing = [file.name for file in tails if not file.open()]
        if missing and end is None and names:
            raise _not_found(missing, sorted(entry.name for entry in workspace.outputs.iterdir())[:_NAMES])
        _follow(tails, end, _Writer(out, titles=len(tails) > 1))


def _not_found(names: Sequence[str], existing: Sequence[str]) -> UsageError:
    return missing_files_error("the task has not written these files", names, existing)


def _tails(
    workspace: Workspace, container_folder: str, names: Sequence[str], lines: int, stack: ExitStack
) -> list[_FileTail]:
    folder = workspace.outputs if names else workspace.logs
    tree = stack.enter_context(UntrustedDir(folder, container_folder if names else "/"))
    tails = [_FileTail(tree, name, lines, is_log=not names) for name in names or [workspace.log.name]]
    for file in tails:
        stack.callback(file.close)
    return tails


def _follow(tails: list[_FileTail], end: End | None, writer: _Writer) -> None:
    while True:
        last = end is None or end.done()  # checked before reading, so no data before the end is missed
        for file in tails:
            for text in file.chunks():
                writer.write(file.name, text)
        writer.flush()
        if end is None or last:
            return
        futures.wait([end], _POLL_INTERVAL)


class _FileTail:
    """One file: its last lines first, then new data.

    A replaced file is read from its start. A replaced log is read from the same position, because a process
    that resumes a task rewrites the log with the same beginning.
    """

    def __init__(self, tree: UntrustedDir, name: str, lines: int, *, is_log: bool) -> None:
        self.name = name
        self._is_log = is_log
        self._tree = tree
        self._lines = lines
        self._stream: BinaryIO | None = None
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode  # chunks may split a character

    def open(self) -> bool:
        """Open the file if it exists, and return whether it does. Raises `UsageError` for unsafe paths."""
        if self._stream is None:
            try:
                self._stream = self._open()
            except UnsafePath as error:
                raise UsageError(f"{self.name}: {error}", remedy=error.remedy) from error
        return self._stream is not None

    def _open(self) -> BinaryIO | None:
        entry = self._tree.find(PurePosixPath("/", self.name).parts[1:])
        if entry is not None and entry.kind != "file":
            raise UnsafePath(f"expected a file, got a {entry.kind}", "name a file")
        return self._tree.open(entry) if entry is not None else None

    def chunks(self) -> Iterator[str]:
        """Yield the data that was not read yet."""
        if self._stream is not None:
            self._reopen()
        if not self.open():
            return
        assert self._stream is not None
        if not self._stream.tell():
            yield self._last_lines()
        while data := self._stream.read(_CHUNK):
            yield self._decode(data)

    def _reopen(self) -> None:
        """Switch to a file that replaced this one, or restart a truncated one."""
        assert self._stream is not None
        position = self._stream.tell()
        with suppress(UnsafePath):  # deleted, or not a file any more: keep reading the open one
            other = self._open()
            if other is not None and not _is_same_file(other, self._stream):
                self._stream.close()
                self._stream = other
                self._stream.seek(position if self._is_log else 0)
            elif other is not None:
                other.close()
        if not self._is_log and os.fstat(self._stream.fileno()).st_size < self._stream.tell():
            self._stream.seek(0)

    def _last_lines(self) -> str:
        assert self._stream is not None
        size = os.fstat(self._stream.fileno()).st_size
        self._stream.seek(max(0, size - _TAIL))
        return last_lines(self._decode(self._stream.read(_TAIL)), self._lines)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()


def _is_same_file(first: BinaryIO, second: BinaryIO) -> bool:
    return os.path.samestat(os.fstat(first.fileno()), os.fstat(second.fileno()))


class _Writer:
    """Writes chunks with a title per file; on a terminal, control characters are escaped.

    A carriage return is kept: it redraws a progress bar in place.
    """

    def __init__(self, out: TextIO, *, titles: bool) -> None:
        self._out = out
        self._titles = titles
        self._title = ""
        self._sanitizers: dict[str, Callable[[str], str]] = {}

    def write(self, title: str, text: str) -> None:
        """Write a chunk, below the name of its file if there are multiple files."""
        if not text:
            return
        if self._titles and title != self._title:
            self._out.write(f"==> {title} <==\n")
        self._title = title
        sanitize = self._sanitizers.get(title)
        if sanitize is None:
            sanitize = self._sanitizers[title] = _sanitizer(self._out)
        self._out.write(sanitize(text))

    def flush(self) -> None:
        self._out.flush()


def _sanitizer(out: TextIO) -> Callable[[str], str]:
    if not out.isatty():
        return str
    from localrun.console.display.sanitize import TerminalText

    return TerminalText().feed
