"""What a localrun process left behind when it died is found, and brought to an end, by the next one."""

from __future__ import annotations

from pathlib import Path

from localrun import descriptor
from localrun.engines.base import ContainerSummary, Engine
from localrun.engines.labels import LABEL_HOME, LABEL_TASK
from localrun.errors import Cause, DescriptorError, EngineError, TaskNotFound
from localrun.runner.diagnosis import format_log_tail
from localrun.runner.usage import aggregate, read_samples
from localrun.settings import Settings
from localrun.task.active import ActiveTask
from localrun.task.causes import explain
from localrun.task.fate import Fate, fate
from localrun.task.lock import TaskLock
from localrun.task.log import TaskLog
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.task.store import TaskStore
from localrun.task.workspace import Workspace


class Recovery:
    """Ends the tasks whose process died, and removes their containers.

    Detached tasks are left alone: another process may go on with them, see `TaskManager.recover`.
    Tasks of other folders are looked after too when the folder is the user's own: nobody may ever run
    localrun there again, and their containers would stay.
    """

    def __init__(self, home: TaskStore, engine: Engine, settings: Settings) -> None:
        self._home = home
        self._engine = engine
        self._settings = settings

    def sweep(self) -> list[TaskRecord]:
        """End every task whose process died; their records."""
        strays = self._engine.find({LABEL_TASK: ""})
        by_task = {found.labels[LABEL_TASK]: found for found in strays}
        ended = [
            self._end(self._home, task_id, by_task.pop(task_id, None)) for task_id in self._home.active_ids()
        ]
        ended += [self._end_elsewhere(task_id, found) for task_id, found in by_task.items()]
        return [record for record in ended if record is not None]

    def end(self, task_id: str) -> TaskRecord | None:
        """End one task, and its replicas, if its process died; None when it lives, or the task has ended."""
        found = self._engine.find({LABEL_TASK: task_id})
        record = self._end(self._home, task_id, found[0] if found else None)
        if record is not None and record.replication is not None:
            for replica in record.replication.ids:
                self.end(replica)
        return record

    def _end_elsewhere(self, task_id: str, found: ContainerSummary) -> TaskRecord | None:
        folder = Path(found.labels.get(LABEL_HOME, ""))
        if not folder.is_absolute():
            return None
        home = TaskStore(folder)
        if home.is_own and task_id in home.active_ids():
            return self._end(home, task_id, found)
        if home.is_missing(task_id) or home.is_finished(
            task_id
        ):  # its engine went away before it could be removed
            self._engine.remove(found.handle)
        return None

    def _end(self, home: TaskStore, task_id: str, found: ContainerSummary | None) -> TaskRecord | None:
        claim = home.acquire(task_id)
        if claim is None:
            return None
        try:
            return self._end_claimed(home.open(task_id), claim, found)
        finally:
            claim.release(ended=False)

    def _end_claimed(
        self, workspace: Workspace, claim: TaskLock, found: ContainerSummary | None
    ) -> TaskRecord | None:
        try:
            task = ActiveTask(workspace.load(), workspace)
        except TaskNotFound:  # it died before it wrote the record: nothing is lost with the folder
            workspace.remove()
            claim.release(ended=True)
            return None
        if _is_left_alone(task.record):
            return None
        log = "" if found is None else self._bring_home(task, found)
        if not task.record.state.is_final:
            if task.record.usage is None:
                task.update(usage=aggregate(read_samples(workspace.usage)))
            _end_state(task, log)
        claim.release(ended=True)
        return task.record

    def _bring_home(self, task: ActiveTask, found: ContainerSummary) -> str:
        """Stop it, keep what it gave, and remove it; the end of its log."""
        from localrun.runner import chown  # brings tarfile, which few runs need

        self._engine.stop(found.handle, self._settings.grace)
        end = self._keep_log(task, found)
        try:
            folder = descriptor.read(task.workspace.descriptor.read_bytes()).output_folder
            chown.chown_outputs(self._engine, found.handle, task.workspace.outputs, folder)
        except (OSError, DescriptorError, EngineError) as error:
            task.warn(f"the task's outputs may not be readable: {error}")
        self._engine.remove(found.handle)
        return end

    def _keep_log(self, task: ActiveTask, found: ContainerSummary) -> str:
        workspace = task.workspace
        workspace.log.unlink(missing_ok=True)  # the engine has all of it, from the start
        log = TaskLog(workspace.log, self._settings.log_limit)
        for stream, data in task.masker.mask_stream(self._engine.logs(found.handle)):
            log.write(data, stream)
        log.close()
        return log.tail


def _is_left_alone(record: TaskRecord) -> bool:
    return fate(record, owner_alive=False) not in (Fate.END, Fate.ENDED)


def _end_state(task: ActiveTask, log: str) -> None:
    if task.record.final_state is not None:
        task.transition(task.record.final_state)
        return
    if task.is_cancelled:
        task.transition(TaskState.KILLED, cause=str(Cause.KILLED), message="the task was stopped on request")
        return
    explanation = explain(Cause.RUNNER_TERMINATED)
    task.transition(
        TaskState.FAILED,
        cause=str(Cause.RUNNER_TERMINATED),
        message=_ended_before(task.record, log),
        remedy=explanation.remedy_for(task.id),
    )


def _ended_before(record: TaskRecord, log: str) -> str:
    which = f"process {record.owner.pid}" if record.owner else "process"
    message = f"the localrun {which} that carried the task ended before the task did"
    return message + format_log_tail(log) if log else message
