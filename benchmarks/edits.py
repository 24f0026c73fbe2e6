"""One changed line in a bundle with a large build context: localrun and docker, with each builder.

The data of the bundle is a layer of its own, like the packages of a program. `mounted` is the same edit with
`--mount`, which needs no build, and `warm` that run without an edit.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from functools import partial
from pathlib import Path

from figures import Chapter, Samples, Target, measure
from images import DESCRIPTOR, MIB
from localrun.engines.dockerd.builders.clients import Clients
from program import BUSYBOX, LOCALRUN, PROJECT, environment, quietly

NAME = "localrun-bench/edit"
DOCKERFILE = f"""\
FROM {BUSYBOX}
COPY data /data
COPY program /program
CMD ["sh", "-c", "cat /inputs/text > /outputs/copy"]
"""
_FILES = 60

TARGETS = (
    Target("edit, localrun / docker buildx and run", lambda found: found["buildkit"] / found["buildx"], 1.2),
    Target("edit, localrun / docker build and run", lambda found: found["classic"] / found["docker"], 1.2),
    Target("edit to result with --mount / warm run", lambda found: found["mounted"] / found["warm"], 1.5),
    Target("unchanged bundle", lambda found: found["unchanged"], 0.26, "s"),
)


def compare(folder: Path, *, rounds: int, mib: int = 600) -> Chapter:
    """Measure with a context of `mib` MiB. Without buildx, only the classic builder is measured."""
    bench = _Bench(folder, mib)
    plugin = (Path(os.environ.get("DOCKER_CONFIG") or "~/.docker").expanduser(), PROJECT / "build" / "docker")
    config = next((each for each in plugin if Clients("buildkit", each).plugin()), None)
    try:
        samples: Samples = {}
        if config is not None:
            samples = bench.measure("buildkit", "buildx", {"DOCKER_CONFIG": str(config)}, rounds)
        samples |= bench.measure("classic", "docker", {"DOCKER_BUILDKIT": "0"}, rounds)
        samples |= bench.measure_mounted(rounds)
    finally:
        bench.remove_images()
    targets = TARGETS if config is not None else TARGETS[1:]
    return Chapter(f"a changed line in {mib} MiB", samples, targets, "docker")


class _Bench:
    def __init__(self, folder: Path, mib: int) -> None:
        self.environ = environment(folder)
        self.bundle = folder / "edited"
        self.label = f"localrun.bench={folder.name}"
        self.values = {"inputs": folder / "in", "outputs": folder / "out"}
        for path in (self.bundle / "data", *self.values.values()):
            path.mkdir(parents=True)
        (self.values["inputs"] / "text").write_text("hello")
        (self.bundle / "descriptor.yml").write_text(DESCRIPTOR)
        (self.bundle / "Dockerfile").write_text(f"{DOCKERFILE}LABEL {self.label}\n")
        for number in range(_FILES):
            (self.bundle / "data" / str(number)).write_bytes(os.urandom(mib * MIB // _FILES))

    def measure(self, builder: str, docker: str, environ: dict[str, str], rounds: int) -> Samples:
        environ = {**self.environ, "LOCALRUN_BUILDER": builder, **environ}
        return measure(
            {
                docker: partial(self.docker, environ, buildx=builder == "buildkit"),
                builder: partial(self.localrun, environ, change=True),
                "unchanged": partial(self.localrun, environ, change=False),
            },
            rounds,
        )

    def measure_mounted(self, rounds: int) -> Samples:
        environ = {**self.environ, "LOCALRUN_BUILDER": "classic"}
        mount = (f"--mount={self.bundle / 'program'}:/program",)
        return measure(
            {
                "warm": partial(self.localrun, environ, *mount, change=False),
                "mounted": partial(self.localrun, environ, *mount, change=True),
            },
            rounds,
        )

    def change(self) -> None:
        (self.bundle / "program").write_text(secrets.token_hex(8))

    def docker(self, environ: dict[str, str], *, buildx: bool) -> None:
        self.change()
        build = ["buildx", "build", "--load"] if buildx else ["build"]
        quietly("docker", *build, "-q", "-t", NAME, str(self.bundle), env=environ)
        mounts = (f"--volume={path}:/{name}" for name, path in self.values.items())
        quietly("docker", "run", "--rm", "--network=none", *mounts, NAME, env=environ)

    def localrun(self, environ: dict[str, str], *options: str, change: bool) -> None:
        if change:
            self.change()
        command = [LOCALRUN, "run", str(self.bundle), "-i", "text=hello", "--json", *options]
        ran = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        if ran.returncode:
            sys.exit(f"localrun run failed:\n{ran.stderr}")

    def remove_images(self) -> None:
        command = ["docker", "image", "ls", "-q", "--no-trunc", "--filter", f"label={self.label}"]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        for image in dict.fromkeys(found):
            subprocess.run(["docker", "image", "rm", "-f", image], capture_output=True, check=False)
