"""Add a finished task to the index of results that later tasks may reuse."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from localrun.descriptor import Descriptor
from localrun.errors import LocalrunError
from localrun.settings import Settings
from localrun.task import fingerprint
from localrun.task.active import ActiveTask
from localrun.task.file_state import FileState
from localrun.task.outcome import Outcome
from localrun.task.record import RunPlan
from localrun.task.states import TaskState


def indexed(outcome: Outcome, task: ActiveTask, descriptor: Descriptor, settings: Settings) -> Outcome:
    """Add a task that is about to finish to the index, and return its outcome.

    It is added before its end is saved, so every finished task is in the index, and an entry whose task has
    not finished means nothing. Errors are ignored: the result is not reused then.
    """
    if outcome.state is TaskState.FINISHED:
        with suppress(OSError, LocalrunError):
            _add(task, descriptor, settings)
    return outcome


def _add(task: ActiveTask, descriptor: Descriptor, settings: Settings) -> None:
    record, plan = task.record, task.record.run_plan
    if plan.contents is None or fingerprint.obstacle(record, network=True):
        return
    parts = fingerprint.parts_of(record, descriptor.source)
    if not all(parts.values()) or not fingerprint.ran_once(record) or _have_changed(plan, settings.cache):
        return
    from localrun.values.reuse.index import ReuseIndex, family
    from localrun.values.reuse.seal import seal

    index = ReuseIndex(settings.home)
    index.add(fingerprint.fingerprint(parts), task.id, seal(task.workspace.outputs))
    index.note_recent(family(descriptor), task.id)


def _have_changed(plan: RunPlan, cache: Path) -> bool:
    """Return whether a file that the container could read has changed since the task was submitted."""
    found = ((Path(source), plan.mount_states.get(place)) for source, place in plan.mounts)
    if any(FileState.of(path.stat()) != before for path, before in found):
        return True
    from localrun.values.layout import InputLayout
    from localrun.values.reuse.contents import ContentReader
    from localrun.values.reuse.digests import ContentDigests

    reader, contents = ContentReader(ContentDigests(cache)), plan.contents or {}
    for mount in plan.bind_mounts:
        before = contents[fingerprint.mount_part(mount.target)]
        after = reader.read(InputLayout(), [mount], everything=before.startswith("0x")).digests
        if before not in after.values():
            return True
    return False
