"""Reuse the result of a finished task that would be the result of a new one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import msgspec

from localrun.bundle.images.ensure import find_present
from localrun.bundle.images.source import ImageArchive, ImageFolder, ImageSource
from localrun.descriptor import Descriptor
from localrun.engines.base import Engine, EngineImage
from localrun.settings import Settings
from localrun.settings.options import ReuseChoice
from localrun.task import fingerprint
from localrun.task.active import ActiveTask
from localrun.task.events import Event, Listener
from localrun.task.fingerprint import Parts
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.task.store import TaskStore
from localrun.task.workspace import Workspace
from localrun.units import format_duration
from localrun.values.reuse.index import ReuseEntry, ReuseIndex, family
from localrun.values.reuse.seal import damage

_MOST_REASONS = 5


class Reused(msgspec.Struct, frozen=True):
    """A finished task whose result is that of a new one; no task is created."""

    record: TaskRecord
    workspace: Workspace
    has_metadata: bool = False  # in the request

    def as_task(self, listeners: Sequence[Listener]) -> ActiveTask:
        """Return the finished task, after a note for the listeners. Nothing in its folder is changed."""
        for listener in listeners:
            listener(Event("note", self.record.id, str(self), {"reused": True}))
        return ActiveTask.of_result(self.record, self.workspace)

    def __str__(self) -> str:
        """Return a note for the user."""
        age = format_duration(time.time() - (self.record.ended or self.record.created))
        lost = "; the metadata is not stored" if self.has_metadata else ""
        return f"reused the result of task {self.record.short_id}, which finished {age} ago{lost}"


class NotReused(msgspec.Struct, frozen=True):
    """Why no result was reused, and the earlier task that this is about, if any."""

    reasons: tuple[str, ...]
    similar: str = ""

    def __str__(self) -> str:
        """Return a note for the user."""
        shown = "; ".join(self.reasons[:_MOST_REASONS])
        more = len(self.reasons) - _MOST_REASONS
        shown += f"; and {more} more" if more > 0 else ""
        return f"not reused: {shown}" + (f" (since task {self.similar[:8]})" if self.similar else "")


class Reuse:
    """Finds finished tasks of a folder by what their results depend on."""

    def __init__(self, store: TaskStore, settings: Settings, engine: Callable[[], Engine]) -> None:
        self._store = store
        self._settings = settings
        self._engine = engine
        self._index = ReuseIndex(store.path)

    def find(self, draft: Draft, choice: ReuseChoice) -> Reused | NotReused:
        """Return the finished task with the same result, or why there is none. Raises `EngineError`."""
        why = fingerprint.obstacle(draft.record, network=choice == "all")
        if why:
            return NotReused((why,))
        image = self._find_image(draft)
        search = _Search(draft, image)
        entry = None
        if image is not None and fingerprint.is_known(draft.record, search.parts):
            wanted = fingerprint.fingerprint(search.parts)
            entry = self._index.find(wanted)
            if entry is None and search.unread != search.parts:
                entry = self._index.find_as(fingerprint.fingerprint(search.unread), wanted)
        return self._explain(search) if entry is None else self._check(entry, draft.batch)

    def _find_image(self, draft: Draft) -> EngineImage | None:
        if draft.image is not None:
            return draft.image
        plan = draft.record.run_plan
        return find_present(
            draft.source,
            self._engine(),
            cache=self._settings.cache,
            pull=plan.pull,
            platform=plan.platform,
        )

    def _check(self, entry: ReuseEntry, batch: str) -> Reused | NotReused:
        """Check that a task and its outputs are still as they were."""
        workspace = self._store.find(entry.task)
        record = workspace.load_or_none() if workspace else None
        if workspace is None or record is None:
            return NotReused((f"task {entry.task[:8]} was the same, but was deleted",))
        if record.state is not TaskState.FINISHED:  # it was stopped at the last moment, or is about to finish
            return NotReused((f"task {record.short_id} is the same, but is {record.state}",))
        self._index.note_use(entry.task, batch)  # before the check: `prune` keeps it from now on
        what = damage(workspace.outputs, entry.outputs, entry.sealed_ns)
        if not what and record.run_plan.profile == "iexec" and not workspace.packed_result.is_file():
            what = f"{workspace.packed_result.name} was deleted"
        if what:
            return NotReused((f"task {record.short_id} was the same, but {what}",))
        return Reused(record, workspace)

    # -- explain ---------------------------------------------------------------------------------

    def _explain(self, search: _Search) -> NotReused:
        """Return how the most similar earlier task of the bundle differs."""
        best: tuple[int, TaskRecord, Parts] | None = None
        for task_id in self._index.recent(family(search.draft.descriptor)):
            found = self._parts_of(task_id)
            if found is not None:
                record, before = found
                far = fingerprint.distance(before, search.compared_to(before))
                if best is None or far < best[0]:
                    best = far, record, before
        missing = self._missing_image(search, best[1] if best else None)
        if best is None:
            return NotReused((*missing, "no finished task of this bundle in this folder"))
        _, record, before = best
        reasons = list(fingerprint.differences(before, search.compared_to(before)))
        if missing:
            reasons = [*missing, *(reason for reason in reasons if reason != "image changed")]
        unknown = [f"{name} cannot be read" for name, content in search.parts.items() if not content]
        return NotReused((*reasons, *unknown) or ("it is not in the index",), record.id)

    def _parts_of(self, task_id: str) -> tuple[TaskRecord, Parts] | None:
        workspace = self._store.find(task_id)
        record = workspace.load_or_none() if workspace else None
        if workspace is None or record is None or record.state is not TaskState.FINISHED:
            return None
        try:
            return record, fingerprint.parts_of(record, workspace.descriptor.read_bytes())
        except OSError:
            return None

    def _missing_image(self, search: _Search, before: TaskRecord | None) -> tuple[str, ...]:
        """Return why the image is not known, if it is not."""
        if search.has_image:
            return ()
        source = search.draft.source
        verb = "built" if isinstance(source, ImageFolder) else "pulled"
        verb = "loaded" if isinstance(source, ImageArchive) else verb
        if before is not None and self._engine().find_image(before.image) is not None:
            return (f"image changed: it has to be {verb} first",)
        return (f"the image has to be {verb} first",)


class Draft(msgspec.Struct, frozen=True):
    """A task that may not have to be created: its record without an image, and what that is made from.

    The contents of `record` were read; `unread` are those that the task would have if they were not.
    `image` is the one of the source if it is known, and `batch` the id of its batch if it is part of one.
    """

    record: TaskRecord
    unread: dict[str, str]
    descriptor: Descriptor
    source: ImageSource
    image: EngineImage | None = None
    batch: str = ""


class _Search:
    """The parts of a draft on an engine, as they are and as they are without reading large files."""

    def __init__(self, draft: Draft, image: EngineImage | None) -> None:
        self.draft = draft
        self.has_image = image is not None
        facts: dict[str, Any] = {}
        if image is not None:
            facts = {"image": image.id, "platform": str(image.platform)}
        self._record = draft.record.replace(**facts)
        self.parts = fingerprint.parts_of(self._record, draft.descriptor.source)

    @cached_property
    def unread(self) -> Parts:
        plan = self._record.run_plan.replace(contents=self.draft.unread)
        return fingerprint.parts_of(self._record.replace(plan=plan), self.draft.descriptor.source)

    def compared_to(self, before: Parts) -> Parts:
        return fingerprint.comparable(self.parts, self.unread, before)
