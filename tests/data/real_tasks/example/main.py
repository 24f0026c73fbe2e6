import json
import os
import struct

with open("/inputs/image", "rb") as image:
    width, height = struct.unpack(">2I", image.read(24)[16:])
size = int(open("/inputs/size").read()) if os.path.exists("/inputs/size") else 10
x = y = 0
if os.path.exists("/inputs/image.geojson"):
    ring = json.load(open("/inputs/image.geojson"))["coordinates"][0]
    x, y = min(point[0] for point in ring), min(point[1] for point in ring)
right, top = min(x + size, width), min(y + size, height)
with open("/outputs/outline", "w") as outline:
    json.dump(
        {"type": "Polygon", "coordinates": [[[x, y], [right, y], [right, top], [x, top], [x, y]]]}, outline
    )
with open("/outputs/area", "w") as area:
    area.write(str(int((right - x) * (top - y))))
