"""The wave equation on a grid."""

from __future__ import annotations

import math
from collections.abc import Sequence

SPEED = 0.5  # cells per step; unstable beyond 0.7
SOURCE = 2  # the column of the plunger


class Tank:
    """Water in a basin with absorbing edges and a plunger along its left side.

    A height is 1 for the crest of a wave at the plunger. Lengths are in cells of the grid, times in steps.
    """

    def __init__(self, width: int, height: int, wavelength: float, *, fade: int) -> None:
        self.width, self.height = width, height
        self.period = wavelength / SPEED
        self._time = 0
        self._now = [[0.0] * width for _ in range(height)]
        self._before = [[0.0] * width for _ in range(height)]
        self._keep = [[_kept(x, y, width, height, fade) for x in range(width)] for y in range(height)]

    def build_wall(self, column: int, slits: Sequence[float], *, width: int) -> None:
        """Add a wall at a column with slits at the given centres."""
        for y, row in enumerate(self._keep):
            if all(abs(y + 0.5 - middle) > width / 2 for middle in slits):
                row[column] = row[column + 1] = 0.0

    def step(self) -> None:
        """Advance the simulation by one step."""
        self._time += 1
        swing = math.sin(2 * math.pi * self._time / self.period) * min(1.0, self._time / self.period)
        still = [0.0] * self.width
        rows = self._now
        after = []
        for y, row in enumerate(rows):
            above, below = rows[y - 1] if y else still, rows[y + 1] if y + 1 < self.height else still
            left, right = [0.0, *row[:-1]], [*row[1:], 0.0]
            cells = zip(row, self._before[y], left, right, above, below, self._keep[y], strict=True)
            moved = [
                keep * (2 * c - before + SPEED**2 * (w + e + n + s - 4 * c))
                for c, before, w, e, n, s, keep in cells
            ]
            moved[SOURCE] = swing
            after.append(moved)
        self._before, self._now = rows, after

    def column(self, x: int) -> list[float]:
        """Return the heights along a column from the top."""
        return [row[x] for row in self._now]

    def levels(self) -> list[bytes]:
        """Return the tank as rows of grey levels: still water is grey, a crest white, the wall black."""
        return [
            bytes(_level(value) if keep else 0 for value, keep in zip(row, keeps, strict=True))
            for row, keeps in zip(self._now, self._keep, strict=True)
        ]


def _level(height: float) -> int:
    return max(0, min(255, round(128 + 110 * height)))


def _kept(x: int, y: int, width: int, height: int, fade: int) -> float:
    """Return the damping factor of each cell: 1 except near the edges."""
    depth = min(width - 1 - x, y, height - 1 - y)
    return 1.0 if depth >= fade else 1.0 - 0.12 * ((fade - depth) / fade) ** 2
