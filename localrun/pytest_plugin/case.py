"""A case: a folder with inputs, and what is expected of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from localrun import values
from localrun.console.display.sanitize import escape_lines
from localrun.errors import LocalrunError, Problem, UsageError
from localrun.pytest_plugin import snapshots
from localrun.pytest_plugin.case_discovery import EXPECTED, FAILURE, INPUTS, TOLERANCES
from localrun.pytest_plugin.expected_failure import ExpectedFailure
from localrun.pytest_plugin.task_runner import Bench, output_types
from localrun.values.compare.expected.outputs import Difference


class Mismatch(AssertionError):
    """Outputs are not as expected; `differences` lists in what."""

    def __init__(self, text: str, differences: list[Difference]) -> None:
        super().__init__(text)
        self.differences = differences


class Case:
    """One case of the fixture `localrun_case`.

    Its folder holds `inputs.json`, `expected.json`, and perhaps `tolerances.json`, which comes before those
    of the folders above. A text `"@FILE"` in the first two is a file relative to the folder. Where the task
    must fail, there is `failure.json` in place of what is expected.
    """

    def __init__(self, folder: Path, root: Path, bench: Bench, told: Callable[[str], None] | None) -> None:
        self.folder = folder
        self.name = folder.name
        self._root = root
        self._bench = bench
        self._told = told  # takes what was updated; None: nothing is to be

    def __repr__(self) -> str:
        return f"<localrun case {self.name}>"

    @property
    def inputs(self) -> dict[str, Any]:
        """The values of the inputs. Raises `InputsError` when the file cannot be read."""
        return values.load_values(self.folder / INPUTS)

    @property
    def expected(self) -> dict[str, Any]:
        """The values of the outputs; empty when nothing is expected yet. Raises `InputsError`."""
        path = self.folder / EXPECTED
        return values.load_values(path) if path.exists() else {}

    @property
    def tolerances(self) -> dict[str, Any]:
        """The tolerances as they are written, by output. Raises `UsageError` when a file cannot be read."""
        above = [folder for folder in self.folder.parents if folder.is_relative_to(self._root)]
        found: dict[str, Any] = {}
        for folder in (*reversed(above), self.folder):
            found.update(_tolerances(folder))
        return found

    def run(self, **options: Any) -> dict[str, Any]:
        """Run the project's bundle with the inputs; its outputs. Options, and errors, as `Bench`."""
        __tracebackhide__ = True
        return self._bench(inputs=self.inputs, **options)

    def check(self, tolerances: Mapping[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        """Run it, and compare with what is expected; its outputs. `tolerances` come before those of files.

        Raises `Mismatch` with every difference; pictures of them are kept in the test's folder. With
        `--localrun-update` what came out becomes what is expected, and the differences are shown at the
        end of the session. A case with `failure.json` must fail, and gives no outputs.
        """
        __tracebackhide__ = True
        if (self.folder / FAILURE).exists():
            self._check_failure(options)
            return {}
        allowed = {**self.tolerances, **(tolerances or {})}
        expected = self.expected
        if self._told is None and not (self.folder / EXPECTED).exists():
            text = f"there is no {EXPECTED} in {self.folder}: write it with `pytest --localrun-update`"
            raise Mismatch(text, [])
        outputs = self.run(**options)
        differences = self._bench.compare(self._comparable(expected), allowed)
        if self._told is not None:
            self._update(differences, allowed)
        elif differences:
            raise Mismatch(self._said(differences, self.folder / EXPECTED), differences)
        return outputs

    def _check_failure(self, options: Mapping[str, Any]) -> None:
        __tracebackhide__ = True
        refusal = ExpectedFailure(self.folder / FAILURE)
        before = len(self._bench.tasks)
        try:
            self.run(**options)
        except LocalrunError as error:
            log = self._bench.last.logs() if len(self._bench.tasks) > before else ""
            differences = refusal.differences(error, log)
            written = refusal.update(error, log) if self._told is not None else []
            if written:
                self._tell(refusal.path, written, differences)
            elif differences:
                raise Mismatch(self._said(differences, refusal.path), differences) from error
        else:
            raise Mismatch(f"the task finished, and {refusal.path} says that it must fail", [])

    def _tell(self, path: Path, written: list[str], differences: list[Difference]) -> None:
        assert self._told is not None
        lines = [f"{path}: {', '.join(written)}", *map(_indented, differences)]
        self._told(escape_lines("\n".join(lines)))

    def _comparable(self, expected: dict[str, Any]) -> dict[str, Any]:
        """What can be compared; where all is to be written, what is missing is no error."""
        if self._told is None:
            return expected
        types = output_types(self._bench.last)
        return {name: value for name, value in expected.items() if snapshots.can_be_read(types, name, value)}

    def _update(self, differences: list[Difference], tolerances: Mapping[str, Any]) -> None:
        ignored = {name for name, one in tolerances.items() if isinstance(one, Mapping) and one.get("ignore")}
        task = self._bench.last
        written = snapshots.update(self.folder, task, output_types(task), differences, ignored)
        if written:
            self._tell(self.folder / EXPECTED, written, differences)

    def _said(self, differences: list[Difference], path: Path) -> str:
        count = "a value is" if len(differences) == 1 else f"{len(differences)} values are"
        lines = [f"{count} not as {path} says"]
        for difference in differences:
            lines.append(_indented(difference))
            lines += [f"      picture: {path}" for path in self._kept(difference)]
        lines.append("if it is right as it is now: pytest --localrun-update")
        return escape_lines("\n".join(lines))

    def _kept(self, difference: Difference) -> list[Path]:
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
        raise _unreadable(path, "holds no object of tolerances by the names of outputs")
    return found


def _unreadable(path: Path, message: str) -> UsageError:
    problem = Problem("", message, "correct it there", file=str(path))
    return UsageError("the tolerances cannot be read", remedy="correct what is listed", problems=[problem])
