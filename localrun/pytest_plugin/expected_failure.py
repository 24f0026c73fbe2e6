"""The expected failure of a test case."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localrun.api import TaskFailed
from localrun.descriptor.types import format_value
from localrun.errors import Cause, LocalrunError, Problem, UsageError
from localrun.suggestions import did_you_mean
from localrun.values.compare.expected.outputs import Difference

_KEYS = ("cause", "exit_code", "message")


class ExpectedFailure:
    """The content of a `failure.json`: `cause`, `exit_code`, and a part of the `message` or the log.

    Keys that it does not have are not compared.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._expected = _read(path)

    def differences(self, error: LocalrunError, log: str) -> list[Difference]:
        """Return the differences between an error and this one; `log` is the output of the task."""
        found = _facts(error)
        names = [name for name in ("cause", "exit_code") if name in self._expected]
        differences = [
            Difference(
                f"failure.{name}",
                f"expected {format_value(self._expected[name])}, got {format_value(found[name])}",
            )
            for name in names
            if found[name] != self._expected[name]
        ]
        if not self._matches_message(error, log):
            message = f"neither the message nor the log contains {format_value(self._expected['message'])}"
            differences.append(Difference("failure.message", message, tuple(str(error).splitlines())))
        return differences

    def update(self, error: LocalrunError, log: str) -> list[str]:
        """Save the actual failure. Return the changed keys. A message that no longer occurs is removed."""
        found = _facts(error)
        after = {name: value for name, value in found.items() if name in self._expected} or found
        if "message" in self._expected and self._matches_message(error, log):
            after["message"] = self._expected["message"]
        if after == self._expected:
            return []
        self.path.write_text(json.dumps(after, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return [name for name in _KEYS if after.get(name) != self._expected.get(name)]

    def _matches_message(self, error: LocalrunError, log: str) -> bool:
        return str(self._expected.get("message", "")) in f"{error}\n{log}"


def _facts(error: LocalrunError) -> dict[str, Any]:
    return {
        "cause": str(error.cause),
        "exit_code": error.record.exit_code if isinstance(error, TaskFailed) else None,
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _invalid([Problem("", str(error), "correct the file", file=str(path))]) from error
    if not isinstance(found, Mapping):
        raise _invalid(
            [Problem("", "expected an object", f"expected keys: {', '.join(_KEYS)}", file=str(path))]
        )
    problems = [
        Problem(str(name), "unknown key", did_you_mean(str(name), _KEYS), file=str(path))
        for name in found
        if name not in _KEYS
    ]
    causes = [str(cause) for cause in Cause]
    if "cause" in found and found["cause"] not in causes:
        message = f"unknown cause {format_value(found['cause'])}"
        problems.append(Problem("cause", message, did_you_mean(str(found["cause"]), causes), file=str(path)))
    if problems:
        raise _invalid(problems)
    return dict(found)


def _invalid(problems: list[Problem]) -> UsageError:
    return UsageError("cannot read the expected failure", remedy="correct the file", problems=problems)
