"""Series of discs. A disc that does not fit ends a series; other failures are retried."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import localrun

ATTEMPTS = 2


@dataclass(frozen=True)
class Disc:
    """A disc; `area` is the share of the mask that it covers."""

    radius: float
    area: float
    mask: Path


def draw(
    bundle: str | os.PathLike[str], radii: Iterable[float], size: int = 32, **options: Any
) -> list[Disc]:
    """Draw discs in parallel. Raises `localrun.TaskFailed` for the first failure."""
    wanted = list(radii)
    tasks = [localrun.submit(bundle, size=size, radius=radius, **options) for radius in wanted]
    localrun.wait_all(tasks, progress=False)
    return [_disc(task, radius) for task, radius in zip(tasks, wanted, strict=True)]


def survey(bundle: str | os.PathLike[str], radii: Iterable[float], **options: Any) -> localrun.Batch:
    """Draw discs of the same size in a batch, and return it with its table of results when all are drawn."""
    batch = localrun.map(bundle, [{"radius": radius} for radius in radii], size=32, **options)
    return batch.wait()


def growing(bundle: str | os.PathLike[str], size: int = 32, **options: Any) -> Iterator[Disc]:
    """Draw discs of doubling size until one does not fit."""
    radius = 1.0
    while True:
        try:
            outputs = _patiently(bundle, size=size, radius=radius, **options)
        except localrun.TaskFailed as error:
            if error.record.exit_code == 1:  # the program's message for a disc that does not fit
                return
            raise
        yield Disc(radius, outputs["area"], outputs["mask"])
        radius *= 2


def _patiently(bundle: str | os.PathLike[str], **options: Any) -> dict[str, Any]:
    for _ in range(ATTEMPTS - 1):
        try:
            return localrun.run(bundle, **options)
        except localrun.TaskFailed as error:
            if error.record.exit_code == 1:
                raise
    return localrun.run(bundle, **options)


def _disc(task: localrun.Task, radius: float) -> Disc:
    if task.is_failed:
        raise localrun.TaskFailed(task.info)
    return Disc(radius, task.outputs["area"], task.outputs["mask"])
