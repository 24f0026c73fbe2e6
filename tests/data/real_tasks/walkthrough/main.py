import json
import shutil
import struct
from pathlib import Path

inputs, outputs = Path("/inputs"), Path("/outputs")
width, height = struct.unpack(">2I", (inputs / "image").read_bytes()[16:24])
shutil.copyfile(inputs / "image", outputs / "thumbnail")
region = inputs / "image.geojson"
bounds = {"type": "Polygon", "coordinates": [[[0, 0], [width, 0], [width, height], [0, height], [0, 0]]]}
if region.exists():
    bounds = json.loads(region.read_text())
(outputs / "bounds").write_text(json.dumps(bounds))
(outputs / "platform").write_text(Path("/platform").read_text())
