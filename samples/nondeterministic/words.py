"""Count the words of a text: one output is the same in every run, three are not."""

import gzip
import json
import socket
from datetime import datetime
from pathlib import Path

INPUTS, OUTPUTS = Path("/inputs"), Path("/outputs")

words = (INPUTS / "text").read_text().lower().split()

(OUTPUTS / "count").write_text(str(len(words)))

# the order of a set depends on the hash seed, which differs in each process
(OUTPUTS / "vocabulary").write_text("\n".join(set(words)) + "\n")

# host and time of the run
report = {"host": socket.gethostname(), "words": len(words), "made": f"{datetime.now():%Y-%m-%d %H:%M}"}
(OUTPUTS / "report").write_text(json.dumps(report))

# the same content in different bytes: gzip writes the time into its header
with gzip.open(OUTPUTS / "copy", "wb") as copy:
    copy.write(" ".join(words).encode())
