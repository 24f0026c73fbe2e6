"""Find the nuclei of an image, or of each image of an array, and write their outlines and probabilities."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import parameters
from outlines import Region
from segmentation import Nucleus, find_nuclei

log = logging.getLogger("nuclei")


def analyse(image: Path, region: Path, options: dict[str, float]) -> list[Nucleus]:
    """Return the nuclei of an image, or of its region: those whose centre is inside."""
    pixels = parameters.read_image(image)
    found = find_nuclei(pixels, **options)
    log.info("%s: %d nuclei", image.name, len(found))
    if region.exists():
        inside = Region(parameters.read_json(region))
        found = [nucleus for nucleus in found if nucleus.centre in inside]
        log.info("%s: %d nuclei in the region", image.name, len(found))
    return found


def main(inputs: Path = Path("/inputs"), outputs: Path = Path("/outputs")) -> int:
    """Read the inputs, which are described in descriptor.yml, and write the outputs."""
    options = {
        "smoothing": parameters.read_number(inputs / "smoothing", default=1.0),
        "min_area": parameters.read_number(inputs / "min_area", default=30),
        "min_probability": parameters.read_number(inputs / "min_probability", default=0.2),
    }
    if (inputs / "images").is_dir():
        images = parameters.items(inputs / "images")
        found = [analyse(image, image.with_name(f"{image.name}.geojson"), options) for image in images]
        for name, values in (("nuclei", "outline"), ("probabilities", "probability")):
            parameters.write_array(outputs / name, [[getattr(one, values) for one in some] for some in found])
        return 0
    nuclei = analyse(inputs / "image", inputs / "image.geojson", options)
    parameters.write_array(outputs / "nuclei", [nucleus.outline for nucleus in nuclei])
    parameters.write_array(outputs / "probabilities", [nucleus.probability for nucleus in nuclei])
    return 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.exit(main())
