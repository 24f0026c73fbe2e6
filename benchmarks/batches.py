"""A batch of many real containers: its rate, memory, threads, descriptors and containers at the same time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from figures import Chapter, Target, report
from localrun.engines.labels import LABEL_HOME
from program import BUSYBOX, LOCALRUN, environment

AT_ONCE = 8
CPUS = (os.cpu_count() or 1) / AT_ONCE  # of a row, so that this many fit into the machine
INTERVAL = 0.25  # seconds between two samples

DESCRIPTOR = """\
$schema: https://cytomine.com/schema-store/tasks/task.v0.json
name: Copy a number
name_short: copy_number
version: 1.0.0
namespace: localrun.bench.number
authors: [{first_name: A, last_name: B, organization: C, email: a@example.org}]
configuration:
  input_folder: /inputs
  output_folder: /outputs
  resources: {ram: 16Mi, cpus: 1}
inputs:
  number: {type: integer, display_name: Number, description: any}
outputs:
  copy: {type: integer, display_name: Copy, description: the same}
"""


@dataclass
class Watch:
    """Samples of a process while it runs: time, ended rows, MiB, threads, descriptors, containers."""

    process: subprocess.Popen[bytes]
    results: Path
    home: str
    samples: list[tuple[float, int, float, int, int, int]] = field(default_factory=list)

    def follow(self, rows: int) -> None:
        """Take samples until the process has ended."""
        counting = threading.Thread(target=self._count_containers, daemon=True)
        self.containers = 0
        counting.start()
        while self.process.poll() is None:
            time.sleep(INTERVAL)
            try:
                self.samples.append(self._sample())
            except (FileNotFoundError, KeyError):  # not started yet, or ended
                continue
            report(f"{self.samples[-1][1]} of {rows} rows")
        counting.join()

    def _sample(self) -> tuple[float, int, float, int, int, int]:
        folder = Path(f"/proc/{self.process.pid}")
        lines = (folder / "status").read_text().splitlines()
        status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
        done = self.results.read_bytes().count(b"\n")
        descriptors = len(os.listdir(folder / "fd"))  # noqa: PTH208
        mib, threads = int(status["VmRSS"][0]) / 1024, int(status["Threads"][0])
        return time.monotonic(), done, mib, threads, descriptors, self.containers

    def _count_containers(self) -> None:
        command = ["docker", "ps", "-q", "--filter", f"label={LABEL_HOME}={self.home}"]
        while self.process.poll() is None:
            found = subprocess.run(command, capture_output=True, text=True, check=False).stdout
            self.containers = len(found.split())

    def seconds_per_row(self, start: float, stop: float) -> float:
        """Return the time of a row between two parts of the batch."""
        last = self.samples[-1][1]
        chosen = [sample for sample in self.samples if start * last <= sample[1] <= stop * last]
        first, end = chosen[0], chosen[-1]
        return (end[0] - first[0]) / max(1, end[1] - first[1])

    def most(self, column: int) -> float:
        return max(sample[column] for sample in self.samples)

    def growth(self) -> float:
        """Return by how many MiB the memory grows after the first quarter."""
        last = self.samples[-1][1]
        early = [sample[2] for sample in self.samples if sample[1] <= last / 4]
        return self.most(2) - max(early)


def compare(folder: Path, *, rows: int) -> Chapter:
    """Run a batch of this many rows."""
    bundle = folder / "bundle"
    bundle.mkdir()
    (bundle / "descriptor.yml").write_text(DESCRIPTOR)
    command = json.dumps(["sh", "-c", "cat /inputs/number > /outputs/copy"])
    (bundle / "Dockerfile").write_text(f"FROM {BUSYBOX}\nCMD {command}\n")
    (folder / "rows.csv").write_text("number\n" + "".join(f"{number}\n" for number in range(rows)))
    try:
        watch = _run(folder, rows)
    finally:
        for record in (folder / "home" / "tasks").glob("*/task.json"):  # all have the same image
            image = json.loads(record.read_bytes()).get("image")
            subprocess.run(["docker", "image", "rm", str(image)], capture_output=True, check=False)
            break
    first, last = "a row of the first quarter", "a row of the last quarter"
    samples = {
        first: [watch.seconds_per_row(0.0, 0.25)],
        last: [watch.seconds_per_row(0.75, 1.0)],
    }
    # of a process with `AT_ONCE` running tasks, and as many that are prepared
    targets = (
        Target("batch, last quarter / first quarter", lambda found: found[last] / found[first], 1.15),
        Target("batch, memory", lambda _: watch.most(2), 80, "MiB"),
        Target("batch, growth of memory", lambda _: watch.growth(), 8, "MiB"),
        Target("batch, threads", lambda _: watch.most(3), 64, "threads"),
        Target("batch, descriptors", lambda _: watch.most(4), 128, "files"),
        Target("batch, containers at once", lambda _: watch.most(5), AT_ONCE, "running"),
    )
    return Chapter(f"a batch of {rows} rows", samples, targets, first)


def _run(folder: Path, rows: int) -> Watch:
    results, log, environ = folder / "results.jsonl", folder / "log.txt", environment(folder)
    given = ["--table", str(folder / "rows.csv"), "--results", str(results), "--cpus", f"{CPUS:g}", "-q"]
    with log.open("wb") as stream:
        command = [LOCALRUN, "batch", str(folder / "bundle"), *given]
        process = subprocess.Popen(command, env=environ, stdout=stream, stderr=stream)
        watch = Watch(process, results, environ["LOCALRUN_HOME"])
        watch.follow(rows)
    if process.returncode or results.read_bytes().count(b'"state":"FINISHED"') != rows:
        sys.exit(f"localrun batch failed:\n{log.read_text()[-2000:]}")
    return watch
