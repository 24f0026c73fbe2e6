"""Rerun: build a request with the bundle, inputs, limits and options of an earlier task."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from localrun import descriptor, fs
from localrun.descriptor import Descriptor
from localrun.descriptor.types import Array, DataType, File, Geometry, Image
from localrun.errors import BundleError, DescriptorError, InputsError, Problem, UsageError
from localrun.manager.inputs import override
from localrun.manager.request import Request
from localrun.task import metadata
from localrun.task.record import BUILD_OPTIONS, StoredOptions, TaskRecord
from localrun.task.states import TaskState
from localrun.task.workspace import Workspace
from localrun.values.references import TaskOutput, parameter_of

Notify = Callable[[str], None]

_FILES = (File, Image, Geometry)


def request_from(
    record: TaskRecord,
    workspace: Workspace,
    notify: Notify,
    *,
    replaced: Collection[str] = (),
    has_image: Callable[[str], bool],
    image: str | None = None,
    same_image: bool = False,
) -> Request:
    """Return the request to run a task again; `notify` is called where it differs from the original.

    `replaced` names inputs that the caller replaces, `image` another image. `same_image` reuses the image
    and the descriptor of the task although its bundle has changed. They are also used if the bundle is gone
    and the engine `has_image`. Limits that came from the descriptor are taken from its current version.
    Raises `UsageError` for a manual task, `BundleError` if bundle and image are both gone, and
    `InputsError` with every input file that is missing, or was mounted and has changed.
    """
    if record.kind == "manual":
        message = f"task {record.short_id} has no container and cannot be rerun"
        raise UsageError(message, remedy="submit it again")
    plan = record.run_plan
    if plan.secret_names:
        names = ", ".join(plan.secret_names)
        raise UsageError(
            f"task {record.short_id} had secrets, which are not stored: {names}",
            remedy="run its app again with its secrets: `localrun run`",
        )
    rerun = _Rerun(record, workspace, notify)
    described = rerun.descriptor()
    kept = {name: getattr(plan, name) for name in StoredOptions.__struct_fields__}
    origin = rerun.origin(has_image, image, same_image)
    values = rerun.values(described, replaced)
    return Request(
        **{
            **kept,
            "detached": False,
            **_limits(record, described),
            **origin,
            "values": values,
            "metadata": metadata.load(workspace),
            "rerun_of": record.id,
        }
    )


def with_changes(found: Request, options: Mapping[str, Any], values: Mapping[str, Any]) -> Request:
    """Return a request with other options and inputs. Build arguments and metadata are replaced by key."""
    changes = {"agree": None if "replicas" in options else found.agree, **options}
    for name in ("build_args", "build_contexts", "metadata"):
        changes[name] = {**getattr(found, name), **changes.get(name, {})}
    return found.replace(values=override(found.values, values), **changes)


def failed_tasks(records: Iterable[TaskRecord]) -> list[TaskRecord]:
    """Return the tasks that failed and were not run again since, oldest first. `records` are newest first."""
    repeated: set[str] = set()
    found = []
    for record in records:
        repeated.add(record.rerun_of)
        if record.state is TaskState.FAILED and record.kind != "manual" and record.id not in repeated:
            found.append(record)
    return found[::-1]


def _limits(record: TaskRecord, described: Descriptor) -> dict[str, Any]:
    """Return the limits that differ from the descriptor's: only these were requested by the user."""
    used, defaults = record.resources, described.resources
    pairs = {
        "cpus": (used.cpus, defaults.cpus),
        "memory": (used.memory, defaults.memory),
        "gpus": (used.gpus, defaults.gpus),
        "network": (record.network, defaults.internet),
    }
    requested = {name: value for name, (value, default) in pairs.items() if value != default}
    return {**requested, "timeout": record.timeout}


class _Rerun:
    """What is left of an earlier task, with files as they were when it ran, if available."""

    def __init__(self, record: TaskRecord, workspace: Workspace, notify: Notify) -> None:
        self._record = record
        self._plan = record.run_plan
        self._workspace = workspace
        self._notify = notify
        self._mounted = {place: Path(source) for source, place in self._plan.mounts}
        self._problems: list[Problem] = []

    def descriptor(self) -> Descriptor:
        """Return the descriptor of the task. Raises `BundleError` if it cannot be read."""
        try:
            return descriptor.read(fs.read_regular(self._workspace.descriptor))
        except (OSError, DescriptorError) as error:
            raise BundleError(
                f"cannot read the descriptor of task {self._record.short_id}: {error}",
                remedy="run its bundle: `localrun run BUNDLE`",
            ) from error

    def origin(self, has_image: Callable[[str], bool], image: str | None, same_image: bool) -> dict[str, Any]:
        """Return the fields of the request for the descriptor and the image."""
        record, bundle = self._record, self._plan.bundle
        text = fs.read_regular(self._workspace.descriptor)
        other = {"image": image} if image else {}
        exists = bool(bundle) and Path(bundle).exists()
        if exists and not same_image:
            own = {"descriptor": text} if self._plan.profile == "iexec" else {}
            return {"bundle": Path(bundle), **own, **other}
        kept: dict[str, Any] = {"bundle": Path(), "descriptor": text}
        if other or (not bundle and not same_image):
            return {**kept, **other}
        if not record.image or not has_image(record.image):
            gone = "" if exists or not bundle else f"bundle {bundle} is gone, and "
            never = "the task ended before it had an image"
            lost = f"the engine no longer has the image {record.image[:19]}"
            remedy = "put the bundle back, and run this again"
            if exists:
                remedy = f"use its bundle: `localrun rerun {record.short_id}` or `localrun shell {bundle}`"
            raise BundleError(gone + (lost if record.image else never), remedy=remedy, id=record.id)
        if not exists:
            self._notify(f"{bundle} is gone: using the image and the descriptor of task {record.short_id}")
        unset = {name: getattr(StoredOptions(), name) for name in BUILD_OPTIONS}
        return {**kept, **unset, "image": record.image, "pull": "never"}

    def values(self, described: Descriptor, replaced: Collection[str]) -> dict[str, Any]:
        """Return all inputs except the `replaced` ones. Raises `InputsError`."""
        inputs, waiting = self._record.inputs, set(map(parameter_of, self._record.sources))
        stored = {**self._plan.values, **self._workspace.uploaded_files()}
        if inputs:  # else it has waited for some of them to its end
            names = {name for name in stored if parameter_of(name) in waiting - inputs.keys()}
            stored = {name: value for name, value in stored.items() if name in names}
        given = {**stored, **inputs}
        values = {name: value for name, value in given.items() if name not in replaced}
        types = {name: parameter.type for name, parameter in described.inputs.items()}
        found = {name: self._value(types.get(name), name, value) for name, value in values.items()}
        found = {name: self._with_region(types.get(name), name, value) for name, value in found.items()}
        if self._problems:
            raise InputsError(
                f"input files of task {self._record.short_id} are missing or have changed",
                remedy="restore the files, or pass the files to use with -i",
                problems=self._problems,
            )
        return found

    def _value(self, kind: DataType | None, place: str, value: Any) -> Any:
        source = self._record.sources.get(place)
        if source is not None and source.task and self._workspace.path.with_name(source.task).is_dir():
            return TaskOutput(source.task, source.output)
        if isinstance(kind, Array) and isinstance(value, list):
            return [self._value(kind.subtype, f"{place}/{index}", item) for index, item in enumerate(value)]
        if isinstance(kind, _FILES) and isinstance(value, str) and value.startswith("/"):
            return self._file(place, Path(value))
        return value

    def _with_region(self, kind: DataType | None, place: str, value: Any) -> Any:
        """Return images with their regions, and those that were cropped with the annotation."""
        if isinstance(kind, Array) and isinstance(value, list):
            return [
                self._with_region(kind.subtype, f"{place}/{index}", item) for index, item in enumerate(value)
            ]
        region, crop = self._record.regions.get(place), self._record.crops.get(place)
        if region is None or not isinstance(kind, Image):
            return value
        if crop is None:
            return {"file": value, "region": region}
        if value == Path(crop.file) or isinstance(value, TaskOutput):
            return {"file": value, "crop": crop.geometry}
        # the whole image is gone: the task's copy is the crop
        return {"file": value, "region": region, "cropped": crop}

    def _file(self, place: str, original: Path) -> Path:
        if place in self._mounted:
            return self._mounted_file(place, original)
        copy = self._workspace.inputs / place
        if original == copy and copy.exists():  # a held task
            return copy
        changed = self._changed(original)
        if changed is False:
            return original
        if copy.exists() and not (changed and self._plan.writable_inputs):
            state = "has changed" if changed else "is gone"
            self._notify(f"{original} {state}: using the copy of task {self._record.short_id}")
            return copy
        if changed:
            self._notify(f"{original} has changed since task {self._record.short_id}")
            return original
        self._refuse(place, f"{original} is gone", Path("FILE"))
        return original

    def _mounted_file(self, place: str, original: Path) -> Path:
        """Return a file that was mounted. One that has changed is not an input of the task."""
        source, state = self._mounted[place], self._plan.mount_states.get(place)
        try:
            if state is not None:
                change = state.change_of(source)
            else:  # a task of an older version
                change = "it was modified after that" if self._changed(source) else ""
            if not change and not original.samefile(source):
                change = f"it was {source}"
        except OSError:
            self._refuse(place, f"{original} is gone", Path("FILE"))
            return original
        if change:
            submitted = f"since task {self._record.short_id} was submitted"
            self._refuse(place, f"{original} has changed {submitted}: {change}", original)
        return original

    def _refuse(self, place: str, message: str, file: Path) -> None:
        remedy = f"pass it: -i {place.partition('/')[0]}=@{file}"
        self._problems.append(Problem(f"inputs.{place}", message, remedy))

    def _changed(self, path: Path) -> bool | None:
        """Whether a file has changed since the task was submitted; None if it is gone."""
        try:
            status = path.stat()
        except OSError:
            return None
        return max(status.st_mtime, status.st_ctime) > self._record.created


def changed_since(before: TaskRecord, workspace: Workspace, after: TaskRecord) -> list[str]:
    """Return which parts differ in a rerun of the task `before`: `image`, `descriptor`."""
    found = ["image"] if before.image and after.image and before.image != after.image else []
    files = workspace.descriptor, Path(after.folder, "descriptor.yml")
    with suppress(OSError):
        old, new = (file.read_text("utf-8", "replace") for file in files)
        if old != new:
            found.append("descriptor")
    return found
