"""Regions next to images, as App Engine writes them for an annotation that a user selects.

The platform cuts the bounding box of the annotation out of the image, gives the crop to the task, and writes
the geometry next to it: `/inputs/image.geojson`, or `/inputs/images/0.geojson` for an item of an array. It is
a bare geometry in the coordinates of the crop: GeoJSON's, with the origin at the bottom left and y upwards.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from localrun.descriptor import Descriptor
from localrun.descriptor.types import Array, DataType, Geometry, Image, Notes, format_value, type_mismatch
from localrun.suggestions import did_you_mean
from localrun.task.record import Crop
from localrun.units import format_count
from localrun.values.input_files import read_text
from localrun.values.parsing import FileValue, expand_path, unknown_input
from localrun.values.region_names import Role, parse_region_name

_KEYS = ("file", "region", "crop")
_EXAMPLE = "pass GeoJSON, e.g. @roi.geojson"
_IMAGE_EXAMPLE = 'pass e.g. {"file": "@image.png", "region": "@region.geojson"}'
_GEOMETRY = Geometry()

Attached = dict[str, dict[Role, Any]]  # by the place of the image


class ImageParts(NamedTuple):
    """The file of an image, and the geometry next to it: a `region` in it, or the one to `crop` it to.

    `cropped` says how the file was cut out, if it is the crop of an earlier task.
    """

    file: Any
    region: Any = None
    crop: Any = None
    cropped: Crop | None = None


def is_image_object(value: Any) -> bool:
    """Return whether a value is `{"file": ..., "region": ...}` or `{"file": ..., "crop": ...}`."""
    if not isinstance(value, Mapping) or "file" not in value:
        return False
    return set(value) <= {*_KEYS, *(("cropped",) if isinstance(value.get("cropped"), Crop) else ())}


def report_image_object(value: Mapping[Any, Any], notes: Notes) -> None:
    """Report why an object is not an image with its region."""
    unknown = [str(key) for key in value if key not in _KEYS]
    for key in unknown:
        notes.error(f"unknown key {format_value(key)}", did_you_mean(key, _KEYS) or _IMAGE_EXAMPLE)
    if "file" not in value:
        notes.error("missing key 'file'", _IMAGE_EXAMPLE)
    elif not unknown:
        notes.error(type_mismatch(value["file"], "a file"), _IMAGE_EXAMPLE)


def split_regions(
    values: Mapping[str, Any], descriptor: Descriptor, notes: Notes
) -> tuple[dict[str, Any], Attached]:
    """Separate `image.geojson` from the values; report those that do not belong to an image."""
    plain: dict[str, Any] = {}
    attached: Attached = {}
    for name, value in values.items():
        parsed = parse_region_name(str(name)) if name not in descriptor.inputs else None
        if parsed is None:
            plain[name] = value
            continue
        parameter = descriptor.inputs.get(parsed.parameter)
        if parameter is None:
            notes.problems.append(unknown_input(parsed.parameter, descriptor))
        elif _check_type(parameter.type, parsed.place, notes.child(parsed.place)):
            attached.setdefault(parsed.place, {})[parsed.role] = value
    return plain, attached


def _check_type(kind: DataType, place: str, notes: Notes) -> bool:
    """Report a region of anything but an image."""
    name, *indexes = place.split("/")
    inner = kind
    for _ in indexes:
        inner = inner.subtype if isinstance(inner, Array) else inner
    if isinstance(inner, Image) and len(indexes) == _depth(kind):
        return True
    if isinstance(inner, Array) and isinstance(_innermost(inner), Image):
        example = f"{name}{'[0]' * _depth(kind)}"
        notes.error("a region belongs to one image, not to an array", f"name the image, e.g. {example}")
    else:
        notes.error(
            f"inputs of type {_innermost(kind).id} have no region", "remove it: only images have regions"
        )
    return False


def _depth(kind: DataType) -> int:
    return 1 + _depth(kind.subtype) if isinstance(kind, Array) else 0


def _innermost(kind: DataType) -> DataType:
    return _innermost(kind.subtype) if isinstance(kind, Array) else kind


def parts_of(value: Any, own: Mapping[Role, Any], notes: Notes) -> ImageParts:
    """Return the parts of an image; the region or crop in `own` overrides that in the value."""
    found = ImageParts(**value) if is_image_object(value) else ImageParts(value)
    if own:
        found = ImageParts(found.file, own.get("region"), own.get("crop"))
    if found.region is not None and found.crop is not None:
        notes.error("has both a region and a crop", "pass the region of a crop, or the annotation to crop to")
        return ImageParts(found.file)
    return found


def path_in(value: str) -> str | None:
    """Return the path in a region that is a string; None if the string is GeoJSON."""
    return None if value.lstrip()[:1] in ("{", "[", "") else value.removeprefix("@")


def read_region(value: Any, notes: Notes) -> dict[str, Any] | None:
    """Return the bare geometry in a file, a GeoJSON string or an object; None if it is invalid.

    A Feature, and a FeatureCollection of one, are unwrapped.
    """
    if isinstance(value, str) and path_in(value) is not None:
        value = FileValue(expand_path(value))
    if isinstance(value, FileValue):
        value = value.path
    if isinstance(value, os.PathLike):
        value = _text_of(Path(value), notes)
        if value is None:
            return None
    before = len(notes.problems)
    if isinstance(value, str):
        value = _decoded(value, notes)
    found = (
        _unwrap(getattr(value, "__geo_interface__", value), notes) if len(notes.problems) == before else None
    )
    if found is None:
        return None
    # nothing but the geometry: no bounding box, no coordinate system
    bare = {key: found[key] for key in ("type", "coordinates") if key in found}
    try:
        text = json.dumps(bare, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        notes.error(f"cannot write {format_value(bare)} as JSON: {error}", _EXAMPLE)
        return None
    if _GEOMETRY.parse(text, notes) is None:
        return None
    if not bare["coordinates"]:
        notes.error("the region is empty", _EXAMPLE)
        return None
    checked: dict[str, Any] = json.loads(text)
    return checked


def _text_of(path: Path, notes: Notes) -> str | None:
    text = read_text(_GEOMETRY, Path(os.path.abspath(path)), notes)  # noqa: PTH100 - keeps links
    return None if text is None else text.removeprefix("\ufeff")  # the byte order mark of some editors


def _decoded(text: str, notes: Notes) -> Any:
    if not text:
        notes.error("the file is empty", _EXAMPLE)
        return None
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        notes.error(f"invalid JSON {format_value(text)}: {reason}", _EXAMPLE)
        return None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")


def _unwrap(value: Any, notes: Notes) -> dict[str, Any] | None:
    if isinstance(value, Mapping) and value.get("type") == "FeatureCollection":
        features = value.get("features")
        if not isinstance(features, (list, tuple)) or len(features) != 1:
            count = (
                format_count(len(features), "feature")
                if isinstance(features, (list, tuple))
                else "no features"
            )
            notes.error(
                f"the FeatureCollection has {count}, expected 1", "save one annotation as a file of its own"
            )
            return None
        value = features[0]
    if isinstance(value, Mapping) and value.get("type") == "Feature":
        properties = value.get("properties")
        if isinstance(properties, Mapping) and properties.get("subType") == "Circle":
            notes.error("a Circle cannot be a region: its radius would be lost", "use a Polygon")
            return None
        value = value.get("geometry")
        if value is None:
            notes.error("the Feature has no geometry", "add 'geometry'")
            return None
    if isinstance(value, Mapping):
        return dict(value)
    notes.error(type_mismatch(value, "a geometry"), _EXAMPLE)
    return None
