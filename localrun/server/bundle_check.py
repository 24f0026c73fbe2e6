"""Check a task before it is submitted: every problem at once, and nothing runs or is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from localrun import values
from localrun.bundle.reader import Bundle
from localrun.errors import AdmissionError, EngineError, InputsError, LocalrunError, Problem
from localrun.manager import consensus
from localrun.manager.inputs import gather, missing_inputs
from localrun.manager.payload import from_payload
from localrun.manager.request import Request
from localrun.manager.task_outputs import TaskOutputs
from localrun.report.details.commands import curl_command, run_command
from localrun.server.state import ServerState
from localrun.task.record import Resources
from localrun.values.parsing import unknown_input

_LIMITS = ("cpus", "memory", "gpus")

Fields = dict[str, Any]


class BundleCheck:
    """Checks the fields of a task of one bundle, whose own problems are `known`."""

    def __init__(
        self, state: ServerState, reference: str, bundle: Bundle, known: Sequence[Problem] = ()
    ) -> None:
        self._state = state
        self._reference = reference
        self._bundle = bundle
        self._descriptor = bundle.descriptor
        self._problems: list[Problem] = [*known]

    def check(self, fields: Mapping[str, Any], uploads: list[str], base_url: str) -> Fields:
        """Return the problems, the missing inputs, the warnings, and the task to submit.

        `uploads` are inputs whose file is sent later.
        """
        given = fields.get("inputs") or {}
        sent = dict.fromkeys(name.partition("/")[0] for name in uploads)
        self._problems += [
            unknown_input(name, self._descriptor) for name in sent if name not in self._descriptor.inputs
        ]
        request = self._options({key: value for key, value in fields.items() if key != "inputs"})
        warnings = list(self._bundle.warnings)
        missing: tuple[str, ...] = ()
        if isinstance(given, Mapping):
            missing = self._values(given, list(sent), warnings)
        else:
            self._problems.append(Problem("inputs", "expected an object", "pass inputs by name"))
        if request is not None:
            self._resources(request)
        task = {"bundle": self._reference, **fields}
        return {
            "valid": not self._problems and not missing,
            "problems": [_problem_fields(problem) for problem in self._problems],
            "missing": list(missing),
            "warnings": [str(warning) for warning in warnings],
            "commands": self._commands(request, task, list(sent), base_url),
            "submission": task,
        }

    def _options(self, fields: Fields) -> Request | None:
        """Read all fields but the inputs; None if one is invalid."""
        store = self._state.bundle_store
        try:
            request = from_payload({**fields, "bundle": self._reference}, store.find_bundle, store.find_file)
        except LocalrunError as error:
            self._problems += error.problems or [Problem("", error.message, error.remedy)]
            return None
        if (request.replicas, request.agree) != (1, None):
            try:
                consensus.check_quorum(request.replicas, request.agree)
            except ValueError as error:
                self._problems.append(Problem("replicas", str(error)))
        return request

    def _values(self, given: Mapping[str, Any], sent: list[str], warnings: list[Any]) -> tuple[str, ...]:
        """Check the inputs, and return the missing ones."""
        found: Fields = {}
        refused: list[str] = []
        outputs = TaskOutputs(self._state.app.store)
        for name, value in given.items():
            request = Request(Path(), values={name: value}, find_file=self._state.bundle_store.find_file)
            try:
                gathered = gather(request, self._descriptor)
            except InputsError as error:
                refused.append(name)
                self._problems += [
                    Problem(f"inputs.{name}", problem.message, problem.remedy) for problem in error.problems
                ]
            else:
                given, problems = outputs.check(gathered.given, self._descriptor, urls=False)
                self._problems += problems
                refused += [name] if problems else []
                found |= given
                warnings += gathered.warnings
        missing = missing_inputs(self._descriptor, {*found, *sent, *refused})
        try:
            values.check(self._descriptor, found, {*missing, *sent, *refused})
        except InputsError as error:
            self._problems += error.problems
        return missing

    def _resources(self, request: Request) -> None:
        """Check that the machine has the resources, if its engine answers."""
        asked = self._descriptor.resources
        wanted = {name: getattr(request, name) for name in _LIMITS}
        resources = Resources(
            **{name: getattr(asked, name) if value is None else value for name, value in wanted.items()}
        )
        try:
            self._state.app.runner.admission.check("", resources)
        except AdmissionError as error:
            self._problems += error.problems
        except EngineError:
            return

    def _commands(self, request: Request | None, task: Fields, sent: list[str], base_url: str) -> Fields:
        inputs = task.get("inputs")
        shown = dict(inputs) if isinstance(inputs, Mapping) else {}
        options = (
            {} if request is None else {name: getattr(request, name) for name in request.__struct_fields__}
        )
        files = dict.fromkeys(sent, "@FILE")
        token = self._state.options.token is not None
        uploads = dict.fromkeys(sent, "FILE")
        return {
            "run": run_command(self._reference, {**shown, **files}, options, self._descriptor),
            "curl": curl_command(base_url, task, uploads, has_token=token),
        }


def _problem_fields(problem: Problem) -> Fields:
    parts = problem.path.split(".")
    is_input = parts[0] == "inputs" and len(parts) > 1
    index = parts[2] if len(parts) > 2 else ""
    return {
        "path": problem.path,
        "input": parts[1] if is_input else None,
        "index": int(index) if is_input and index.isascii() and index.isdigit() else None,
        "message": problem.message,
        "remedy": problem.remedy,
    }
