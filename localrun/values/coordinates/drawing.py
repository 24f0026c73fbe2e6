"""Draw geometries into a grid of pixels, as App Engine does: with y upwards from the lower left corner."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from localrun.values.coordinates.shapes import Outline

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[Any, np.dtype[np.float64]]

_POINT = 1.5  # pixels: the radius of a point
_LINE = 0.75  # pixels: half of the width of a line
_CORNERS = 16  # of a circle
_MAX_CROSSINGS = 4_000_000  # of edges and rows that are in memory at once
_FAR = 1e6  # pixels: avoids overflow


class _Ring(NamedTuple):
    points: Floats
    is_hole: bool


def draw(outlines: Iterable[Outline], size: tuple[int, int], shape: tuple[int, int]) -> Floats:
    """Return 1 for each pixel whose center is inside, 0 elsewhere.

    `size` is the width and height of the image that the outlines belong to, `shape` the rows and columns of
    the result.
    """
    import numpy as np

    scale = np.array([shape[1] / size[0], -shape[0] / size[1]])
    rings = [ring for outline in outlines for ring in _rings(outline, scale, shape[0])]
    winding = np.zeros((shape[0], shape[1] + 1))
    if rings:
        for edges in _chunks(_edges(rings), shape[0]):
            _add_crossings(winding, edges)
    return (winding.cumsum(axis=1)[:, :-1] > 0.5).astype(float)


def _rings(outline: Outline, scale: Floats, rows: int) -> Iterator[_Ring]:
    """Yield the rings around a geometry, in pixels from the upper left corner."""
    import numpy as np

    for line, is_hole in outline.lines:
        points = (np.frombuffer(line).reshape(-1, 2) * scale + (0, rows)).clip(-_FAR, _FAR)
        if outline.is_points:
            radius = min(max(_POINT, outline.radius * float(scale[0])), _FAR)
            yield from (_Ring(point + _circle(radius), False) for point in points)
        elif outline.is_area:
            yield _Ring(points, is_hole)
        else:
            yield from (_Ring(quad, False) for quad in _quads(points))


def _circle(radius: float) -> Floats:
    import numpy as np

    angles = np.linspace(0, 2 * math.pi, _CORNERS + 1)
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _quads(points: Floats) -> Floats:
    """Return a rectangle around each segment of a line."""
    import numpy as np

    first, second = points[:-1], points[1:]
    along = second - first
    length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-12)[:, None]
    side = along[:, ::-1] * (-_LINE, _LINE) / length
    corners = (first + side, first - side, second - side, second + side, first + side)
    return np.stack(corners, axis=1)


def _edges(rings: list[_Ring]) -> Floats:
    """Return the edges of all rings as x0, y0, x1, y1 and a weight: 1 around an area, -1 around a hole."""
    import numpy as np

    lengths = np.array([len(ring.points) for ring in rings])
    points = np.concatenate([ring.points for ring in rings])
    following = np.roll(points, -1, axis=0)
    last = np.cumsum(lengths) - 1
    following[last] = points[last - lengths + 1]  # closes each ring
    origin = np.repeat(points[last], lengths, axis=0)
    (x0, y0), (x1, y1) = (points - origin).T, (following - origin).T
    areas = np.add.reduceat(x0 * y1 - x1 * y0, last - lengths + 1)
    signs = np.where(areas < 0, 1.0, -1.0) * np.where([ring.is_hole for ring in rings], -1.0, 1.0)
    return np.column_stack([points, following, np.repeat(signs, lengths)])


def _chunks(edges: Floats, rows: int) -> Iterator[Floats]:
    """Split edges so that the rows they cross fit in memory."""
    import numpy as np

    crossed = np.abs(edges[:, 3].clip(0, rows) - edges[:, 1].clip(0, rows)) + 1
    number = (np.cumsum(crossed) // _MAX_CROSSINGS).astype(int)
    yield from np.split(edges, np.flatnonzero(np.diff(number)) + 1)


def _add_crossings(winding: Floats, edges: Floats) -> None:
    """Add the weight of each edge where it crosses the center of a row."""
    import numpy as np

    rows, columns = winding.shape
    x0, y0, x1, y1, weight = edges.T
    first = np.ceil(np.minimum(y0, y1) - 0.5).clip(0, rows).astype(int)
    end = np.ceil(np.maximum(y0, y1) - 0.5).clip(0, rows).astype(int)
    edge = np.repeat(np.arange(len(edges)), end - first)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(end - first) - (end - first), end - first) + first[edge]
    slope = (x1 - x0)[edge] / (y1 - y0)[edge]
    x = x0[edge] + (row + 0.5 - y0[edge]) * slope
    column = np.ceil(x - 0.5).clip(0, columns - 1).astype(int)
    signed = weight[edge] * np.sign(y1 - y0)[edge]
    winding += np.bincount(row * columns + column, signed, rows * columns).reshape(rows, columns)
