"""What the client sends: the bundle, the image, and the inputs of rows, by the digest of their content."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from localrun import fs
from localrun.app import App
from localrun.batch.cluster.orders import SentFile, SentFolder, Work, machine, replace_files
from localrun.batch.identity import image_identity
from localrun.batch.rows import Row
from localrun.bundle.images.ensure import ensure_image
from localrun.bundle.images.source import ImageArchive
from localrun.bundle.reader import Bundle
from localrun.copying import DiskLimit
from localrun.descriptor import Descriptor
from localrun.descriptor.types import Array, Notes, holds_files
from localrun.engines.base import Progress, Warn, no_progress, no_warning
from localrun.errors import InputsError, Problem
from localrun.manager.inputs import GatheredInputs
from localrun.manager.provisioning import TaskInputs
from localrun.manager.request import Request
from localrun.settings.model import NO_DEFAULTS
from localrun.task.record import BUILD_OPTIONS, StoredOptions
from localrun.values.input_folder import read_items
from localrun.values.parsing import FileValue, expand_path, raise_problems
from localrun.values.references import TaskOutput, references_in
from localrun.values.region_names import parse_region_name
from localrun.values.regions import path_in
from localrun.values.reuse.digests import digests_in
from localrun.values.urls import is_url

_GEOMETRIES = ("region", "crop")  # keys of the object of an image


class Supply:
    """Prepares the work of rows for the nodes. Thread-safe.

    `request` has the bundle, the options, and the inputs that all rows share.
    """

    def __init__(
        self, app: App, request: Request, progress: Progress = no_progress, warn: Warn = no_warning
    ) -> None:
        self._app = app
        self._request = request
        self._progress, self._warn = progress, warn
        self._lock = threading.Lock()
        self._inputs = TaskInputs(app.store, app.settings)
        self._digests = digests_in(app.settings.cache)
        self._image = ""  # its id on the engine of the client
        self._archive: SentFile | None = None  # a copy of that image
        self._file: SentFile | None = None  # of the bundle, which contains the image
        self._descriptor: Descriptor | None = None

    def prepare(self, bundle: Bundle, check_cancelled: Callable[[], None] = lambda: None) -> str:
        """Build or pull the image of a bundle without one, and return what identifies its content.

        Called before any other method. Raises `ImageError` or `EngineError`.
        """
        self._descriptor = bundle.descriptor
        if isinstance(bundle.image, ImageArchive):
            self._file = self.sent_file(bundle.image.span.path)
        else:
            self._image = self._build(bundle, check_cancelled)
        return image_identity(bundle.image, self._app.settings.cache) or self._image

    def _build(self, bundle: Bundle, check_cancelled: Callable[[], None]) -> str:
        settings = self._app.settings
        request = self._request
        return ensure_image(
            bundle.image,
            self._app.engine,
            cache=settings.cache,
            pull=request.pull,
            platform=request.platform,
            progress=self._progress,
            check_cancelled=check_cancelled,
            warn=self._warn,
        ).id

    def gather(self, row: Row) -> GatheredInputs:
        """Return the inputs of a row, as given. Raises `InputsError`."""
        assert self._descriptor is not None
        found = self._inputs.gather(row.request(self._request), self._descriptor)
        raise_problems(found.assigned.problems)
        return found

    def needs(self, found: GatheredInputs) -> set[str]:
        """Return the tasks that have to end before their outputs can be sent."""
        waiting = references_in(self._inputs.outputs.resolve(found.given).waiting).values()
        return {each.task for each in waiting if isinstance(each, TaskOutput)}

    def work(self, row: Row, found: GatheredInputs) -> Work:
        """Return the work of a row, whose needs have ended. Raises `InputsError` or `DependencyFailed`."""
        descriptor = self._descriptor
        assert descriptor is not None
        request = row.request(self._request)
        resolved = self._inputs.outputs.resolve(found.given, final=True)
        given = {
            name: replace_files(_expanded(name, value, descriptor), self._sent)
            for name, value in resolved.values.items()
        }
        plain = StoredOptions()
        sent = request.replace(
            **{name: getattr(plain, name) for name in BUILD_OPTIONS},
            build_secrets=(),
            descriptor=descriptor.source,
            values=given,
            inputs_folder=None,
            assignments=(),
            default_inputs=NO_DEFAULTS,
            find_file=None,
            warnings=(*request.warnings, *found.warnings),
            detached=False,
            reuse="no",  # the results are here
            image=None,
        )
        return Work(sent, self._file or self._archive, self._image, resolved.sources)

    def _sent(self, value: Any) -> Any:
        if not isinstance(value, Path):
            return value
        return self.sent_folder(value) if value.is_dir() else self.sent_file(value)

    def sent_folder(self, path: Path) -> SentFolder:
        files = {}
        for folder, _, names in os.walk(path):
            for name in names:
                place = Path(folder, name)
                files[place.relative_to(path).as_posix()] = self.sent_file(place)
        listing = "".join(f"{name}\0{sent.digest}\0" for name, sent in sorted(files.items()))
        digest = hashlib.sha256(listing.encode(errors="surrogateescape")).hexdigest()
        return SentFolder(os.path.abspath(path), files, digest)  # noqa: PTH100 - keeps links

    def sent_file(self, path: Path) -> SentFile:
        """Return a file with its digest, which is remembered. Raises `InputsError`."""
        place = os.path.abspath(path)  # noqa: PTH100 - keeps links
        try:
            digest, state = self._digests.find(place)
        except OSError as error:
            problem = Problem(str(path), f"cannot read: {error.strerror}", "check the path")
            raise InputsError("cannot read an input", problems=[problem]) from error
        return SentFile(place, state.size, digest.removeprefix("0x"), machine(), state)

    def archive(self) -> SentFile:
        """Return a copy of the image of the client's engine as a file, which is made once.

        Raises `ImageError`, or `LocalrunError` with cause DISK_FULL.
        """
        with self._lock:
            if self._archive is None:
                folder = fs.temp_path(str(self._app.settings.home / "image"))
                path = Path(folder, f"{self._image.rpartition(':')[2]}.tar")
                self._save(path)
                self._archive = self.sent_file(path)
            return self._archive

    def _save(self, path: Path) -> None:
        limit = DiskLimit(self._app.settings.disk_stop)
        with fs.wrap_os_errors(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            with fs.atomic_file(path) as temp, temp.open("wb") as stream:
                done = 0
                for chunk in self._app.engine.save_image(self._image):
                    limit.use(stream.fileno(), len(chunk))
                    stream.write(chunk)
                    done += len(chunk)
                    self._progress("copying the image for other machines", done, None)

    def close(self) -> None:
        """Delete the copy of the image."""
        if self._archive is not None:
            fs.remove(Path(self._archive.path).parent)


def _expanded(name: str, value: Any, descriptor: Descriptor) -> Any:
    """Return a value with every file of the client in it as a path."""
    parameter = descriptor.inputs.get(name)
    if parameter is None:
        is_region = parse_region_name(name) is not None
        return _geometry(value) if is_region else value
    if (
        isinstance(parameter.type, Array)
        and isinstance(value, FileValue | Path)
        and holds_files(parameter.type)
    ):
        path = value if isinstance(value, Path) else value.path
        notes = Notes(f"inputs.{name}")
        items = read_items(parameter.type, path, notes)
        raise_problems(notes.problems)
        return value if items is None else items
    return _with_geometries(value) if holds_files(parameter.type) else value


def _with_geometries(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_with_geometries(item) for item in value]
    if isinstance(value, Mapping):
        return {
            key: _geometry(item) if key in _GEOMETRIES else _with_geometries(item)
            for key, item in value.items()
        }
    return value


def _geometry(value: Any) -> Any:
    is_path = isinstance(value, str) and path_in(value) is not None and not is_url(value)
    return FileValue(expand_path(value)) if is_path else value
