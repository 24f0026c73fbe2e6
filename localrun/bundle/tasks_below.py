"""Help for a folder without a descriptor: the tasks in folders below it, and descriptors with other names."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from localrun.bundle.images.dockerfile_choice import DOCKERFILES
from localrun.bundle.parts import is_archive, is_descriptor
from localrun.errors import BundleError, Problem

_DEPTH, _MOST_FOLDERS, _MOST_TASKS = 4, 2000, 20
_SKIPPED = {"node_modules", "venv", "__pycache__", "site-packages"}
_KEYS = re.compile(rb"^(name_short|namespace|inputs|outputs|configuration|authors)\s*:", re.MULTILINE)
_HEAD = 64 * 1024  # bytes


def find_tasks(folder: Path) -> list[Path]:
    """Return the folders below `folder` that have a descriptor; hidden folders are skipped."""
    found: list[Path] = []
    for seen, (name, folders, files) in enumerate(os.walk(folder)):
        path = Path(name)
        if path != folder and any(map(is_descriptor, files)):
            found.append(path)
        depth = len(path.relative_to(folder).parts)
        kept = [one for one in folders if not one.startswith(".") and one not in _SKIPPED]
        folders[:] = sorted(kept) if depth < _DEPTH and seen < _MOST_FOLDERS else []
    return sorted(found)


def no_descriptor(folder: Path, names: Sequence[str]) -> BundleError | None:
    """Return the error for a folder whose descriptor is elsewhere; None if no other one is found.

    Its fact `is_bundle` is False.
    """
    renamed = [name for name in names if name.lower().endswith((".yml", ".yaml")) and _is_like(folder / name)]
    if renamed:
        problems = [
            Problem(name, "looks like a descriptor", f"rename it, or run `{_run(folder / name)}`")
            for name in renamed
        ]
        return BundleError(
            f"{folder} has no descriptor.yml",
            remedy="name the descriptor descriptor.yml (or descriptor.yaml), as App Engine requires",
            problems=problems,
            is_bundle=False,
        )
    tasks = find_tasks(folder)
    if not tasks:
        return None
    count = f"{len(tasks)} folders below it have one" if len(tasks) > 1 else "a folder below it has one"
    return BundleError(
        f"{folder} has no descriptor.yml, but {count}",
        remedy=f"run a task below, e.g. `{_command(folder, names, tasks[0])}`",
        problems=list(_listed(folder, names, tasks)),
        is_bundle=False,
    )


def _listed(folder: Path, names: Sequence[str], tasks: Sequence[Path]) -> Iterator[Problem]:
    for task in tasks[:_MOST_TASKS]:
        yield Problem(str(task.relative_to(folder)), "a task", f"run `{_command(folder, names, task)}`")
    if len(tasks) > _MOST_TASKS:
        yield Problem("", f"{len(tasks) - _MOST_TASKS} more tasks are not listed")


def _command(folder: Path, names: Sequence[str], task: Path) -> str:
    """Return the command for a task; one without a Dockerfile of its own is built with that of `folder`."""
    own = [path.name for path in task.iterdir()]
    shared = any(name in names for name in DOCKERFILES)
    if shared and not any(name in DOCKERFILES or is_archive(name) for name in own):
        return f"{_run(task)} --context {shlex.quote(str(folder))}"
    return _run(task)


def _run(path: Path) -> str:
    return f"localrun run {shlex.quote(str(path))}"


def _is_like(path: Path) -> bool:
    """Return whether a YAML file has at least three top-level keys of a descriptor."""
    try:
        with path.open("rb") as file:
            return len(set(_KEYS.findall(file.read(_HEAD)))) >= 3
    except OSError:
        return False
