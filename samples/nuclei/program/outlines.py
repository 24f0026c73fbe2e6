"""Outlines and regions as GeoJSON.

Their coordinates are pixels with the origin at the lower left corner of the image and y upwards, while the
rows of an image are counted from the top: y is the height of the image minus the row.
"""

from __future__ import annotations

from typing import Any

import numpy as np

RAYS = 32
STEP = 0.25  # pixels


def star_polygon(mask: np.ndarray, row: int, column: int, x: float, y: float) -> dict[str, Any]:
    """Return the polygon through the ends of rays from the centre of a nucleus to its edge.

    `mask` is the box around the nucleus, and (row, column) the pixel of its centre, which is at (x, y) in
    GeoJSON coordinates. The rays never cross, so the polygon is valid whatever the shape of the mask.
    """
    angles = np.arange(RAYS) * (2 * np.pi / RAYS)
    lengths = np.arange(0.5, sum(mask.shape), STEP)
    columns = np.floor(column + 0.5 + np.outer(np.cos(angles), lengths)).astype(int)
    rows = np.floor(row + 0.5 - np.outer(np.sin(angles), lengths)).astype(int)
    inside = (rows >= 0) & (rows < mask.shape[0]) & (columns >= 0) & (columns < mask.shape[1])
    inside[inside] = mask[rows[inside], columns[inside]]
    reach = 0.5 + STEP * np.argmin(inside, axis=1)  # the first length that is outside
    ring = [
        [round(x + float(length * np.cos(angle)), 2), round(y + float(length * np.sin(angle)), 2)]
        for angle, length in zip(angles, reach, strict=True)
    ]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


class Region:
    """The region that a user has selected in an image: a Polygon or MultiPolygon in GeoJSON coordinates."""

    def __init__(self, geometry: dict[str, Any]) -> None:
        polygons = (
            geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
        )
        self._rings = [np.asarray(ring, dtype=float)[:, :2] for polygon in polygons for ring in polygon]

    def __contains__(self, point: tuple[float, float]) -> bool:
        """Return whether a point is inside: a ray from it crosses the rings an odd number of times."""
        x, y = point
        crossings = 0
        for ring in self._rings:
            (x0, y0), (x1, y1) = ring[:-1].T, ring[1:].T
            spans = (y0 > y) != (y1 > y)
            with np.errstate(divide="ignore", invalid="ignore"):
                crossings += int(np.sum(spans & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)))
        return crossings % 2 == 1
