"""Draw a disc in the middle of a mask, measure it, and write its outline and profile."""

import json
import math
import struct
import sys
import zlib
from pathlib import Path

INPUTS, OUTPUTS = Path("/inputs"), Path("/outputs")
CORNERS = 64


def rows(size, radius):
    """Return the rows of the mask: 255 where the centre of a pixel is inside the disc."""
    middle = size / 2
    return [
        bytes(255 * (math.hypot(x + 0.5 - middle, y + 0.5 - middle) <= radius) for x in range(size))
        for y in range(size)
    ]


def png(lines):
    """Return an 8-bit grey PNG file."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", len(lines[0]), len(lines), 8, 0, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + line for line in lines))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def outline(size, radius):
    """Return a polygon around the disc, in pixels from the lower left corner of the mask."""
    middle = size / 2
    angles = [2 * math.pi * corner / CORNERS for corner in range(CORNERS)]
    ring = [[middle + radius * math.cos(angle), middle + radius * math.sin(angle)] for angle in angles]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def main():
    size, radius = int((INPUTS / "size").read_text()), float((INPUTS / "radius").read_text())
    if radius > size / 2:
        print(f"a disc of radius {radius:g} does not fit into {size} x {size} pixels", file=sys.stderr)
        return 1
    lines = rows(size, radius)
    widths = [line.count(255) for line in lines]
    (OUTPUTS / "mask").write_bytes(png(lines))
    (OUTPUTS / "area").write_text(str(sum(widths) / size**2))
    (OUTPUTS / "outline").write_text(json.dumps(outline(size, radius)))
    table = [f"{row},{width / size:.6f}" for row, width in enumerate(widths)]
    (OUTPUTS / "profile").write_text("\n".join(["row,width", *table, ""]))
    print(f"drew {sum(widths)} pixels")
    return 0


if __name__ == "__main__":
    sys.exit(main())
