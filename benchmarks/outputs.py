"""Many output files: a task that writes 20,000 small ones, with localrun and with docker."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from functools import partial
from itertools import count
from pathlib import Path

from figures import Case, Chapter, Target, measure
from program import BUSYBOX, LOCALRUN, environment, quietly

FILES = 20_000
DESCRIPTOR = """\
$schema: https://cytomine.com/schema-store/tasks/task.v0.json
name: Write files
name_short: write_files
version: 1.0.0
namespace: localrun.bench.files
authors: [{first_name: A, last_name: B, organization: C, email: a@example.org}]
configuration:
  input_folder: /inputs
  output_folder: /outputs
  resources: {ram: 256Mi, cpus: 1}  # files in memory count
inputs:
  count: {type: integer, display_name: Count, description: the number of files}
outputs:
  files:
    type: {id: array, subtype: {id: file}}
    display_name: Files
    description: the files
"""
SCRIPT = """\
n=$(cat /inputs/count); mkdir /outputs/files; cd /outputs/files
i=0; while [ $i -lt $n ]; do echo $i > $i; i=$((i+1)); done; echo size: $n > array.yml
"""

TARGETS = (
    Target("20,000 outputs, localrun run / docker run", lambda m: m["localrun run"] / m["docker run"], 1.3),
    Target("20,000 outputs, run -o / docker run", lambda m: m["localrun run -o"] / m["docker run"], 1.6),
)


def compare(folder: Path, *, rounds: int) -> Chapter:
    """Run the benchmark. Nothing is deleted in between: that slows down the creation of files on ext4."""
    bench = _Bench(folder)
    cases: dict[str, Case] = {
        "docker run": bench.docker,
        "localrun run": bench.localrun,
        "localrun run -o": partial(bench.localrun, copy=True),
    }
    try:
        samples = measure(cases, rounds)
    finally:
        subprocess.run(["docker", "image", "rm", "-f", bench.image], capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)
    return Chapter(f"{FILES:,} output files", samples, TARGETS, "docker run")


class _Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = environment(folder)
        self.bundle = folder / "bundle"
        self.inputs = folder / "in"
        for path in (self.bundle, self.inputs):
            path.mkdir()
        (self.inputs / "count").write_text(str(FILES))
        (self.bundle / "descriptor.yml").write_text(DESCRIPTOR)
        command = json.dumps(["sh", "-c", SCRIPT])
        (self.bundle / "Dockerfile").write_text(f"FROM {BUSYBOX}\nCMD {command}\n")
        self._numbers = count()
        self.image = str(json.loads(self._run("--json", files=1))["image"])

    def docker(self) -> None:
        outputs = self.folder / f"docker-{next(self._numbers)}"
        outputs.mkdir()
        mounts = ["-v", f"{self.inputs}:/inputs:ro", "-v", f"{outputs}:/outputs"]
        quietly("docker", "run", "--rm", "--network", "none", *mounts, self.image)

    def localrun(self, *, copy: bool = False) -> None:
        self._run("-q", *(["-o", str(self.folder / f"copy-{next(self._numbers)}")] if copy else []))

    def _run(self, *options: str, files: int = FILES) -> str:
        command = [LOCALRUN, "run", str(self.bundle), "-i", f"count={files}", *options]
        ran = subprocess.run(command, env=self.environ, capture_output=True, text=True, check=False)
        if ran.returncode:
            sys.exit(f"localrun run failed:\n{ran.stderr[-3000:]}")
        return ran.stdout
