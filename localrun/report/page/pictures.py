"""The images of a task in HTML: previews with their geometries drawn on them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from localrun.report.images.catalog import TaskCatalog
from localrun.report.images.features import collect_features
from localrun.report.page.budget import SizeBudget
from localrun.report.page.markup import Markup, join, tag
from localrun.undecodable import quote
from localrun.units import format_count
from localrun.values.rasters import display
from localrun.values.rasters.raster import Area, Part, Raster, UnreadableImage
from localrun.values.untrusted import UnsafePath

MAX_IMAGES = 40
_MAX_FRAMES = 8  # of an image
_MAX_VERTICES = 20_000  # on one image
_SIDE = 1024  # pixels of a preview
_MAX_PNG = 256 * 1024  # bytes of a preview without loss
# colors that people who are color-blind can tell apart (Okabe and Ito)
_COLORS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#d55e00", "#cc79a7", "#0072b2")

Feature = dict[str, Any]
Preview = tuple[str, tuple[int, int], list[str]]


def figures(catalog: TaskCatalog, budget: SizeBudget, *, side: int = _SIDE, most: int = MAX_IMAGES) -> Markup:
    """Return a figure for each image, as far as there is room for it."""
    places = list(catalog.images())
    for place in places[most:]:
        budget.omit(f"image {catalog.label(place)}: only the first {most} are shown")
    return join(*(one for place in places[:most] for one in _frames(catalog, place, budget, side)))


def _frames(catalog: TaskCatalog, place: str, budget: SizeBudget, side: int) -> Iterator[Markup]:
    """Yield a figure for each of the first frames of an image."""
    label = catalog.label(place)
    frame, frames = 0, 1
    while frame < min(frames, _MAX_FRAMES):
        try:
            raster = _open(catalog, place, frame)
            frames = raster.frames
            title = label if frames == 1 else f"{label}, frame {frame + 1} of {frames}"
            yield _figure(catalog, place, title, _preview(raster, budget, side), budget)
        except UnreadableImage as error:
            reason = f"{error}; {error.remedy}" if error.remedy else str(error)
            title = f"{label}, frame {frame + 1}" if frame else label
            budget.omit(f"image {title}: {reason}")
            yield tag("figure", tag("figcaption", tag("strong", title), f" {reason}"), class_="missing")
        frame += 1
    if frames > _MAX_FRAMES:
        budget.omit(f"image {label}: only the first {_MAX_FRAMES} of {frames} frames are shown")
        yield tag("p", f"{label}: {format_count(frames - _MAX_FRAMES, 'more frame')} of {frames}")


def _figure(catalog: TaskCatalog, place: str, label: str, preview: Preview, budget: SizeBudget) -> Markup:
    picture, (width, height), notes = preview
    overlay, legend, omitted = _overlay(catalog, place, budget, (width, height))
    notes += omitted
    shown = tag(
        "svg",
        tag("title", label),
        tag("image", href=picture, width=width, height=height),
        overlay,
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_label=label,
        style=f"width:100%;max-width:{max(width, 640)}px;image-rendering:{_rendering(width)}",
    )
    caption = join(tag("strong", label), f" {width} x {height} pixels", legend)
    remarks = [tag("small", note) for note in notes]
    return tag("figure", shown, tag("figcaption", caption, *remarks))


def _open(catalog: TaskCatalog, place: str, frame: int) -> Raster:
    """Open a frame of an image. Raises `UnreadableImage`."""
    try:
        found = catalog.files.find(place)
    except UnsafePath as error:
        raise UnreadableImage(str(error)) from error
    if found is None:
        raise UnreadableImage("its file is gone")
    return found.open_raster(Part(frame))


def _preview(raster: Raster, budget: SizeBudget, side: int) -> Preview:
    """Return an image as a data URL, its size in pixels, and notes on it. Raises `UnreadableImage`."""
    size = display.overview_size(raster.size, side)
    shown = display.find_range(raster)
    rendered = display.render(raster, Area(0, 0, *raster.size), size, shown)
    data, media = display.encode(rendered, is_lossy=raster.is_lossy)
    if len(data) > _MAX_PNG:
        data, media = display.encode(rendered, is_lossy=True)
    notes = list(raster.notes)
    if shown is not None:
        notes.append(f"values from {shown.low:g} (black) to {shown.high:g} (white)")
    if size != raster.size:
        notes.append(f"scaled down to {size[0]} x {size[1]}")
    url = f"data:{media};base64,{base64.b64encode(data).decode()}"
    if not budget.take(len(url)):
        raise UnreadableImage("left out: the report is full")
    return url, raster.size, notes


def _overlay(
    catalog: TaskCatalog, place: str, budget: SizeBudget, size: tuple[int, int]
) -> tuple[Markup, Markup, list[str]]:
    """Return the geometries of an image, their legend, and notes on what is left out."""
    found = collect_features(catalog, place, max_vertices=_MAX_VERTICES)
    by_parameter: dict[str, list[Feature]] = {}
    for feature in found["features"]:
        by_parameter.setdefault(feature["properties"]["parameter"], []).append(feature)
    drawn, legend, notes = [], [], []
    for number, (parameter, features) in enumerate(by_parameter.items()):
        color = _COLORS[number % len(_COLORS)]
        shapes = tag(
            "g",
            *(_shape(one, size) for one in features),
            stroke=color,
            fill=color,
            fill_opacity=0.15,
            stroke_width=_number(max(size) / 512),
        )
        name = parameter.replace("/", ".")
        if not budget.allow(len(shapes), f"geometries {name} on {catalog.label(place)}"):
            continue
        drawn.append(shapes)
        swatch = tag("span", "■", style=f"color:{color}", aria_hidden="true")
        legend.append(join(" ", swatch, f" {name} ({len(features)})"))
    omitted = found["omitted"]
    for reason in omitted["reasons"]:
        notes.append(f"not drawn: {reason}")
        budget.omit(f"geometries on {catalog.label(place)}: {reason}")
    if omitted["vertices"]:
        notes.append(f"simplified: {omitted['vertices']} vertices are left out")
    return join(*drawn), join(*legend), notes


def _shape(feature: Feature, size: tuple[int, int]) -> Markup:
    """Return a geometry in pixels of the image, with its index and values on hover."""
    properties, geometry = feature["properties"], feature["geometry"]
    values = [f"{key} = {value}" for key, value in properties["values"].items()]
    title = tag("title", "\n".join([properties["label"], *values]))
    kind, coordinates = geometry["type"], geometry["coordinates"]
    if kind in ("Point", "MultiPoint"):
        points = [coordinates] if kind == "Point" else coordinates
        radius = properties.get("radius") or max(1.0, max(size) / 250)
        circles = [tag("circle", cx=_number(x), cy=_number(y), r=_number(radius)) for x, y in points]
        return tag("g", title, *circles)
    is_area = kind.endswith("Polygon")
    data = "".join(_line(line, closed=is_area) for line in _lines(kind, coordinates))
    return tag("path", title, d=data, fill=None if is_area else "none", fill_rule="evenodd")


def _lines(kind: str, coordinates: Any) -> Iterator[list[list[float]]]:
    if kind == "LineString":
        yield coordinates
    elif kind in ("MultiLineString", "Polygon"):
        yield from coordinates
    else:
        for polygon in coordinates:
            yield from polygon


def _rendering(width: int) -> str:
    """Return how to scale an image: a small one is enlarged without blur."""
    return "pixelated" if width < 320 else "auto"


def _line(line: list[list[float]], *, closed: bool) -> str:
    points = line[:-1] if closed and len(line) > 1 else line
    return "M" + "L".join(f"{_number(x)} {_number(y)}" for x, y in points) + ("Z" if closed else "")


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def geometry_text(value: Any) -> str:
    """Return a geometry on one line."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=quote)
