"""A task with an input and an output of every type, for the tests of runs."""

from __future__ import annotations

import json
import shutil
from typing import Any

from localrun.engines.fake import FakeContainer
from tests.support.descriptors import as_json, parameter

POINT = '{"type":"Point","coordinates":[1,2]}'
GT = "value must be greater than defined constraint"
VALUE = "APPE-internal-request-validation-error"
BUNDLE = "APPE-internal-bundle-validation-error"
STATE = "APPE-internal-task-run-state-error"
NO_PROVISIONS = "APPE-internal-task-run-provisions-not-found"
SERVER = "APPE-internal-server-error"
UNKNOWN = "11111111-2222-3333-4444-555555555555"

TYPES: dict[str, Any] = {
    "boolean": "boolean",
    "integer": {"id": "integer", "gt": 3},
    "number": {"id": "number", "nan_allowed": True},
    "string": "string",
    "choice": {"id": "enumeration", "values": ["A", "B"]},
    "datetime": "datetime",
    "geometry": "geometry",
    "image": "image",
    "file": "file",
    "integers": {"id": "array", "subtype": "integer", "max_size": 3},
    "strings": {"id": "array", "subtype": "string"},
    "images": {"id": "array", "subtype": {"id": "image", "formats": ["png"]}},
    "geometries": {"id": "array", "subtype": "geometry"},
    "nested": {"id": "array", "subtype": {"id": "array", "subtype": "integer", "max_size": 2}, "max_size": 4},
}


def descriptor(
    inputs: dict[str, Any], outputs: dict[str, Any] | None = None, name: str = "com.example.runs"
) -> str:
    """Return the text of a descriptor; its outputs are those named in `outputs`."""
    return json.dumps(as_json(inputs, outputs or {}, namespace=name))


def every_type() -> str:
    """Return a descriptor with an optional input of every type, and a required `integer`."""
    inputs = {name: parameter(kind, optional=name != "integer") for name, kind in TYPES.items()}
    return descriptor(inputs)


def copy_inputs(container: FakeContainer) -> int:
    """Copy each input to the output of the same name."""
    for path in container.path("/inputs").iterdir():
        target = container.path("/outputs") / path.name
        if path.is_dir():
            shutil.copytree(path, target)
        elif path.suffix != ".geojson":
            shutil.copyfile(path, target)
    return 0
