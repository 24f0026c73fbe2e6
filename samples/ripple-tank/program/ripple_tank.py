"""Simulate a ripple tank: a task that reads /inputs, writes /outputs and logs its progress."""

from __future__ import annotations

import sys
import time
from itertools import groupby, pairwise
from pathlib import Path

from picture import png
from tank import Tank

INPUTS, OUTPUTS = Path("/inputs"), Path("/outputs")
WIDTH, HEIGHT = 130, 120  # cells
WALL, FAR = 30, 110  # columns of the wall with the slits and of the detector
SLIT = 4  # cells
FADE = 14  # absorbing cells at the edges
MARGIN = 20  # rows at the edges that are ignored, because the absorption is not perfect


def main(inputs: Path = INPUTS, outputs: Path = OUTPUTS) -> int:
    """Run the task and return the exit code."""
    steps, every = (int((inputs / name).read_text()) for name in ("steps", "every"))
    wavelength = float((inputs / "wavelength").read_text())
    tank = Tank(WIDTH, HEIGHT, wavelength, fade=FADE)
    slits = _slits(int((inputs / "slits").read_text()), int((inputs / "distance").read_text()))
    tank.build_wall(WALL, slits, width=SLIT)
    moved = _run(tank, steps, every, outputs / "frames")
    found = fringes(moved)
    gaps = [below - above for above, below in pairwise(found)]
    (outputs / "brightness").write_text(
        "row,brightness\n" + "".join(f"{row},{value:.4f}\n" for row, value in enumerate(moved))
    )
    (outputs / "fringes").write_text(str(len(found)))
    (outputs / "spacing").write_text(str(round(sum(gaps) / len(gaps), 2) if gaps else 0))
    print(f"{len(found)} fringes")
    return 0


def _slits(number: int, distance: int) -> list[float]:
    """Return the centres of the slits as rows."""
    middle = HEIGHT / 2
    return [middle] if number == 1 else [middle - distance / 2, middle + distance / 2]


def _run(tank: Tank, steps: int, every: int, frames: Path) -> list[float]:
    """Run the simulation; return the brightness of the far side over the last four periods."""
    frames.mkdir()
    written, begun = 0, time.monotonic()
    moved = [0.0] * HEIGHT
    last = min(steps, round(4 * tank.period))
    for step in range(1, steps + 1):
        tank.step()
        if step > steps - last:
            moved = [sum_ + value**2 / last for sum_, value in zip(moved, tank.column(FAR), strict=True)]
        if step % every == 0:
            (frames / str(written)).write_bytes(png(tank.levels()))
            written += 1
            took = time.monotonic() - begun
            print(
                f"step {step} of {steps} ({step / steps:.0%}), {step / took:.0f} steps a second", flush=True
            )
    (frames / "array.yml").write_text(f"size: {written}")
    return moved


def fringes(brightness: list[float]) -> list[int]:
    """Return the fringes: the centre of each run of rows brighter than half the maximum."""
    inner = range(MARGIN, len(brightness) - MARGIN)
    half = max(brightness[row] for row in inner) / 2
    runs = [list(rows) for is_bright, rows in groupby(inner, lambda row: brightness[row] > half) if is_bright]
    return [(rows[0] + rows[-1]) // 2 for rows in runs]


if __name__ == "__main__":
    sys.exit(main())
