"""View the images of a task and the geometries that belong to them."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from localrun.report.images import features
from localrun.report.images.catalog import TaskCatalog
from localrun.report.images.task_files import FoundFile, TaskFiles
from localrun.report.page.document import make_report
from localrun.server import file_response, schemas
from localrun.server.image_cache import ImageCache, OpenImage, View
from localrun.server.rejection import Rejection
from localrun.server.responses import SAFE_HEADERS, json_response
from localrun.server.routes.base import StrictRoute, responses
from localrun.server.routes.files import check_ended, get_output
from localrun.server.routes.tasks import TaskId
from localrun.server.state import ServerState, get_state
from localrun.task.record import TaskRecord
from localrun.values.rasters import display
from localrun.values.rasters.display import TILE, ValueRange
from localrun.values.rasters.raster import Area, NoSuchPart, Part, Raster, UnreadableImage
from localrun.values.untrusted import UnsafePath

router = APIRouter(route_class=StrictRoute, tags=["images"])

_MAX_LISTED = 500  # images of a task
_PURGE = 30.0  # seconds between two searches for images that are not used any more

Section = Annotated[
    Literal["inputs", "outputs", "crops"],
    Path(description="`crops` are the whole images that cropped inputs were cut from."),
]
Name = Annotated[
    str, Path(description="The parameter, and the index of an item: `image`, `images/0`.", max_length=200)
]


class PartQuery(BaseModel):
    """The frame or page of an image, and one of its channels instead of the colors. Both count from 0."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    frame: Annotated[int, Query(ge=0, le=1_000_000)] = 0
    channel: Annotated[int | None, Query(ge=0, le=10_000)] = None

    @property
    def part(self) -> Part:
        return Part(self.frame, self.channel)


class Shown(PartQuery):
    """The values to show as black and white, instead of those that the image suggests."""

    low: float | None = None
    high: float | None = None


class PreviewQuery(Shown):
    """`max`: the pixels of the longer side."""

    max: Annotated[int, Query(ge=16, le=4096)] = 1024


class TileQuery(Shown):
    """The level, and the column and row of a tile in it, from the top left."""

    level: Annotated[int, Query(ge=0, le=32)]
    x: Annotated[int, Query(ge=0)]
    y: Annotated[int, Query(ge=0)]


class GeometryQuery(BaseModel):
    """Which geometries to return, and in which coordinates."""

    model_config = ConfigDict(extra="forbid")

    image: Annotated[str | None, Query(max_length=200, description="e.g. `inputs/image`")] = None
    parameter: Annotated[list[str], Query(description="e.g. `outputs/outlines`")] = []
    y: Annotated[Literal["up", "down"], Query(description="where y grows to")] = "down"


@router.get(
    "/task/{task_id}/images",
    summary="List the images of a task",
    responses=responses(schemas.TaskImages, 404),
)
async def list_images(request: Request, task_id: TaskId) -> Response:
    """Return the images among the inputs and outputs, and which geometries belong to them."""
    state = get_state(request)
    record = state.get_record(task_id)
    return json_response(await anyio.to_thread.run_sync(partial(_listing, state, record)))


@router.get(
    "/task/{task_id}/geometries",
    summary="Get the geometries of a task",
    responses=responses(schemas.Geometries, 404, 415),
)
async def get_geometries(
    request: Request, task_id: TaskId, query: Annotated[GeometryQuery, Query()]
) -> Response:
    """Return geometries as one GeoJSON FeatureCollection, in pixels of an image.

    App Engine counts y upwards from the lower left corner of the image, as `y=up` does. With `y=down`, y is
    counted from the top, as the rows of an image.
    """
    state = get_state(request)
    record = state.get_record(task_id)

    def collect() -> dict[str, Any]:
        catalog = _catalog(state, record)
        if query.image is not None and query.image not in set(catalog.images()):
            raise _no_image(record, query.image)
        return features.collect_features(catalog, query.image, query.parameter, query.y)

    return json_response(await state.images.run(collect))


@router.get(
    "/task/{task_id}/{section}/{name:path}/image",
    summary="Describe an image",
    responses=responses(schemas.ImageDescription, 404, 409, 415, 501),
)
async def describe_image(
    request: Request, task_id: TaskId, section: Section, name: Name, query: Annotated[PartQuery, Query()]
) -> Response:
    """Return the size of an image, the levels that it can be viewed at, and its geometries."""
    state = get_state(request)
    record = state.get_record(task_id)
    found = await _find(state, record, section, name, "image")
    if found is None:
        return await get_output(request, task_id, f"{name}/image")
    opened = await _open(state, found, query.part)
    return json_response(await anyio.to_thread.run_sync(_description, state, record, (section, name), opened))


@router.get(
    "/task/{task_id}/{section}/{name:path}/preview",
    summary="Get a small version of an image",
    responses=responses(None, 404, 409, 415, 501, media="image/png"),
)
async def get_preview(
    request: Request, task_id: TaskId, section: Section, name: Name, query: Annotated[PreviewQuery, Query()]
) -> Response:
    """Return a whole image in PNG or JPEG, scaled down to `max` pixels per side if it is larger."""
    state = get_state(request)
    found = await _find(state, state.get_record(task_id), section, name, "preview")
    if found is None:
        return await get_output(request, task_id, f"{name}/preview")
    opened = await _open(state, found, query.part)
    size = display.overview_size(opened.raster.size, query.max)
    whole = Area(0, 0, *opened.raster.size)
    return await _view(request, found, View(query.part, whole, size, _range(opened, query)))


@router.get(
    "/task/{task_id}/{section}/{name:path}/tile",
    summary="Get a tile of an image",
    responses=responses(None, 404, 409, 415, 501, media="image/png"),
)
async def get_tile(
    request: Request, task_id: TaskId, section: Section, name: Name, query: Annotated[TileQuery, Query()]
) -> Response:
    """Return a part of an image, of 512 x 512 pixels or less at its right and lower edge."""
    state = get_state(request)
    found = await _find(state, state.get_record(task_id), section, name, "tile")
    if found is None:
        return await get_output(request, task_id, f"{name}/tile")
    opened = await _open(state, found, query.part)
    level = opened.levels[query.level] if query.level < len(opened.levels) else None
    if level is None or query.x >= level.columns or query.y >= level.rows:
        detail = f"The image has no tile {query.x}, {query.y} at level {query.level}"
        raise Rejection(404, detail, "GET the same path with /image lists the levels")
    area = level.area(query.x, query.y, opened.raster.size)
    size = level.tile_size(query.x, query.y)
    return await _view(request, found, View(query.part, area, size, _range(opened, query)))


@router.get(
    "/task/{task_id}/report",
    summary="Download a task as one HTML file",
    responses=responses(None, 404, media="text/html"),
)
async def get_report(request: Request, task_id: TaskId) -> Response:
    """Return the task as a file without scripts, as `localrun report` writes it."""
    state = get_state(request)
    record = state.get_record(task_id)

    def report() -> str:
        workspace = state.app.store.open(record.id)
        return make_report(record, workspace, state.app.replicas(record)).html

    html = await state.images.run(report)
    headers = file_response.download_headers(f"task-{record.short_id}.html")
    return Response(html, headers=headers, media_type="text/html")


async def _find(
    state: ServerState, record: TaskRecord, section: Section, name: str, view: str
) -> FoundFile | None:
    """Return the file of an image; None if an output has the name of the view itself.

    Raises `Rejection` if there is no such image.
    """
    if section == "outputs":
        check_ended(record)
    files = TaskFiles(record, state.app.store.open(record.id))

    def find() -> FoundFile | None:
        if section == "outputs" and files.find(f"outputs/{name}/{view}") is not None:
            return None
        found = files.find(f"{section}/{name}")
        if found is None:
            raise _no_image(record, f"{section}/{name}")
        return found

    try:
        return await anyio.to_thread.run_sync(find)
    except UnsafePath as error:
        raise Rejection(404, f"{section}/{name} of task {record.id} is not shown: {error}") from error


async def _open(state: ServerState, found: FoundFile, part: Part) -> OpenImage:
    cache = state.images
    try:
        opened = await cache.run(partial(cache.open, found, part))
    except NoSuchPart as error:
        raise Rejection(404, _sentence(error), "GET the same path with /image describes the image") from error
    except UnreadableImage as error:
        raise _unreadable(error) from error
    _schedule_purge(cache)
    return opened


def _schedule_purge(cache: ImageCache) -> None:
    """Close images that are not used any more, later."""

    def purge() -> None:
        if cache.close_idle():
            asyncio.get_running_loop().call_later(_PURGE, purge)
        else:
            cache.is_purged = False

    if not cache.is_purged:
        cache.is_purged = True
        asyncio.get_running_loop().call_later(_PURGE, purge)


async def _view(request: Request, found: FoundFile, view: View) -> Response:
    tag = f'"{view.tag(found.identity)}"'
    headers = {**SAFE_HEADERS, "ETag": tag, "Cache-Control": "private, no-cache"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(None, 304, headers)
    cache = get_state(request).images
    try:
        data, media = await cache.run(partial(cache.render, found, view))
    except UnreadableImage as error:
        raise _unreadable(error) from error
    return Response(data, 200, headers, media_type=media)


def _range(opened: OpenImage, query: Shown) -> ValueRange | None:
    if query.low is None and query.high is None:
        return opened.shown
    before = opened.shown or ValueRange(0, 255, "data")
    low = before.low if query.low is None else query.low
    return ValueRange(low, before.high if query.high is None else query.high, "request")


def _unreadable(error: UnreadableImage) -> Rejection:
    return Rejection(501 if error.needs_package else 415, _sentence(error), error.remedy)


def _sentence(error: UnreadableImage) -> str:
    text = str(error)
    return text[:1].upper() + text[1:]


def _no_image(record: TaskRecord, place: str) -> Rejection:
    hint = f"GET /task/{record.id}/images lists the images"
    return Rejection(404, f"Task {record.id} has no image {place[:200]!r}", hint)


def _catalog(state: ServerState, record: TaskRecord) -> TaskCatalog:
    return TaskCatalog.of(record, state.app.store.open(record.id))


def _listing(state: ServerState, record: TaskRecord) -> dict[str, Any]:
    catalog = _catalog(state, record)
    places = list(catalog.images())
    geometries: dict[str, dict[str, Any]] = {}
    for item in catalog.geometries():
        found = geometries.setdefault(item.parameter, {"parameter": item.parameter, "count": 0, "images": []})
        found["count"] += 1
        if item.image is not None and item.image not in found["images"]:
            found["images"].append(item.image)
    return {
        "task_id": record.id,
        "images": [_entry(catalog, place) for place in places[:_MAX_LISTED]],
        "geometries": list(geometries.values()),
        "omitted": max(0, len(places) - _MAX_LISTED),
    }


def _entry(catalog: TaskCatalog, place: str) -> dict[str, Any]:
    size = catalog.size(place)
    url = f"/task/{catalog.record.id}/{place}"
    fields: dict[str, Any] = {"place": place, "label": catalog.label(place), "url": url}
    return fields | {"width": size[0] if size else None, "height": size[1] if size else None}


def _description(
    state: ServerState, record: TaskRecord, place: tuple[str, str], opened: OpenImage
) -> dict[str, Any]:
    raster: Raster = opened.raster
    catalog, where = _catalog(state, record), "/".join(place)
    counts: dict[str, dict[str, Any]] = {}
    for item in catalog.geometries():
        if features.belongs(catalog, item, where):
            offset = list(features.transform_to(catalog, item, where))
            found = {"parameter": item.parameter, "count": 0, "offset": offset}
            counts.setdefault(item.parameter, found)["count"] += 1
    shown = opened.shown
    notes = list(raster.notes)
    if opened.levels[-1].columns > 1 or opened.levels[-1].rows > 1:
        notes.append("the whole image is too large to be shown at once; it has no lower resolutions")
    return {
        "place": where,
        "label": catalog.label(where),
        "format": raster.format,
        "width": raster.size[0],
        "height": raster.size[1],
        "channels": raster.channels,
        "bits": raster.bits,
        "color": raster.color,
        "frames": raster.frames,
        "pyramid": [list(layer.size) for layer in raster.layers],
        "tile_size": TILE,
        "levels": [
            {"level": one.level, "scale": one.scale, "width": one.width, "height": one.height}
            | {"columns": one.columns, "rows": one.rows}
            for one in opened.levels
        ],
        "range": None if shown is None else {"low": shown.low, "high": shown.high, "from": shown.source},
        "notes": notes,
        "geometries": list(counts.values()),
    }
