"""Which task, when, on which thread: the active and the completed tasks of one process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localrun import bundle as bundles
from localrun import values
from localrun.bundle import Bundle
from localrun.claim import Claim
from localrun.events import Listener
from localrun.images import Pull
from localrun.owners import this_process
from localrun.record import Resources, TaskRecord
from localrun.runner import Job, Runner
from localrun.settings import Settings
from localrun.states import TaskState
from localrun.steps import Plan
from localrun.task import Task
from localrun.workspace import Home, Workspace

Shield = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class Request:
    """What a user asks for. None: as the descriptor says.

    `assignments` are `name=VALUE` texts, which are read by the parameter's type and come before
    `values`; `timeout` is in seconds, `memory` in bytes.
    """

    bundle: Path
    image: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    assignments: Sequence[str] = ()
    build_args: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    cpus: float | None = None
    memory: int | None = None
    gpus: int | None = None
    network: bool | None = None
    writable_inputs: bool = False
    hardened: bool = False
    pull: Pull = "missing"


class TaskManager:
    """Submits tasks, runs each in a thread of its own, and knows where each of them is.

    `runner` makes the runner when the first task needs it, so that a wrong bundle is told without an
    engine. Thread-safe.
    """

    def __init__(self, home: Home, settings: Settings, runner: Callable[[], Runner]) -> None:
        self._home = home
        self._settings = settings
        self._runner = runner
        self._lock = threading.Lock()
        self._active: dict[str, Task] = {}
        self._completed: dict[str, TaskRecord] = {}
        self._threads: dict[str, threading.Thread] = {}

    def submit(self, request: Request, *listeners: Listener, shield: Shield = nullcontext) -> Task:
        """Check everything, write the inputs down, and start the task; returns at once.

        `shield` makes a context for the moments that an exception from a signal handler must not tear.
        Raises `BundleError`, `DescriptorError`, `ImageError`, `InputsError` with all that is wrong, and
        leaves nothing behind then, nor after any other exception.
        """
        begun = time.perf_counter()
        bundle = bundles.read(
            request.bundle, image=request.image, cache=self._settings.cache, build_args=request.build_args
        )
        given = {**request.values, **values.parse_assignments(request.assignments, bundle.descriptor)}
        read = time.perf_counter() - begun
        workspace, claim = None, None
        try:
            with shield():
                workspace = self._home.create()
                claim = self._home.claim(workspace.id, new=True)
            assert claim is not None
            task, job = self._provision(request, bundle, given, workspace, listeners)
            task.time("bundle", read)
            runner = self._runner()
            runner.admission.check(task.id, task.record.resources)
            with shield():
                self._start(task, job, claim, runner)
        except BaseException:
            if workspace is not None and workspace.id not in self._threads:
                self._home.forget(workspace, claim)
            raise
        return task

    def _provision(
        self,
        request: Request,
        bundle: Bundle,
        given: Mapping[str, Any],
        workspace: Workspace,
        listeners: Sequence[Listener],
    ) -> tuple[Task, Job]:
        task = Task(_record(request, bundle, workspace), workspace, listeners)
        workspace.descriptor.write_bytes(bundle.descriptor.source)
        task.create()
        found = values.provision(
            bundle.descriptor,
            given,
            workspace.inputs,
            copy=request.writable_inputs,
            check_cancelled=task.check_cancelled,
        )
        for note in found.notes:
            task.emit("note", note)
        for warning in (*bundle.warnings, *found.warnings):
            task.warn(warning)
        task.move(TaskState.PROVISIONED, inputs=found.values)
        plan = Plan(
            input_folder=bundle.descriptor.input_folder,
            output_folder=bundle.descriptor.output_folder,
            mounts=found.mounts,
            writable_inputs=request.writable_inputs,
            hardened=request.hardened,
            pids=self._settings.pids_limit,
        )
        return task, Job(bundle, plan, request.pull)

    def _start(self, task: Task, job: Job, claim: Claim, runner: Runner) -> None:
        def carry() -> None:
            runner.execute(task, job)
            self._complete(task)
            claim.release(ended=True)

        thread = threading.Thread(target=carry, name=f"task-{task.id[:8]}")
        with self._lock:
            self._active[task.id] = task
            self._threads[task.id] = thread
        thread.start()

    def _complete(self, task: Task) -> None:
        with self._lock:
            self._active.pop(task.id, None)
            self._completed[task.id] = task.record

    def wait(self, task: Task, timeout: float | None = None) -> TaskRecord | None:
        """Block until a task of this process has ended and let go of everything; None after `timeout` s."""
        with self._lock:
            thread = self._threads.get(task.id)
        if thread is not None:
            thread.join(timeout)
            if thread.is_alive():
                return None
            with self._lock:
                self._threads.pop(task.id, None)
        return task.record

    def kill(self, task: Task, grace: float | None = None) -> None:
        """Stop a task of this process; it ends KILLED within the grace (seconds)."""
        task.cancel()
        self._runner().stop(task, self._settings.grace if grace is None else grace)

    def get_all_active_tasks(self) -> list[Task]:
        """The tasks that have not ended, in the order of their submission."""
        with self._lock:
            return list(self._active.values())

    def shutdown(self, grace: float | None = None) -> None:
        """Kill what still runs, and wait for it."""
        tasks = self.get_all_active_tasks()
        for task in tasks:
            self.kill(task, grace)
        for task in tasks:
            self.wait(task)


def _record(request: Request, bundle: Bundle, workspace: Workspace) -> TaskRecord:
    asked = bundle.descriptor.resources
    return TaskRecord(
        id=workspace.id,
        bundle=bundle.name,
        name=bundle.descriptor.name,
        image_name=bundle.image_name,
        resources=Resources(
            cpus=asked.cpus if request.cpus is None else request.cpus,
            memory=asked.memory if request.memory is None else request.memory,
            gpus=asked.gpus if request.gpus is None else request.gpus,
        ),
        network=asked.internet if request.network is None else request.network,
        timeout=request.timeout,
        owner=this_process(),
        folder=str(workspace.path),
    )
