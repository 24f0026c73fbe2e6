"""Gather the inputs of a request: from a folder, as values, and from the command line."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from localrun import values
from localrun.descriptor import Descriptor
from localrun.descriptor.types import Notes, holds_files
from localrun.errors import InputsError, Problem
from localrun.manager.request import Request
from localrun.values import Assignments
from localrun.values.input_folder import load_texts
from localrun.values.parsing import FileValue, raise_problems, resolve_files, unknown_input
from localrun.values.region_names import parse_region_name
from localrun.values.regions import is_image_object, path_in

_MAX_FILES = 10_000  # in a folder that a client names

FindFile = Callable[[str], Path]


class GatheredInputs(msgspec.Struct, frozen=True):
    """The values by name, the parsed assignments with all problems so far, and warnings."""

    values: dict[str, Any]
    assigned: Assignments
    warnings: tuple[str, ...] = ()

    @property
    def given(self) -> dict[str, Any]:
        """All values by name, with those of the assignments."""
        return override(self.values, self.assigned.values)


def gather(request: Request, descriptor: Descriptor) -> GatheredInputs:
    """Return the inputs of a request. Values override those of the folder, and assignments override both.

    Raises `InputsError` if a client names a file that it may not read.
    """
    found = _gather(request, descriptor)
    if not request.default_inputs.inputs:
        return found
    defaults, warnings = _defaults(request, descriptor)
    used = [name for name in defaults if name not in found.given]
    request.default_inputs.check_trusted(f"inputs.{name}" for name in used)
    completed = override({name: defaults[name] for name in used}, found.values)
    return GatheredInputs(completed, found.assigned, (*found.warnings, *warnings))


def _gather(request: Request, descriptor: Descriptor) -> GatheredInputs:
    assigned = values.parse_assignments(request.assignments, descriptor)
    given = _values(request, descriptor)
    if request.inputs_folder is None:
        return GatheredInputs(given, assigned)
    folder = request.inputs_folder
    if request.find_file is not None:
        _check_inside(folder, request.find_file, skip_hidden=True)
    found = values.read_folder(folder, descriptor)
    notes = Notes("inputs", list(found.problems))
    # a task that waits for more inputs stores those that it has
    loaded = load_texts(found.values, descriptor, notes) if request.wait_for_inputs else found.values
    given = override(loaded, given)
    is_complete = not missing_inputs(descriptor, {*given, *assigned.values, *request.downloads})
    problems = (*assigned.problems, *notes.problems, *(() if is_complete else found.unknown))
    invalid = assigned.invalid | {_parameter(problem) for problem in notes.problems} - assigned.values.keys()
    warnings = tuple(map(str, found.unknown)) if is_complete else ()
    return GatheredInputs(given, Assignments(assigned.values, problems, frozenset(invalid)), warnings)


def _defaults(request: Request, descriptor: Descriptor) -> tuple[dict[str, Any], list[str]]:
    """Return the inputs of the settings that the bundle has, and a warning for each of the others."""
    found: dict[str, Any] = {}
    warnings: list[str] = []
    for name, value in request.default_inputs.inputs.items():
        region = parse_region_name(name)
        if name in descriptor.inputs or (region is not None and region.parameter in descriptor.inputs):
            found[name] = resolve_files(value, Path())
        else:
            place = request.default_inputs.origins.get(f"inputs.{name}", "settings")
            problem = unknown_input(name, descriptor)
            warnings.append(f"{place}: {problem.message} is ignored; {problem.remedy}")
    if request.wait_for_inputs:  # such a task stores its inputs
        notes = Notes("inputs")
        files = {name: value for name, value in found.items() if isinstance(value, FileValue)}
        found |= load_texts(files, descriptor, notes)
        raise_problems(notes.problems)
    return found, warnings


def _parameter(problem: Problem) -> str:
    return problem.path.split(".")[1]


def override(values: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with those of `others`.

    A region belongs to its image, and is replaced with it. A region and a crop replace each other.
    """
    if not others:
        return dict(values)
    replaced = {found.place for name in others if (found := parse_region_name(str(name))) is not None}

    def is_kept(name: str) -> bool:
        region = parse_region_name(name)
        if region is None:
            return True
        with_image = region.parameter in others and region.parameter in values
        return not with_image and region.place not in replaced

    return {**{name: value for name, value in values.items() if is_kept(str(name))}, **others}


def missing_inputs(descriptor: Descriptor, given: Collection[str]) -> tuple[str, ...]:
    """Return the required inputs without a value or a default."""
    return tuple(
        name
        for name, parameter in descriptor.inputs.items()
        if name not in given and not parameter.optional and not parameter.has_default
    )


def _values(request: Request, descriptor: Descriptor) -> dict[str, Any]:
    given = dict(request.values)
    if request.find_file is None:
        return given
    problems: list[Problem] = []
    for name, value in request.values.items():
        parameter = descriptor.inputs.get(name)
        try:
            if parameter is not None and holds_files(parameter.type):
                given[name] = _resolve(value, request.find_file)
            elif parameter is None and parse_region_name(str(name)) is not None:
                given[name] = _resolve_region(value, request.find_file)
        except InputsError as error:
            problems += (replace(problem, path=f"inputs.{name}") for problem in error.problems)
    raise_problems(problems)
    return given


def _resolve(value: Any, find_file: FindFile) -> Any:
    """Replace the names of files by paths, in every form that holds files."""
    if isinstance(value, list):
        return [_resolve(item, find_file) for item in value]
    if isinstance(value, dict) and set(value) == {"index", "value"}:
        return {**value, "value": _resolve(value["value"], find_file)}
    if is_image_object(value):
        regions = {key: _resolve_region(item, find_file) for key, item in value.items() if key != "file"}
        return {"file": _resolve(value["file"], find_file), **regions}
    if not isinstance(value, str):
        return value
    found = find_file(value.removeprefix("@"))
    if found.is_dir():
        _check_inside(found, find_file)
    return found


def _resolve_region(value: Any, find_file: FindFile) -> Any:
    name = path_in(value) if isinstance(value, str) else None
    return value if name is None else find_file(name)


def _check_inside(folder: Path, find_file: FindFile, *, skip_hidden: bool = False) -> None:
    """Raise `InputsError` if the folder has a file that the client may not read, e.g. through a link.

    `skip_hidden`: hidden entries of the folder itself are never read.
    """
    count = 0
    for path, folders, files in os.walk(folder, followlinks=True):
        if skip_hidden and path == str(folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            files = [name for name in files if not name.startswith(".")]  # noqa: PLW2901 - of this folder
        for name in (*folders, *files):
            count += 1
            if count > _MAX_FILES:
                problem = Problem(
                    "inputs", f"{folder} has more than {_MAX_FILES} files", "use a smaller folder"
                )
                raise InputsError("invalid inputs (1 problem)", problems=[problem])
            find_file(os.path.join(path, name))  # noqa: PTH118 - as walk does
