"""Warn about geometries that do not fit their image, and about defects that App Engine accepts.

A check here never fails a task: it only adds warnings.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from localrun.descriptor import Descriptor
from localrun.descriptor.types import Notes
from localrun.values.coordinates import links
from localrun.values.coordinates.findings import GeometryFindings
from localrun.values.coordinates.links import Group, Item, Picture
from localrun.values.coordinates.pictures import read_size
from localrun.values.coordinates.shapes import Box, Outline, Shape, decode, defects, outline
from localrun.values.untrusted import TreeEntry, UnsafePath, UntrustedDir

if TYPE_CHECKING:
    from localrun.values.coordinates.flipping import Sample

_MAX_POINTS = 5_000_000  # of a section that are checked
_MAX_DRAWN = 1_000_000  # points of a section that are kept to compare them with images
_MAX_SAMPLES = 10  # images of an array that are compared
_MARGIN = 1.0  # pixels: some programs outline the centers of pixels, others their edges

# even a bug in a check must not fail the task
_FAILURES = (
    *(ArithmeticError, AttributeError, ImportError, LookupError, MemoryError, OSError, RuntimeError),
    *(TypeError, ValueError),
)

Opener = Callable[[str], BinaryIO]
Regions = Mapping[str, Mapping[str, Any]]


def check_inputs(descriptor: Descriptor, values: links.Values, notes: Notes) -> None:
    """Warn about the geometries in valid inputs."""
    _check_all(descriptor, values, "inputs", _Context(_open_path), notes)


def check_outputs(
    descriptor: Descriptor, tree: UntrustedDir, values: links.Values, regions: Regions, notes: Notes
) -> None:
    """Warn about the geometries in valid outputs, whose files are below `tree`.

    `regions` are geometries next to input images, in pixels of the image, by its file such as `images/0`.
    """
    prefix = f"{tree.root}/"

    def opener(path: str) -> BinaryIO:
        if not path.startswith(prefix):
            return _open_path(path)
        return tree.open(TreeEntry(tuple(path.removeprefix(prefix).split("/")), "file", 0))

    _check_all(descriptor, values, "outputs", _Context(opener, regions), notes)


def _open_path(path: str) -> BinaryIO:
    # a task with writable inputs may have put a pipe in the place of a crop, which would block
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise UnsafePath("not a file")
    return file


@dataclass(slots=True)
class _Context:
    """How to open files, what is known of the images, and how many points may still be checked and drawn."""

    opener: Opener
    regions: Regions = field(default_factory=dict)
    sizes: dict[str, tuple[int, int] | None] = field(default_factory=dict)
    points: int = field(default_factory=lambda: _MAX_POINTS)
    drawable: int = field(default_factory=lambda: _MAX_DRAWN)

    def size(self, picture: Picture) -> tuple[int, int] | None:
        if picture.path not in self.sizes:
            self.sizes[picture.path] = self._read_size(picture.path)
        return self.sizes[picture.path]

    def _read_size(self, path: str) -> tuple[int, int] | None:
        try:
            with closing(self.opener(path)) as file:
                return read_size(file)
        except (OSError, UnsafePath):
            return None

    def read(self, value: Any) -> Shape | None:
        """Return the geometry of a value: an object, a text or a path. None if it is not there any more."""
        if isinstance(value, dict) or (isinstance(value, str) and value.lstrip().startswith("{")):
            return decode(value)
        try:
            with closing(self.opener(value)) as file:
                return decode(file.read())
        except (OSError, UnsafePath, ValueError):
            return None


def _check_all(
    descriptor: Descriptor, values: links.Values, section: str, context: _Context, notes: Notes
) -> None:
    parameters = descriptor.inputs if section == "inputs" else descriptor.outputs
    for name in links.geometry_names(parameters):
        if values.section(section).get(name) is None:
            continue
        try:
            _check(links.groups(descriptor, values, section, name), name, context, notes.child(name))
        except _FAILURES as error:
            notes.child(name).warn(f"could not check the coordinates: {type(error).__name__}: {error}")


def _check(groups: list[Group], name: str, context: _Context, notes: Notes) -> None:
    findings = GeometryFindings(name)
    samples: list[Sample] = []
    has_images = any(group.picture for group in groups)
    for group in groups:
        for item in () if group.picture or not has_images else group.items:
            findings.without_image.add(item.place)
        size = context.size(group.picture) if group.picture else None
        drawn = _scan(group, size, context, findings, keep=len(samples) < _MAX_SAMPLES)
        if group.picture and size and drawn:
            from localrun.values.coordinates.flipping import Sample

            masks = [mask for mask in group.masks if context.size(mask) == size]
            region = context.regions.get(group.picture.file)
            samples.append(Sample(group.picture, size, masks, region, drawn, len(group.items)))
    findings.report(notes)
    if samples:
        from localrun.values.coordinates import flipping

        flipping.check(samples, sum(group.picture is not None for group in groups), context.opener, notes)


def _scan(
    group: Group, size: tuple[int, int] | None, context: _Context, findings: GeometryFindings, *, keep: bool
) -> list[Outline]:
    """Note what is wrong with the geometries on one image, and return those to compare with it."""
    seen: dict[int, str] = {}
    drawn: list[Outline] = []
    for item in group.items:
        findings.total += 1
        geometry = context.read(item.value) if context.points > 0 else None
        if geometry is None:
            findings.unchecked += 1
            continue
        context.points -= geometry.length()
        _note_defects(item, geometry, seen, findings)
        box = geometry.box()
        if box and size and group.picture and _is_outside(box, size):
            findings.add_outside(item.place, box, f"{group.picture.place} ({size[0]} x {size[1]} pixels)")
        if box and size and keep and geometry.length() <= context.drawable:
            context.drawable -= geometry.length()
            drawn.append(outline(geometry))
    return drawn


def _note_defects(item: Item, geometry: Shape, seen: dict[int, str], findings: GeometryFindings) -> None:
    for kind in defects(geometry):
        findings.add_defect(kind, item.place)
    first = seen.setdefault(geometry.fingerprint(), item.place)
    if first != item.place:
        findings.duplicates.add(f"{item.place} of {first}")


def _is_outside(box: Box, size: tuple[int, int]) -> bool:
    x0, y0, x1, y1 = box
    width, height = size
    return x0 < -_MARGIN or y0 < -_MARGIN or x1 > width + _MARGIN or y1 > height + _MARGIN
