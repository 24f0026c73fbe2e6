"""`localrun run --watch`: run a task again when its files change."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from localrun.cli.context import CliContext
from localrun.cli.diff import print_difference
from localrun.cli.exit_codes import ExitCode
from localrun.cli.run_options import Choices
from localrun.console.display.sanitize import escape_control_chars
from localrun.console.streams import print_err
from localrun.errors import UsageError
from localrun.units import format_count

if TYPE_CHECKING:
    from watchfiles.main import FileChange

    from localrun.task.record import BindMount, TaskRecord

_QUIET = 100  # milliseconds without a change, after which the changes are reported
_LONGEST = 2000  # milliseconds after which they are reported in any case
_POLL = 0.5  # seconds: a signal that arrives just before a thread sleeps does not wake it
_SHOWN = 3  # changed files


Run = Callable[[], "tuple[TaskRecord | None, bool]"]  # the record, if any, and whether a signal stopped it


def run_and_watch(context: CliContext, bundle: str, choices: Choices, run: Run) -> int:
    """Call `run` now and after each change of the task's files, until Ctrl+C. Returns the exit code."""
    folders, files, ignored = _places(context, bundle, choices)
    previous: TaskRecord | None = None
    try:
        with changes(folders, files, ignored) as found:
            while True:
                record, is_interrupted = run()
                if is_interrupted:
                    return ExitCode.INTERRUPTED
                if record is not None and previous is not None:
                    print_difference(previous, record)
                previous = record or previous
                print_err(f"watching {_named([*folders, *files])}; Ctrl+C ends this")
                changed = next(found)
                print_err(f"changed: {_named(sorted(changed))}")
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


def _places(context: CliContext, bundle: str, choices: Choices) -> tuple[list[Path], list[Path], list[Path]]:
    """Return the folders and files that a task is made of, and what to ignore in them.

    The program itself may write to a writable mount, so these are ignored. Raises `UsageError` if there is
    nothing to watch.
    """
    from localrun.manager.defaults import with_defaults

    fields = with_defaults(choices.options, context.settings)
    mounts: list[BindMount] = fields.get("bind_mounts", [])
    given = [text.partition("=@")[2] for text in choices.assignments]
    named = [bundle, fields.get("context"), fields.get("dockerfile"), choices.inputs, *given]
    places = {Path(place).expanduser().absolute() for place in named if place}
    places |= {Path(mount.source) for mount in mounts if mount.read_only}
    found = sorted(place for place in places if not places.intersection(place.parents))
    folders, files = ([place for place in found if kind(place)] for kind in (Path.is_dir, Path.is_file))
    if not folders and not files:
        raise UsageError(f"{bundle} is not a file or folder to watch", remedy="omit --watch")
    ignored = [context.settings.home, *([choices.output] if choices.output else [])]
    ignored += [Path(mount.source) for mount in mounts if not mount.read_only]
    return folders, files, [place.absolute() for place in ignored]


def _named(paths: Sequence[Path]) -> str:
    shown = [escape_control_chars(os.path.relpath(path)) for path in paths[:_SHOWN]]
    more = len(paths) - len(shown)
    return ", ".join(shown) + (f" and {format_count(more, 'more path')}" if more else "")


@contextmanager
def changes(
    folders: Sequence[Path], files: Sequence[Path], ignored: Sequence[Path] = ()
) -> Iterator[Iterator[set[Path]]]:
    """Yield an iterator over sets of paths that have changed, below folders or of single files.

    Changes are collected until there are none for a moment, and while the caller is busy. Hidden tool
    folders, caches of Python and the files of editors are left out, as is everything below `ignored`.
    """
    import watchfiles

    class Filter(watchfiles.DefaultFilter):
        def __call__(self, change: watchfiles.Change, path: str) -> bool:
            below = any(Path(path).is_relative_to(one) for one in ignored)
            return super().__call__(change, path) and not below

    queue: SimpleQueue[set[Path]] = SimpleQueue()
    stop = threading.Event()
    wanted = set(files)

    def follow(places: Sequence[Path], *, recursive: bool) -> None:
        watcher = watchfiles.watch(
            *places,
            watch_filter=Filter(),
            debounce=_LONGEST,
            step=_QUIET,
            stop_event=stop,
            recursive=recursive,
            raise_interrupt=False,
        )
        for found in watcher:
            paths = {Path(path) for _, path in found} - _short_lived(found)
            if kept := paths if recursive else paths & wanted:
                queue.put(kept)

    # an editor may replace a file, so its folder is watched
    parents = sorted({file.parent for file in files})
    threads = [
        threading.Thread(target=follow, args=(places,), kwargs={"recursive": recursive}, name="watch")
        for places, recursive in ((folders, True), (parents, False))
        if places
    ]
    for thread in threads:
        thread.start()
    try:
        yield _collect(queue)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _short_lived(found: set[FileChange]) -> set[Path]:
    """Return files that were created and deleted since the last report, as editors do."""
    created = {path for change, path in found if change.raw_str() == "added"}
    deleted = {path for change, path in found if change.raw_str() == "deleted"}
    return {path for path in map(Path, created & deleted) if not path.exists()}


def _collect(queue: SimpleQueue[set[Path]]) -> Iterator[set[Path]]:
    while True:
        try:
            changed = queue.get(timeout=_POLL)
        except Empty:
            continue
        while not queue.empty():
            changed |= queue.get()
        yield changed
