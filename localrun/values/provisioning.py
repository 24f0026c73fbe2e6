"""Write the inputs of a task to disk, in App Engine's layout."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from localrun.descriptor import Descriptor
from localrun.descriptor.types import Notes
from localrun.errors import Cause, InputsError, LocalrunError, Problem
from localrun.values.layout import InputEntry, plan_inputs
from localrun.values.parsing import Assignments, raise_problems

_CHUNK = 1024 * 1024
_FILE_MODE, _FOLDER_MODE = 0o644, 0o755  # readable for any user of the container


class ProvisionedInputs(msgspec.Struct, frozen=True):
    """The inputs of a task on disk.

    `values` are ready for JSON, with files as absolute paths. `mounts` are files that are mounted instead of
    copied, each with its path in the input folder, where an empty file is the mount point. `notes` list the
    defaults in use, `warnings` what may fail on App Engine.
    """

    values: dict[str, Any]
    mounts: tuple[tuple[Path, str], ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def provision(
    descriptor: Descriptor,
    values: Mapping[str, Any],
    folder: Path,
    *,
    copy: bool = False,
    check_cancelled: Callable[[], None] = lambda: None,
    assignments: Assignments | None = None,
) -> ProvisionedInputs:
    """Check the values and write each to its file in `folder`, which is created if necessary.

    `assignments` override `values`; their problems are reported together with all others. World-readable
    files are mounted, not copied, unless `copy`. Raises `InputsError` with all problems before anything is
    written. If writing fails, or `check_cancelled` raises, everything written is removed.
    """
    notes = Notes("inputs")
    assignments = assignments or Assignments({})
    notes.problems += assignments.problems
    layout = plan_inputs(
        descriptor, {**values, **assignments.values}, notes, copy=copy, invalid=assignments.invalid
    )
    raise_problems(notes.problems)
    _write(layout.entries, folder, check_cancelled)
    mounts = tuple((entry.source, entry.target) for entry in layout.entries if entry.kind == "mount")
    return ProvisionedInputs(layout.values, mounts, tuple(layout.defaults_used), tuple(notes.warnings))


def _write(entries: list[InputEntry], folder: Path, check_cancelled: Callable[[], None]) -> None:
    with _wrap_errors("inputs"):
        made_folder = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
    done: list[InputEntry] = []
    with _clean_on_failure(folder, done, made_folder):
        for entry in entries:
            check_cancelled()
            with _wrap_errors(f"inputs.{entry.target.replace('/', '.')}"):
                _write_one(entry, folder / entry.target, done, check_cancelled)


@contextmanager
def _clean_on_failure(folder: Path, done: list[InputEntry], made_folder: bool) -> Iterator[None]:
    try:
        yield
    except BaseException:
        for entry in reversed(done):
            path = folder / entry.target
            if entry.kind == "unpack":
                shutil.rmtree(path)
            elif entry.kind == "folder":
                path.rmdir()
            else:
                path.unlink()
        if made_folder:
            shutil.rmtree(folder, ignore_errors=True)
        raise


@contextmanager
def _wrap_errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise LocalrunError(
                f"disk full: cannot write {path}",
                remedy="free disk space, or move LOCALRUN_HOME to another disk",
                cause=Cause.DISK_FULL,
            ) from error
        problem = Problem(path, f"cannot write: {error}", "use a new folder that you own")
        raise InputsError("cannot write the inputs", remedy=problem.remedy, problems=[problem]) from error


def _write_one(
    entry: InputEntry, path: Path, done: list[InputEntry], check_cancelled: Callable[[], None]
) -> None:
    if entry.kind in ("folder", "unpack"):
        path.mkdir()
        done.append(entry)
        path.chmod(_FOLDER_MODE)
        if entry.kind == "unpack":
            _unpack(entry.source, path, check_cancelled)
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, _FILE_MODE), "wb") as stream:
        done.append(entry)
        os.fchmod(stream.fileno(), _FILE_MODE)
        if entry.kind == "copy":
            _copy(entry.source, stream.fileno(), check_cancelled)
        else:
            stream.write(entry.content)


def _unpack(source: Path, path: Path, check_cancelled: Callable[[], None]) -> None:
    from localrun.values.image_headers.bounded_reader import CorruptFile
    from localrun.values.image_headers.zips import unpack_zip

    try:
        unpack_zip(source, path, (_FILE_MODE, _FOLDER_MODE), check_cancelled)
    except CorruptFile as error:
        raise OSError(errno.EIO, f"corrupt zip {source}: {error}") from error


def _copy(source: Path, target: int, check_cancelled: Callable[[], None]) -> None:
    origin = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        # the kernel copies the bytes, in chunks so that it can be cancelled
        while os.sendfile(target, origin, None, _CHUNK):
            check_cancelled()
    finally:
        os.close(origin)
