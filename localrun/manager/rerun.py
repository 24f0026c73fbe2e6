"""The request for what a task was, once more: the same bundle, inputs, limits and options."""

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
    """What to submit for the same again; `say` is told where it cannot be quite the same.

    `anew` names the inputs that will be given anew, `image` another image. `same_image` takes the very
    image and descriptor of the task, though its bundle has changed; a bundle that is gone is replaced by
    them when the engine `has_image`. Limits that were the descriptor's are left to it, as it is now.
    Raises `UsageError` for a task without a container, `BundleError` when neither bundle nor image are
    there, and `InputsError` with every input that is gone.
    """
    if record.kind == "manual":
        raise UsageError(
            f"the task {record.short_id} has no container: there is nothing to run again",
            remedy="submit it again to where it came from",
        )
    if record.run_plan.secret_names:
        raise UsageError(
            f"the task {record.short_id} had secrets ({', '.join(record.run_plan.secret_names)}),"
            " which are not kept",
            remedy="run its app again, with its secrets: `localrun run`",
        )
    described = _described(workspace)
    kept = {name: getattr(record.run_plan, name) for name in StoredOptions.__struct_fields__}
    origin = _origin(
        record, record.run_plan, workspace, notify, has_image, image=image, same_image=same_image
    )
    values = _Values(record, record.run_plan, workspace, notify).all(described, replaced)
    return Request(**{**kept, "detached": False, **_limits(record, described), **origin, "values": values})


def _described(workspace: Workspace) -> Descriptor:
    """The descriptor that the task ran with. Raises `BundleError` when the task's folder has lost it."""
    try:
        return descriptor.read(workspace.descriptor.read_bytes())
    except (OSError, DescriptorError) as error:
        raise BundleError(
            f"the descriptor of the task {workspace.short_id} cannot be read: {error}",
            remedy="run its bundle: `localrun run BUNDLE`",
        ) from error


def _origin(
    record: TaskRecord,
    plan: RunPlan,
    workspace: Workspace,
    say: Notify,
    has_image: Callable[[str], bool],
    *,
    image: str | None,
    same_image: bool,
) -> dict[str, Any]:
    """Where descriptor and image come from."""
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
        say(f"{plan.bundle} is gone: the image and the descriptor of the task {record.short_id} are used")
    return {**kept, "image": record.image, "pull": "never", "build_args": {}}


def _no_image(record: TaskRecord, plan: RunPlan, *, there: bool) -> BundleError:
    gone = "" if there or not plan.bundle else f"the bundle {plan.bundle} is gone, and "
    never = "the task never got as far as an image"
    lost = f"the engine does not have the image {record.image[:19]} any more"
    return BundleError(
        gone + (lost if record.image else never),
        remedy="leave --same-image out" if there else "put the bundle back to its place, and run this again",
        id=record.id,
    )


def _limits(record: TaskRecord, described: Descriptor) -> dict[str, Any]:
    """The limits that were asked for; those of the descriptor may have been corrected in it since."""
    asked, own = record.resources, described.resources
    pairs = {
        "cpus": (asked.cpus, own.cpus),
        "memory": (asked.memory, own.memory),
        "gpus": (asked.gpus, own.gpus),
        "network": (record.network, own.internet),
    }
    given = {name: value for name, (value, described_as) in pairs.items() if value != described_as}
    return {**given, "timeout": record.timeout}


class _Values:
    """The inputs of a task, files as they were when it ran, as far as that can be had."""

    def __init__(self, record: TaskRecord, plan: RunPlan, workspace: Workspace, say: Notify) -> None:
        self._record = record
        self._plan = plan
        self._workspace = workspace
        self._say = say
        self._mounted = {place for _, place in plan.mounts}
        self._problems: list[Problem] = []

    def all(self, described: Descriptor, anew: Collection[str]) -> dict[str, Any]:
        """Every input but those that are given `anew`. Raises `InputsError` with every file that is gone."""
        given = self._record.inputs or {**self._plan.values, **self._workspace.uploaded_files()}
        values = {name: value for name, value in given.items() if name not in anew}
        types = {name: parameter.type for name, parameter in described.inputs.items()}
        found = {name: self._value(types.get(name), name, value) for name, value in values.items()}
        if self._problems:
            raise InputsError(
                f"files that the task {self._record.short_id} read are gone",
                remedy="put them back, or give others",
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
            state = "has changed since" if changed else "is gone"
            self._say(f"{original} {state}: the copy of the task {self._record.short_id} is used")
            return copy
        if changed:
            self._say(f"{original} has changed since the task {self._record.short_id}")
            return original
        name = place.partition("/")[0]
        self._problems.append(Problem(f"inputs.{place}", f"{original} is gone", f"give it: -i {name}=@FILE"))
        return original

    def _changed(self, path: Path) -> bool | None:
        """Whether a file was written to since the task was submitted; None: it is gone."""
        try:
            status = path.stat()
        except OSError:
            return None
        return max(status.st_mtime, status.st_ctime) > self._record.created_at


def changed_since(before: TaskRecord, workspace: Workspace, after: TaskRecord) -> list[str]:
    """What is another one in a task that repeats the task `before`: `image`, `descriptor`."""
    found = ["image"] if before.image and after.image and before.image != after.image else []
    old, new = _text(workspace.descriptor), _text(Path(after.folder) / "descriptor.yml")
    return found if old is None or new is None or old == new else [*found, "descriptor"]


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return None
