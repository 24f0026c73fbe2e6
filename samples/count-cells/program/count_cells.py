"""Count the cells in an image: a task that reads /inputs and writes /outputs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from outlines import multipolygon
from png import Picture, PngError, decode, encode
from segment import find_cells

INPUTS, OUTPUTS = Path("/inputs"), Path("/outputs")


def main(inputs: Path = INPUTS, outputs: Path = OUTPUTS) -> int:
    """Run the task and return the exit code."""
    try:
        picture = decode((inputs / "image").read_bytes())
    except PngError as error:
        print(f"The image cannot be read: {error}.", file=sys.stderr)
        return 1
    print(f"image of {picture.width} x {picture.height} pixels")
    cells = find_cells(
        picture, threshold=_optional(inputs / "threshold"), min_size=int((inputs / "min_size").read_text())
    )
    _write(outputs, picture, cells)
    print(f"{len(cells)} cells")
    return 0


def _optional(file: Path) -> int | None:
    """Return an input, or None if it was omitted and has no file."""
    return int(file.read_text()) if file.exists() else None


def _write(outputs: Path, picture: Picture, cells: list[list[int]]) -> None:
    pixels = bytearray(picture.width * picture.height)
    for at in (at for cell in cells for at in cell):
        pixels[at] = 255
    mean = sum(map(len, cells)) / len(cells) if cells else 0.0
    (outputs / "count").write_text(str(len(cells)))
    (outputs / "mean_area").write_text(str(round(mean, 2)))
    (outputs / "mask").write_bytes(encode(Picture(picture.width, picture.height, bytes(pixels))))
    (outputs / "outlines").write_text(json.dumps(multipolygon(cells, picture.width, picture.height)))


if __name__ == "__main__":
    sys.exit(main())
