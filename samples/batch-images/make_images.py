"""Generate images/: six fields of view, cropped from images like that of count-cells.

Run it as `python3 make_images.py`; it gives the same pictures each time.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "count-cells"), str(HERE.parent / "count-cells/program")]

from make_image import picture  # noqa: E402 - in the folder of another sample, not installed
from png import Picture, encode  # noqa: E402

LEFT, TOP, WIDTH, HEIGHT = 80, 60, 160, 120  # pixels
SEEDS = range(1, 7)


def field(seed: int) -> Picture:
    """Return a field of view."""
    whole = picture(random.Random(seed))
    starts = (row * whole.width + LEFT for row in range(TOP, TOP + HEIGHT))
    return Picture(WIDTH, HEIGHT, b"".join(whole.pixels[start : start + WIDTH] for start in starts))


if __name__ == "__main__":
    for seed in SEEDS:
        (HERE / f"images/field-{seed}.png").write_bytes(encode(field(seed)))
