"""Lay the inputs of a task out on disk, as App Engine does."""

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
_FILE_MODE, _FOLDER_MODE = 0o644, 0o755  # any user of a container may read


class ProvisionedInputs(msgspec.Struct, frozen=True):
    """The inputs as they are on disk.

    `values` can be written as JSON (files as absolute paths); `mounts` are files that are not copied, each
    with its place below the input folder, where an empty file stands; `notes` tell of defaults that were
    taken, `warnings` of what works here and may not elsewhere.
    """

    values: dict[str, Any]
    mounts: tuple[tuple[Path, str], ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def _go_on() -> None:
    """Nobody cancels."""


def provision(
    descriptor: Descriptor,
    values: Mapping[str, Any],
    folder: Path,
    *,
    copy: bool = False,
    check_cancelled: Callable[[], None] = _go_on,
    assignments: Assignments | None = None,
) -> ProvisionedInputs:
    """Check the values and write each to its file in `folder`, which is made if need be.

    `assigned` are values that come before the others, and whose problems are told with all others.

    A file that anyone may read is mounted, not copied, unless `copy`. Raises `InputsError` with all
    problems before anything is written; when writing fails, or `check_cancelled` raises, what was written
    is removed again.
    """
    notes = Notes("inputs")
    assignments = assignments or Assignments({})
    notes.problems += assignments.problems
    plan = plan_inputs(
        descriptor, {**values, **assignments.values}, notes, copy=copy, invalid=assignments.invalid
    )
    raise_problems(notes.problems)
    _write(plan.entries, folder, check_cancelled)
    mounts = tuple((entry.source, entry.target) for entry in plan.entries if entry.kind == "mount")
    return ProvisionedInputs(plan.values, mounts, tuple(plan.defaults_used), tuple(notes.warnings))


def _write(entries: list[InputEntry], folder: Path, check_cancelled: Callable[[], None]) -> None:
    with _telling("inputs"):
        made_folder = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
    done: list[InputEntry] = []
    with _clean_on_failure(folder, done, made_folder):
        for entry in entries:
            check_cancelled()
            with _telling(f"inputs.{entry.target.replace('/', '.')}"):
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
def _telling(place: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise LocalrunError(
                f"{place} does not fit on the disk",
                remedy="free some space, or keep the tasks on another disk",
                cause=Cause.DISK_FULL,
            ) from error
        problem = Problem(place, f"cannot be written: {error}", "use a new folder that is yours")
        raise InputsError(
            "the inputs cannot be written", remedy=problem.remedy, problems=[problem]
        ) from error


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
        raise OSError(errno.EIO, f"{source} is a damaged zip: {error}") from error


def _copy(source: Path, target: int, check_cancelled: Callable[[], None]) -> None:
    origin = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        # the kernel moves the bytes; a chunk at a time, so that it can be stopped
        while os.sendfile(target, origin, None, _CHUNK):
            check_cancelled()
    finally:
        os.close(origin)
