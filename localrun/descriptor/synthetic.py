"""Descriptors for images that come without one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from localrun.errors import Problem, UsageError

_AUTHOR = {"first_name": "-", "last_name": "-", "organization": "-", "email": "nobody@example.com"}
_TYPES: list[tuple[type, str]] = [(bool, "boolean"), (int, "integer"), (float, "number"), (str, "string")]


def make_descriptor(
    name: str,
    short: str,
    namespace: str,
    *,
    description: str,
    configuration: Mapping[str, Any],
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
) -> bytes:
    """Return the text of a descriptor; see `parameter` for inputs and outputs. It is JSON, and thus YAML."""
    described = {
        "$schema": "https://cytomine.com/schema-store/tasks/task.v0.json",
        "name": name,
        "name_short": short,
        "version": "0.0.0",
        "namespace": namespace,
        "description": description,
        "authors": [_AUTHOR],
        "configuration": configuration,
        "inputs": inputs,
        "outputs": outputs,
    }
    return json.dumps(described, indent=1).encode()


def parameter(kind: Any, text: str) -> dict[str, Any]:
    """Return an input or output of a type; `text` names and describes it."""
    return {"type": kind, "display_name": text, "description": text}


def describe_image(image: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any]) -> bytes:
    """Return a descriptor for an image, its input values by name, and its output types by name.

    Raises `UsageError` for a value without a type.
    """
    return make_descriptor(
        "Image",
        "image",
        "local.image",
        description=f"the image {image}",
        configuration={
            "input_folder": "/inputs",
            "output_folder": "/outputs",
            "image": {"file": "/image.tar"},
        },
        inputs={name: parameter(_type_of(name, value), name) for name, value in inputs.items()},
        outputs={name: parameter(kind, name) for name, kind in outputs.items()},
    )


def _type_of(name: str, value: Any) -> Any:
    for form, kind in _TYPES:
        if isinstance(value, form):
            return kind
    if isinstance(value, list) and value:
        return {"id": "array", "subtype": _type_of(name, value[0])}
    raise UsageError(
        "invalid inputs (1 problem)",
        remedy="pass a string, a number, true, false, or a list of one of them",
        problems=[Problem(f"inputs.{name}", f"no type for the value {value!r}")],
    )
