"""A case whose task must fail: what is expected of that."""

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
    """The content of a `failure.json`: a `cause`, an `exit_code`, and a part of the `message` or the log.

    What it does not name is not looked at.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._wanted = _read(path)

    def differences(self, error: LocalrunError, log: str) -> list[Difference]:
        """In what an error differs from it; `log` is what the task wrote."""
        found = _facts(error)
        names = [name for name in ("cause", "exit_code") if name in self._wanted]
        differences = [
            Difference(
                f"failure.{name}",
                f"is {format_value(found[name])}, and {format_value(self._wanted[name])} is expected",
            )
            for name in names
            if found[name] != self._wanted[name]
        ]
        if not self._says(error, log):
            message = f"holds no {format_value(self._wanted['message'])}, nor does the log"
            differences.append(Difference("failure.message", message, tuple(str(error).splitlines())))
        return differences

    def update(self, error: LocalrunError, log: str) -> list[str]:
        """Write what came out; what was written. A message that is not there any more goes."""
        found = _facts(error)
        after = {name: value for name, value in found.items() if name in self._wanted} or found
        if "message" in self._wanted and self._says(error, log):
            after["message"] = self._wanted["message"]
        if after == self._wanted:
            return []
        self.path.write_text(json.dumps(after, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return [name for name in _KEYS if after.get(name) != self._wanted.get(name)]

    def _says(self, error: LocalrunError, log: str) -> bool:
        return str(self._wanted.get("message", "")) in f"{error}\n{log}"


def _facts(error: LocalrunError) -> dict[str, Any]:
    return {
        "cause": str(error.cause),
        "exit_code": error.record.exit_code if isinstance(error, TaskFailed) else None,
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _unfit([Problem("", str(error), "correct it there", file=str(path))]) from error
    if not isinstance(found, Mapping):
        raise _unfit([Problem("", "holds no object", f"write {', '.join(_KEYS)}", file=str(path))])
    problems = [
        Problem(str(name), "is nothing that a failure has", did_you_mean(str(name), _KEYS), file=str(path))
        for name in found
        if name not in _KEYS
    ]
    causes = [str(cause) for cause in Cause]
    if "cause" in found and found["cause"] not in causes:
        said = f"{format_value(found['cause'])} is no cause"
        problems.append(Problem("cause", said, did_you_mean(str(found["cause"]), causes), file=str(path)))
    if problems:
        raise _unfit(problems)
    return dict(found)


def _unfit(problems: list[Problem]) -> UsageError:
    return UsageError(
        "the expected failure cannot be read", remedy="correct what is listed", problems=problems
    )
