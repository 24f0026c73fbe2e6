"""Complete descriptors for tests, which pass only the parts they care about."""

from __future__ import annotations

import json
from typing import Any

from localrun import descriptor
from localrun.descriptor import Descriptor
from localrun.errors import DescriptorError, Problem

HEAD: dict[str, Any] = {
    "$schema": "https://cytomine.com/schema-store/tasks/task.v0.json",
    "name": "Test task",
    "name_short": "test",
    "version": "1.0.0",
    "namespace": "com.example.test",
    "authors": [
        {
            "first_name": "Ada",
            "last_name": "L",
            "organization": "Example",
            "email": "ada@example.org",
            "is_contact": True,
        }
    ],
    "configuration": {"input_folder": "/inputs", "output_folder": "/outputs"},
}


def parameter(kind: Any, **more: Any) -> dict[str, Any]:
    """Return an input or output of a type."""
    return {"type": kind, "description": "d", "display_name": "D", **more}


def as_json(inputs: dict[str, Any], outputs: dict[str, Any], **head: Any) -> dict[str, Any]:
    """Return a complete descriptor. A parameter may be only its type; None in `head` removes a key."""
    found = {**HEAD, "inputs": _parameters(inputs), "outputs": _parameters(outputs), **head}
    return {key: value for key, value in found.items() if value is not None}


def _parameters(given: Any) -> Any:
    if not isinstance(given, dict):
        return given
    return {name: parameter(one) if _is_type(one) else one for name, one in given.items()}


def _is_type(one: Any) -> bool:
    return isinstance(one, str) or (isinstance(one, dict) and "id" in one)


def make(
    inputs: dict[str, Any] | None = None, outputs: dict[str, Any] | None = None, **head: Any
) -> Descriptor:
    """Read a complete descriptor (JSON is YAML)."""
    standard = {"x": "integer"} if inputs is None else inputs
    return descriptor.read(json.dumps(as_json(standard, outputs or {}, **head)).encode())


def problems(
    inputs: dict[str, Any] | None = None, outputs: dict[str, Any] | None = None, **head: Any
) -> list[Problem]:
    """Return all problems of a descriptor."""
    try:
        make(inputs, outputs, **head)
    except DescriptorError as error:
        return list(error.problems)
    return []


def messages_by_path(found: list[Problem] | tuple[Problem, ...]) -> dict[str, str]:
    """Return the messages by path."""
    return {problem.path: problem.message for problem in found}
