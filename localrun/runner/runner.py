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
from localrun.bundle.images.source import ImageSource
from localrun.copying import DiskLimit
from localrun.descriptor import Descriptor
from localrun.engines.base import AttachedLog, ContainerSpec, Engine, EngineImage, Handle
from localrun.engines.labels import OWN_REPOSITORIES
from localrun.errors import EngineError, MountUnavailable
from localrun.masking import store
from localrun.platforms import profiles
from localrun.runner import container_spec
from localrun.runner.disk_guard import DiskMonitor
from localrun.runner.image_origin import emulation_warning, image_facts
from localrun.runner.limits import check_usage, report_unenforced
from localrun.runner.retry import remove_lost_containers, run_with_retries
from localrun.settings import Settings
from localrun.task.active import ActiveTask
from localrun.task.bind_mounts import check_visible
from localrun.task.input_folder import prepare_attempt
from localrun.task.outcome import Outcome, conclude
from localrun.task.process import current_process, is_of_earlier_boot
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
        run = TaskRun(self, task, descriptor)
        first, again = partial(run.run, source), partial(run.run_again, lambda: source)
        self.run(task, lambda: run_with_retries(task, first, again, run.clean_up), run.clean_up)

    def resume(
        self, task: ActiveTask, descriptor: Descriptor, handle: Handle, source: Callable[[], ImageSource]
    ) -> None:
        """Continue a task whose container was started by another process. Never raises.

        The task still has its old owner. `source` returns its image, which a retry needs.
        """
        run = TaskRun(self, task, descriptor, handle)
        again = partial(run.run_again, source)
        self.run(task, lambda: run_with_retries(task, run.resume, again, run.clean_up), run.clean_up)

    def conclude(self, task: ActiveTask, descriptor: Descriptor, handle: Handle) -> None:
        """End a task whose process died and that is not resumed. Never raises.

        A container that has ended decides the outcome as if its process had lived. Another one is stopped.
        """
        run = TaskRun(self, task, descriptor, handle)
        self.run(task, partial(run.resume, stop=True), run.clean_up)

    def prepare(self, task: ActiveTask, descriptor: Descriptor, source: ImageSource) -> EngineImage:
        """Make sure that the engine has the image of a task. Raises like `ensure_image`."""
        return TaskRun(self, task, descriptor).ensure_image(source)

    def run(self, task: ActiveTask, body: Callable[[], Outcome], clean_up: Callable[[], None]) -> None:
        """Call `body`, save the outcome, clean up, and move the task to its final state. Never raises."""
        outcome = conclude(task, body)
        if task.replacement is not None:
            outcome = conclude(task, task.replacement)
        if task.adopt_end():
            clean_up()
            return
        task.workspace.release_reserve()
        # Saved before the container is removed, so a crash in between does not lose the outcome.
        task.update(final_state=outcome.state, **task.masker.mask_json(outcome.changes))
        task.save()
        if not task.is_saved:  # the disk is full: without the container, the outcome would be lost
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


class TaskRun:
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
        self.proxies = container_spec.masked_proxies(runner.engine, task)
        self.reservation: Reservation | None = None
        self.handle = handle
        self.is_resumed = handle is not None
        self.live: AttachedLog | None = None  # the output of the container
        self.had_image = True  # False once the image is being built, pulled or loaded
        self.owner_died = ""  # the process whose death is the reason to stop the container
        self.has_rebooted = False  # since another process started the container

    def run(self, source: ImageSource) -> Outcome:
        self._admit()
        self.task.transition(TaskState.PENDING)
        image = self.ensure_image(source)
        self._permissions()
        self._create()
        self._start()
        return self._finish(image)

    def run_again(self, source: Callable[[], ImageSource]) -> Outcome:
        """Run the task again after its container was lost. Raises as `run`."""
        remove_lost_containers(self.engine, self.task, self.settings.engine_patience)
        return self.run(source())

    def resume(self, *, stop: bool = False) -> Outcome:
        """Follow the container to its end, or `stop` it if it is still running."""
        assert self.handle is not None
        task, owner = self.task, self.task.record.owner
        self.has_rebooted = owner is not None and is_of_earlier_boot(owner)
        if self.engine.inspect(self.handle).exit is not None:
            task.emit("note", "the container had ended when this process took over the task")
        elif stop:
            self.owner_died = f"process {owner.pid}" if owner else "process"
            self.engine.stop(self.handle, self.settings.grace)
        else:
            self.reservation = self.admission.adopt(task.id, task.record.resources)
            task.emit("note", "resumed by this process; another process has started the task")
        if not stop:
            task.update(owner=current_process())
            task.save()
        image = self.engine.find_image(task.record.image)
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
        from localrun.runner.ending import indexed, outcome_of

        outcome = outcome_of(seen.exit, diagnosis, collected)
        return indexed(outcome, self.task, self.descriptor, self.settings)

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.task.record_timing(phase, time.perf_counter() - begun)

    def _admit(self) -> None:
        task = self.task
        task.update(engine=self.engine.info().address)
        task.warn_once(self.engine.info().warnings)
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
                platform=self.plan.platform,
                progress=self._progress,
                check_cancelled=task.check_cancelled,
                warn=task.warn,
                on_lock=lambda seconds: task.record_timing("lock", seconds),
            )
        for name in image.tags:
            if name.startswith(OWN_REPOSITORIES):
                self.tasks.note_image(name)
        if warning := emulation_warning(image, self.engine.info()):
            task.warn(warning)
        task.update(**image_facts(image, self.plan, None if self.had_image else source))
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
            if self.task.record.resources.gpus:
                from localrun.runner.gpus import note_gpus

                note_gpus(self.engine, self.task)
        report_unenforced(self.task, self.engine.info().unenforced)

    def _create_with_mounts(self) -> None:
        places = self.task.workspace
        files = {"inputs": places.inputs, "outputs": places.outputs, "hosts": places.write_hosts()}
        spec = container_spec.local_spec(self.task.record, **files, **self._owners)
        self.handle = self.engine.create(self._with_environment(spec))

    @property
    def _owners(self) -> dict[str, Path]:
        return {"home": self.settings.home, "ledger": self.admission.ledger}

    def _with_environment(self, spec: ContainerSpec) -> ContainerSpec:
        secrets = store.load(self.task.workspace.secrets) if self.plan.secret_names else {}
        return container_spec.with_environment(spec, self.proxies, secrets)

    def _create_with_archives(self) -> None:
        # A remote engine, detected by trying to mount: its address proves nothing.
        plan = self.plan
        check_visible(plan.bind_mounts)
        self.task.update(remote=True)
        message = "the engine cannot see this machine's files: copying inputs and outputs as archives"
        self.task.emit("note", message)
        from localrun.runner import remote_copy

        spec = container_spec.remote_spec(self.task.record, **self._owners)
        self.handle = self.engine.create(self._with_environment(spec))
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
        from localrun.runner.ending import container_times
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
        times = container_times(seen.exit, self.engine.info().clock_offset, self.task.record)
        self.task.finish_step(failed=seen.exit.code != 0, exit_code=seen.exit.code, **times)
        return seen

    def _diagnose(self, seen: Observation, image: EngineImage | None) -> Diagnosis:
        from localrun.runner.diagnosis import diagnose, find_program_error
        from localrun.runner.ending import evidence_of

        assert self.handle is not None
        check_usage(self.task)
        facts: dict[str, Any] = {"image": image, "command": self.plan.command, "descriptor": self.descriptor}
        evidence = evidence_of(
            self.task.record,
            seen,
            image,
            self.engine.info().architecture,
            owner_died=self.owner_died,
            has_rebooted=self.has_rebooted,
            find_program_error=partial(find_program_error, self.engine, self.handle, **facts),
        )
        diagnosis = diagnose(evidence)
        if diagnosis.warning:
            self.task.warn(diagnosis.warning)
        return diagnosis

    def _collect_outputs(self, *, failed: bool) -> CollectedOutputs:
        from localrun.runner.ending import fetch_outputs

        assert self.handle is not None
        task = self.task
        task.start_step(StepName.OUTPUTS)
        with self._timed("outputs"):
            limit = DiskLimit(self.settings.disk_stop)
            how, rejected = fetch_outputs(self.engine, self.handle, task, limit)
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

    def clean_up(self) -> None:
        """Release all resources, except a container whose outcome is not saved. Never raises."""
        if self.live is not None:
            self.live.close()
        self.live, self.is_resumed = None, False
        is_needed = self.task.record.final_state is not None and not self.task.is_saved
        with self._timed("remove"):
            try:
                if self.handle is not None and not is_needed:
                    self.engine.remove(self.handle)
            except EngineError as error:
                self.task.warn(f"cannot remove the task's container: {error.message}")
        if self.reservation is not None:
            self.reservation.release()
        self.handle = self.reservation = None
        self.task.workspace.hosts.unlink(missing_ok=True)
