"""One task with localrun and with docker: as a command, and in a running process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from contextlib import ExitStack
from pathlib import Path

from figures import Case, Chapter, Target, measure, report
from localrun import settings
from localrun.app import App
from localrun.manager.request import Request
from program import BUSYBOX, LOCALRUN, environment, quietly

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
  text: {type: string, display_name: Text, description: the text to copy}
outputs:
  copy: {type: string, display_name: Copy, description: the same}
"""

TARGETS = (
    Target("warm, whole sequence / docker run", lambda m: m["warm"] / m["docker run"], 0.55),
    Target("warm, whole sequence / three containers", lambda m: m["warm"] / m["three containers"], 0.2),
    Target("localrun run / docker run", lambda m: m["localrun run"] / m["docker run"], 1.1),
    Target("localrun --version", lambda m: m["localrun --version"], 0.12, "s"),
    Target("second run, 1 GiB bundle - 10 MiB bundle", lambda m: m["1 GiB"] - m["10 MiB"], 0.05, "s"),
)


def compare(folder: Path, *, rounds: int, large: int) -> Chapter:
    """Run the benchmark; `large` is the size of the large bundle in MiB."""
    with ExitStack() as stack:
        env = Environment(folder)
        stack.callback(env.remove_images)
        report("building bundles")
        env.prepare(large)
        ledger = folder / "ledger" / "warm.json"
        app = App(settings.load({}, home=folder / "warm", cache=folder / "cache", ledger=ledger))
        stack.callback(app.close)
        samples = measure(env.cases(app), rounds)
    return Chapter("one task", samples, TARGETS, "docker run")


class Environment:
    """The folders, images and bundles that the cases share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = environment(folder)
        self.bundles: dict[str, Path] = {}
        self.images: list[str] = []
        self.mounts: list[str] = []

    def prepare(self, large: int) -> None:
        """Build the bundles and run each once to load its image, so that only later runs are measured."""
        self.mounts = self._mounts()
        for name, mib in (("tiny", 0), ("10 MiB", 10), ("1 GiB", large)):
            self.add(name, mib)

    def add(self, name: str, mib: int) -> Path:
        """Build a bundle with an image of about this size, and run it once."""
        self.bundles[name] = self._bundle(mib)
        self.images.append(str(self._localrun(self.bundles[name])["image"]))
        return self.bundles[name]

    def remove_images(self) -> None:
        for image in self.images:
            subprocess.run(["docker", "image", "rm", "-f", image], capture_output=True, check=False)

    def cases(self, app: App) -> dict[str, Case]:
        return {
            "docker run": lambda: self.docker_run(self.images[0]),
            "three containers": self.three_containers,
            "warm": lambda: self.warm(app),
            "localrun run": lambda: self.whole_process("tiny"),
            "localrun --version": lambda: quietly(LOCALRUN, "--version", env=self.environ),
            "10 MiB": lambda: self.whole_process("10 MiB"),
            "1 GiB": lambda: self.whole_process("1 GiB"),
        }

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

    def _bundle(self, mib: int) -> Path:
        """Build a zip with an image of about this size."""
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
