"""Long logs: a task that writes many lines, with localrun and with docker."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

from figures import Case, Chapter, Medians, Target, measure
from program import BUSYBOX, LOCALRUN, environment

MEGABYTES = (10, 100, 400)
LIMIT = 1.3
LINE = "0123456789" * 9 + "12345678"  # 99 bytes with its end

DESCRIPTOR = """\
$schema: https://cytomine.com/schema-store/tasks/task.v0.json
name: Write lines
name_short: write_lines
version: 1.0.0
namespace: localrun.bench.lines
authors: [{first_name: A, last_name: B, organization: C, email: a@example.org}]
configuration:
  input_folder: /inputs
  output_folder: /outputs
  resources: {ram: 64Mi, cpus: 1}
inputs:
  megabytes: {type: integer, display_name: Megabytes, description: the size of the output}
outputs:
  written: {type: integer, display_name: Written, description: the same}
"""
SCRIPT = f"yes {LINE} | head -c $(cat /inputs/megabytes)000000; cat /inputs/megabytes > /outputs/written"


def _ratio(megabytes: int, medians: Medians) -> float:
    return medians[f"localrun run, {megabytes} MB"] / medians[f"docker run, {megabytes} MB"]


TARGETS = tuple(
    Target(f"localrun run / docker run, {megabytes} MB of log", partial(_ratio, megabytes), LIMIT)
    for megabytes in MEGABYTES
)


def compare(folder: Path, *, rounds: int) -> Chapter:
    """Measure both with their output in a file, and check that the log is complete up to its limit."""
    bundle = folder / "bundle"
    bundle.mkdir()
    (bundle / "descriptor.yml").write_text(DESCRIPTOR)
    command = json.dumps(["sh", "-c", SCRIPT])
    (bundle / "Dockerfile").write_text(f"FROM {BUSYBOX}\nCMD {command}\n")
    environ = environment(folder)
    image = str(json.loads(_run(bundle, 1, folder, environ))["image"])
    cases: dict[str, Case] = {}
    try:
        for megabytes in MEGABYTES:
            inputs, outputs = folder / f"in-{megabytes}", folder / f"out-{megabytes}"
            inputs.mkdir()
            outputs.mkdir()
            (inputs / "megabytes").write_text(str(megabytes))
            mounts = ["-v", f"{inputs}:/inputs:ro", "-v", f"{outputs}:/outputs"]
            docker = ["docker", "run", "--rm", "--network", "none", *mounts, image]
            cases[f"docker run, {megabytes} MB"] = partial(_to_file, docker, folder / "docker.txt")
            cases[f"localrun run, {megabytes} MB"] = partial(_run, bundle, megabytes, folder, environ)
        samples = measure(cases, rounds)
    finally:
        subprocess.run(["docker", "image", "rm", "-f", image], capture_output=True, check=False)
    return Chapter("long logs", samples, TARGETS, f"docker run, {MEGABYTES[0]} MB")


def _run(bundle: Path, megabytes: int, folder: Path, environ: dict[str, str]) -> str:
    """Run the task with the progress in a file, and return its record."""
    command = [LOCALRUN, "run", str(bundle), "-i", f"megabytes={megabytes}", "--json"]
    with (folder / "progress.txt").open("wb") as progress:
        ran = subprocess.run(
            command, env=environ, stdout=subprocess.PIPE, stderr=progress, text=True, check=False
        )
    if ran.returncode:
        sys.exit(f"localrun run failed:\n{(folder / 'progress.txt').read_text()[-3000:]}")
    log = Path(json.loads(ran.stdout)["folder"], "logs", "task.log")
    if log.stat().st_size < min(megabytes * 1_000_000, 64 * 1024**2):
        sys.exit(f"the log is incomplete: {log.stat().st_size} bytes")
    log.unlink()
    return ran.stdout


def _to_file(command: list[str], path: Path) -> None:
    with path.open("wb") as file:
        if subprocess.run(command, stdout=file, check=False).returncode:
            sys.exit(f"{' '.join(command)} failed")
