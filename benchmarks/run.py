"""Measure localrun against `docker run`, side by side: `make bench`.

Every round runs every case once, in turn, so that what the machine does meanwhile hits all alike. The
ratios of the medians are what counts; milliseconds differ from machine to machine and from hour to hour.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from localrun import settings
from localrun.app import App
from localrun.request import Request

RESULTS = Path(__file__).parent / "results.json"
BUSYBOX = "localrun-base/busybox"
LOCALRUN = str(Path(sys.executable).parent / "localrun")
MIB = 1024**2

DESCRIPTOR = """\
$schema: https://cytomine.com/schema-store/tasks/task.v0.json
name: Copy a text
name_short: copy_text
version: 1.0.0
namespace: localrun.bench.copy
authors: [{first_name: A, last_name: B, organization: C, email: a@example.org}]
configuration:
  input_folder: /inputs
  output_folder: /outputs
  resources: {ram: 64Mi, cpus: 1}
inputs:
  text: {type: string, display_name: Text, description: what to copy}
outputs:
  copy: {type: string, display_name: Copy, description: the same}
"""

Samples = dict[str, list[float]]


@dataclass(frozen=True)
class Target:
    """One number that is promised: how it comes out of the medians (seconds), and how much it may be."""

    name: str
    value: Callable[[dict[str, float]], float]
    limit: float
    unit: str

    def judge(self, medians: dict[str, float]) -> dict[str, object]:
        value = self.value(medians)
        row = {"name": self.name, "value": round(value, 4), "limit": self.limit, "unit": self.unit}
        return {**row, "kept": value <= self.limit}


TARGETS = (
    Target("warm, whole sequence / docker run", lambda m: m["warm"] / m["docker run"], 0.6, "x"),
    Target("warm, whole sequence / three containers", lambda m: m["warm"] / m["three containers"], 0.2, "x"),
    Target("localrun run / docker run", lambda m: m["localrun run"] / m["docker run"], 1.3, "x"),
    Target("localrun --version", lambda m: m["localrun --version"], 0.12, "s"),
    Target("second run, 1 GiB bundle - 10 MiB bundle", lambda m: m["1 GiB"] - m["10 MiB"], 0.05, "s"),
)


class Bench:
    """The folders, images and bundles that the cases share; all of it goes away at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {**os.environ, "LOCALRUN_HOME": f"{folder}/home", "LOCALRUN_CACHE": f"{folder}/cache"}
        self.bundles: dict[str, Path] = {}
        self.images: list[str] = []
        self.mounts: list[str] = []

    def prepare(self, large: int) -> None:
        """Make the bundles and run each once: that loads its image, and what is measured are later runs."""
        self.mounts = self._mounts()
        for name, mib in (("tiny", 0), ("10 MiB", 10), ("1 GiB", large)):
            self.bundles[name] = self._bundle(mib)
            self.images.append(str(self._localrun(self.bundles[name])["image"]))

    def remove_images(self) -> None:
        for image in self.images:
            subprocess.run(["docker", "image", "rm", "-f", image], capture_output=True, check=False)

    def _bundle(self, mib: int) -> Path:
        """A zip whose image is about so large."""
        context = self.folder / f"context-{mib}"
        context.mkdir()
        (context / "Dockerfile").write_text(
            f'FROM {BUSYBOX}\nCOPY filler /filler\nCMD ["sh", "-c", "cat /inputs/text > /outputs/copy"]\n'
        )
        block = os.urandom(MIB // 64) * 64
        with (context / "filler").open("wb") as file:
            for _ in range(mib):
                file.write(block)
        name, archive, bundle = f"localrun-bench/size-{mib}", context / "image.tar", context / "bundle.zip"
        quietly("docker", "build", "-q", "-t", name, str(context))
        quietly("docker", "save", "-o", str(archive), name)
        quietly("docker", "image", "rm", name)
        with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file_:
            file_.writestr("descriptor.yml", DESCRIPTOR)
            file_.write(archive, "localrun.bench.copy-1.0.0.tar")
        archive.unlink()
        (context / "filler").unlink()
        return bundle

    def _mounts(self) -> list[str]:
        inputs, outputs = self.folder / "in", self.folder / "out"
        inputs.mkdir()
        outputs.mkdir()
        (inputs / "text").write_text("hello")
        return ["-v", f"{inputs}:/inputs:ro", "-v", f"{outputs}:/outputs"]

    def _localrun(self, bundle: Path) -> dict[str, object]:
        ran = subprocess.run(
            [LOCALRUN, "run", str(bundle), "-i", "text=hello", "--json"],
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            sys.exit(f"localrun run failed:\n{ran.stderr}")
        record: dict[str, object] = json.loads(ran.stdout)
        return record

    def docker_run(self, *arguments: str) -> None:
        quietly("docker", "run", "--rm", "--network", "none", *self.mounts, *arguments)

    def three_containers(self) -> None:
        self.docker_run(BUSYBOX, "chmod", "777", "/outputs")
        self.docker_run(self.images[0])
        self.docker_run(BUSYBOX, "cat", "/outputs/copy")

    def whole_process(self, bundle: str) -> None:
        quietly(LOCALRUN, "run", str(self.bundles[bundle]), "-i", "text=hello", "-q", env=self.environ)

    def warm(self, app: App) -> None:
        task = app.manager.submit(Request(bundle=self.bundles["tiny"], values={"text": "hello"}))
        record = app.manager.wait(task)
        if record is None or record.outputs != {"copy": "hello"}:
            sys.exit(f"the task in this process failed: {record}")

    def cases(self, app: App) -> dict[str, Callable[[], None]]:
        return {
            "docker run": lambda: self.docker_run(self.images[0]),
            "three containers": self.three_containers,
            "warm": lambda: self.warm(app),
            "localrun run": lambda: self.whole_process("tiny"),
            "localrun --version": lambda: quietly(LOCALRUN, "--version"),
            "10 MiB": lambda: self.whole_process("10 MiB"),
            "1 GiB": lambda: self.whole_process("1 GiB"),
        }


def quietly(*command: str, env: dict[str, str] | None = None) -> None:
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{ran.stderr}")


def measure(cases: dict[str, Callable[[], None]], rounds: int) -> Samples:
    samples: Samples = {name: [] for name in cases}
    for number in range(rounds + 1):
        for name, case in cases.items():
            begun = time.perf_counter()
            case()
            if number:  # the first round warms the caches
                samples[name].append(time.perf_counter() - begun)
        tell(f"round {number} of {rounds}")
    return samples


def tell(progress: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{progress:<40}\r", end="", file=sys.stderr, flush=True)


def report(samples: Samples, medians: dict[str, float], judged: list[dict[str, object]]) -> None:
    base = medians["docker run"]
    print(f"{'case':<44}{'median':>10}{'p10..p90':>18}{'x docker run':>14}")
    for name, values in samples.items():
        low, high = quantile(values, 0.1), quantile(values, 0.9)
        spread = f"{low * 1000:.0f}..{high * 1000:.0f}"
        print(f"{name:<44}{medians[name] * 1000:>7.0f} ms{spread:>18}{medians[name] / base:>14.2f}")
    print(f"\n{'target':<44}{'measured':>10}{'at most':>18}")
    for row in judged:
        verdict = "" if row["kept"] else "   MISSED"
        print(f"{row['name']:<44}{row['value']:>8} {row['unit']}{row['limit']:>16} {row['unit']}{verdict}")


def quantile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * part))]


def keep(path: Path, samples: Samples, judged: list[dict[str, object]]) -> None:
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    docker = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    machine = Machine(os.cpu_count() or 0, platform.platform(), platform.python_version(), docker)
    path.write_text(json.dumps({"machine": asdict(machine), "targets": judged, "seconds": samples}, indent=1))
    print(f"\nkept in {path}")


@dataclass(frozen=True)
class Machine:
    """Where the numbers come from."""

    cpus: int
    system: str
    python: str
    docker: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--large", type=int, default=1024, help="MiB of the large bundle")
    parser.add_argument("--keep", type=Path, default=RESULTS, help="where the numbers are kept, as JSON")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="localrun-bench-")))
        bench = Bench(folder)
        stack.callback(bench.remove_images)
        tell("making bundles")
        bench.prepare(chosen.large)
        app = App(settings.load({}, home=folder / "warm", cache=folder / "cache"))
        stack.callback(app.close)
        samples = measure(bench.cases(app), chosen.rounds)
    medians = {name: statistics.median(values) for name, values in samples.items()}
    judged = [target.judge(medians) for target in TARGETS]
    report(samples, medians, judged)
    keep(chosen.keep, samples, judged)
    return 0 if all(row["kept"] for row in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
