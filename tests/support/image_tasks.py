"""Tasks with images and geometries, on the fake engine."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from localrun.engines.fake import FakeContainer
from tests.support.descriptors import as_json

INPUTS: dict[str, Any] = {"image": {"id": "image"}, "roi": {"type": "geometry", "optional": True}}
OUTPUTS: dict[str, Any] = {
    "mask": {"id": "image"},
    "outlines": {
        "type": {"id": "array", "subtype": "geometry"},
        "dependencies": {"derived_from": "inputs/image"},
    },
    "areas": {"id": "array", "subtype": "number"},
}
WIDTH, HEIGHT = 40, 30


def descriptor_text(inputs: dict[str, Any] | None = None, outputs: dict[str, Any] | None = None) -> str:
    found = as_json(_described(inputs or INPUTS), _described(outputs or OUTPUTS))
    return json.dumps(found)


def _described(parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {"description": "d", "display_name": "D", **one}
        if isinstance(one, dict) and "type" in one
        else one
        for name, one in parameters.items()
    }


def picture(width: int = WIDTH, height: int = HEIGHT, value: int = 100) -> bytes:
    stream = io.BytesIO()
    pixels = np.full((height, width), value, "u1")
    pixels[0, 0] = 255
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def square(x: float, y: float, side: float = 4) -> dict[str, Any]:
    ring = [[x, y], [x + side, y], [x + side, y + side], [x, y + side], [x, y]]
    return {"type": "Polygon", "coordinates": [ring]}


def save_image(folder: Path, data: bytes | None = None) -> str:
    path = folder / "scan.png"
    path.write_bytes(picture() if data is None else data)
    return str(path)


def write_array(folder: Path, items: list[Any]) -> None:
    folder.mkdir()
    (folder / "array.yml").write_text(f"size: {len(items)}")
    for number, item in enumerate(items):
        if isinstance(item, list):
            write_array(folder / str(number), item)
        elif isinstance(item, bytes):
            (folder / str(number)).write_bytes(item)
        else:
            (folder / str(number)).write_text(json.dumps(item))


def find_squares(container: FakeContainer) -> int:
    """The program of the environment's bundle: a mask, two outlines, and their areas."""
    outputs = container.path("/outputs")
    (outputs / "mask").write_bytes(picture(value=0))
    write_array(outputs / "outlines", [square(3, 5), square(20, 10, 6)])
    write_array(outputs / "areas", [16, 36])
    return 0
