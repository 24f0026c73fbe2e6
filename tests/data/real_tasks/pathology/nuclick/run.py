import json

from parameters import INPUTS, OUTPUTS, items, region, size, square, write_array

width, height = size(INPUTS / "image")
half = 3 if region(INPUTS / "image") else 2
clicks = [json.loads(path.read_text())["coordinates"] for path in items("clicks")]
write_array(OUTPUTS / "nuclei", [square(x, y, half) for x, y in clicks if x < width and y < height])
