"""The fixture `localrun`: runs bundles in a test, and reports why one did not finish."""

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

BundlePath = str | os.PathLike[str]
_LOG, _CHARACTERS = 15, 8000  # last lines of a log in an assertion, and their maximum length

# the parameters of `submit` except inputs
TASK_OPTIONS = frozenset(inspect.signature(api.submit).parameters) - {"bundle", "inputs", "home", "values"}

OWN_OPTIONS = ("dockerfile", "context", "target")  # of the session, for the project's own bundle


class TaskEnded(TaskFailed, AssertionError):
    """The task did not finish; the text has the reason, a hint and the end of the log."""

    def __init__(self, record: TaskRecord, log: str = "") -> None:
        super().__init__(record)
        self.log = log[-_CHARACTERS:]

    def __str__(self) -> str:
        record = self.record
        head = f"{record.state} ({record.cause})" if record.cause else str(record.state)
        parts = [f"{head}: {super().__str__()}"]
        last_line = self.log.rstrip().rpartition("\n")[2]
        if last_line and last_line not in record.message:
            parts += ["last lines of its log:", *(f"  {line}" for line in self.log.splitlines()[-_LOG:])]
        home = Path(record.folder).parent.parent
        return escape_lines("\n".join([*parts, f"see also: localrun --home {home} status {record.short_id}"]))


class Bench:
    """Runs bundles in the task folder of a test.

    `localrun(a=3)` runs the project's own bundle, `localrun("other", a=3)` another one. Options are those of
    `localrun.submit`; their defaults come from the marker, the fixtures, and the options of the session.
    `build` are the options for builds, of which those in `OWN_OPTIONS` are for the project's own bundle.
    """

    def __init__(
        self,
        app: App,
        find_bundle: Callable[[], Path],
        options: Mapping[str, Any],
        build: Mapping[str, Any] | None = None,
    ) -> None:
        self.app = app
        self._build = dict(build or {})
        self._find_bundle = find_bundle
        self._options = dict(options)
        self._tasks: list[Task] = []

    @property
    def folder(self) -> Path:
        """The folder of this test's tasks."""
        return self.app.settings.home

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that were submitted here, in order."""
        return tuple(self._tasks)

    @property
    def last(self) -> Task:
        """The task that was submitted last. Fails the test if there is none."""
        if not self._tasks:
            pytest.fail("no task was submitted yet", pytrace=False)
        return self._tasks[-1]

    def submit(
        self,
        bundle: BundlePath | None = None,
        /,
        *,
        inputs: Mapping[str, Any] | BundlePath | None = None,
        **given: Any,
    ) -> Task:
        """Submit a task, as `localrun.submit`. It is stopped at the end of the test."""
        __tracebackhide__ = True
        place = self._find_bundle() if bundle is None else Path(bundle)
        # another bundle has a Dockerfile of its own
        build = {
            name: value for name, value in self._build.items() if bundle is None or name not in OWN_OPTIONS
        }
        options = {**build, **self._options, **given}
        task = api.submit(place, inputs=inputs, home=self.folder, **options)
        self._tasks.append(task)
        return task

    def __call__(
        self,
        bundle: BundlePath | None = None,
        /,
        *,
        inputs: Mapping[str, Any] | BundlePath | None = None,
        **given: Any,
    ) -> dict[str, Any]:
        """Run a task. Return its outputs by name as Python values, with files as `Path`.

        Raises `TaskEnded` (an AssertionError and a `TaskFailed`) if it does not finish, and what
        `localrun.submit` raises.
        """
        __tracebackhide__ = True
        task = self.submit(bundle, inputs=inputs, **given)
        with task.sync_context():  # an interrupted test, e.g. by a time limit, stops its task
            task.wait()
        return self.outputs_of(task)

    def outputs_of(self, task: Task) -> dict[str, Any]:
        """Wait for a task and return its outputs. Raises `TaskEnded` if it does not finish."""
        __tracebackhide__ = True
        if task.wait() is not TaskState.FINISHED:
            raise TaskEnded(task.info, task.logs(lines=_LOG))
        return task.outputs

    def compare(
        self,
        expected: Mapping[str, Any] | BundlePath,
        tolerances: Mapping[str, Any] | None = None,
        task: Task | None = None,
    ) -> list[Difference]:
        """Return the differences between the outputs of a task (None: the last one) and the expected ones.

        `expected` are values by name, with files as `Path`, or the path of a JSON file. `tolerances` are
        numbers, mappings, or `Tolerance`s by name. Raises `UsageError` for names that are not outputs.
        """
        found = task or self.last
        outputs = self.outputs_of(found)
        wanted = dict(expected) if isinstance(expected, Mapping) else values.load_values(Path(expected))
        types = output_types(found)
        return compare(wanted, outputs, types, parse_tolerances(tolerances or {}, types))


def output_types(task: Task) -> dict[str, DataType]:
    found = descriptor.read((task.folder / "descriptor.yml").read_bytes())
    return {name: one.type for name, one in found.outputs.items()}


def marker_options(node: pytest.Item) -> dict[str, Any]:
    """Return the options of a test's marker, without `cases`. Fails the test for unknown options."""
    marker = node.get_closest_marker("localrun")
    if marker is None:
        return {}
    found = {name: value for name, value in marker.kwargs.items() if name != "cases"}
    for name in found.keys() - TASK_OPTIONS:
        known = sorted({*TASK_OPTIONS, "cases"})
        hint = did_you_mean(name, known) or f"expected one of: {', '.join(known)}"
        pytest.fail(f"pytest.mark.localrun: unknown option {name!r}; {hint}", pytrace=False)
    return found
