"""Read inputs and write outputs in the layout of App Engine: a parameter is a file, an array a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def read_number(path: Path, default: float) -> float:
    """Return a number, or the default if the input is left out."""
    return float(path.read_text()) if path.exists() else default


def read_json(path: Path) -> Any:
    """Return the content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_image(path: Path) -> np.ndarray:
    """Return the grey levels of an image, 0 to 255, as (rows, columns)."""
    Image.MAX_IMAGE_PIXELS = None  # the descriptor limits the size
    with Image.open(path) as image:
        return np.asarray(image.convert("L"), dtype=np.float32)


def items(folder: Path) -> list[Path]:
    """Return the items of an array in order."""
    return sorted((path for path in folder.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))


def write_array(folder: Path, values: list[Any]) -> None:
    """Write numbers, geometries, or arrays of them; an empty array has the size 0."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, value in enumerate(values):
        if isinstance(value, list):
            write_array(folder / str(index), value)
        else:
            text = json.dumps(value) if isinstance(value, dict) else str(value)
            (folder / str(index)).write_text(text, encoding="utf-8")
    (folder / "array.yml").write_text(f"size: {len(values)}\n")
