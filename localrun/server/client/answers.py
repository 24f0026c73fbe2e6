"""Responses of a server, and the errors that they report."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from localrun.errors import Problem, RequestRefused, TaskNotFound
from localrun.units import format_count

_NO_TASK = re.compile(r"Task .* not found")


@dataclass(frozen=True)
class Answer:
    """A response of the server, with any status."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the parsed JSON body. Raises ValueError if it is not JSON."""
        return json.loads(self.body)


def check(answer: Answer, path: str) -> None:
    """Raise the error of a response that is not a success."""
    if answer.status < 300:
        return
    try:
        found = answer.json()
        detail = found.get("detail") if isinstance(found, dict) else None
    except ValueError:
        found, detail = {}, answer.text[:200]
    remedy = str(found.get("hint") or "") if isinstance(found, dict) else ""
    if answer.status == 404 and _NO_TASK.fullmatch(str(detail)):
        raise TaskNotFound(str(detail), remedy="`GET /task/list?state=all` lists the tasks")
    problems = list(_problems(detail)) if isinstance(detail, list) else []
    reason = format_count(len(problems), "problem") if problems else str(detail)
    message = f"the server refused {path.partition('?')[0]}: {answer.status} {reason}"
    raise RequestRefused(message, status=answer.status, remedy=remedy, problems=problems)


def _problems(items: Iterable[Any]) -> Iterator[Problem]:
    for item in items:
        if not isinstance(item, dict):
            yield Problem("", str(item))
            continue
        place, context = item.get("loc", [])[1:], item.get("ctx") or {}
        if place[:1] == ["rows"] and "message" in context:  # row 1, column a
            yield msgspec.convert(context, Problem)
        else:
            yield Problem(".".join(map(str, place)), str(item.get("msg")))
