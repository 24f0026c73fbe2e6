"""Rerun: build a request with the bundle, inputs, limits and options of an earlier task."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from localrun import descriptor
from localrun.descriptor import Descriptor
from localrun.descriptor.types import Array, DataType, File, Geometry, Image
from localrun.errors import BundleError, DescriptorError, InputsError, Problem, UsageError
from localrun.manager.request import Request
from localrun.task.record import RunPlan, StoredOptions, TaskRecord
from localrun.task.workspace import Workspace

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
    `InputsError` with every missing input file.
    """
    if record.kind == "manual":
        raise UsageError(
            f"task {record.short_id} has no container and cannot be rerun",
            remedy="submit it again",
        )
    if record.run_plan.secret_names:
        raise UsageError(
            f"task {record.short_id} had secrets, which are not stored:"
            f" {', '.join(record.run_plan.secret_names)}",
            remedy="run its app again with its secrets: `localrun run`",
        )
    described = _described(workspace)
    kept = {name: getattr(record.run_plan, name) for name in StoredOptions.__struct_fields__}
    origin = _origin(
        record, record.run_plan, workspace, notify, has_image, image=image, same_image=same_image
    )
    values = _Values(record, record.run_plan, workspace, notify).all(described, replaced)
    return Request(**{**kept, "detached": False, **_limits(record, described), **origin, "values": values})


def _described(workspace: Workspace) -> Descriptor:
    """Return the descriptor of the task. Raises `BundleError` if it cannot be read."""
    try:
        return descriptor.read(workspace.descriptor.read_bytes())
    except (OSError, DescriptorError) as error:
        raise BundleError(
            f"cannot read the descriptor of task {workspace.short_id}: {error}",
            remedy="run its bundle: `localrun run BUNDLE`",
        ) from error


def _origin(
    record: TaskRecord,
    plan: RunPlan,
    workspace: Workspace,
    notify: Notify,
    has_image: Callable[[str], bool],
    *,
    image: str | None,
    same_image: bool,
) -> dict[str, Any]:
    """Return the fields of the request for the descriptor and the image."""
    other = {"image": image} if image else {}
    there = bool(plan.bundle) and Path(plan.bundle).exists()
    if there and not same_image:
        own = {"descriptor": workspace.descriptor.read_bytes()} if plan.profile == "iexec" else {}
        return {"bundle": Path(plan.bundle), **own, **other}
    kept: dict[str, Any] = {"bundle": Path(), "descriptor": workspace.descriptor.read_bytes()}
    if other or (not plan.bundle and not same_image):
        return {**kept, **other}
    if not record.image or not has_image(record.image):
        raise _no_image(record, plan, there=there)
    if not there:
        notify(f"{plan.bundle} is gone: using the image and the descriptor of task {record.short_id}")
    return {**kept, "image": record.image, "pull": "never", "build_args": {}}


def _no_image(record: TaskRecord, plan: RunPlan, *, there: bool) -> BundleError:
    gone = "" if there or not plan.bundle else f"bundle {plan.bundle} is gone, and "
    never = "the task ended before it had an image"
    lost = f"the engine no longer has the image {record.image[:19]}"
    return BundleError(
        gone + (lost if record.image else never),
        remedy="run this without --same-image" if there else "put the bundle back, and run this again",
        id=record.id,
    )


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


class _Values:
    """The inputs of a task, with files as they were when it ran, if available."""

    def __init__(self, record: TaskRecord, plan: RunPlan, workspace: Workspace, notify: Notify) -> None:
        self._record = record
        self._plan = plan
        self._workspace = workspace
        self._notify = notify
        self._mounted = {place for _, place in plan.mounts}
        self._problems: list[Problem] = []

    def all(self, described: Descriptor, replaced: Collection[str]) -> dict[str, Any]:
        """Return all inputs except the `replaced` ones. Raises `InputsError` with every missing file."""
        given = self._record.inputs or {**self._plan.values, **self._workspace.uploaded_files()}
        values = {name: value for name, value in given.items() if name not in replaced}
        types = {name: parameter.type for name, parameter in described.inputs.items()}
        found = {name: self._value(types.get(name), name, value) for name, value in values.items()}
        if self._problems:
            raise InputsError(
                f"input files of task {self._record.short_id} are missing",
                remedy="restore the files, or pass new ones with -i",
                problems=self._problems,
            )
        return found

    def _value(self, kind: DataType | None, place: str, value: Any) -> Any:
        if isinstance(kind, Array) and isinstance(value, list):
            return [self._value(kind.subtype, f"{place}/{index}", item) for index, item in enumerate(value)]
        if isinstance(kind, _FILES) and isinstance(value, str) and value.startswith("/"):
            return self._file(place, Path(value))
        return value

    def _file(self, place: str, original: Path) -> Path:
        copy = self._workspace.inputs / place
        changed = self._changed(original)
        if changed is False:
            return original
        if place not in self._mounted and copy.exists() and not (changed and self._plan.writable_inputs):
            state = "has changed" if changed else "is gone"
            self._notify(f"{original} {state}: using the copy of task {self._record.short_id}")
            return copy
        if changed:
            self._notify(f"{original} has changed since task {self._record.short_id}")
            return original
        name = place.partition("/")[0]
        self._problems.append(Problem(f"inputs.{place}", f"{original} is gone", f"pass it: -i {name}=@FILE"))
        return original

    def _changed(self, path: Path) -> bool | None:
        """Whether a file has changed since the task was submitted; None if it is gone."""
        try:
            status = path.stat()
        except OSError:
            return None
        return max(status.st_mtime, status.st_ctime) > self._record.created_at


def changed_since(before: TaskRecord, workspace: Workspace, after: TaskRecord) -> list[str]:
    """Return which parts differ in a rerun of the task `before`: `image`, `descriptor`."""
    found = ["image"] if before.image and after.image and before.image != after.image else []
    old, new = _text(workspace.descriptor), _text(Path(after.folder) / "descriptor.yml")
    return found if old is None or new is None or old == new else [*found, "descriptor"]


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return None
