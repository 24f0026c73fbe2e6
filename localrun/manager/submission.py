"""Submission: turn a request into a task that is ready to run."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import msgspec

from localrun import descriptor as descriptors
from localrun import fs, values
from localrun.bundle import reader
from localrun.bundle.images.source import ImageReference, ImageSource
from localrun.bundle.reader import Bundle
from localrun.descriptor import Descriptor
from localrun.errors import Problem, UsageError
from localrun.manager.inputs import gather, missing_inputs
from localrun.manager.request import Request
from localrun.masking import store as secrets
from localrun.masking.masker import MASK
from localrun.masking.redaction import Redactor
from localrun.settings import Settings
from localrun.task import metadata
from localrun.task.active import ActiveTask
from localrun.task.bind_mounts import check_mounts, deviations
from localrun.task.events import Listener
from localrun.task.lock import TaskLock
from localrun.task.process import current_process
from localrun.task.record import BUILD_OPTIONS, Resources, RunPlan, StoredOptions, TaskRecord
from localrun.task.states import TaskState
from localrun.task.store import TaskStore
from localrun.task.workspace import Workspace
from localrun.values import Assignments

DeferSignals = Callable[[], AbstractContextManager[object]]


class PreparedTask(msgspec.Struct, frozen=True):
    """A task with everything that it needs to run, except for its `missing` inputs.

    Their copies may fill the disk up to `disk_limit` percent.
    """

    task: ActiveTask
    descriptor: Descriptor
    source: ImageSource
    lock: TaskLock
    missing: tuple[str, ...] = ()
    disk_limit: float = 100.0
    guard: threading.Lock = msgspec.field(default_factory=threading.Lock)  # held while an input is stored


def read_requested(request: Request, cache: Path) -> Bundle:
    """Return the bundle of a request, of an image with a descriptor, or of an iExec app.

    Raises `BundleError`, `DescriptorError` or `ImageError`.
    """
    path, image = request.bundle, request.image
    if request.descriptor is None:
        return reader.read_bundle(path, image=image, cache=cache, build=request.build)
    described = descriptors.read(request.descriptor, "task")
    if image is None:
        source = reader.read_image(path, cache=cache, build=request.build)
        return reader.bundle_from_image(described, path, source, request.build)
    return reader.bundle_from_image(described, None, ImageReference(image), request.build)


class Submitter:
    """Validates requests and creates their tasks."""

    def __init__(self, store: TaskStore, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    def prepare(
        self,
        request: Request,
        listeners: Sequence[Listener],
        *,
        task_id: str | None = None,
        defer_signals: DeferSignals = nullcontext,
        check: Callable[[ActiveTask], None],
    ) -> PreparedTask:
        """Validate the request, create its task, and write its inputs; `check` may refuse the task.

        `defer_signals` returns a context in which no signal handler may raise.
        Raises `BundleError`, `DescriptorError`, `ImageError`, `InputsError` or `UsageError` with all
        problems. Leaves nothing behind after an exception.
        """
        started = time.perf_counter()
        agree = _check_quorum(request)
        metadata.check(request.metadata)
        bundle = read_requested(request, self._settings.cache)
        described = bundle.descriptor
        check_mounts(request.bind_mounts, described.input_folder, described.output_folder)
        gathered = gather(request, bundle.descriptor)
        given, assigned = gathered.given, gathered.assigned
        read = time.perf_counter() - started
        workspace, lock = None, None
        try:
            with defer_signals():
                workspace = self._store.create(task_id)
                lock = self._store.acquire(workspace.id, new=True)
            assert lock is not None
            workspace.create_dirs(bundle.descriptor.source)
            secrets.save(workspace.secrets, request.secrets)
            if request.metadata:
                metadata.save(workspace, request.metadata)
            plan = _plan(request, agree, bundle, self._settings.pids_limit, given)
            task = ActiveTask(_record(request, bundle, workspace, plan), workspace, listeners)
            task.record_timing("bundle", read)
            task.create()
            given |= _download(request, task)
            missing = missing_inputs(bundle.descriptor, given) if request.wait_for_inputs else ()
            changed = deviations(request.bind_mounts)
            warnings = (*bundle.warnings, *request.warnings, *gathered.warnings, *changed)
            if request.held:
                task.warn_once(warnings)
                inputs = bundle.descriptor.inputs.values()
                task.update(missing=[each.name for each in inputs if not each.optional])
                task.save()
            elif missing:
                note_received(task, values.check(bundle.descriptor, given, missing, assigned))
            else:
                limit = self._settings.disk_stop
                provision(task, bundle.descriptor, given, warnings, assigned, disk_limit=limit)
            check(task)
        except BaseException:
            if workspace is not None:
                self._store.remove(workspace, lock)
            raise
        return PreparedTask(task, bundle.descriptor, bundle.image, lock, missing, self._settings.disk_stop)

    def reload(self, task: ActiveTask, lock: TaskLock) -> PreparedTask:
        """Prepare a task of an earlier process again. Raises as `prepare`."""
        plan = task.record.run_plan
        text = (
            fs.read_regular(task.workspace.descriptor) if plan.profile == "iexec" or not plan.bundle else None
        )
        kept = {name: getattr(plan, name) for name in (*BUILD_OPTIONS, "bind_mounts")}
        request = Request(Path(plan.bundle), image=plan.image, descriptor=text, **kept)
        bundle = read_requested(request, self._settings.cache)
        given = received_values(task)
        missing = missing_inputs(bundle.descriptor, given) if task.record.state is TaskState.CREATED else ()
        return PreparedTask(task, bundle.descriptor, bundle.image, lock, missing, self._settings.disk_stop)


def _download(request: Request, task: ActiveTask) -> dict[str, Any]:
    """Download the inputs that are URLs. Raises `InputsError`."""
    if not request.downloads:
        return {}
    from localrun.platforms.iexec import download

    for name, (url, digest) in request.downloads.items():
        task.emit("note", f"downloading {url}")
        with fs.wrap_os_errors(task.workspace.path):
            task.workspace.save_upload(name, download.fetch(url, digest))
    return dict(task.workspace.uploaded_files())


def received_values(task: ActiveTask) -> dict[str, Any]:
    """Return the inputs of a task that waits for more: the submitted and the uploaded ones."""
    plan = task.record.run_plan
    return {**plan.values, **task.workspace.uploaded_files()}


def note_received(task: ActiveTask, found: Mapping[str, Any]) -> None:
    """Note the inputs that a waiting task has, for display: files by name and size, without secrets."""
    received = {name: _shown(value) for name, value in found.items()}
    task.update(received=Redactor().redact(task.masker.mask_json(received)))


def _shown(value: Any) -> Any:
    if isinstance(value, list):
        return [_shown(item) for item in value]
    if not isinstance(value, str) or not value.startswith("/"):
        return value
    try:
        return {"file": os.path.basename(value), "size": os.stat(value).st_size}  # noqa: PTH116, PTH119
    except (OSError, ValueError):  # a string that is not a path
        return value


def _check_quorum(request: Request) -> int:
    if (request.replicas, request.agree) == (1, None):
        return 1
    from localrun.manager import consensus

    try:
        return consensus.check_quorum(request.replicas, request.agree)
    except ValueError as error:
        problems = [Problem("replicas", str(error))]
        remedy = "correct the number of replicas"
        raise UsageError("invalid replicas", remedy=remedy, problems=problems) from error


def provision(
    task: ActiveTask,
    descriptor: Descriptor,
    given: Mapping[str, Any],
    warnings: Sequence[str] = (),
    assigned: Assignments | None = None,
    *,
    disk_limit: float = 100.0,
) -> None:
    """Write all inputs and enter PROVISIONED. Raises `InputsError` and changes nothing then."""
    plan = task.record.run_plan
    found = values.provision(
        descriptor,
        given,
        task.workspace.inputs,
        copy=plan.writable_inputs or plan.copy_inputs,
        disk_limit=disk_limit,
        check_cancelled=task.check_cancelled,
        assignments=assigned,
    )
    for note in found.notes:
        task.emit("note", note)
    for warning in (*warnings, *found.warnings):
        task.warn(warning)
    mounts = [(str(source), place) for source, place in found.mounts]
    task.transition(
        TaskState.PROVISIONED,
        inputs=found.values,
        missing=[],
        received={},
        regions=found.regions,
        crops=found.crops,
        plan=plan.replace(mounts=mounts, mount_states=found.states),
    )


def _record(request: Request, bundle: Bundle, workspace: Workspace, plan: RunPlan) -> TaskRecord:
    defaults = bundle.descriptor.resources
    return TaskRecord(
        id=workspace.id,
        bundle=bundle.name,
        name=bundle.descriptor.name,
        image_name=bundle.image_name,
        resources=Resources(
            cpus=_or_default(request.cpus, defaults.cpus),
            memory=_or_default(request.memory, defaults.memory),
            gpus=_or_default(request.gpus, defaults.gpus),
        ),
        network=_or_default(request.network, defaults.internet),
        timeout=request.timeout,
        owner=current_process(),
        plan=plan,
        rerun_of=request.rerun_of,
        batch=request.batch,
        assigned_by=request.assigned_by,
        submitted=dict(request.submitted) if request.submitted is not None else None,
        folder=str(workspace.path),
    )


def _or_default(value: Any, default: Any) -> Any:
    return default if value is None else value


def _plan(request: Request, agree: int, bundle: Bundle, pids: int, given: Mapping[str, Any]) -> RunPlan:
    # only a task that may wait for more inputs needs them later
    stored = msgspec.to_builtins(given, enc_hook=str) if request.wait_for_inputs else {}
    options = {name: getattr(request, name) for name in StoredOptions.__struct_fields__}
    options["build_secret_ids"] = sorted(
        {*request.build_secret_ids, *(secret.id for secret in request.build_secrets)}
    )
    options["environment"] = {**request.environment, **dict.fromkeys(request.secrets, MASK)}
    return RunPlan(
        **options | {"agree": agree},
        bundle=str(bundle.path.absolute()) if bundle.path else "",
        input_folder=bundle.descriptor.input_folder,
        output_folder=bundle.descriptor.output_folder,
        pids=pids,
        secret_names=list(request.secrets),
        held=request.held,
        values=stored,
    )
