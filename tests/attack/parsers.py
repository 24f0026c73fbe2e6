"""The parsers of untrusted input: valid files for each, and what it may raise."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from localrun import descriptor, units
from localrun.bundle.images.archive import inspect
from localrun.bundle.images.compressed import FileSpan
from localrun.bundle.images.source import ArchivedImage
from localrun.bundle.reader import read_bundle
from localrun.bundle.validation.layers import UnreadableLayer, read_layers
from localrun.bundle.validation.validator import validate
from localrun.descriptor.types import Image, Notes
from localrun.descriptor.types.geometry import Geometry
from localrun.engines.base import Engine
from localrun.engines.context.patterns import InvalidPattern, Patterns, parse_lines
from localrun.engines.dockerd.builders.features import classic_warnings
from localrun.engines.dockerfile import Dockerfile, arguments
from localrun.errors import EngineUnreachable, LocalrunError
from localrun.manager import export
from localrun.masking import store as secret_store
from localrun.report.images.features import parts_of
from localrun.server.journal import reader
from localrun.task import log, metadata
from localrun.task.record import TaskRecord
from localrun.task.workspace import Workspace
from localrun.values.collection import read_array_size
from localrun.values.image_headers.checks import check_image
from localrun.values.parsing import load_values
from localrun.values.rasters import display
from localrun.values.rasters.opening import open_file
from localrun.values.rasters.raster import Area, UnreadableImage
from tests.support.archives import nested, oci_image, oci_layout, old_save
from tests.support.bundles import DESCRIPTOR, bundle, image, layer_of
from tests.support.image_files import dicom, jpeg, png, slide, tiff
from tests.support.images import tar_of
from tests.support.rasters import gradient, save_dicom, save_slide, tiff_bytes

Parse = Callable[[bytes, Path], object]


@dataclass(frozen=True)
class Parser:
    """`parse` gets the data and an empty folder; it may raise `errors` only."""

    parse: Parse
    seeds: tuple[bytes, ...]
    errors: tuple[type[Exception], ...] = (LocalrunError,)


def _file(name: str, parse: Callable[[Path], object]) -> Parse:
    """Return a parser of a file with this name."""

    def write(data: bytes, folder: Path) -> object:
        path = folder / name
        path.write_bytes(data)
        return parse(path)

    return write


def _no_engine() -> Engine:
    raise EngineUnreachable("there is no engine")


def _bundle(path: Path) -> object:
    found = validate(path, cache=path.parent / "cache", engine=_no_engine).as_dict()
    read_bundle(path, cache=path.parent / "cache")
    return found


def _layers(path: Path) -> object:
    found = ArchivedImage("sha256:0", "linux", "amd64", "", "c", ("a.tar", "b.tar"), 0)
    files = read_layers(FileSpan(path, 0, path.stat().st_size), found)
    return [files.find(name) for name in ("/bin/run", "/a/b", "/etc/passwd")], files.has_entries("/a")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _dockerfile(data: bytes, _: Path) -> object:
    parsed = Dockerfile(_text(data))
    return arguments(parsed, {}), classic_warnings(parsed, "Dockerfile", target="", given=set())


def _ignores(data: bytes, _: Path) -> object:
    patterns = Patterns(parse_lines(_text(data)))
    return [patterns.excludes(path) for path in ("a/b/c", "a" * 255, "a/" * 30, "x/.git/config")]


def _geometry(data: bytes, _: Path) -> object:
    return Geometry().parse(data.decode("utf-8", "replace"), Notes("x"))


def _image(data: bytes, _: Path) -> object:
    notes = Notes("x")
    check_image(Image(), io.BytesIO(data), len(data), notes)
    return notes.problems


def _pixels(path: Path) -> object:
    raster = open_file(lambda: path.open("rb"))
    display.levels_of(raster)
    shown = display.find_range(raster)
    return display.render(raster, Area(0, 0, *raster.size), display.overview_size(raster.size, 64), shown)


def _features(data: bytes, _: Path) -> object:
    return list(parts_of(json.loads(data)))


def _units(data: bytes, _: Path) -> object:
    return [parse(_text(data)) for parse in (units.parse_bytes, units.parse_duration)]


def _record(folder: Path) -> object:
    return Workspace(folder.parent).load_or_none()


def _events(path: Path) -> object:
    return list(Workspace(path.parent).read_events())


def _log(data: bytes, folder: Path) -> object:
    (folder / "log").write_bytes(b"one\ntwo\nthree\n")
    (folder / "log.streams").write_bytes(data)
    return log.tail_by_stream(folder / "log", 100)


def _journal(data: bytes, _: Path) -> object:
    return list(reader._matching(data.splitlines(), reader.Filter(task_id="a")))


def _archives() -> tuple[bytes, ...]:
    layouts = (
        oci_layout(oci_image()),
        oci_layout(nested(oci_image(), oci_image(architecture="arm64"))),
        old_save(),
    )
    plain = [tar_of(layout) for layout in layouts]
    pax = io.BytesIO()
    with tarfile.open(fileobj=pax, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in old_save().items():
            info = tarfile.TarInfo(name)
            info.size, info.pax_headers = len(data), {"mtime": "1.5", "size": str(len(data)), "comment": "é"}
            archive.addfile(info, io.BytesIO(data))
    return (*plain, pax.getvalue(), gzip.compress(plain[0], mtime=0))


_POLYGON = [[[0, 0], [0, 9.5], [9, 9], [0, 0]], [[1, 2], [1, 3], [2, 3], [1, 2]]]
_GEOMETRIES = (
    {"type": "Polygon", "coordinates": _POLYGON},
    {"type": "MultiPolygon", "coordinates": [_POLYGON]},
    {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [1, 2]},
        "properties": {"subType": "Circle", "radius": 3},
    },
)
_RECORD = TaskRecord(id="abc", bundle="b.zip", message="x").as_dict()
_EVENT = {"kind": "state", "task_id": "a", "when": 1.5, "message": "x", "data": {"state": "RUNNING"}}
_LINE = {"event_type": "task_created", "data": {"task_id": "abc"}, "timestamp": "2024-01-01T00:00:00Z"}
_DOCKERFILE = b"""# syntax=docker/dockerfile:1
ARG V=3.12
FROM --platform=linux/amd64 python:${V:-3} AS one
RUN --mount=type=cache,target=/a <<EOF
x
EOF
FROM one
COPY --from=one /a \\
  /b
"""


def _pictures(folder: Path) -> tuple[bytes, ...]:
    """Return images with pixels of every format."""
    deep = gradient(40, 30, dtype="u2")
    tiffs = [
        tiff_bytes([gradient(90, 70), gradient(45, 35)], tile=32, packing=packing)
        for packing in ("none", "lzw", "jpeg", "jpeg2000")
    ]
    tiffs += [tiff_bytes(deep, predictor=2, order=">", tile=16), tiff_bytes(deep, planar=True, strips=True)]
    dicoms = [save_dicom(folder / "one.dcm", deep[..., 0])]
    dicoms += save_slide(folder / "slide", gradient(90, 70), tile=32, levels=1, sparse=True).iterdir()
    return (png(), *tiffs, *(path.read_bytes() for path in dicoms))


def _json(*values: object) -> bytes:
    return b"\n".join(json.dumps(value).encode() for value in values)


def make_parsers(folder: Path) -> dict[str, Parser]:
    """Return all parsers; `folder` is for files that the seeds are made from."""
    layers = tar_of(
        {
            "a.tar": layer_of({"bin/run": b"x", "a/b/c": b"y"}),
            "b.tar": gzip.compress(layer_of({"a/.wh.b": b""}), mtime=0),
        }
    )
    values = (b'{"a": 1, "b": [1.5, "@x"], "c": {"file": "@a"}}', b'[{"index": 0, "value": 1}]')
    return {
        "descriptor": Parser(lambda data, _: descriptor.read(data), (DESCRIPTOR.encode(),)),
        "bundle zip": Parser(_file("bundle.zip", _bundle), (bundle(folder, image()).read_bytes(),)),
        "image archive": Parser(
            _file("a.tar", lambda path: inspect(FileSpan(path, 0, path.stat().st_size), "a.tar")), _archives()
        ),
        "image layers": Parser(_file("a.tar", _layers), (layers,), (UnreadableLayer,)),
        "Dockerfile": Parser(_dockerfile, (_DOCKERFILE,)),
        ".dockerignore": Parser(_ignores, (b"*\n!a/b\n**/c*[a-z]?\n# x\n\\*d\n",), (InvalidPattern,)),
        "values as JSON": Parser(_file("values.json", load_values), values),
        "values as YAML": Parser(
            _file("values.yml", load_values), (b"a: 1\nb: [1, 2]\nc: {file: '@a'}\nd: &x 0x1F\n",)
        ),
        "geometry": Parser(_geometry, tuple(_json(one) for one in _GEOMETRIES)),
        "array.yml": Parser(lambda data, _: read_array_size(data), (b"size: 3\n",)),
        "image header": Parser(_image, (png(), jpeg(), tiff(), dicom(), slide())),
        "image pixels": Parser(_file("image", _pixels), _pictures(folder), (UnreadableImage,)),
        "GeoJSON": Parser(_features, tuple(_json(one) for one in _GEOMETRIES), (ValueError, RecursionError)),
        "sizes and durations": Parser(_units, (b"15", b"90"), (ValueError,)),
        "task.json": Parser(_file("task.json", _record), (_json(_RECORD),)),
        "task record": Parser(
            lambda data, _: TaskRecord.from_json(data), (_json(_RECORD),), (ValueError, RecursionError)
        ),
        "events.jsonl": Parser(_file("events.jsonl", _events), (_json(_EVENT, _EVENT),)),
        "metadata": Parser(
            _file("metadata.json", lambda path: metadata.load(Workspace(path.parent))), (b'{"a": "b"}',)
        ),
        "secrets": Parser(_file("secrets", secret_store.load), (b'{"a": "b"}',)),
        "export": Parser(_file("tasks.jsonl", export.read), (_json(_RECORD, _RECORD),)),
        "journal": Parser(_journal, (_json(_LINE, _LINE),)),
        "log positions": Parser(_log, (b"0 stdout\n4 stderr\n8 stdout\n",)),
    }
