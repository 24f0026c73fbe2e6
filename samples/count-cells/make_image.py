"""Generate cells.png: bright cells, some of them touching, on a noisy background with uneven illumination.

Run it as `python3 make_image.py`; it gives the same picture each time.
"""

from __future__ import annotations

import math
import random
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "program"))

from png import Picture, encode  # noqa: E402 - the program is next to this file, not installed

WIDTH, HEIGHT = 320, 240
ALONE, PAIRS = 28, 6  # isolated cells, and pairs of touching cells
NOISE = 5.0  # grey levels, standard deviation
SEED = 7


@dataclass(frozen=True)
class Cell:
    """An ellipse with a soft edge; lengths in pixels, `light` in grey levels, `angle` in radians."""

    x: float
    y: float
    long: float
    short: float
    angle: float
    light: float

    def at(self, x: float, y: float) -> float:
        """Return the light that the cell adds at a position."""
        dx, dy = x - self.x, y - self.y
        along = (dx * math.cos(self.angle) + dy * math.sin(self.angle)) / self.long
        across = (dy * math.cos(self.angle) - dx * math.sin(self.angle)) / self.short
        depth = (1 - math.hypot(along, across)) * self.short
        return self.light / (1 + math.exp(-2.5 * depth)) * (1 + 0.03 * depth)


def cells(chance: random.Random) -> list[Cell]:
    """Place the cells and, for some of them, a touching partner."""
    placed: list[Cell] = []
    while len(placed) < ALONE + 2 * PAIRS:
        cell = _cell(chance, chance.uniform(0, WIDTH), chance.uniform(0, HEIGHT))
        group = [cell]
        if len(placed) < 2 * PAIRS:
            group.append(_partner(chance, cell))
        if all(_fits(one, placed) for one in group):
            placed += group
    return placed


def _cell(chance: random.Random, x: float, y: float) -> Cell:
    short = chance.uniform(6.5, 10)
    return Cell(
        x, y, short * chance.uniform(1, 1.3), short, chance.uniform(0, math.pi), chance.uniform(70, 130)
    )


def _partner(chance: random.Random, cell: Cell) -> Cell:
    """Return a round cell that slightly overlaps the narrow end of another one."""
    radius = chance.uniform(6.5, 9)
    away = cell.long + radius - 1.5
    x, y = cell.x + away * math.cos(cell.angle), cell.y + away * math.sin(cell.angle)
    return Cell(x, y, radius, radius, 0, chance.uniform(70, 130))


def _fits(cell: Cell, placed: list[Cell]) -> bool:
    inside = (
        cell.long + 3 < cell.x < WIDTH - cell.long - 3 and cell.long + 3 < cell.y < HEIGHT - cell.long - 3
    )
    return inside and all(math.hypot(cell.x - o.x, cell.y - o.y) > cell.long + o.long + 4 for o in placed)


def picture(chance: random.Random) -> Picture:
    """Return illumination, cells and noise added up."""
    there = cells(chance)
    pixels = bytearray()
    for y in range(HEIGHT):
        for x in range(WIDTH):
            lamp = 20 + 90 * math.exp(-(((x - 250) / 190) ** 2) - ((y - 70) / 140) ** 2)
            light = max(
                (cell.at(x, y) for cell in there if abs(cell.x - x) < 20 and abs(cell.y - y) < 20), default=0
            )
            pixels.append(max(0, min(255, round(lamp + light + chance.gauss(0, NOISE)))))
    return Picture(WIDTH, HEIGHT, bytes(pixels))


if __name__ == "__main__":
    (HERE / "cells.png").write_bytes(encode(picture(random.Random(SEED))))
