"""What the next process goes on with when one has died, or has left its tasks.

Tasks that wait wait again, in their order; a container that was started is carried to its end; a task
whose container is gone fails, or runs again as often as it may be retried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress

from localrun import descriptor
from localrun.bundle.images.ensure import ImageReference
from localrun.engines.base import ContainerSummary
from localrun.errors import Cause, ContainerGone, EngineUnreachable, LocalrunError
from localrun.manager.registry import TaskList
from localrun.manager.submission import Intake, Ready, given_to, provision
from localrun.manager.workers import Crew
from localrun.runner.container_spec import LABEL_TASK
from localrun.runner.runner import Runner
from localrun.runner.usage import aggregate, read_samples
from localrun.task.active import Task
from localrun.task.events import Listener
from localrun.task.lock import Claim
from localrun.task.outcome import Ending
from localrun.task.process import this_process
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.task.workspace import Home


class Takeover:
    """Takes over the tasks of a folder that no living process carries."""

    def __init__(
        self,
        *,
        home: Home,
        intake: Intake,
        tasks: TaskList,
        crew: Crew,
        runner: Callable[[], Runner],
        accept: Callable[[Ready], None],
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
        claim = self._home.claim(record.id)
        if claim is None:  # another process carries it
            return False
        # what was read before the claim may be old by now
        task = Task(self._home.open(record.id).load(), self._home.open(record.id), (self._tell,))
        if record.plan is None:
            claim.release(ended=False)
            self._list.add(task)
            return True
        if task.record.replica is not None and task.record.state is TaskState.CREATED:
            claim.release(ended=False)  # half made: the task that it is of makes it anew
            return False
        task.update(owner=this_process())
        try:
            self._go_on(task, claim)
        except EngineUnreachable:
            claim.release(ended=False)
            raise
        except LocalrunError as error:
            self._end(task, claim, error)
        return True

    def _go_on(self, task: Task, claim: Claim) -> None:
        found = self._container(task)
        if found is not None and found.started and task.record.ending is None:
            self._adopt(task, claim, found)
            return
        if found is not None:
            self._runner().engine.remove(found.handle)
        if task.record.ending is not None:
            self._finish(task, claim, task.record.ending)
            return
        if task.record.replication is not None and task.record.image:
            self._accept(self._again(task, claim))
            return
        if task.record.state is TaskState.RUNNING and not self._may_retry(task):
            raise LocalrunError(
                "the localrun process that carried the task ended, and its container is gone",
                cause=Cause.RUNNER_TERMINATED,
                remedy=f"run it again: `localrun rerun {task.id[:8]}`",
            )
        ready = self._intake.again(task, claim)
        if task.record.state is TaskState.CREATED and not ready.missing:
            provision(task, ready.descriptor, given_to(task))
        task.workspace.usage.unlink(missing_ok=True)  # of the container that is gone
        task.update(steps=[], container=None)
        self._accept(ready)

    def _container(self, task: Task) -> ContainerSummary | None:
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

    def _again(self, task: Task, claim: Claim) -> Ready:
        """What a task with replicas, which has begun, needs: its image and its descriptor as they were."""
        described = descriptor.read(task.workspace.descriptor.read_bytes())
        task.update(steps=[])
        return Ready(task, described, ImageReference(task.record.image), claim)

    def _may_retry(self, task: Task) -> bool:
        plan = task.record.plan
        if plan is None or plan.retries < 1:
            return False
        task.update(plan=plan.replace(retries=plan.retries - 1))
        return True

    def _adopt(self, task: Task, claim: Claim, found: ContainerSummary) -> None:
        described = descriptor.read(task.workspace.descriptor.read_bytes())
        task.update(container=found.handle)
        self._crew.carry(task, claim, lambda: self._runner().resume(task, described, found.handle))

    def _end(self, task: Task, claim: Claim, error: LocalrunError) -> None:
        ending = Ending.of(error)
        task.update(**ending.changes, usage=aggregate(read_samples(task.workspace.usage)))
        self._finish(task, claim, ending.state)

    def _finish(self, task: Task, claim: Claim, state: TaskState) -> None:
        task.move(state)
        self._list.complete(task.record)
        claim.release(ended=True)
