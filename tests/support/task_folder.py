"""A folder with tasks on a real engine, whose processes can be killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localrun.engines.dockerd import DockerEngine
from localrun.engines.labels import LABEL_TASK
from localrun.task import supervision
from localrun.task.record import TaskRecord
from localrun.task.store import TaskStore
from tests.support.waiting import WAIT, until

SCRIPT = """
import localrun, os, signal, sys
ids = [
    localrun.submit("descriptor.yml", use_image={image!r}, pull="never", script=path, **{options!r}).id
    for path in map(__import__("pathlib").Path, {scripts!r})
]
print(*ids, flush=True)
{end}
"""
KILL = "os.kill(os.getpid(), signal.SIGKILL)"


@dataclass
class Folder:
    """A folder with a task whose program is its input, and a real engine."""

    path: Path
    image: str

    @property
    def home(self) -> Path:
        return self.path / "home"

    @property
    def environment(self) -> dict[str, str]:
        places = {"HOME": self.home, "CACHE": self.path / "cache", "LEDGER": self.path / "ledger/l.json"}
        return {**os.environ, **{f"LOCALRUN_{name}": str(place) for name, place in places.items()}}

    def submit(self, *scripts: str, end: str = KILL, **options: Any) -> list[str]:
        """Submit tasks in a process that ends at once; return their ids."""
        for number, text in enumerate(scripts):
            (self.path / f"script{number}").write_text(text)
        names = [f"script{number}" for number in range(len(scripts))]
        code = SCRIPT.format(image=self.image, options=options, scripts=names, end=end)
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=self.path,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, -9), done.stderr
        return done.stdout.split()

    def start(self, script: str, *options: str) -> subprocess.Popen[str]:
        """Start `localrun run` with a script."""
        (self.path / "script").write_text(script)
        given = ["--image", self.image, "--pull", "never", "-i", "script=@script", *options]
        return subprocess.Popen(
            [sys.executable, "-m", "localrun", "run", "descriptor.yml", *given],
            cwd=self.path,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def newest(self) -> str:
        """Return the id of the newest task."""
        return next(TaskStore(self.home).newest_first()).id

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "localrun", *arguments],
            cwd=self.path,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=False,
        )

    def record(self, task_id: str) -> TaskRecord:
        return TaskRecord.from_json((self.home / "tasks" / task_id / "task.json").read_bytes())

    def ended(self, task_id: str) -> TaskRecord:
        until(lambda: self.record(task_id).state.is_final)
        return self.record(task_id)

    def pid(self) -> int:
        """Return the pid of the supervisor once it has started."""
        found: int = until(lambda: supervision.running_pid(self.home))
        return found


@contextmanager
def make_folder(tmp_path: Path, docker_engine: DockerEngine) -> Iterator[Folder]:
    from tests.faults.harness import descriptor
    from tests.support.images import busybox_layer, image_archive

    name = f"localrun-test/supervised:{os.getpid()}-{time.monotonic_ns()}"
    archive = image_archive(busybox_layer({}), name, Cmd=["sh", "-e", "/inputs/script"], Env=["PATH=/bin"])
    docker_engine.load_image([archive])
    (tmp_path / "descriptor.yml").write_text(descriptor())
    made = Folder(tmp_path, name)
    yield made
    supervision.stop(made.home)
    for workspace in TaskStore(made.home).newest_first():
        for found in docker_engine.find({LABEL_TASK: workspace.id}):
            docker_engine.remove(found.handle)
    docker_engine.remove_image(name)
