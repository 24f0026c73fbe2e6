"""Provision the inputs of a run that has not started, in the order of App Engine's checks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localrun.descriptor.types import Array, DataType, File, Geometry, Image
from localrun.errors import InputsError
from localrun.server.appengine.errors import (
    BUNDLE,
    AppEngineError,
    batch_error,
    invalid_state,
    null_pointer,
    parameter,
    parameter_not_found,
    server_error,
    value_error,
)
from localrun.server.appengine.parameter_values import find_name
from localrun.server.appengine.provisioning.bodies import Provision, read_item, read_provision
from localrun.server.appengine.provisioning.contents import (
    Content,
    check_file,
    content_of,
    has_all_inner_sizes,
    has_bare_list,
    has_both_sizes,
    is_collection,
)
from localrun.server.appengine.provisioning.images import has_folders
from localrun.server.appengine.provisioning.indexes import is_beyond_size, item_kind
from localrun.server.appengine.provisioning.input_store import InputStore
from localrun.server.appengine.provisioning.invalid_value import DIMENSIONS, WRONG_TYPE, InvalidValue
from localrun.server.appengine.service import AppEngine
from localrun.units import format_count
from localrun.values.coordinates.links import innermost
from localrun.values.input_folder import REGION

_FILES = (File, Image)
_MAX_SHOWN = 200  # characters of a value for display


class _Storing:
    """A change of an input, and how it is shown afterwards."""

    def __init__(self, store: InputStore) -> None:
        self.store = store
        self.shown: Any = None


class Provisioner:
    """The provisioning of one run. Its methods block.

    A run that was started gets a new localrun task, with its former inputs. `deviate` is called with the row
    of each deviation from App Engine. Raises `AppEngineError` if there is no such run, or it was deleted.
    """

    def __init__(self, service: AppEngine, run_id: str, deviate: Callable[[str], None]) -> None:
        run = service.get_run(run_id)
        if run.deleted is not None:
            deviate("provision_deleted")
            raise invalid_state()
        self._service = service
        self._deviate = deviate
        self._inputs = service.task_of(run).descriptor.inputs
        self.run_id = run.id

    @contextmanager
    def _storing(self, name: str, place: str = "") -> Iterator[_Storing]:
        """Yield the store of the run's inputs for a change of an input, which is noted afterwards.

        `place` is that of an item, such as `images/0`.
        """
        prepared = self._service.reopen(self.run_id)
        with prepared.guard:
            if self._service.held(self._service.get_run(self.run_id)) is not prepared:
                raise invalid_state()  # it was started in the meantime
            limit = self._service.app.settings.disk_stop
            store = InputStore(prepared.task.workspace, prepared.descriptor, limit)
            found = _Storing(store)
            yield found
            record = prepared.task.record
            received = {**record.received, name: found.shown}
            self._service.manager.held.note(record.id, store.missing(), received)
            prepared.task.emit("note", f"received input {place or name}", received=name)

    # -- whole inputs ----------------------------------------------------------------------------

    def put_value(self, address: str, body: Any) -> dict[str, Any]:
        """Set the input of an address to the value in a body; return the answer."""
        found = read_provision(body)
        name, content = self._content(found, address)
        if find_name(self._inputs, address) is None:
            raise null_pointer()
        return self._put(name, found, content)

    def put_values(self, bodies: list[Any]) -> list[dict[str, Any]]:
        """Set several inputs, or none if one of them is invalid; return the answers in the same order."""
        checked, refused = [], []
        for body in bodies:
            try:
                found = read_provision(body)
                checked.append((*self._content(found, found.name), found))
            except AppEngineError as error:
                if error.status_code >= 500 or error.code == BUNDLE:  # not of one value
                    raise
                refused.append(_of_batch(error, body))
        if refused:
            raise batch_error(refused)
        return [self._put(name, found, content) for name, content, found in checked]

    def _content(self, found: Provision, address: str) -> tuple[str, Content]:
        name = find_name(self._inputs, found.name)
        if name is None:
            raise parameter_not_found(address)
        kind = self._inputs[name].type
        try:
            content = content_of(kind, found.value, self._find_file, optional=self._inputs[name].optional)
        except InvalidValue as error:
            if error.code == DIMENSIONS and isinstance(kind, Array) and not has_both_sizes(kind):
                self._deviate("array_one_size")
            raise error.error(address) from error
        if name != found.name:
            self._deviate("provision_name")
        if not has_all_inner_sizes(kind):
            self._deviate("array_bounds")
        if has_bare_list(found.value):
            self._deviate("array_bare_list")
        elif is_collection(kind, found.value):
            self._deviate("array_geojson")
        return name, content

    def _put(self, name: str, found: Provision, content: Content) -> dict[str, Any]:
        kind = self._inputs[name].type
        with self._storing(name) as storing:
            if isinstance(kind, Array):
                self._note_repeated(storing.store, name, [])
            storing.store.put(name, content)
            storing.shown = _shown(kind, found.value)
        value = {} if isinstance(kind, _FILES) else {"value": found.value}
        return {"parameterName": found.name, **value, "taskRunId": self.run_id}

    def put_file(self, address: str, path: Path, region: Path | None) -> dict[str, Any]:
        """Set the input of an address to an uploaded file, and a region next to it; return the answer."""
        name = find_name(self._inputs, address)
        if name is None:
            raise parameter_not_found(address)
        try:
            unpack = self._check_file(self._inputs[name].type, path)
            size = path.stat().st_size
            with self._storing(name) as storing:
                if region is None and storing.store.has(f"{name}{REGION}"):
                    self._deviate("region_replaced")
                storing.store.put_file(name, path, region, unpack=unpack)
                storing.shown = {"file": name, "size": size}
        except InvalidValue as error:
            self._deviate("refused_file")
            raise error.error(address) from error
        if name != address:
            self._deviate("provision_name")
        return {"parameterName": address, "taskRunId": self.run_id}

    def _check_file(self, kind: DataType, path: Path) -> bool:
        """Check an uploaded file; return whether it is a slide to unpack. Raises `InvalidValue`."""
        if not isinstance(kind, _FILES):
            content_of(kind, path, self._find_file)  # raises: only file types take a file
        unpack = check_file(kind, path)
        if unpack and has_folders(path):
            self._deviate("slide_folders")
        return unpack

    # -- items of arrays -------------------------------------------------------------------------

    def put_item(self, address: str, indexes: list[str], body: Any) -> dict[str, Any]:
        """Set an item of an array to the value in a body; return the answer."""
        value = read_item(body)
        name, kind = self._item(address, indexes)
        if isinstance(value, list) and is_beyond_size(self._inputs[name].type, indexes):
            raise server_error(f"invalid index [{'/'.join(indexes)}]")
        try:
            content = content_of(kind, value, self._find_file)
        except InvalidValue as error:
            raise server_error(f"{address}: {error.message}") from error
        if isinstance(value, str) and not _is_json(value):
            self._deviate("item_text")
        with self._storing(name, "/".join((name, *indexes))) as storing:
            self._note_repeated(storing.store, name, indexes)
            storing.store.put_item(name, indexes, content)
            storing.shown = _items(storing.store.count(name))
        shown = {} if isinstance(kind, (*_FILES, Geometry)) else {"value": value}
        return {"index": "/".join((address, *indexes)), **shown, "taskRunId": self.run_id}

    def put_item_file(self, address: str, indexes: list[str], path: Path) -> dict[str, Any]:
        """Set an item of an array to an uploaded file; return the answer."""
        name, kind = self._item(address, indexes)
        if not isinstance(kind, _FILES):
            raise server_error(f"{address}: an item of type {kind.id} is not a file")
        try:
            unpack = self._check_file(kind, path)
            with self._storing(name, "/".join((name, *indexes))) as storing:
                self._note_repeated(storing.store, name, indexes)
                storing.store.put_item_file(name, indexes, path, unpack=unpack)
                storing.shown = _items(storing.store.count(name))
        except InvalidValue as error:
            raise server_error(f"{address}: {error.message}") from error
        return {"index": "/".join((address, *indexes)), "taskRunId": self.run_id}

    def _item(self, address: str, indexes: list[str]) -> tuple[str, DataType]:
        name = find_name(self._inputs, address)
        if name is None:
            raise parameter_not_found(address)
        kind = self._inputs[name].type
        if not isinstance(kind, Array):
            raise value_error(address, WRONG_TYPE)
        if innermost(kind).id != "image" and not has_both_sizes(kind):
            self._deviate("array_bounds")
        found = item_kind(kind, indexes)
        if found is None:
            raise server_error(f"{address}: {'/'.join(indexes)} is nested too deep")
        return name, found

    def _note_repeated(self, store: InputStore, name: str, indexes: list[str]) -> None:
        if store.has("/".join((name, *indexes))):
            self._deviate("array_size")

    def _find_file(self, text: str) -> Path:
        """Return a file of this machine that clients may name."""
        if not text.startswith("/"):
            raise InvalidValue(WRONG_TYPE)
        try:
            path = self._service.find_file(text)
        except InputsError:
            self._deviate("file_path")
            raise InvalidValue(WRONG_TYPE) from None
        if not path.is_file():
            raise InvalidValue(WRONG_TYPE)
        return path


def _of_batch(error: AppEngineError, body: Any) -> AppEngineError:
    """Return the error of one provision of a batch, which always has details."""
    name = body.get("parameterName") if isinstance(body, dict) else None
    details = parameter(str(name)) if error.status_code == 403 else error.details
    return AppEngineError(400, error.code, error.message, details)


def _shown(kind: DataType, value: Any) -> Any:
    """Return a value for display. Only null is shown as null."""
    if isinstance(kind, Array):
        return _items(len(value)) if isinstance(value, list) else "items"
    return f"{value[:_MAX_SHOWN]}..." if isinstance(value, str) and len(value) > _MAX_SHOWN else value


def _items(count: int) -> str:
    return format_count(count, "item")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
