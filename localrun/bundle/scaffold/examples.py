"""Example values of every type: for `inputs.json`, and for a program that has no work to do yet."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any

from localrun.bundle.scaffold.grammar import ParameterSpec, Type

FILE_TYPES = ("file", "image", "geometry")  # of their values a run tells the path
NUMERIC_TYPES = ("integer", "number")

_POINT = {"type": "Point", "coordinates": [2, 3]}
_SIDE = 8  # pixels


def type_id(kind: Type) -> str:
    """The name of a type."""
    return kind if isinstance(kind, str) else str(kind["id"])


def holds_files(kind: Type) -> bool:
    """Whether a run tells where its values are, and not what they are."""
    return holds_files(kind["subtype"]) if type_id(kind) == "array" else type_id(kind) in FILE_TYPES  # type: ignore[index]


def example_image() -> bytes:
    """A small picture: an 8-bit grey ramp, as PNG."""
    rows = b"".join(b"\0" + bytes(range(0, 256, 256 // _SIDE)) for _ in range(_SIDE))
    header = struct.pack(">2I5B", _SIDE, _SIDE, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_part(name, data) for name, data in parts)


def _part(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


TEXT = b"A file of an example.\n"
EXAMPLE_FILES = {"file": ("examples/file.txt", TEXT), "image": ("examples/image.png", example_image())}


def example_value(kind: Type, index: int = 0) -> Any:
    """An example as `inputs.json` holds it; `index` tells those of one array or call apart."""
    name = type_id(kind)
    if isinstance(kind, dict):
        if name == "enumeration":
            return kind["values"][0]
        return [example_value(kind["subtype"], number) for number in range(2)]
    values: dict[str, Any] = {
        "boolean": True,
        "integer": 3 + index,
        "number": 0.5 + index,
        "string": "hello",
        "datetime": "2024-02-23T18:00:00Z",
        # as text: App Engine takes no object
        "geometry": json.dumps(_POINT),
        **{name: f"@{path}" for name, (path, _) in EXAMPLE_FILES.items()},
    }
    return values[name]


def example_literal(kind: Type) -> str:
    """An example as Python code of a program that writes it."""
    name = type_id(kind)
    if isinstance(kind, dict):
        return repr(kind["values"][0]) if name == "enumeration" else f"[{example_literal(kind['subtype'])}]"
    literals = {
        "boolean": "True",
        "integer": "42",
        "number": "0.5",
        "string": '"hello"',
        "datetime": 'datetime.fromisoformat("2024-02-23T18:00:00+00:00")',
        "geometry": json.dumps(_POINT),
        "file": repr(TEXT),
        "image": f'b64decode("{base64.b64encode(example_image()).decode()}")',
    }
    return literals[name]


def example_result(output: ParameterSpec, inputs: list[ParameterSpec]) -> tuple[str, Any]:
    """What the program gives for an output until it has more to say: as Python code, and its value.

    A number is the sum of all numbers given, anything else is the first input of its type, or an example.
    """
    fitting = ("integer",) if type_id(output.type) == "integer" else NUMERIC_TYPES
    added = [wish for wish in inputs if type_id(wish.type) in fitting]
    if type_id(output.type) in NUMERIC_TYPES and added:
        code = " + ".join(f"inputs[{wish.name!r}]" for wish in added)
        return code.replace("'", '"'), sum(_given(wish, inputs) for wish in added)
    same = next((wish for wish in inputs if wish.type == output.type), None)
    if same is not None:
        return f'inputs["{same.name}"]', _given(same, inputs)
    return example_literal(output.type), _value_of_literal(output.type)


def example_inputs(inputs: list[ParameterSpec]) -> dict[str, Any]:
    """What `inputs.json` holds."""
    return {wish.name: _given(wish, inputs) for wish in inputs}


def _given(wish: ParameterSpec, inputs: list[ParameterSpec]) -> Any:
    return example_value(wish.type, inputs.index(wish))


def _value_of_literal(kind: Type) -> Any:
    name = type_id(kind)
    if name == "array":
        assert isinstance(kind, dict)
        return [_value_of_literal(kind["subtype"])]
    return {"integer": 42}.get(name) or example_value(kind)
