"""The sources of a new task: a bundle, or an earlier task."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from localrun.cli.run_options import Choices
from localrun.task.record import short_id

if TYPE_CHECKING:
    from localrun.app import App
    from localrun.manager.request import Request
    from localrun.platforms.iexec import IexecInputs
    from localrun.settings import Settings
    from localrun.task.record import TaskRecord
    from localrun.task.workspace import Workspace


class TaskSource(Protocol):
    """The source of a task, a bundle or an earlier task. `name` is for display."""

    name: str
    label: str  # the bundle or the id, as the user wrote it

    def request(self, app: App, choices: Choices, notify: Callable[[str], None]) -> Request:
        """Return the request to submit; `notify` displays a note. Raises `LocalrunError` if it is invalid."""

    def notes(self, record: TaskRecord) -> Iterable[str]:
        """Yield notes about an ended task that its result does not show."""


class BundleSource:
    """A new task of a bundle, with the inputs of the command line."""

    def __init__(self, bundle: str, iexec: IexecInputs | None) -> None:
        self.name = self.label = bundle
        self._iexec = iexec

    def given(self, choices: Choices, settings: Settings) -> Request:
        """Return the request without the inputs of an iExec app."""
        from localrun.manager.defaults import with_defaults
        from localrun.manager.request import Request

        fields = with_defaults(choices.options, settings)
        inputs = choices.named_inputs()
        return Request(Path(self.name), **inputs, assignments=choices.assignments, **fields)

    def request(self, app: App, choices: Choices, notify: Callable[[str], None]) -> Request:  # noqa: ARG002
        from localrun.manager.request import to_iexec_request

        asked = self.given(choices, app.settings)
        return asked if self._iexec is None else to_iexec_request(asked, self._iexec, self.name)

    def notes(self, record: TaskRecord) -> Iterable[str]:  # noqa: ARG002
        return ()


class RerunSource:
    """A new task with the bundle, inputs and options of an earlier one."""

    def __init__(self, task_id: str, *, same_image: bool) -> None:
        self.label = short_id(task_id)
        self.name = f"rerun of {self.label}"
        self._task_id = task_id
        self._same_image = same_image
        self._before: tuple[TaskRecord, Workspace] | None = None

    def request(self, app: App, choices: Choices, notify: Callable[[str], None]) -> Request:
        from localrun.manager.rerun import request_from, with_changes

        workspace, record = app.find(self._task_id)
        self._before = (record, workspace)
        named = choices.named_inputs()
        given = named.pop("values", {})
        files = os.listdir(choices.inputs) if "inputs_folder" in named else ()  # noqa: PTH208 - names
        replaced = {*given, *files, *(pair.partition("=")[0] for pair in choices.assignments)}
        found = request_from(
            record,
            workspace,
            notify,
            replaced=replaced,
            has_image=lambda image: app.engine.find_image(image) is not None,
            image=choices.options.get("image"),
            same_image=self._same_image,
        )
        changed = with_changes(found, choices.options, given)
        return changed.replace(assignments=choices.assignments, **named)

    def notes(self, record: TaskRecord) -> Iterator[str]:
        from localrun.manager.rerun import changed_since

        if self._before is None:
            return
        before, workspace = self._before
        for what in changed_since(before, workspace, record):
            yield f"the {what} differs from that of task {before.short_id}; `localrun diff` shows details"
