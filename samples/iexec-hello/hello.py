"""Print a greeting, count the lines of the inputs, and write computed.json for iExec."""

import json
import os
import sys
from pathlib import Path

INPUTS, OUTPUTS = Path(os.environ["IEXEC_IN"]), Path(os.environ["IEXEC_OUT"])
NOBODY = f"0x{'0' * 40}"


def given() -> list[Path]:
    """Return the input files in order, then the dataset, if any."""
    count = int(os.environ["IEXEC_INPUT_FILES_NUMBER"])
    names = [os.environ[f"IEXEC_INPUT_FILE_NAME_{number}"] for number in range(1, count + 1)]
    dataset = os.environ["IEXEC_DATASET_FILENAME"]
    return [INPUTS / name for name in [*names, *([dataset] if dataset != NOBODY else [])]]


name = " ".join(sys.argv[1:]) or "world"
lines = [f"Hello, {name}!"]
for number, path in enumerate(given(), 1):
    lines.append(f"file {number} has {len(path.read_text().splitlines())} lines")
if "IEXEC_REQUESTER_SECRET_1" in os.environ:
    lines.append("there is a secret")  # and what it is stays one

(OUTPUTS / "greeting.txt").write_text("\n".join(lines) + "\n")
(OUTPUTS / "computed.json").write_text(json.dumps({"deterministic-output-path": f"{OUTPUTS}/greeting.txt"}))
print(lines[0])
