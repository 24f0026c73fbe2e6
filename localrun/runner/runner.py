"""Execution of one task on an engine: permissions -> task -> outputs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from localrun.admission import Admission, Reservation
from localrun.bundle.images.ensure import ensure_image
from localrun.bundle.images.source import ImageArchive, ImageFolder, ImageSource
from localrun.copying import DiskLimit
from localrun.descriptor import Descriptor
from localrun.engines.base import AttachedLog, ContainerSpec, Engine, EngineImage, Exit, Handle
from localrun.engines.labels import OWN_REPOSITORIES
from localrun.errors import Cause, EngineError, LocalrunError, MountUnavailable, OutputsError, Problem
from localrun.masking import store
from localrun.platforms import profiles
from localrun.runner import container_spec
from localrun.runner.disk_guard import DiskMonitor
from localrun.runner.retry import run_with_retries
from localrun.settings import Settings
from localrun.task.active import ActiveTask
from localrun.task.input_folder import prepare_attempt
from localrun.task.outcome import Outcome, internal_error_outcome
from localrun.task.record import ImageOrigin
from localrun.task.states import StepName, TaskState
from localrun.task.store import TaskStore
from localrun.units import format_count
from localrun.values import CollectedOutputs

if TYPE_CHECKING:
    from localrun.runner.diagnosis import Diagnosis
    from localrun.runner.monitor import Observation


class Runner:
    """Runs tasks on an engine. Every task is executed in its own thread."""

    def __init__(
        self, engine: Engine, admission: Admission, disk_monitor: DiskMonitor, settings: Settings
    ) -> None:
        self.engine = engine
        self.admission = admission
        self.disk_monitor = disk_monitor
        self.settings = settings
        self.image_threads: dict[str, int] = {}  # task -> the thread that builds, pulls or loads its image

    def execute(self, task: ActiveTask, descriptor: Descriptor, source: ImageSource) -> None:
        """Run a provisioned task until it ends. Never raises: every error ends the task."""
        run = _TaskRun(self, task, descriptor)
        self.run(task, lambda: run_with_retries(task, lambda: run.run(source), run.clean_up), run.clean_up)

    def resume(self, task: ActiveTask, descriptor: Descriptor, handle: Handle) -> None:
        """Continue a task whose container was started by another process. Never raises."""
        run = _TaskRun(self, task, descriptor, handle)
        self.run(task, run.resume, run.clean_up)

    def prepare(self, task: ActiveTask, descriptor: Descriptor, source: ImageSource) -> EngineImage:
        """Make sure that the engine has the image of a task. Raises like `ensure_image`."""
        return _TaskRun(self, task, descriptor).ensure_image(source)

    def run(self, task: ActiveTask, body: Callable[[], Outcome], clean_up: Callable[[], None]) -> None:
        """Call `body`, save the outcome, clean up, and move the task to its final state. Never raises."""
        try:
            outcome = body()
        except LocalrunError as error:
            outcome = Outcome.from_error(error)
        except Exception as error:  # noqa: BLE001 - even a bug of localrun must end the task
            outcome = internal_error_outcome(task, error)
        task.workspace.release_reserve()
        # Saved before the container is removed, so a crash in between does not lose the outcome.
        task.update(final_state=outcome.state, **task.masker.mask_json(outcome.changes))
        task.save()
        clean_up()
        task.transition(outcome.state)

    def stop(self, task: ActiveTask, grace: float) -> None:
        """Stop a task's container, or abort its build or pull, so that `execute` returns."""
        thread = self.image_threads.get(task.id)
        if thread is not None:  # a build without output does not check for cancellation
            self.engine.abandon(thread)
        if task.record.container and not task.record.state.is_final:
            task.emit("note", "stopping the container on request", killing=True)
            self.engine.stop(task.record.container, grace)


class _TaskRun:
    """The run of one task, and the resources to release afterwards."""

    def __init__(
        self, runner: Runner, task: ActiveTask, descriptor: Descriptor, handle: Handle | None = None
    ) -> None:
        self.engine = runner.engine
        self.admission = runner.admission
        self.disk_monitor = runner.disk_monitor
        self.image_threads = runner.image_threads
        self.settings = runner.settings
        self.tasks = TaskStore(runner.settings.home)
        self.task = task
        self.descriptor = descriptor
        self.plan = task.record.run_plan
        self.reservation: Reservation | None = None
        self.handle = handle
        self.is_resumed = handle is not None
        self.live: AttachedLog | None = None  # the output of the container
        self.remote = task.record.remote
        self.had_image = True  # False once the image is being built, pulled or loaded

    def run(self, source: ImageSource) -> Outcome:
        self._admit()
        self.task.transition(TaskState.PENDING)
        image = self.ensure_image(source)
        self._permissions()
        self._create()
        self._start()
        return self._finish(image)

    def resume(self) -> Outcome:
        task = self.task
        self.reservation = self.admission.adopt(task.id, task.record.resources)
        image = self.engine.find_image(task.record.image)
        task.emit("note", "resumed by this process; another process has started the task")
        self._reopen_task_step()
        if task.record.state is TaskState.PENDING:
            task.transition(TaskState.RUNNING)
        return self._finish(image)

    def _reopen_task_step(self) -> None:
        """Remove the end of the task's step and later steps; keep its start."""
        task = self.task
        earlier = [step for step in task.record.steps if step.name is StepName.PERMISSIONS]
        begun = [step for step in task.record.steps if step.name is StepName.TASK]
        if begun:
            open_again = begun[0].replace(finished=None, exit_code=None)
            task.update(step=StepName.TASK, steps=[*earlier, open_again])
        else:
            task.start_step(StepName.TASK, "container", log="logs/task.log")

    def _finish(self, image: EngineImage | None) -> Outcome:
        seen = self._wait()
        self.task.warn_of_changed_inputs()
        diagnosis = self._diagnose(seen, image)
        collected = self._collect_outputs(failed=diagnosis.cause is not None)
        return self._outcome(seen.exit, diagnosis, collected)

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.task.record_timing(phase, time.perf_counter() - begun)

    def _admit(self) -> None:
        task = self.task
        if task.record.state is not TaskState.QUEUING:
            task.transition(TaskState.QUEUING)
        with self._timed("admission"):
            self.reservation = self.admission.acquire(
                task.id, task.record.resources, on_wait=self._on_wait, check_cancelled=task.check_cancelled
            )
        task.transition(TaskState.QUEUED, message="")

    def _on_wait(self, reason: str, data: dict[str, Any]) -> None:
        self.task.update(message=reason)
        self.task.save()
        self.task.emit("note", reason, waiting=True, **data)

    def ensure_image(self, source: ImageSource) -> EngineImage:
        task = self.task
        with self._timed("image"), self._interruptible():
            image = ensure_image(
                source,
                self.engine,
                cache=self.settings.cache,
                pull=self.plan.pull,
                progress=self._progress,
                check_cancelled=task.check_cancelled,
                warn=task.warn,
            )
        for name in image.tags:
            if name.startswith(OWN_REPOSITORIES):
                self.tasks.note_image(name)
        command = image.command if self.plan.command is None else self.plan.command
        task.update(
            image=image.id,
            image_from="present" if self.had_image else _image_origin(source),
            program=[*image.entrypoint, *command],
        )
        return image

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        self.image_threads[self.task.id] = threading.get_ident()
        try:
            yield
        except EngineError:
            self.task.check_cancelled()  # a call that was aborted on request raises this instead
            raise
        finally:
            del self.image_threads[self.task.id]

    def _progress(self, what: str, done: int, total: int | None) -> None:
        self.task.check_cancelled()
        self.had_image = False
        self.task.emit("progress", what, what=what, done=done, total=total)

    def _permissions(self) -> None:
        task = self.task
        task.start_step(StepName.PERMISSIONS, "on the host, in the task folder")
        with self._timed("permissions"):
            if self.plan.writable_inputs:
                keep = task.record.run_plan.retries > 0
                prepare_attempt(task.workspace, DiskLimit(self.settings.disk_stop), keep=keep)
            count = task.workspace.make_accessible(writable_inputs=self.plan.writable_inputs)
        task.finish_step(exit_code=0, message=f"made {count} entries accessible to any container user")
        task.check_cancelled()

    def _create(self) -> None:
        with self._timed("create"):
            try:
                self._create_with_mounts()
            except MountUnavailable:
                self._create_with_archives()
        self.task.update(container=self.handle)

    def _create_with_mounts(self) -> None:
        workspace = self.task.workspace
        spec = container_spec.local_spec(
            self.task.record,
            inputs=workspace.inputs,
            outputs=workspace.outputs,
            hosts=workspace.write_hosts(),
            home=self.settings.home,
        )
        self.handle = self.engine.create(self._with_secrets(spec))

    def _with_secrets(self, spec: ContainerSpec) -> ContainerSpec:
        if not self.plan.secret_names:
            return spec
        environment = {**spec.environment, **store.load(self.task.workspace.secrets)}
        return msgspec.structs.replace(spec, environment=environment)

    def _create_with_archives(self) -> None:
        # A remote engine, detected by trying to mount: its address proves nothing.
        plan = self.plan
        self.remote = True
        self.task.update(remote=True)
        message = "the engine cannot see this machine's files: copying inputs and outputs as archives"
        self.task.emit("note", message)
        from localrun.runner import remote_copy

        spec = container_spec.remote_spec(self.task.record, home=self.settings.home)
        self.handle = self.engine.create(self._with_secrets(spec))
        mounted = {path: Path(source) for source, path in plan.mounts}
        archive = remote_copy.pack(self.task.workspace.inputs, mounted, writable=plan.writable_inputs)
        self.engine.copy_in(self.handle, plan.input_folder, archive)

    def _start(self) -> None:
        assert self.handle is not None
        task = self.task
        task.start_step(StepName.TASK, "container", log="logs/task.log")
        task.save()  # a process that resumes the task must find its container
        self.live = self.engine.attach(self.handle)
        with self._timed("start"):
            self.engine.start(self.handle)
        task.transition(TaskState.RUNNING)

    def _wait(self) -> Observation:
        assert self.handle is not None
        from localrun.runner.monitor import ContainerMonitor

        monitor = ContainerMonitor(
            self.engine,
            self.disk_monitor,
            self.settings,
            self.task,
            self.handle,
            live=self.live,
            resume=self.is_resumed,
        )
        with self._timed("run"):
            seen = monitor.wait()
        self.task.finish_step(failed=seen.exit.code != 0, exit_code=seen.exit.code)
        return seen

    def _diagnose(self, seen: Observation, image: EngineImage | None) -> Diagnosis:
        from localrun.runner.diagnosis import Evidence, diagnose

        record, architecture = self.task.record, self.engine.info().architecture
        evidence = Evidence(
            seen.exit,
            task_id=record.id,
            memory=record.resources.memory,
            log=seen.log,
            timed_out=record.timeout if seen.timed_out else None,
            killed=self.task.is_cancelled,
            disk_pressure=seen.disk_pressure,
            engine_lost=seen.engine_lost,
            image_architecture=image.architecture if image else architecture,
            engine_architecture=architecture,
            find_program_error=partial(self._find_program_error, image),
        )
        diagnosis = diagnose(evidence)
        if diagnosis.warning:
            self.task.warn(diagnosis.warning)
        return diagnosis

    def _find_program_error(self, image: EngineImage | None) -> Problem | None:
        from localrun.runner.diagnosis import find_program_error

        if image is None or self.handle is None:
            return None
        return find_program_error(
            self.engine, self.handle, image=image, command=self.plan.command, descriptor=self.descriptor
        )

    def _collect_outputs(self, *, failed: bool) -> CollectedOutputs:
        task = self.task
        task.start_step(StepName.OUTPUTS)
        with self._timed("outputs"):
            how, rejected = self._fetch_outputs()
            found = profiles.for_record(task.record).collect(task, self.descriptor, failed=failed)
        problems = (*rejected, *found.problems)
        outputs = format_count(len(found.outputs), "output")
        message = format_count(len(problems), "problem") if problems else outputs
        task.finish_step(
            failed=bool(problems) and not failed, how=how, message=message, exit_code=1 if problems else 0
        )
        for warning in found.warnings:
            task.warn(warning)
        if task.masker.has_masked:
            task.warn("the program printed a secret; localrun masked it, but other platforms may not")
        return msgspec.structs.replace(found, problems=problems)

    def _fetch_outputs(self) -> tuple[str, list[Problem]]:
        assert self.handle is not None
        folder, target = self.task.workspace.outputs, self.plan.output_folder
        if self.remote:
            from localrun.runner import remote_copy

            limit = DiskLimit(self.settings.disk_stop)
            rejected = remote_copy.copy_out(self.engine, self.handle, target, folder, limit)
            return "copied from the engine as an archive", rejected
        from localrun.runner import chown

        return f"mounted; {chown.chown_outputs(self.engine, self.handle, folder, target)}", []

    def _outcome(self, exit_: Exit, found: Diagnosis, collected: CollectedOutputs) -> Outcome:
        fields: dict[str, Any] = {"exit_code": exit_.code, "signal": found.signal, "oom": found.oom}
        fields["outputs"] = collected.outputs
        if found.cause is not None:
            state = TaskState.KILLED if found.cause is Cause.KILLED else TaskState.FAILED
            reason = {"cause": str(found.cause), "message": found.message, "remedy": found.remedy}
            return Outcome(state, fields | reason)
        if collected.problems:
            return Outcome(TaskState.FAILED, fields | Outcome.from_error(_outputs_error(collected)).changes)
        return Outcome(TaskState.FINISHED, fields | {"message": "finished"})

    def clean_up(self) -> None:
        """Release all resources. A lost engine is only a warning."""
        if self.live is not None:
            self.live.close()
        self.live, self.is_resumed = None, False
        with self._timed("remove"):
            try:
                if self.handle is not None:
                    self.engine.remove(self.handle)
            except EngineError as error:
                self.task.warn(f"cannot remove the task's container: {error.message}")
        if self.reservation is not None:
            self.reservation.release()
        self.handle = self.reservation = None
        self.task.workspace.hosts.unlink(missing_ok=True)


def _image_origin(source: ImageSource) -> ImageOrigin:
    """Return how the engine got an image that it did not have."""
    if isinstance(source, ImageArchive):
        return "loaded"
    return "built" if isinstance(source, ImageFolder) else "pulled"


def _outputs_error(collected: CollectedOutputs) -> OutputsError:
    if collected.cause is not None:
        return OutputsError(collected.message, cause=collected.cause, problems=collected.problems)
    return OutputsError(
        f"invalid outputs ({format_count(len(collected.problems), 'problem')})",
        remedy="fix the problems listed; name each file exactly like its output, without an extension",
        problems=collected.problems,
    )
