"""A run on the server, and the same task on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localrun.api.remote import results
from localrun.api.remote.client import AppEngineClient, Refusal, describe
from localrun.api.remote.comparison import UNKNOWN, Step, Verdict, agree, of_answer, of_problems
from localrun.api.remote.connection import Reply
from localrun.api.remote.provisions import GivenInputs, given_inputs, input_of
from localrun.api.remote.upload import of_report, packed, upload
from localrun.app import App
from localrun.bundle.reader import Bundle, read_bundle
from localrun.bundle.validation.findings import Severity, ValidationReport, from_warning
from localrun.engines.base import Progress, no_progress
from localrun.errors import Cause, LocalrunError, Problem, UsageError
from localrun.manager.request import Request
from localrun.task.active import ActiveTask
from localrun.task.record import TaskRecord
from localrun.task.states import TaskState
from localrun.values.collection import CollectedOutputs, collect
from localrun.values.compare.change import Change
from localrun.values.compare.folders import diff_files

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 2.0  # seconds between two requests for the state
_LOG_LINES = 10  # of a failed run

Notify = Callable[[str], None]


@dataclass
class RemoteResult:
    """What both sides said. `state` is that of the run on the server, `outputs` its outputs, read here."""

    url: str
    steps: list[Step] = field(default_factory=list)
    run: str = ""
    state: str = ""
    record: TaskRecord | None = None  # of this machine
    outputs: CollectedOutputs | None = None
    values: Any = None  # the outputs in the JSON of the server
    differences: list[Change] = field(default_factory=list)

    @property
    def agree(self) -> bool:
        return agree(self.steps) and not self.differences

    def rejected(self) -> bool:
        """Whether the server rejected the bundle, an input or the start."""
        return not self.state and any(step.remote.word == "rejected" for step in self.steps)

    def as_dict(self) -> dict[str, Any]:
        found = self.outputs
        return {
            "url": self.url,
            "run": self.run or None,
            "state": self.state or None,
            "task": self.record.id if self.record else None,
            "steps": [step.as_dict() for step in self.steps],
            "outputs": found.outputs if found else None,
            "values": self.values,
            "differences": [change.as_dict() for change in self.differences],
            "agree": self.agree,
        }


class RemoteRun:
    """Runs a request on a server, and on this machine if localrun accepts it.

    `notify` is called with what happens. `folder` is for the outputs of the server.
    """

    def __init__(
        self,
        app: App,
        client: AppEngineClient,
        request: Request,
        folder: Path,
        *,
        notify: Notify = lambda _: None,
        progress: Progress = no_progress,
    ) -> None:
        self._app = app
        self._client = client
        self._request = request
        self._folder = folder
        self._notify = notify
        self._progress = progress
        self._task: ActiveTask | None = None
        self.result = RemoteResult(client.url)

    def execute(self) -> RemoteResult:
        """Upload the bundle if necessary, run it, and compare. Raises as `submit`, and `Refusal`."""
        request, result = self._request, self.result
        bundle = read_bundle(
            request.bundle, image=request.image, cache=self._app.settings.cache, build=request.build
        )
        given = given_inputs(request, bundle.descriptor)
        for note in given.notes:
            self._notify(f"note: {note}")
        if self._upload(bundle) and self._create(bundle) and self._provision(bundle, given):
            started = self._client.start(result.run)
            result.steps.append(Step("start", of_problems(given.problems), of_answer(started)))
            if started.is_ok:
                self._run(bundle, given)
        if not result.state and result.run:
            self.cancel()
        return result

    def cancel(self) -> None:
        """Delete the run from the server, which stops it."""
        if self.result.run:
            with suppress(LocalrunError):
                self._client.delete_run(self.result.run)

    def _upload(self, bundle: Bundle) -> bool:
        descriptor = bundle.descriptor
        namespace, version = descriptor.namespace, descriptor.version
        known = self._client.descriptor(namespace, version)
        if known.status == 404:
            request = self._request
            with packed(
                self._app,
                request.bundle,
                request.image,
                request.build,
                progress=self._progress,
                warn=self._notify,
            ) as (archive, report):
                step, answer = upload(self._client, archive, report, self._progress)
            self.result.steps.append(step)
            return answer.is_ok
        if not known.is_ok:
            raise _unexpected(self._client, known)
        if known.body != descriptor.source:
            raise UsageError(
                f"{self._client.url} has another {namespace} {version}, with another descriptor",
                remedy="increase the version, or replace it with its runs: `localrun upload --replace`",
            )
        self._notify(f"using {namespace} {version}, which is on the server already")
        report = ValidationReport(bundle.name, tuple(_findings(bundle)), descriptor=descriptor)
        self.result.steps.append(Step("bundle", of_report(report), Verdict("accepted")))
        return True

    def _create(self, bundle: Bundle) -> bool:
        descriptor = bundle.descriptor
        made = self._client.create_run(descriptor.namespace, descriptor.version)
        found = made.json()
        if made.is_ok and isinstance(found, dict) and isinstance(found.get("id"), str):
            self.result.run = found["id"]
            return True
        late = (finding for finding in _findings(bundle) if finding.severity is Severity.REFUSED)
        local = of_problems(finding.problem for finding in late if finding.step != "upload")
        self.result.steps.append(Step("create a run", local, of_answer(made)))
        return False

    def _provision(self, bundle: Bundle, given: GivenInputs) -> bool:
        """Send all inputs. Return whether the server accepts them."""
        problems: dict[str, list[Problem]] = {}
        for problem in given.problems:
            problems.setdefault(input_of(problem), []).append(problem)
        answers: dict[str, list[Reply]] = {}
        for provision in given.provisions:
            answers.setdefault(provision.name, []).append(provision.send(self._client, self.result.run))
        names = [
            *bundle.descriptor.inputs,
            *(name for name in answers if name not in bundle.descriptor.inputs),
        ]
        for name in names:
            if name in answers or name in problems:
                local = of_problems(problems.get(name, ()))
                self.result.steps.append(Step(f"input {name}", local, _all_of(answers.get(name, []))))
        return all(answer.is_ok for found in answers.values() for answer in found)

    def _run(self, bundle: Bundle, given: GivenInputs) -> None:
        result = self.result
        self._notify(f"run {result.run[:8]} started on the server")
        if not given.problems:
            self._start_here()
        else:
            self._notify("not run on this machine: localrun rejects the inputs")
        state = self._await()
        here = UNKNOWN
        if self._task is not None:
            result.record = self._app.manager.wait(self._task)
            here = _verdict_of(result.record)
        there = Verdict("finished" if state == "FINISHED" else "failed", self._reasons(state))
        result.state = state
        result.steps.append(Step("run", here, there))
        if state == "FINISHED":
            self._read_outputs(bundle)

    def _start_here(self) -> None:
        try:
            self._task = self._app.manager.submit(self._request)
        except LocalrunError as error:
            self._notify(f"not run on this machine: {error.message}")

    def _await(self) -> str:
        """Wait for the end of the run on the server, and return its state."""
        begin, pause, last = time.monotonic(), _FIRST_WAIT, ""
        while True:
            answer = self._client.run(self.result.run)
            found = answer.json()
            if not answer.is_ok or not isinstance(found, dict):
                raise _unexpected(self._client, answer)
            state = str(found.get("state"))
            if state in ("FINISHED", "FAILED"):
                return state
            if state != last:
                self._notify(f"run {self.result.run[:8]} on the server: {state}")
            last, passed = state, time.monotonic() - begin
            if self._request.timeout is not None and passed > self._request.timeout:
                raise LocalrunError(
                    f"the run on {self._client.url} is still {state} after {passed:.0f} seconds",
                    remedy="increase --timeout, or see the log of the server",
                    cause=Cause.TIMEOUT,
                )
            time.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_WAIT)

    def _reasons(self, state: str) -> tuple[str, ...]:
        if state == "FINISHED":
            return ()
        answer = self._client.logs(self.result.run)
        lines = answer.text.splitlines()[-_LOG_LINES:] if answer.is_ok else []
        return tuple(f"log: {line}" for line in lines)

    def _read_outputs(self, bundle: Bundle) -> None:
        result, descriptor = self.result, bundle.descriptor
        answer = self._client.outputs(result.run)
        result.values = answer.json() if answer.is_ok else None
        missing = results.download_outputs(self._client, result.run, descriptor, self._folder)
        inputs = result.record.inputs if result.record else {}
        result.outputs = collect(descriptor, self._folder, inputs)
        here = of_problems(result.outputs.problems)
        reasons = (*missing, *(() if answer.is_ok else (describe(answer),)))
        there = Verdict("rejected", reasons) if reasons else Verdict("accepted")
        result.steps.append(Step("outputs", here, there))
        if self._task is not None and result.record is not None and result.record.state is TaskState.FINISHED:
            own = self._task.workspace.outputs
            for name in descriptor.outputs:
                if (own / name).exists() or (self._folder / name).exists():
                    result.differences += diff_files("outputs", name, own / name, self._folder / name)


def _findings(bundle: Bundle) -> Iterator[Any]:
    descriptor = bundle.descriptor
    yield from map(from_warning, (*descriptor.warnings, *descriptor.notes))


def _all_of(answers: list[Reply]) -> Verdict:
    """Return one verdict for the answers to all items of an input."""
    refused = [answer for answer in answers if not answer.is_ok]
    if not answers:
        return UNKNOWN
    found = of_answer(refused[0] if refused else answers[0])
    reasons = tuple(describe(answer) for answer in refused)
    return Verdict(found.word, reasons, found.fields)


def _verdict_of(record: TaskRecord | None) -> Verdict:
    if record is None:
        return UNKNOWN
    if record.state is TaskState.FINISHED:
        return Verdict("finished")
    problems = tuple(str(problem.get("message", "")) for problem in record.problems)
    return Verdict("failed", (record.message, *problems))


def _unexpected(client: AppEngineClient, answer: Reply) -> Refusal:
    return Refusal(f"{client.url} answered {describe(answer)}", remedy="see the log of the server")
