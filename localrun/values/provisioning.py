"""Write the inputs of a task to disk, in App Engine's layout."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from localrun.copying import DiskLimit, clone, copy_content
from localrun.descriptor import Descriptor
from localrun.descriptor.types import Notes
from localrun.errors import Cause, InputsError, LocalrunError, Problem
from localrun.task.file_state import FileState
from localrun.task.record import Crop
from localrun.undecodable import is_text
from localrun.values.coordinates import links
from localrun.values.coordinates.folding import fold_problems, fold_warnings
from localrun.values.layout import InputEntry, InputLayout, plan_inputs
from localrun.values.parsing import Assignments, raise_problems
from localrun.values.references import parameter_of, references_in

_FILE_MODE, _FOLDER_MODE = 0o644, 0o755  # readable for any user of the container


class ProvisionedInputs(msgspec.Struct, frozen=True):
    """The inputs of a task on disk.

    `values` are ready for JSON, with files as absolute paths. `mounts` are files that are mounted instead of
    copied, each with its path in the input folder, where an empty file is the mount point; `states` are the
    states of these files, by that path. `notes` list the defaults in use, `warnings` what may fail on App
    Engine. `regions` and `crops`: see `TaskRecord`.
    """

    values: dict[str, Any]
    mounts: tuple[tuple[Path, str], ...] = ()
    states: dict[str, FileState] = msgspec.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    regions: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    crops: dict[str, Crop] = msgspec.field(default_factory=dict)


class PlannedInputs(msgspec.Struct, frozen=True):
    """Valid inputs that are not written yet, and notes about them."""

    layout: InputLayout
    notes: Notes


def plan(
    descriptor: Descriptor,
    values: Mapping[str, Any],
    *,
    copy: bool = False,
    assignments: Assignments | None = None,
    waiting: Collection[str] = (),
    known: InputLayout | None = None,
) -> PlannedInputs:
    """Check the values, and plan the files of all inputs. Raises `InputsError` with all problems.

    `assignments` override `values`; their problems are reported together with all others. With `copy`, files
    are copied that would be mounted. `waiting` names inputs that are planned later, by a call with the
    values, regions and crops of the others in `known`.
    """
    notes = Notes("inputs")
    assignments = assignments or Assignments({})
    notes.problems += assignments.problems
    given = {**values, **assignments.values}
    invalid = {*assignments.invalid, *waiting}
    layout = plan_inputs(descriptor, given, notes, copy=copy, invalid=invalid, known=known)
    _raise_problems(notes, descriptor)
    return PlannedInputs(layout, notes)


def provision(
    descriptor: Descriptor,
    values: Mapping[str, Any],
    folder: Path,
    *,
    copy: bool = False,
    disk_limit: float = 100.0,
    check_cancelled: Callable[[], None] = lambda: None,
    assignments: Assignments | None = None,
) -> ProvisionedInputs:
    """Check the values and write each to its file in `folder`. Arguments and errors as `plan` and `write`."""
    planned = plan(descriptor, values, copy=copy, assignments=assignments)
    return write(descriptor, planned, folder, disk_limit=disk_limit, check_cancelled=check_cancelled)


def write(
    descriptor: Descriptor,
    planned: PlannedInputs,
    folder: Path,
    *,
    disk_limit: float = 100.0,
    check_cancelled: Callable[[], None] = lambda: None,
) -> ProvisionedInputs:
    """Write inputs to `folder`, which is created if necessary.

    World-readable files are cloned where the file system can, and else mounted, unless they are to be copied.
    Copies do not fill the disk to more than `disk_limit` percent. If writing fails, or `check_cancelled`
    raises, everything written is removed.
    """
    layout, notes = planned.layout, planned.notes
    states = _write(layout.entries, folder, _Copier(DiskLimit(disk_limit), check_cancelled))
    if links.geometry_names(descriptor.inputs):
        from localrun.values.coordinates.check import check_inputs

        crops = {place: str(folder / place) for place in layout.crops}
        check_inputs(descriptor, links.Values(layout.values, {}, crops), notes)
    mounts = tuple((entry.source, entry.target) for entry in layout.entries if entry.target in states)
    noted = tuple(layout.defaults_used), tuple(fold_warnings(notes.warnings, "inputs"))
    return ProvisionedInputs(layout.values, mounts, states, *noted, layout.regions, layout.crops)


def check(
    descriptor: Descriptor,
    values: Mapping[str, Any],
    missing: Collection[str],
    assignments: Assignments | None = None,
) -> dict[str, Any]:
    """Check values before the `missing` ones are known, and write nothing; return the values as JSON.

    Outputs of other tasks are not checked, and not returned.
    Raises `InputsError` with all problems, as `provision`.
    """
    notes = Notes("inputs")
    assignments = assignments or Assignments({})
    notes.problems += assignments.problems
    given = {**values, **assignments.values}
    unknown = {*missing, *map(parameter_of, references_in(given))}
    layout = plan_inputs(descriptor, given, notes, copy=False, invalid={*assignments.invalid, *unknown})
    _raise_problems(notes, descriptor)
    return {name: value for name, value in layout.values.items() if name in given}


def _raise_problems(notes: Notes, descriptor: Descriptor) -> None:
    if notes.problems:
        raise_problems(fold_problems(notes.problems, "inputs", links.geometry_names(descriptor.inputs)))


class _Copier(msgspec.Struct, frozen=True):
    """How files are copied: until which usage of the disk, and until `check_cancelled` raises."""

    limit: DiskLimit
    check_cancelled: Callable[[], None]


def _write(entries: list[InputEntry], folder: Path, copier: _Copier) -> dict[str, FileState]:
    """Write all entries. Return the states of the files that are to be mounted."""
    with _wrap_errors("inputs"):
        made_folder = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
    done: list[InputEntry] = []
    states: dict[str, FileState] = {}
    with _clean_on_failure(folder, done, made_folder):
        for entry in entries:
            copier.check_cancelled()
            with _wrap_errors(f"inputs.{entry.target.replace('/', '.')}"):
                state = _write_one(entry, folder / entry.target, done, copier)
            if state is not None:
                states[entry.target] = state
    return states


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
                f"disk full: cannot write {path}: {error.strerror}",
                remedy="free disk space, or move LOCALRUN_HOME to another disk",
                cause=Cause.DISK_FULL,
            ) from error
        problem = Problem(path, f"cannot write: {error}", "use a new folder that you own")
        raise InputsError("cannot write the inputs", remedy=problem.remedy, problems=[problem]) from error


def _write_one(entry: InputEntry, path: Path, done: list[InputEntry], copier: _Copier) -> FileState | None:
    """Write an entry. Return the state of its file if that is to be mounted."""
    if entry.kind in ("folder", "unpack"):
        path.mkdir()
        done.append(entry)
        path.chmod(_FOLDER_MODE)
        if entry.kind == "unpack":
            _unpack(entry.source, path, copier)
        return None
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, _FILE_MODE), "wb") as stream:
        done.append(entry)
        os.fchmod(stream.fileno(), _FILE_MODE)
        if entry.kind in ("copy", "mount"):
            return _fill(entry, stream.fileno(), copier)
        stream.write(entry.content)
    return None


def _fill(entry: InputEntry, target: int, copier: _Copier) -> FileState | None:
    """Clone or copy a file, or return the state of one that is to be mounted."""
    origin = os.open(entry.source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if entry.kind == "copy" or not is_text(str(entry.source)):  # the engine takes paths as JSON
            copy_content(origin, target, limit=copier.limit, check_cancelled=copier.check_cancelled)
        elif not clone(origin, target):
            return FileState.of(os.fstat(origin))
    finally:
        os.close(origin)
    return None


def _unpack(source: Path, path: Path, copier: _Copier) -> None:
    from localrun.values.image_headers.bounded_reader import CorruptFile
    from localrun.values.image_headers.zips import CHUNK, unpack_zip

    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def check() -> None:
        copier.check_cancelled()
        copier.limit.use(folder, CHUNK)

    try:
        unpack_zip(source, path, (_FILE_MODE, _FOLDER_MODE), check)
    except CorruptFile as error:
        raise OSError(errno.EIO, f"corrupt zip {source}: {error}") from error
    finally:
        os.close(folder)
