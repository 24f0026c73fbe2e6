"""The geometries of a task as one GeoJSON FeatureCollection, in the pixels of an image.

App Engine counts y upwards from the lower left corner of the image, and images count rows from the top. This
module is the place where one becomes the other.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import msgspec

from localrun.descriptor.types.geojson import NESTING
from localrun.report.images.catalog import GeometryItem, TaskCatalog
from localrun.units import format_bytes, format_count
from localrun.values.untrusted import UnsafePath

MAX_VERTICES = 200_000  # of one collection
_MAX_OF_ONE = 50_000  # vertices of one geometry; of larger ones every nth vertex is kept
_MAX_FEATURES = 20_000
_MAX_FILE = 32 * 1024**2  # bytes of one geometry
_MAX_BYTES = 64 * 1024**2  # of all geometries together
_MAX_DEPTH = 16
_MAX_TEXT = 200  # characters of a parallel value

Axis = Literal["up", "down"]


class Transform(NamedTuple):
    """What is added to x and y, and the height of the image if y is counted from its top."""

    offset: tuple[float, float] = (0, 0)
    height: float | None = None

    def apply(self, position: list[float]) -> list[float]:
        x, y = position[0] + self.offset[0], position[1] + self.offset[1]
        return [x, y if self.height is None else self.height - y]


@dataclass(slots=True)
class Omitted:
    """What is left out of a collection, and why."""

    features: int = 0
    vertices: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, reason: str, vertices: int = 0) -> None:
        self.features += 1
        self.vertices += vertices
        self.reasons[reason] += 1

    def as_dict(self) -> dict[str, Any]:
        texts = [f"{format_count(count, 'feature')}: {why}" for why, count in self.reasons.items()]
        return {"features": self.features, "vertices": self.vertices, "reasons": texts}


def transform_to(catalog: TaskCatalog, item: GeometryItem, image: str) -> tuple[float, float]:
    """Return what to add to x and y of a geometry to draw it on an image."""
    section, _, file = image.partition("/")
    crop = catalog.record.crops.get(file) if section == "crops" else None
    return (
        crop.offset if section == "crops" and crop is not None and item.image == f"inputs/{file}" else (0, 0)
    )


def belongs(catalog: TaskCatalog, item: GeometryItem, image: str) -> bool:
    """Return whether a geometry is drawn on an image.

    It is drawn on its own image, on those of the same size, and on the whole image of a crop. A geometry
    without a known image is drawn on all.
    """
    if item.image is None or item.image == image:
        return True
    section, _, file = image.partition("/")
    if section == "crops":
        return item.image == f"inputs/{file}"
    size = catalog.size(image)
    return size is not None and catalog.size(item.image) == size and _same_item(item.image, image)


def _same_item(one: str, other: str) -> bool:
    """Return whether two images are at the same index, if both are items of arrays."""
    first, second = one.split("/")[2:], other.split("/")[2:]
    return not first or not second or first == second


def collect_features(
    catalog: TaskCatalog,
    image: str | None = None,
    parameters: Collection[str] = (),
    axis: Axis = "down",
    max_vertices: int | None = None,
) -> dict[str, Any]:
    """Return the geometries that belong to an image (None: all of them), or those of `parameters`.

    Coordinates are in pixels of the image. `axis`: whether y is counted downwards from its top, or upwards
    from its bottom, as in App Engine. Without an image, or if its size is not known, it is always "up".
    `max_vertices` None: `MAX_VERTICES`.
    """
    size = None if image is None else catalog.size(image)
    axis = axis if size is not None else "up"
    collector = _Collector(catalog, MAX_VERTICES if max_vertices is None else max_vertices)
    for item in catalog.geometries():
        is_asked = (
            item.parameter in parameters if parameters else image is None or belongs(catalog, item, image)
        )
        if is_asked:
            offset = (0.0, 0.0) if image is None else transform_to(catalog, item, image)
            height = size[1] if size is not None and axis == "down" else None
            collector.add(item, Transform(offset, height))
    shown = None if size is None else {"place": image, "width": size[0], "height": size[1]}
    return {
        "type": "FeatureCollection",
        "task_id": catalog.record.id,
        "image": shown,
        "y": axis,
        "features": collector.features,
        "omitted": collector.omitted.as_dict(),
    }


class _Collector:
    def __init__(self, catalog: TaskCatalog, max_vertices: int) -> None:
        self.features: list[dict[str, Any]] = []
        self.omitted = Omitted()
        self._catalog = catalog
        self._limit = self._vertices = max_vertices
        self._bytes = _MAX_BYTES

    def add(self, item: GeometryItem, transform: Transform) -> None:
        if self._vertices <= 0 or len(self.features) >= _MAX_FEATURES:
            self.omitted.add(f"more than {self._limit} vertices or {_MAX_FEATURES} geometries")
            return
        try:
            data = item.content if item.content is not None else self._read(item.place)
            for geometry, properties in parts_of(data):
                self._add_part(item, geometry, properties, transform)
        except (ValueError, RecursionError, OSError) as error:
            reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
            self.omitted.add(reason[:_MAX_TEXT])

    def _read(self, place: str) -> Any:
        if self._bytes <= 0:
            raise ValueError(f"more than {format_bytes(_MAX_BYTES)} of GeoJSON")
        try:
            found = self._catalog.files.find(place)
            data = b"" if found is None else found.read(_MAX_FILE + 1)
        except UnsafePath as error:
            raise ValueError(str(error)) from error
        self._bytes -= len(data)
        if found is None:
            raise ValueError("its file is gone")
        if len(data) > _MAX_FILE:
            raise ValueError(f"larger than {format_bytes(_MAX_FILE)}")
        try:
            return msgspec.json.decode(data)
        except (msgspec.MsgspecError, UnicodeError) as error:
            raise ValueError("not valid JSON") from error

    def _add_part(
        self, item: GeometryItem, geometry: dict[str, Any], found: dict[str, Any], transform: Transform
    ) -> None:
        count = count_vertices(geometry)
        every = -(-count // min(_MAX_OF_ONE, max(self._vertices, 1)))
        coordinates = _moved(geometry["coordinates"], NESTING[geometry["type"]], transform.apply, every)
        kept = count_vertices({**geometry, "coordinates": coordinates})
        self._vertices -= kept
        properties: dict[str, Any] = {
            "parameter": item.parameter,
            "label": item.label,
            "index": list(item.index),
            "image": item.image,
            "values": {key: _short(value) for key, value in self._catalog.parallel_values(item).items()},
            **_shape(found),
        }
        if kept < count:
            properties["simplified"] = True
            self.omitted.vertices += count - kept
        shape = {"type": geometry["type"], "coordinates": coordinates}
        self.features.append({"type": "Feature", "geometry": shape, "properties": properties})


def parts_of(data: Any, depth: int = 0) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield each geometry of any GeoJSON, with the properties of its Feature. Raises `ValueError`."""
    kind = data.get("type") if isinstance(data, dict) else None
    if depth > _MAX_DEPTH:
        raise ValueError("nested too deeply")
    if kind == "FeatureCollection":
        for feature in _listed(data, "features"):
            yield from parts_of(feature, depth + 1)
    elif kind == "GeometryCollection":
        for geometry in _listed(data, "geometries"):
            yield from parts_of(geometry, depth + 1)
    elif kind == "Feature":
        properties = data.get("properties")
        for geometry, _ in parts_of(data.get("geometry"), depth + 1):
            yield geometry, properties if isinstance(properties, dict) else {}
    elif kind in NESTING and "coordinates" in data:
        yield data, {}
    else:
        raise ValueError("not a geometry of GeoJSON")


def _listed(data: dict[str, Any], key: str) -> list[Any]:
    found = data.get(key)
    if not isinstance(found, list):
        raise ValueError("not a geometry of GeoJSON")
    return found


def count_vertices(geometry: dict[str, Any]) -> int:
    return _count(geometry["coordinates"], NESTING[geometry["type"]])


def _count(value: Any, level: int) -> int:
    if level == 0:
        return 1
    if not isinstance(value, list):
        raise ValueError("invalid coordinates")
    return len(value) if level == 1 else sum(_count(item, level - 1) for item in value)


def _moved(value: Any, level: int, move: Callable[[list[float]], list[float]], every: int) -> Any:
    """Return coordinates after `move`, with every `every`th position of each line. Raises `ValueError`."""
    if level == 0:
        return move(_checked(value))
    if level == 1:
        kept = value if every == 1 else _thinned(value, every)
        return [move(_checked(position)) for position in kept]
    return [_moved(item, level - 1, move, every) for item in value]


def _thinned(line: list[Any], every: int) -> list[Any]:
    """Return every nth position, and the last one, which closes a ring. Short lines stay whole."""
    return line if len(line) <= 8 else [*line[:-1:every], line[-1]]


def _checked(position: Any) -> list[float]:
    if not isinstance(position, list) or len(position) < 2:
        raise ValueError("invalid coordinates")
    for number in position[:2]:
        is_number = isinstance(number, int | float) and not isinstance(number, bool)
        if not is_number or not math.isfinite(number) or abs(number) > 1e15:
            raise ValueError("invalid coordinates")
    return position


def _shape(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the properties that change the shape: App Engine's Circle is a point with a radius."""
    subtype, radius = properties.get("subType"), properties.get("radius")
    found: dict[str, Any] = {"subType": subtype} if subtype in ("Circle", "Rectangle") else {}
    is_number = isinstance(radius, int | float) and not isinstance(radius, bool) and math.isfinite(radius)
    return found | ({"radius": radius} if subtype == "Circle" and is_number else {})


def _short(value: Any) -> Any:
    return value[:_MAX_TEXT] if isinstance(value, str) else value
