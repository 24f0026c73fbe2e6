"""A test case: a folder with inputs and expected outputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from localrun import values
from localrun.console.display.sanitize import escape_lines
from localrun.errors import LocalrunError, Problem, UsageError, fold_alike, in_outputs
from localrun.pytest_plugin import snapshots
from localrun.pytest_plugin.case_discovery import EXPECTED, FAILURE, FOLDER, INPUTS, TOLERANCES
from localrun.pytest_plugin.expected_failure import ExpectedFailure
from localrun.pytest_plugin.task_runner import Bench, output_types
from localrun.values.compare.expected.outputs import Difference


class Mismatch(AssertionError):
    """The outputs differ from the expected ones, as listed in `differences`."""

    def __init__(self, text: str, differences: list[Difference]) -> None:
        super().__init__(text)
        self.differences = differences


class Case:
    """A case of the fixture `localrun_case`.

    Its folder has `inputs.json`, `expected.json` and optionally `tolerances.json`, which overrides those of
    the parent folders. A string `"@FILE"` in the first two is a file relative to the folder. If the task must
    fail, `failure.json` replaces `expected.json`.
    """

    def __init__(
        self, folder: Path, root: Path, bench: Bench, on_update: Callable[[str], None] | None
    ) -> None:
        self.folder = folder
        self.name = folder.name
        self._root = root
        self._bench = bench
        self._on_update = on_update  # None: compare only

    def __repr__(self) -> str:
        return f"<localrun case {self.name}>"

    @property
    def inputs(self) -> dict[str, Any] | Path:
        """The input values, or the folder of inputs. Raises `InputsError` if the file cannot be read."""
        path = self.folder / INPUTS
        return values.load_values(path) if path.exists() else self.folder / FOLDER

    @property
    def expected(self) -> dict[str, Any]:
        """The expected outputs; empty if there are none yet. Raises `InputsError` if they cannot be read."""
        path = self.folder / EXPECTED
        return values.load_values(path) if path.exists() else {}

    @property
    def tolerances(self) -> dict[str, Any]:
        """The tolerances by output, as written. Raises `UsageError` if a file cannot be read."""
        above = [folder for folder in self.folder.parents if folder.is_relative_to(self._root)]
        found: dict[str, Any] = {}
        for folder in (*reversed(above), self.folder):
            found.update(_tolerances(folder))
        return found

    def run(self, **options: Any) -> dict[str, Any]:
        """Run the project's bundle with the inputs. Return its outputs. Options and errors as `Bench`."""
        __tracebackhide__ = True
        return self._bench(inputs=self.inputs, **options)

    def check(self, tolerances: Mapping[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        """Run the case and compare its outputs. Return them. `tolerances` override those of files.

        Raises `Mismatch` with every difference; images of them are saved in the test's folder. With
        `--localrun-update` the outputs become the expected ones, and the differences are shown at the end
        of the session. A case with `failure.json` must fail, and returns no outputs.
        """
        __tracebackhide__ = True
        if (self.folder / FAILURE).exists():
            self._check_failure(options)
            return {}
        allowed = {**self.tolerances, **(tolerances or {})}
        expected = self.expected
        if self._on_update is None and not (self.folder / EXPECTED).exists():
            text = f"no {EXPECTED} in {self.folder}; create it with `pytest --localrun-update`"
            raise Mismatch(text, [])
        outputs = self.run(**options)
        differences = self._bench.compare(self._comparable(expected), allowed)
        if self._on_update is not None:
            self._update(differences, allowed)
        elif differences:
            raise Mismatch(self._describe(differences, self.folder / EXPECTED), differences)
        return outputs

    def _check_failure(self, options: Mapping[str, Any]) -> None:
        __tracebackhide__ = True
        failure = ExpectedFailure(self.folder / FAILURE)
        before = len(self._bench.tasks)
        try:
            self.run(**options)
        except LocalrunError as error:
            log = self._bench.last.logs() if len(self._bench.tasks) > before else ""
            differences = failure.differences(error, log)
            written = failure.update(error, log) if self._on_update is not None else []
            if written:
                self._report_update(failure.path, written, differences)
            elif differences:
                raise Mismatch(self._describe(differences, failure.path), differences) from None
        else:
            raise Mismatch(f"the task finished, but {failure.path} expects it to fail", [])

    def _report_update(self, path: Path, written: list[str], differences: list[Difference]) -> None:
        assert self._on_update is not None
        lines = [f"{path}: {', '.join(written)}", *map(_indented, differences)]
        self._on_update(escape_lines("\n".join(lines)))

    def _comparable(self, expected: dict[str, Any]) -> dict[str, Any]:
        """Return the comparable values. Missing outputs and files are allowed if they will be written."""
        if self._on_update is None:
            return expected
        types = output_types(self._bench.last)
        return {name: value for name, value in expected.items() if snapshots.can_be_read(types, name, value)}

    def _update(self, differences: list[Difference], tolerances: Mapping[str, Any]) -> None:
        ignored = {name for name, one in tolerances.items() if isinstance(one, Mapping) and one.get("ignore")}
        task = self._bench.last
        written = snapshots.update(self.folder, task, output_types(task), differences, ignored)
        if written:
            self._report_update(self.folder / EXPECTED, written, differences)

    def _describe(self, differences: list[Difference], path: Path) -> str:
        count = "1 value differs" if len(differences) == 1 else f"{len(differences)} values differ"
        lines = [f"{count}{in_outputs([one.path for one in differences])} from {path}"]
        for difference in fold_alike(differences, lambda one: Problem(one.path, "").kind):
            if isinstance(difference, str):
                lines.append(f"  {difference}")
                continue
            lines.append(_indented(difference))
            lines += [f"      image: {path}" for path in self._save_images(difference)]
        lines.append("hint: if the new values are correct, run `pytest --localrun-update`")
        return escape_lines("\n".join(lines))

    def _save_images(self, difference: Difference) -> list[Path]:
        if difference.image is None:
            return []
        folder = self._bench.folder / "differences" / self.name
        folder.mkdir(parents=True, exist_ok=True)
        name = difference.path.removeprefix("outputs.").replace("/", "_").replace(" ", "_")
        path = folder / f"{name}{difference.image.suffix}"
        path.write_bytes(difference.image.data)
        return [path]


def _indented(difference: Difference) -> str:
    return "  - " + str(difference).replace("\n", "\n  ")


def _tolerances(folder: Path) -> dict[str, Any]:
    path = folder / TOLERANCES
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from error
    if not isinstance(found, dict):
        raise _unreadable(path, "expected an object of tolerances by output name")
    return found


def _unreadable(path: Path, message: str) -> UsageError:
    problem = Problem("", message, "correct the file", file=str(path))
    return UsageError("cannot read the tolerances", remedy="correct the file", problems=[problem])
