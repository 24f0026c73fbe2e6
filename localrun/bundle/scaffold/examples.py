"""Example values of every type, for `inputs.json` and for the generated program."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import Any

from localrun.bundle.scaffold.grammar import ParameterSpec, Type

_NUMERIC = ("integer", "number")
_SIDE = 8  # pixels


def item_type(kind: Type) -> str:
    """Return the name of a type, or of the innermost items of an array."""
    if isinstance(kind, str):
        return kind
    return item_type(kind["subtype"]) if "subtype" in kind else str(kind["id"])


def holds_files(kind: Type) -> bool:
    """Return whether a run returns the paths of the values, not the values."""
    return item_type(kind) in ("file", "image", "geometry")


def example_image() -> bytes:
    """Return a small image: an 8-bit grayscale ramp as PNG."""
    rows = b"".join(b"\0" + bytes(range(0, 256, 256 // _SIDE)) for _ in range(_SIDE))
    header = struct.pack(">2I5B", _SIDE, _SIDE, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_part(name, data) for name, data in parts)


def _part(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


TEXT = b"A file of an example.\n"
EXAMPLE_FILES = {"file": TEXT, "image": example_image()}
FOLDER = "examples/inputs"


def _point(index: int = 0) -> dict[str, Any]:
    """Return a point inside of the example image, which differs from that of another index."""
    return {"type": "Point", "coordinates": [2 + index % 5, 3 + index // 5 % 5]}


def example_value(kind: Type, index: int = 0) -> Any:
    """Return an example for `inputs.json`; `index` makes the examples of several values different."""
    if isinstance(kind, dict):
        if "subtype" in kind:
            return [example_value(kind["subtype"], 2 * index + number) for number in range(2)]
        return kind["values"][0]
    values: dict[str, Any] = {
        "boolean": True,
        "integer": 3 + index,
        "number": 0.5 + index,
        "string": "hello",
        "datetime": "2024-02-23T18:00:00Z",
        # as a string: App Engine does not accept an object
        "geometry": json.dumps(_point(index)),
        **dict.fromkeys(EXAMPLE_FILES, ""),  # the path of the file; see `example_inputs`
    }
    return values[kind]


def example_literal(kind: Type) -> str:
    """Return an example as Python code."""
    if isinstance(kind, dict):
        return f"[{example_literal(kind['subtype'])}]" if "subtype" in kind else repr(kind["values"][0])
    literals = {
        "boolean": "True",
        "integer": "42",
        "number": "0.5",
        "string": '"hello"',
        "datetime": 'datetime.fromisoformat("2024-02-23T18:00:00+00:00")',
        "geometry": json.dumps(_point()),
        "file": repr(TEXT),
        "image": f'b64decode("{base64.b64encode(example_image()).decode()}")',
    }
    return literals[kind]


def example_result(output: ParameterSpec, inputs: list[ParameterSpec]) -> tuple[str, Any]:
    """Return the result of the generated program for an output, as Python code and as a value.

    A number is the sum of the numeric inputs. Anything else is the first input of its type, or an example.
    """
    summable = ("integer",) if output.type == "integer" else _NUMERIC
    added = [spec for spec in inputs if spec.type in summable]
    if output.type in _NUMERIC and added:
        code = " + ".join(f"inputs[{spec.name!r}]" for spec in added)
        return code.replace("'", '"'), sum(_example_input(spec, inputs) for spec in added)
    same = next((spec for spec in inputs if spec.type == output.type), None)
    if same is not None:
        return f'inputs["{same.name}"]', _example_input(same, inputs)
    return example_literal(output.type), _literal_value(output.type)


def example_inputs(inputs: list[ParameterSpec]) -> dict[str, Any]:
    """Return the content of `inputs.json`, which refers to the files of `example_files`."""
    return {
        spec.name: _with_paths(spec.type, f"{FOLDER}/{spec.name}", _example_input(spec, inputs))
        for spec in inputs
    }


def _with_paths(kind: Type, path: str, value: Any) -> Any:
    if isinstance(kind, dict) and "subtype" in kind:
        return [_with_paths(kind["subtype"], f"{path}/{index}", item) for index, item in enumerate(value)]
    return f"@{path}" if item_type(kind) in EXAMPLE_FILES else value


def example_files(inputs: list[ParameterSpec]) -> dict[str, bytes]:
    """Return the example inputs as files by path, in App Engine's layout."""
    found: dict[str, bytes] = {}
    for spec in inputs:
        _add(found, spec.type, f"{FOLDER}/{spec.name}", _example_input(spec, inputs))
    return found


def _add(found: dict[str, bytes], kind: Type, path: str, value: Any) -> None:
    if isinstance(kind, dict) and "subtype" in kind:
        found[f"{path}/array.yml"] = f"size: {len(value)}".encode()
        for index, item in enumerate(value):
            _add(found, kind["subtype"], f"{path}/{index}", item)
    elif item_type(kind) in EXAMPLE_FILES:
        found[path] = EXAMPLE_FILES[item_type(kind)]
    else:
        found[path] = (value if isinstance(value, str) else json.dumps(value)).encode()


def _example_input(spec: ParameterSpec, inputs: list[ParameterSpec]) -> Any:
    return example_value(spec.type, inputs.index(spec))


def _literal_value(kind: Type) -> Any:
    if isinstance(kind, dict) and "subtype" in kind:
        return [_literal_value(kind["subtype"])]
    return 42 if kind == "integer" else example_value(kind)
