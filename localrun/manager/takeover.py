"""What the next process goes on with when one has died, or has left its tasks.

Tasks that wait wait again, in their order; a container that was started is carried to its end; a task
whose container is gone fails, or runs again as often as it may be retried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

from localrun import descriptor
from localrun.bundle.images.source import ImageReference
from localrun.engines.base import ContainerSummary
from localrun.engines.labels import LABEL_TASK
from localrun.errors import Cause, ContainerGone, EngineUnreachable, LocalrunError
from localrun.manager.registry import TaskRegistry
from localrun.manager.submission import PreparedTask, Submitter, provision, received_values
from localrun.manager.workers import Workers
from localrun.runner.runner import Runner
from localrun.runner.usage import aggregate, read_samples
from localrun.task.active import ActiveTask
from localrun.task.events import Listener
from localrun.task.lock import TaskLock
from localrun.task.outcome import Outcome
from localrun.task.process import current_process
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.task.store import TaskStore


class Takeover:
    """Takes over the tasks of a folder that no living process carries."""

    def __init__(
        self,
        *,
        home: TaskStore,
        intake: Submitter,
        tasks: TaskRegistry,
        crew: Workers,
        runner: Callable[[], Runner],
        accept: Callable[[PreparedTask], None],
        tell: Listener,
    ) -> None:
        self._home = home
        self._intake = intake
        self._list = tasks
        self._crew = crew
        self._runner = runner
        self._accept = accept
        self._tell = tell

    def all(self, active: Iterable[TaskRecord]) -> list[TaskRecord]:
        """Take over what can be, in the given order; what was."""
        return [record for record in active if self._try(record)]

    def _try(self, record: TaskRecord) -> bool:
        try:
            return self.one(record)
        except EngineUnreachable:  # whoever looks when the engine is back goes on
            return False

    def one(self, record: TaskRecord) -> bool:
        """Take over a task that has not ended; False when another process carries it, or has ended it.

        Raises `EngineUnreachable`, which is not the task's end.
        """
        claim = self._home.acquire(record.id)
        if claim is None:  # another process carries it
            return False
        # what was read before the claim may be old by now
        task = ActiveTask(self._home.open(record.id).load(), self._home.open(record.id), (self._tell,))
        if record.plan is None:
            claim.release(ended=False)
            self._list.add(task)
            return True
        if task.record.replica is not None and task.record.state is TaskState.CREATED:
            claim.release(ended=False)  # half made: the task that it is of makes it anew
            return False
        task.update(owner=current_process())
        try:
            self._go_on(task, claim)
        except EngineUnreachable:
            claim.release(ended=False)
            raise
        except LocalrunError as error:
            self._end(task, claim, error)
        return True

    def _go_on(self, task: ActiveTask, claim: TaskLock) -> None:
        found = self._container(task)
        if found is not None and found.started and task.record.final_state is None:
            self._adopt(task, claim, found)
            return
        if found is not None:
            self._runner().engine.remove(found.handle)
        if task.record.final_state is not None:
            self._finish(task, claim, task.record.final_state)
            return
        if task.record.replication is not None and task.record.image:
            self._accept(self._again(task, claim))
            return
        if task.record.state is TaskState.RUNNING and not self._may_retry(task):
            raise LocalrunError(
                "the localrun process that carried the task ended, and its container is gone",
                cause=Cause.RUNNER_TERMINATED,
                remedy=f"run it again: `localrun rerun {task.short_id}`",
            )
        ready = self._intake.reload(task, claim)
        if task.record.state is TaskState.CREATED and not ready.missing:
            provision(task, ready.descriptor, received_values(task))
        task.workspace.usage.unlink(missing_ok=True)  # of the container that is gone
        task.update(steps=[], container=None)
        self._accept(ready)

    def _container(self, task: ActiveTask) -> ContainerSummary | None:
        """The task's container, if there is one; whether it was started is certain then.

        The process that died may have asked for its start, which goes on without it. The engine measures a
        container only when that is over.
        """
        engine = self._runner().engine
        found = next(iter(engine.find({LABEL_TASK: task.id})), None)
        if found is None or found.started:
            return found
        with suppress(ContainerGone):
            engine.size(found.handle)
        return next(iter(engine.find({LABEL_TASK: task.id})), None)

    def _again(self, task: ActiveTask, claim: TaskLock) -> PreparedTask:
        """What a task with replicas, which has begun, needs: its image and its descriptor as they were."""
        described = descriptor.read(task.workspace.descriptor.read_bytes())
        task.update(steps=[])
        return PreparedTask(task, described, ImageReference(task.record.image), claim)

    def _may_retry(self, task: ActiveTask) -> bool:
        plan = task.record.run_plan
        if plan.retries < 1:
            return False
        task.update(plan=plan.replace(retries=plan.retries - 1))
        return True

    def _adopt(self, task: ActiveTask, claim: TaskLock, found: ContainerSummary) -> None:
        described = descriptor.read(task.workspace.descriptor.read_bytes())
        task.update(container=found.handle)
        self._crew.run(task, claim, lambda: self._runner().resume(task, described, found.handle))

    def _end(self, task: ActiveTask, claim: TaskLock, error: LocalrunError) -> None:
        ending = Outcome.from_error(error)
        task.update(**ending.changes, usage=aggregate(read_samples(task.workspace.usage)))
        self._finish(task, claim, ending.state)

    def _finish(self, task: ActiveTask, claim: TaskLock, state: TaskState) -> None:
        task.transition(state)
        self._list.complete(task.record)
        claim.release(ended=True)
