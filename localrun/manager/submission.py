"""ReadRequest: turn a request into a task that is ready to run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from localrun import descriptor as descriptors
from localrun import fs, values
from localrun.bundle import reader
from localrun.bundle.images.source import ImageReference, ImageSource
from localrun.bundle.reader import Bundle
from localrun.copying import DiskLimit
from localrun.descriptor import Descriptor
from localrun.engines.base import Engine
from localrun.errors import Problem, UsageError
from localrun.manager.downloading import download_urls
from localrun.manager.inputs import GatheredInputs, missing_inputs
from localrun.manager.provisioning import InputPlan, TaskInputs, note_received, received_values, to_json
from localrun.manager.request import Request
from localrun.masking import store as secrets
from localrun.masking.masker import MASK
from localrun.settings import Settings
from localrun.task import metadata
from localrun.task.active import ActiveTask
from localrun.task.bind_mounts import check_mounts, deviations
from localrun.task.events import Event, Listener
from localrun.task.lock import TaskLock
from localrun.task.process import current_process
from localrun.task.record import BUILD_OPTIONS, RunPlan, StoredOptions, TaskRecord
from localrun.task.states import TaskState
from localrun.task.store import TaskStore
from localrun.units import format_bytes
from localrun.values.references import has_urls

if TYPE_CHECKING:
    from localrun.manager.reuse import NotReused, Reused
    from localrun.values.reuse.contents import Contents

DeferSignals = Callable[[], AbstractContextManager[object]]


class ReadRequest(msgspec.Struct):
    """A request that was read: its bundle and its inputs, which are `planned` if all are known.

    Some may wait for outputs of other tasks. `contents` are those of its files if they were read, `seconds`
    the time that reading the bundle took. `not_reused` is why no result was reused, if that was asked for.
    """

    request: Request
    bundle: Bundle
    plan: RunPlan
    gathered: GatheredInputs
    planned: InputPlan | None
    contents: Contents | None
    seconds: float
    not_reused: NotReused | None = None


class PreparedTask(msgspec.Struct, frozen=True):
    """A task with everything that it needs to run, except for its `missing` inputs."""

    task: ActiveTask
    descriptor: Descriptor
    source: ImageSource
    lock: TaskLock
    missing: tuple[str, ...] = ()
    guard: threading.Lock = msgspec.field(default_factory=threading.Lock)  # held while an input is stored


def read_requested(request: Request, cache: Path) -> Bundle:
    """Return the bundle of a request, of an image with a descriptor, or of an iExec app.

    Raises `BundleError`, `DescriptorError` or `ImageError`.
    """
    if request.read is not None:
        return request.read.bundle
    path, image = request.bundle, request.image
    if request.descriptor is None:
        return reader.read_bundle(path, image=image, cache=cache, build=request.build)
    described = _read_descriptor(request.descriptor)
    if image is None:
        source = reader.read_image(path, cache=cache, build=request.build)
        return reader.bundle_from_image(described, path, source, request.build)
    return reader.bundle_from_image(described, None, ImageReference(image), request.build)


@lru_cache(maxsize=64)
def _read_descriptor(text: bytes) -> Descriptor:
    """Read the descriptor of an image, which is the same for all tasks with inputs of the same types."""
    return descriptors.read(text, "task")


class Submitter:
    """Validates requests and creates their tasks."""

    def __init__(self, store: TaskStore, settings: Settings, engine: Callable[[], Engine]) -> None:
        self._store = store
        self._settings = settings
        self._engine = engine
        self._inputs = TaskInputs(store, settings)
        self.provision = self._inputs.provision
        self.complete = self._inputs.complete

    def read(self, request: Request, task_id: str | None = None) -> ReadRequest:
        """Read the bundle of a request, and check its inputs; create nothing. `task_id` is that of the task.

        Raises `BundleError`, `DescriptorError`, `ImageError`, `InputsError` or `UsageError` with all
        problems.
        """
        started = time.perf_counter()
        agree = _check_quorum(request)
        metadata.check(request.metadata)
        bundle = read_requested(request, self._settings.cache)
        described = bundle.descriptor
        check_mounts(request.bind_mounts, described.input_folder, described.output_folder)
        gathered = self._inputs.gather(request, described, task_id)
        seconds = time.perf_counter() - started
        plan = _plan(request, agree, bundle, self._settings.pids_limit, gathered.given)
        missing = missing_inputs(described, gathered.given) if request.wait_for_inputs else ()
        planned, contents = None, None
        if has_urls(gathered.given):  # what can be checked is checked before they are downloaded
            values.check(described, gathered.given, (), gathered.assigned)
        elif not (request.held or request.downloads or missing):
            planned = self._inputs.plan(plan, described, gathered.given, gathered.assigned)
            layout = planned.planned.layout
            contents = self._inputs.contents.read(layout, plan.bind_mounts, request.secrets)
        return ReadRequest(request, bundle, plan, gathered, planned, contents, seconds)

    def find_result(self, found: ReadRequest, listeners: Sequence[Listener]) -> ActiveTask | None:
        """Return a finished task with the result of this one, or None; `listeners` are told which one.

        Raises `EngineError` and `ImageError`.
        """
        if found.request.reuse == "no":
            return None
        from localrun.manager.reuse import Reused

        match = self._match(found, listeners)
        if isinstance(match, Reused):
            match = msgspec.structs.replace(match, has_metadata=bool(found.request.metadata))
            return match.as_task(listeners)
        found.not_reused = match
        return None

    def _match(self, found: ReadRequest, listeners: Sequence[Listener]) -> Reused | NotReused:
        from localrun.manager.reuse import Draft, NotReused, Reuse

        request, planned, contents = found.request, found.planned, found.contents
        if planned is None or contents is None or planned.waiting:
            is_downloaded = request.downloads or has_urls(found.gathered.given)
            why = "its inputs are downloaded" if is_downloaded else "not all of its inputs are known yet"
            return NotReused((why,))
        layout, unread = planned.planned.layout, contents.unread
        if not contents.is_complete:
            size = contents.unread_size
            what = f"{format_bytes(size)} of files" if size else "files"
            for listener in listeners:
                listener(Event("note", "", f"reading {what} to compare them with earlier tasks"))
            contents = found.contents = self._inputs.contents.read(
                layout, found.plan.bind_mounts, request.secrets, everything=True
            )
        plan = found.plan.replace(contents=contents.digests)
        record = _record(request, found.bundle, plan).replace(inputs=layout.values, crops=layout.crops)
        draft = Draft(
            record,
            unread=unread,
            descriptor=found.bundle.descriptor,
            source=found.bundle.image,
            image=None if request.read is None else request.read.image,
            batch="" if request.batch is None else request.batch.id,
        )
        return Reuse(self._store, self._settings, self._engine).find(draft, request.reuse)

    def prepare(
        self,
        found: ReadRequest,
        listeners: Sequence[Listener],
        *,
        task_id: str | None = None,
        defer_signals: DeferSignals = nullcontext,
        check: Callable[[ActiveTask], None],
    ) -> PreparedTask:
        """Create the task of a request that was read, and write its inputs; `check` may refuse the task.

        `defer_signals` returns a context in which no signal handler may raise.
        Raises `InputsError` or `UsageError` with all problems. Leaves nothing behind after an exception.
        """
        request, bundle, gathered = found.request, found.bundle, found.gathered
        given, assigned = gathered.given, gathered.assigned
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
            record = _record(request, bundle, found.plan).replace(id=workspace.id, folder=str(workspace))
            task = ActiveTask(record, workspace, listeners)
            task.record_timing("bundle", found.seconds)
            task.create()
            if found.not_reused is not None:
                task.not_reused = found.not_reused.reasons
                task.emit("note", str(found.not_reused), not_reused=task.not_reused)
            given |= _download(request, task)
            given = download_urls(task, given, DiskLimit(self._settings.disk_stop))
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
                plan = self._inputs.plan
                planned = found.planned or plan(found.plan, bundle.descriptor, given, assigned)
                self._inputs.write(task, bundle.descriptor, planned, warnings, found.contents)
            check(task)
        except BaseException:
            if workspace is not None:
                self._store.remove(workspace, lock)
            raise
        return PreparedTask(task, bundle.descriptor, bundle.image, lock, missing)

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
        return PreparedTask(task, bundle.descriptor, bundle.image, lock, missing)


def _download(request: Request, task: ActiveTask) -> dict[str, Any]:
    """Download the inputs that are URLs. Raises `InputsError`."""
    if not request.downloads:
        return {}
    from localrun.platforms.iexec import download
    from localrun.values.urls import mask_url

    for name, (url, digest) in request.downloads.items():
        task.emit("note", f"downloading {mask_url(url)}")
        with fs.wrap_os_errors(task.workspace.path):
            task.workspace.save_upload(name, download.fetch(url, digest))
    return dict(task.workspace.uploaded_files())


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


def _record(request: Request, bundle: Bundle, plan: RunPlan) -> TaskRecord:
    """Return the record of a task without an id and a folder."""
    internet = bundle.descriptor.resources.internet
    return TaskRecord(
        id="",
        bundle=bundle.name,
        name=bundle.descriptor.name,
        image_name=bundle.image_name,
        resources=request.resources(bundle.descriptor),
        network=internet if request.network is None else request.network,
        timeout=request.timeout,
        owner=current_process(),
        plan=plan,
        rerun_of=request.rerun_of,
        batch=request.batch,
        assigned_by=request.assigned_by,
        submitted=dict(request.submitted) if request.submitted is not None else None,
    )


def _plan(request: Request, agree: int, bundle: Bundle, pids: int, given: Mapping[str, Any]) -> RunPlan:
    # only a task that may wait for more inputs needs them later
    stored = to_json(given) if request.wait_for_inputs else {}
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
