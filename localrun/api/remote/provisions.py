"""The requests that set the inputs of a run, made from the files that localrun would write for a task."""

from __future__ import annotations

import json
import tempfile
import zipfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localrun.api.remote.client import AppEngineClient
from localrun.api.remote.connection import Reply
from localrun.descriptor import Descriptor
from localrun.descriptor.types import (
    Array,
    DataType,
    DateTime,
    Enumeration,
    File,
    Geometry,
    Image,
    Notes,
    String,
)
from localrun.errors import Problem
from localrun.manager.inputs import gather
from localrun.manager.request import Request
from localrun.values.layout import InputEntry, InputLayout, plan_inputs
from localrun.values.parsing import FileValue
from localrun.values.references import references_in
from localrun.values.urls import with_urls

_FILES = (File, Image)
_STRINGS = (String, Enumeration, DateTime, Geometry)


@dataclass(frozen=True)
class InputRequest:
    """One input, or one item of an array of files: a JSON value, or a file with its region."""

    name: str
    index: str | None = None
    value: Any = None
    content: bytes | Path | None = None
    region: bytes | None = None
    folder: tuple[InputEntry, ...] = ()  # the files of a whole-slide image, sent as a zip

    def send(self, client: AppEngineClient, run: str) -> Reply:
        """Send it to a run."""
        if self.folder:
            with _zipped(self) as path:
                return client.send_input(run, self.name, path, self.region, self.index)
        if self.content is not None:
            return client.send_input(run, self.name, self.content, self.region, self.index)
        return client.set_input(run, self.name, self.value, self.index)


@dataclass(frozen=True)
class GivenInputs:
    """The inputs of a request: what to send, localrun's problems by input, and notes."""

    provisions: tuple[InputRequest, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def given_inputs(request: Request, descriptor: Descriptor) -> GivenInputs:
    """Check the inputs of a request, and return what to send.

    An input that localrun rejects is sent as it was given. Raises `InputsError` if a file of values cannot be
    read.
    """
    gathered = gather(request, descriptor)
    notes = Notes("inputs")
    notes.problems += gathered.assigned.problems
    for place, source in references_in(with_urls(gathered.given, descriptor)).items():
        notes.child(place.replace("/", ".")).error(f"{source} is not sent to a server", "pass a file: @FILE")
    invalid = {*gathered.assigned.invalid, *map(input_of, notes.problems)}
    layout = plan_inputs(descriptor, gathered.given, notes, copy=False, invalid=invalid)
    rejected = {input_of(problem) for problem in notes.problems}
    unknown = rejected - descriptor.inputs.keys()
    raw = {**gathered.given, **_unparsed(request, descriptor, {*invalid, *unknown})}
    found: list[InputRequest] = []
    for name, parameter in descriptor.inputs.items():
        if name in rejected and name in raw:
            found += _as_given(name, parameter.type, raw[name])
        elif name not in rejected and layout.values.get(name) is not None:
            found += _Planned(layout, name).provisions(parameter.type, layout.values[name])
    found += (InputRequest(name, value=_plain(raw[name])) for name in sorted(unknown) if name in raw)
    defaults = (f"{text}, which is sent: App Engine applies no defaults" for text in layout.defaults_used)
    return GivenInputs(tuple(found), tuple(notes.problems), (*defaults, *gathered.warnings))


def _unparsed(request: Request, descriptor: Descriptor, names: Collection[str]) -> dict[str, Any]:
    """Return the values of `name=VALUE` that localrun could not parse, or of inputs that do not exist."""
    texts: dict[str, list[str]] = {}
    for pair in request.assignments:
        name, _, text = pair.partition("=")
        if name in names:
            texts.setdefault(name, []).append(text)
    kinds = {name: descriptor.inputs[name].type if name in descriptor.inputs else None for name in texts}
    return {name: _from_texts(kinds[name], found) for name, found in texts.items()}


def _from_texts(kind: DataType | None, texts: list[str]) -> Any:
    if not isinstance(kind, Array):
        return _from_text(kind, texts[-1])
    if len(texts) == 1 and texts[0].lstrip().startswith("["):
        return _from_text(None, texts[0])
    return [_from_text(kind.subtype, text) for text in texts]


def _from_text(kind: DataType | None, text: str) -> Any:
    """Return the JSON value of a text; the text itself for a type of strings, or if it is not JSON."""
    if text.startswith("@@"):
        return text[1:]
    if text.startswith("@"):
        return FileValue(Path(text[1:]).expanduser())
    if isinstance(kind, _STRINGS):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def input_of(problem: Problem) -> str:
    """Return the name of the input that a problem is about; empty if it is about none."""
    parts = problem.path.split(".")
    return parts[1].partition("/")[0] if len(parts) > 1 else ""


class _Planned:
    """The entries of one valid input."""

    def __init__(self, layout: InputLayout, name: str) -> None:
        self._name = name
        self._entries = {entry.target: entry for entry in layout.entries}

    def provisions(self, kind: DataType, value: Any) -> Iterator[InputRequest]:
        leaf = kind
        while isinstance(leaf, Array):
            leaf = leaf.subtype
        if not isinstance(leaf, _FILES):
            yield InputRequest(self._name, value=self._json(kind, self._name, value))
        elif isinstance(kind, Array) and not value:
            yield InputRequest(self._name, value=[])
        else:
            yield from self._files(kind, self._name, value, None)

    def _files(self, kind: DataType, target: str, value: Any, index: str | None) -> Iterator[InputRequest]:
        if isinstance(kind, Array):
            for number, item in enumerate(value):
                place = str(number) if index is None else f"{index}/{number}"
                yield from self._files(kind.subtype, f"{target}/{number}", item, place)
            return
        entry = self._entries[target]
        region = self._entries.get(f"{target}.geojson")
        inside = tuple(
            found
            for place, found in self._entries.items()
            if entry.kind == "folder" and place.startswith(f"{target}/") and found.kind != "folder"
        )
        content = None if inside else entry.content if entry.kind == "text" else entry.source
        yield InputRequest(
            self._name, index, content=content, region=region.content if region else None, folder=inside
        )

    def _json(self, kind: DataType, target: str, value: Any) -> Any:
        """Return a value in the JSON of App Engine: a geometry is a string, an item has its index."""
        if isinstance(kind, Array):
            items = enumerate(value)
            return [
                {"index": number, "value": self._json(kind.subtype, f"{target}/{number}", item)}
                for number, item in items
            ]
        if isinstance(kind, Geometry):
            entry = self._entries[target]
            content = entry.content if entry.kind == "text" else entry.source.read_bytes()
            return content.decode("utf-8", "replace")
        return value


def _as_given(name: str, kind: DataType, value: Any) -> Iterator[InputRequest]:
    """Yield an input that localrun rejects, as near to what was given as the API allows."""
    if isinstance(kind, Array) and isinstance(kind.subtype, _FILES) and isinstance(value, list):
        for number, item in enumerate(value):
            yield from (
                InputRequest(name, str(number), found.value, found.content, found.region)
                for found in _as_given(name, kind.subtype, item)
            )
        return
    if isinstance(kind, _FILES) and isinstance(value, Mapping) and "file" in value:
        value = value["file"]
    path = value.path if isinstance(value, FileValue) else value if isinstance(value, Path) else None
    if isinstance(kind, _FILES) and (path is not None or isinstance(value, str)):
        path = Path(value.removeprefix("@")) if path is None else path
        if path.is_file():
            yield InputRequest(name, content=path)
        return
    yield InputRequest(name, value=_plain(value))


def _plain(value: Any) -> Any:
    """Return a value as JSON; the content of a file as a string."""
    if isinstance(value, FileValue):
        value = value.path
    if isinstance(value, Path):
        return value.read_bytes().decode("utf-8", "replace") if value.is_file() else str(value)
    if isinstance(value, (list, tuple)):
        return [{"index": number, "value": _plain(item)} for number, item in enumerate(value)]
    if value is None or isinstance(value, (str, int, float, bool, Mapping)):
        return value
    return str(value)


@contextmanager
def _zipped(provision: InputRequest) -> Iterator[Path]:
    """Pack the files of a whole-slide image into a temporary zip."""
    prefix = provision.name if provision.index is None else f"{provision.name}/{provision.index}"
    with tempfile.TemporaryDirectory(prefix="localrun-") as folder:
        path = Path(folder) / "slide.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
            for entry in provision.folder:
                archive.write(entry.source, entry.target.removeprefix(f"{prefix}/"))
        yield path
