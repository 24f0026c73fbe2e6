"""Large images: building a bundle, and the first run of one, with localrun and with docker and zip."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

from figures import Chapter, Target, measure
from program import BUSYBOX, LOCALRUN, environment, quietly

MIB = 1024**2
NAME = "localrun-bench/large"
ARCHIVE = "localrun.bench.large-1.0.0.tar"

DESCRIPTOR = """\
$schema: https://cytomine.com/schema-store/tasks/task.v0.json
name: Large image
name_short: large
version: 1.0.0
namespace: localrun.bench.large
authors: [{first_name: A, last_name: B, organization: C, email: a@example.org, is_contact: true}]
configuration:
  input_folder: /inputs
  output_folder: /outputs
  resources: {ram: 64Mi, cpus: 1}
inputs:
  text: {type: string, display_name: Text, description: any text}
outputs:
  copy: {type: string, display_name: Copy, description: the same text}
"""
DOCKERFILE = f'FROM {BUSYBOX}\nCOPY filler /filler\nCMD ["sh", "-c", "cat /inputs/text > /outputs/copy"]\n'

TARGETS = (
    Target("localrun build / docker, cold", lambda found: found["build, cold"] / found["docker, cold"], 1.1),
    Target("localrun build / docker, warm", lambda found: found["build, warm"] / found["docker, warm"], 1.1),
    Target("first run of a zip / docker load", lambda found: found["first run"] / found["docker load"], 1.2),
)


def compare(folder: Path, *, rounds: int, mib: int) -> Chapter:
    """Measure with an image of `mib` MiB of random bytes. Cold: after a change of the content."""
    bench = _Bench(folder, mib)
    try:
        cold = {
            "docker, cold": partial(bench.docker, change=True),
            "build, cold": partial(bench.build, change=True),
        }
        warm = {
            "docker, warm": partial(bench.docker, change=False),
            "build, warm": partial(bench.build, change=False),
        }
        samples = measure(cold, rounds, warm=0)
        bench.docker(change=False)
        samples |= measure(warm, rounds, warm=0)
        with zipfile.ZipFile(bench.packed) as packed:
            packed.extract(ARCHIVE, folder)
        samples |= measure({"docker load": bench.load, "first run": bench.first_run}, rounds, warm=0)
    finally:
        bench.remove_images()
    return Chapter(f"large images ({mib} MiB)", samples, TARGETS, "docker, cold")


class _Bench:
    """A bundle with a large file, and the images made of it."""

    def __init__(self, folder: Path, mib: int) -> None:
        self.folder = folder
        self.environ = environment(folder)
        self.bundle = folder / "bundle"
        self.bundle.mkdir()
        (self.bundle / "descriptor.yml").write_text(DESCRIPTOR)
        self.packed = folder / "localrun.zip"
        self.mark = folder.name
        (self.bundle / "Dockerfile").write_text(f"{DOCKERFILE}LABEL localrun.bench={self.mark}\n")
        with (self.bundle / "filler").open("wb") as file:
            for _ in range(mib):
                file.write(os.urandom(MIB))

    def change(self) -> None:
        with (self.bundle / "filler").open("r+b") as file:
            file.write(os.urandom(64))

    def docker(self, *, change: bool) -> None:
        """Do by hand what `localrun build` does."""
        if change:
            self.change()
        archive, packed = self.folder / ARCHIVE, self.folder / "docker.zip"
        packed.unlink(missing_ok=True)
        quietly("docker", "build", "-q", "-t", NAME, str(self.bundle))
        quietly("docker", "save", "-o", str(archive), NAME)
        quietly("zip", "-0", "-q", "-j", str(packed), str(self.bundle / "descriptor.yml"), str(archive))
        archive.unlink()

    def build(self, *, change: bool) -> None:
        if change:
            self.change()
        quietly(
            *(LOCALRUN, "build", str(self.bundle), "-q", "-o", str(self.packed)),
            env=self.environ,
        )

    def load(self) -> None:
        self.remove_images()
        quietly("docker", "load", "-q", "-i", str(self.folder / ARCHIVE))

    def first_run(self) -> None:
        self.remove_images()
        shutil.rmtree(self.environ["LOCALRUN_CACHE"], ignore_errors=True)
        ran = subprocess.run(
            [LOCALRUN, "run", str(self.packed), "-i", "text=hello", "--json"],
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        if ran.returncode:
            sys.exit(f"localrun run failed:\n{ran.stderr}")

    def remove_images(self) -> None:
        """Remove all images of the benchmark, which share their layers."""
        listed = subprocess.run(
            ["docker", "image", "ls", "--no-trunc", "--quiet"],
            capture_output=True,
            text=True,
            check=True,
        )
        images = dict.fromkeys(listed.stdout.split())
        for image in filter(self._is_ours, images):
            subprocess.run(["docker", "image", "rm", "-f", image], capture_output=True, check=False)

    def _is_ours(self, image: str) -> bool:
        form = "{{json .Config.Labels}}"
        found = subprocess.run(
            ["docker", "image", "inspect", "-f", form, image], capture_output=True, text=True, check=False
        )
        return f'"localrun.bench":"{self.mark}"' in found.stdout
