"""Which images and geometries a task has, and which of them belong together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from localrun.descriptor import Descriptor
from localrun.descriptor.types import Array, DataType, File, Geometry, Image
from localrun.report.details.rows import read_descriptor
from localrun.report.images.task_files import TaskFiles
from localrun.task.record import TaskRecord
from localrun.task.workspace import Workspace
from localrun.values.collection import is_index
from localrun.values.coordinates import links
from localrun.values.coordinates.pictures import read_size
from localrun.values.untrusted import UnsafePath

_MAX_ITEMS = 100_000  # of one array that is left on disk
_SNIFFED = 4096  # bytes of a file that may be GeoJSON
_GEOJSON = (b'"FeatureCollection"', b'"Feature"', b'"coordinates"', b'"GeometryCollection"')

Index = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GeometryItem:
    """One geometry of a parameter: its index in the array, and its file such as `outputs/outlines/3`.

    `image` is the place of the image that it belongs to; None if that is not known. `content` is the geometry
    of a region, which the record has.
    """

    parameter: str
    index: Index
    place: str
    image: str | None
    content: dict[str, Any] | None = None

    @property
    def label(self) -> str:
        section, _, name = self.parameter.partition("/")
        return f"{section}.{name}" + "".join(f"[{number}]" for number in self.index)


@dataclass(slots=True)
class TaskCatalog:
    """The images and geometries of a task. `values` are its values, also those of invalid outputs."""

    record: TaskRecord
    files: TaskFiles
    descriptor: Descriptor | None
    values: links.Values
    _sizes: dict[str, tuple[int, int] | None] = field(default_factory=dict)
    _items: list[GeometryItem] | None = None

    @classmethod
    def of(cls, record: TaskRecord, workspace: Workspace) -> TaskCatalog:
        files = TaskFiles(record, workspace)
        found = read_descriptor(workspace)
        if found is None:  # a task without a container, or an imported one
            return cls(record, files, None, links.Values(record.inputs, record.outputs, {}))
        outputs = dict(record.outputs)
        if record.state.is_final:
            outputs |= {
                name: value
                for name, one in found.outputs.items()
                if name not in outputs and (value := _left(files, one.type, f"outputs/{name}")) is not None
            }
        return cls(record, files, found, links.Values(record.inputs or record.received, outputs, {}))

    def images(self) -> Iterator[str]:
        """Yield the places of all images: `inputs/image`, `outputs/masks/0`, `crops/image`."""
        if self.descriptor is None:
            return
        for section, parameters in self._sections():
            for name, one in parameters.items():
                if isinstance(links.innermost(one.type), Image):
                    for index, _ in _leaves(self.values.section(section).get(name), ()):
                        yield "/".join((section, name, *map(str, index)))
        for place in self.record.crops:
            yield f"crops/{place}"

    def label(self, place: str) -> str:
        section, name, *index = place.split("/")
        return f"{section}.{name}" + "".join(f"[{number}]" for number in index)

    def size(self, place: str) -> tuple[int, int] | None:
        """Return the width and height of an image from its header; None if that cannot be read."""
        if place not in self._sizes:
            self._sizes[place] = self._read_size(place)
        return self._sizes[place]

    def _read_size(self, place: str) -> tuple[int, int] | None:
        from localrun.values.rasters.raster import UnreadableImage

        try:
            found = self.files.find(place)
            if found is None:
                return None
            if found.opener is None:
                return found.open_raster().size
            with found.opener() as file:
                return read_size(file)
        except (OSError, UnsafePath, UnreadableImage):
            return None

    def geometries(self) -> list[GeometryItem]:
        """Return all geometries, in order of their parameters: those of inputs, regions and outputs."""
        if self._items is None:
            self._items = [*self._section_items("inputs"), *self._regions(), *self._section_items("outputs")]
        return self._items

    def _sections(self) -> list[tuple[str, Mapping[str, Any]]]:
        assert self.descriptor is not None
        return [("inputs", self.descriptor.inputs), ("outputs", self.descriptor.outputs)]

    def _section_items(self, section: str) -> Iterator[GeometryItem]:
        if self.descriptor is None:
            return
        parameters = dict(self._sections())[section]
        given = self.values.section(section)
        for name, one in parameters.items():
            if given.get(name) is None:
                continue
            kind = links.innermost(one.type)
            if isinstance(kind, Geometry) or (isinstance(kind, File) and self._is_geojson(section, name)):
                yield from self._items_of(section, name)

    def _items_of(self, section: str, name: str) -> Iterator[GeometryItem]:
        assert self.descriptor is not None
        # each value is replaced by its index, which its item then leads back to
        given = {**self.values.section(section), name: _indexes(self.values.section(section)[name], ())}
        values = self.values._replace(**{section: given})
        for group in links.groups(self.descriptor, values, section, name):
            image = None if group.picture is None else _place_of(group.picture)
            for item in group.items:
                index = item.value
                place = "/".join((section, name, *map(str, index)))
                yield GeometryItem(f"{section}/{name}", index, place, image)

    def _regions(self) -> Iterator[GeometryItem]:
        for place, geometry in self.record.regions.items():
            name, *index = place.split("/")
            numbers = tuple(int(number) for number in index)
            yield GeometryItem(f"regions/{name}", numbers, f"regions/{place}", f"inputs/{place}", geometry)

    def _is_geojson(self, section: str, name: str) -> bool:
        """Return whether the first file of a parameter looks like GeoJSON."""
        first = next(_leaves(self.values.section(section)[name], ()), None)
        if first is None:
            return False
        try:
            found = self.files.find("/".join((section, name, *map(str, first[0]))))
            head = b"" if found is None else found.read(_SNIFFED)
        except (OSError, UnsafePath):
            return False
        return head.lstrip().startswith(b"{") and any(word in head for word in _GEOJSON)

    def parallel_values(self, item: GeometryItem) -> dict[str, Any]:
        """Return the values at the same index in arrays of the same length, such as `outputs.areas`."""
        section, _, own = item.parameter.partition("/")
        if self.descriptor is None or not item.index or section == "regions":
            return {}
        value = self.values.section(section)[own]
        found: dict[str, Any] = {}
        for other_section, parameters in self._sections():
            for name, one in parameters.items():
                other = self.values.section(other_section).get(name)
                is_plain = not isinstance(links.innermost(one.type), (File, Geometry, Image))
                if is_plain and isinstance(other, list):
                    scalar = links.parallel_value(value, other, item.index)
                    if scalar is not None:
                        found[f"{other_section}.{name}"] = scalar
        return found


def _place_of(picture: links.Picture) -> str:
    section = picture.place.partition(".")[0]
    return f"{section}/{picture.file}"


def _leaves(value: Any, index: Index) -> Iterator[tuple[Index, Any]]:
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _leaves(item, (*index, number))
    elif value is not None:
        yield index, value


def _indexes(value: Any, index: Index) -> Any:
    """Return a value with each item replaced by its index."""
    if isinstance(value, list):
        return [_indexes(item, (*index, number)) for number, item in enumerate(value)]
    return None if value is None else index


def _left(files: TaskFiles, kind: DataType, place: str) -> Any:
    """Return the places of the files that an invalid output left; None if there are none."""
    if isinstance(kind, Array):
        names = sorted(int(name) for name in files.names(place) if is_index(name))[:_MAX_ITEMS]
        items = [_left(files, kind.subtype, f"{place}/{index}") for index in names]
        is_gapless = names == list(range(len(names)))
        return items if names and is_gapless else None
    if not isinstance(kind, (File, Geometry, Image)):
        return None
    try:
        return place if files.find(place) is not None else None
    except UnsafePath:
        return None
