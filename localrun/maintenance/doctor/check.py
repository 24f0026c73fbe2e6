"""The result of one check."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """The result of a check.

    `warn`: tasks run, but perhaps not for long or not all of them. `fail`: tasks cannot run.
    `facts` are the values in the message.
    """

    name: str
    status: Status
    message: str
    remedy: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def ok(name: str, message: str, **facts: Any) -> Check:
    return Check(name, "ok", message, facts=facts)


def warn(name: str, message: str, remedy: str, **facts: Any) -> Check:
    return Check(name, "warn", message, remedy, facts)


def fail(name: str, message: str, remedy: str, **facts: Any) -> Check:
    return Check(name, "fail", message, remedy, facts)
