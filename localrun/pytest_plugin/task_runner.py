"""The fixture `localrun`: runs bundles in a test, and shows why one did not finish."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from localrun import api, descriptor, values
from localrun.api import Task, TaskFailed
from localrun.app import App
from localrun.console.display.sanitize import escape_lines
from localrun.descriptor.types import DataType
from localrun.suggestions import did_you_mean
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.values.compare.expected.outputs import Difference, compare, parse_tolerances

Place = str | os.PathLike[str]
_LOG, _CHARACTERS = 15, 8000  # last lines of a log in an assertion, and how much of them

# what a task may be told beside its inputs
TASK_OPTIONS = frozenset(inspect.signature(api.submit).parameters) - {"bundle", "inputs", "home", "values"}


class TaskEnded(TaskFailed, AssertionError):
    """The task ended otherwise than FINISHED; the text says why, what to do, and what it wrote last."""

    def __init__(self, record: TaskRecord, log: str = "") -> None:
        super().__init__(record)
        self.log = log[-_CHARACTERS:]

    def __str__(self) -> str:
        record = self.record
        head = f"{record.state} ({record.cause})" if record.cause else str(record.state)
        parts = [f"{head}: {super().__str__()}"]
        last = self.log.rstrip().rpartition("\n")[2]
        if last and last not in record.message:
            parts += ["last lines of its log:", *(f"  {line}" for line in self.log.splitlines()[-_LOG:])]
        home = Path(record.folder).parent.parent
        return escape_lines("\n".join([*parts, f"see also: localrun --home {home} status {record.short_id}"]))


class Bench:
    """Runs bundles in a folder of tasks that belongs to one test.

    `localrun(a=3)` runs the project's own bundle, `localrun("other", a=3)` another one. Options are those of
    `localrun.submit`; what is not given comes from the marker, the fixtures, and the options of the session.
    """

    def __init__(self, app: App, find_bundle: Callable[[], Path], options: Mapping[str, Any]) -> None:
        self.app = app
        self._find_bundle = find_bundle
        self._options = dict(options)
        self._tasks: list[Task] = []

    @property
    def folder(self) -> Path:
        """The folder of this test's tasks."""
        return self.app.settings.home

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that were submitted here, in this order."""
        return tuple(self._tasks)

    @property
    def last(self) -> Task:
        """The task that was submitted last. Fails when there is none."""
        if not self._tasks:
            pytest.fail("no task was submitted here yet", pytrace=False)
        return self._tasks[-1]

    def submit(
        self, bundle: Place | None = None, /, *, inputs: Mapping[str, Any] | None = None, **given: Any
    ) -> Task:
        """Submit a task and return at once; it is stopped at the end of the test. As `localrun.submit`."""
        __tracebackhide__ = True
        place = self._find_bundle() if bundle is None else Path(bundle)
        task = api.submit(place, inputs=inputs, home=self.folder, **{**self._options, **given})
        self._tasks.append(task)
        return task

    def __call__(
        self, bundle: Place | None = None, /, *, inputs: Mapping[str, Any] | None = None, **given: Any
    ) -> dict[str, Any]:
        """Run a task; its outputs by name, as Python has them, files as `Path`.

        Raises `TaskEnded` (an AssertionError and a `TaskFailed`) when it does not finish, and what
        `localrun.submit` raises.
        """
        __tracebackhide__ = True
        task = self.submit(bundle, inputs=inputs, **given)
        with task.sync_context():  # a test that is broken off, by a time limit for example, stops its task
            task.wait()
        return self.outputs_of(task)

    def outputs_of(self, task: Task) -> dict[str, Any]:
        """The outputs of a task once it has ended. Raises `TaskEnded` when it did not finish."""
        __tracebackhide__ = True
        if task.wait() is not TaskState.FINISHED:
            raise TaskEnded(task.info, task.logs(lines=_LOG))
        return task.outputs

    def compare(
        self,
        expected: Mapping[str, Any] | Place,
        tolerances: Mapping[str, Any] | None = None,
        task: Task | None = None,
    ) -> list[Difference]:
        """In what the outputs of a task (None: the last one) differ from what is expected.

        `expected` are values by name, files as `Path`, or the path of such a file as JSON. `tolerances`
        are numbers, mappings, or `Tolerance`s by name. Raises `UsageError` for names that are no outputs.
        """
        found = task or self.last
        outputs = self.outputs_of(found)
        wanted = dict(expected) if isinstance(expected, Mapping) else values.load_values(Path(expected))
        types = output_types(found)
        return compare(wanted, outputs, types, parse_tolerances(tolerances or {}, types))


def output_types(task: Task) -> dict[str, DataType]:
    """The types of a task's outputs."""
    found = descriptor.read((task.folder / "descriptor.yml").read_bytes())
    return {name: one.type for name, one in found.outputs.items()}


def marker_options(node: pytest.Item) -> dict[str, Any]:
    """What the marker of a test says beside `cases`. Fails the test for what is no option."""
    marker = node.get_closest_marker("localrun")
    if marker is None:
        return {}
    found = {name: value for name, value in marker.kwargs.items() if name != "cases"}
    for name in found.keys() - TASK_OPTIONS:
        known = sorted({*TASK_OPTIONS, "cases"})
        hint = did_you_mean(name, known) or f"there are {', '.join(known)}"
        pytest.fail(f"pytest.mark.localrun knows no {name!r}: {hint}", pytrace=False)
    return found
