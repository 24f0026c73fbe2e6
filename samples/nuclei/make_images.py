"""Generate the example inputs: images of bright nuclei, some of them touching, and regions in two of them.

Run it as `python3 make_images.py` with numpy and Pillow; it gives the same files each time.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
BATCH = HERE.parent / "nuclei-batch"
REACH = 20  # pixels from the centre of a nucleus, beyond which it adds no light
MARGIN = 14  # pixels between the edge of the picture and a centre


def centres(size: int, count: int, chance: np.random.Generator) -> list[tuple[float, float, float]]:
    """Return (row, column, radius) of nuclei; every third touches the one before it."""
    placed: list[tuple[float, float, float]] = []
    while len(placed) < count:
        radius = chance.uniform(7, 10)
        row, column = chance.uniform(MARGIN, size - MARGIN, 2)
        partner = len(placed) % 3 == 2
        if partner:
            angle, (row, column, other) = chance.uniform(0, 2 * np.pi), placed[-1]
            away = 0.92 * (radius + other)
            row, column = row + away * np.sin(angle), column + away * np.cos(angle)
        others = placed[:-1] if partner else placed
        inside = min(row, column) >= MARGIN and max(row, column) <= size - MARGIN
        if inside and all(np.hypot(row - r, column - c) > radius + o + 2 for r, c, o in others):
            placed.append((float(row), float(column), float(radius)))
        elif partner:
            placed.pop()  # there is no room next to it
    return placed


def picture(size: int, count: int, seed: int) -> np.ndarray:
    """Return the grey levels of a square picture."""
    chance = np.random.default_rng(seed)
    light = np.zeros((size, size))
    for row, column, radius in centres(size, count, chance):
        top, left = max(int(row) - REACH, 0), max(int(column) - REACH, 0)
        part = light[top : int(row) + REACH, left : int(column) + REACH]
        rows, columns = np.indices(part.shape) + 0.5
        depth = radius - np.hypot(rows + top - row, columns + left - column)
        np.maximum(part, chance.uniform(90, 170) / (1 + np.exp(-2 * depth)), out=part)
    return np.clip(np.round(25 + light + chance.normal(0, 2, light.shape)), 0, 255).astype(np.uint8)


# path: size in pixels, number of nuclei, seed
PICTURES = {
    HERE / "examples/inputs/image": (704, 320, 9),
    BATCH / "examples/inputs/images/0": (192, 20, 12),
    BATCH / "examples/inputs/images/1": (160, 12, 13),
}
# in pixels from the lower left corner of the image
REGIONS = {
    HERE / "examples/inputs/image.geojson": [
        [0, 300],
        [260, 0],
        [704, 0],
        [704, 640],
        [640, 704],
        [0, 704],
        [0, 300],
    ],
    BATCH / "examples/inputs/images/0.geojson": [[70, 0], [192, 0], [192, 192], [0, 192], [0, 100], [70, 0]],
}
TEXTS = {
    HERE / "examples/inputs/smoothing": "1.0",
    HERE / "examples/inputs/min_area": "30",
    BATCH / "examples/inputs/images/array.yml": "size: 2",
}

if __name__ == "__main__":
    for path, (size, count, seed) in PICTURES.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(size, count, seed)).save(path, format="png")
    for path, ring in REGIONS.items():
        path.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    for path, text in TEXTS.items():
        path.write_text(text)
