"""Paths of this machine that a task gets over those of its image: `SRC:DST[:rw]`."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from localrun.errors import EngineError, Problem, UsageError
from localrun.settings.options import MOUNT
from localrun.task.record import BindMount
from localrun.undecodable import escape, is_text
from localrun.units import format_count

_OF_THE_ENGINE = ("/proc", "/sys", "/dev", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf")


def parse_mount(text: str, folder: Path | None = None) -> BindMount:
    """Parse `SRC:DST`, `SRC:DST:ro` or `SRC:DST:rw`; without a mode it is read-only.

    A relative SRC starts at `folder` (None: the working directory), and `~` is the user's home.
    Raises ValueError for another form, an SRC that does not exist, and a DST that cannot be mounted.
    """
    found = MOUNT.fullmatch(text)
    if found is None:
        raise ValueError(f"'{escape(text)}' is not SRC:DST or SRC:DST:rw, with an absolute DST")
    if found["mode"] not in (None, "ro", "rw"):
        raise ValueError(f"'{escape(text)}': unknown mode {found['mode']!r}; expected rw or ro")
    source = os.path.abspath((folder or Path()) / os.path.expanduser(found["source"]))  # noqa: PTH100, PTH111
    if not is_text(source):
        raise ValueError(f"'{escape(source)}' is not UTF-8: an engine cannot mount it")
    if not os.path.exists(source):  # noqa: PTH110 - False for a path with a null byte
        raise ValueError(f"no such file or folder: {source!r}")
    target = _target(found["target"])
    return BindMount(source=source, target=target, read_only=found["mode"] != "rw")


def parse_mounts(values: Any, folder: Path | None = None) -> list[BindMount]:
    """Parse a list of strings. Raises ValueError with every invalid one."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ValueError(f"expected a list of SRC:DST[:rw], found {values!r}")
    found, problems = [], []
    for value in values:
        try:
            found.append(parse_mount(os.fspath(value), folder))
        except TypeError:
            problems.append(f"expected SRC:DST[:rw], found {value!r}")
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ValueError("; ".join(problems))
    return found


def check_mounts(mounts: Sequence[BindMount], input_folder: str, output_folder: str) -> None:
    """Raise `UsageError` with every mount that hides a folder of the task or another mount."""
    problems = [Problem(f"mounts.{mount.target}", why) for mount, why in _conflicts(mounts)]
    for mount in mounts:
        for what, folder in (("input", input_folder), ("output", output_folder)):
            if _is_below(folder, mount.target) or _is_below(mount.target, folder):
                why = f"{mount.target!r} overlaps the {what} folder {folder!r}"
                problems.append(Problem(f"mounts.{mount.target}", why, "mount it at another path"))
    if problems:
        count = format_count(len(problems), "problem")
        raise UsageError(f"invalid mounts ({count})", remedy="change the option --mount", problems=problems)


def check_visible(mounts: Sequence[BindMount]) -> None:
    """Raise `EngineError` if an engine that refused a mount would have to mount these."""
    for mount in mounts:
        if not os.path.exists(mount.source):  # noqa: PTH110 - False for a path with a null byte
            message = f"the mounted path is gone: {mount.source}"
            raise EngineError(message, remedy="restore it, or drop the mount")
    if mounts:
        raise EngineError(
            f"the engine cannot see a path of this machine: {mounts[0].source}",
            remedy="use an engine on this machine, or build the files into the image instead of --mount",
        )


def deviations(mounts: Iterable[BindMount]) -> tuple[str, ...]:
    """Return a warning for each mount: the task does not run what its image contains."""
    return tuple(
        f"the image is not used as it is: {mount.source} is mounted at {mount.target} ({mount.mode})"
        for mount in mounts
    )


def _target(text: str) -> str:
    target = "/" + posixpath.normpath(text).strip("/")
    if target == "/" or ".." in PurePosixPath(text).parts:
        raise ValueError(f"{text!r} cannot be mounted; expected a path such as /app")
    if any(_is_below(target, one) for one in _OF_THE_ENGINE) or target == "/etc":
        raise ValueError(f"{text!r} cannot be mounted: the engine writes files there")
    return target


def _conflicts(mounts: Sequence[BindMount]) -> Iterator[tuple[BindMount, str]]:
    for number, mount in enumerate(mounts):
        for other in mounts[:number]:
            if mount.target == other.target:
                yield mount, f"{mount.target!r} is mounted twice: {other.source}, {mount.source}"
        for other in mounts:
            if mount.target != other.target and _is_below(mount.target, other.target):
                inside = Path(other.source, PurePosixPath(mount.target).relative_to(other.target))
                if not inside.exists():
                    yield mount, f"{mount.target!r} is inside another mount, which has no {inside}"


def _is_below(path: str, folder: str) -> bool:
    """Return whether a path of the container is a folder, or inside of it."""
    return PurePosixPath(path).is_relative_to(PurePosixPath(folder))
