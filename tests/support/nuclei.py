"""Generated images of nuclei, with their outlines in rows from the top; the same for the same seed."""

from __future__ import annotations

import io
import json
import math
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

Points = list[tuple[float, float]]
CORNERS = 24


class Scene(NamedTuple):
    """Gray levels, and the outline of each nucleus as x and row."""

    pixels: np.ndarray[Any, Any]
    outlines: list[Points]

    @property
    def png(self) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(self.pixels.astype(np.uint8)).save(stream, "png")
        return stream.getvalue()

    def geometries(self, *, flip: bool = False) -> list[str]:
        """Return the outlines as GeoJSON; `flip` keeps y counted from the top, which is the mistake."""
        height = self.pixels.shape[0]
        return [
            polygon([(x, row if flip else height - row) for x, row in points]) for points in self.outlines
        ]


def polygon(points: Points) -> str:
    return json.dumps({"type": "Polygon", "coordinates": [[*map(list, points), list(points[0])]]})


def scene(
    seed: int,
    count: int,
    *,
    width: int = 320,
    height: int = 240,
    light: float = 80,
    noise: float = 6,
    radii: tuple[float, float] = (5, 10),
) -> Scene:
    """Draw nuclei that are brighter by `light` (darker if negative) than an uneven, noisy background."""
    chance = np.random.default_rng(seed)
    coarse = chance.normal(0, 1, (height // 40 + 2, width // 40 + 2)).astype(np.float32)
    pixels = 110 + 25 * np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    rows, columns = np.mgrid[:height, :width] + 0.5
    outlines: list[Points] = []
    placed: list[tuple[float, float, float]] = []
    for _ in range(20 * count):
        if len(placed) == count:
            break
        radius = chance.uniform(*radii)
        x, y = chance.uniform(radius, width - radius), chance.uniform(radius, height - radius)
        if all(math.hypot(x - a, y - b) > radius + c for a, b, c in placed):
            placed.append((x, y, radius))
            near = np.s_[
                max(0, int(y - radius)) : int(y + radius) + 2, max(0, int(x - radius)) : int(x + radius) + 2
            ]
            inside = np.hypot(columns[near] - x, rows[near] - y) < radius
            pixels[near] += light * chance.uniform(0.5, 1) * inside
            outlines.append(circle(x, y, radius))
    return Scene((pixels + chance.normal(0, noise, pixels.shape)).clip(0, 255), outlines)


def circle(x: float, y: float, radius: float) -> Points:
    angles = [2 * math.pi * number / CORNERS for number in range(CORNERS)]
    return [(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles]
