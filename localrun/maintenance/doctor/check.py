"""One thing that was looked at, and whether it is as it should be."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """What was found: `warn` works, and may not for long or not for all; `fail` keeps tasks from running.

    `facts` are the values of the message, for machines.
    """

    name: str
    status: Status
    message: str
    remedy: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """A JSON-ready form."""
        return asdict(self)


def ok(name: str, message: str, **facts: Any) -> Check:
    """It is as it should be."""
    return Check(name, "ok", message, facts=facts)


def warn(name: str, message: str, remedy: str, **facts: Any) -> Check:
    """It works, and may not for long or not for all."""
    return Check(name, "warn", message, remedy, facts)


def fail(name: str, message: str, remedy: str, **facts: Any) -> Check:
    """It keeps tasks from running."""
    return Check(name, "fail", message, remedy, facts)
