"""The harness that provokes faults: the command, a real engine, generated images."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from localrun.engines.dockerd import DockerEngine
from localrun.engines.labels import LABEL_TASK
from localrun.errors import Cause
from tests.cli.command import Process, Result, call
from tests.support.bundles import zip_of
from tests.support.environment import DESCRIPTOR
from tests.support.images import busybox_layer, image_archive, tar_of
from tests.support.small_disk import small_disk

HEAD = DESCRIPTOR[: DESCRIPTOR.index("inputs:\n")]
ENV = ["PATH=/bin"]
SUM = "sum: {type: {id: integer, geq: 0, leq: 100}, description: both, display_name: Sum}"
SCRIPT = "inputs:\n  script: {type: file, description: what it does, display_name: S}\n"
ARM64 = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00" + bytes(44)  # the header of a program


def descriptor(outputs: str = SUM, inputs: str = SCRIPT, head: str = HEAD) -> str:
    """Return a descriptor whose program is its input; `outputs` has one output per line."""
    lines = "".join(f"  {line}\n" for line in outputs.splitlines())
    return f"{head}{inputs}outputs:\n{lines}"


@dataclass
class FaultHarness:
    """A folder with a bundle whose program is its input `script`, and an engine with its image."""

    folder: Path
    engine: DockerEngine
    image: str
    capsys: pytest.CaptureFixture[str]
    home: str = "home"
    closing: list[Callable[[], object]] = field(default_factory=list)

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of a command; `env` takes precedence."""
        places = {"HOME": self.home, "CACHE": "cache", "LEDGER": "ledger/l.json"}
        own = {f"LOCALRUN_{name}": str(self.folder / place) for name, place in places.items()}
        return {**own, "LOCALRUN_BUILDER": "classic", "LANG": "C.UTF-8", **env}

    def start(self, *arguments: object, **env: str) -> Process:
        """Start a command."""
        return Process(*arguments, cwd=self.folder, env=self.environment(env))

    def call(self, *arguments: object, **env: str) -> Result:
        """Run a command in this process."""
        return call(*arguments, cwd=self.folder, env=self.environment(env), capsys=self.capsys)

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a file in the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def program(self, script: str, described: str | None = None) -> list[object]:
        """Return the arguments of `run` for a shell script."""
        self.write("script", script)
        self.write("descriptor.yml", described or descriptor())
        return ["descriptor.yml", "--image", self.image, "--pull", "never", "-i", "script=@script"]

    def imaged(self, files: Mapping[str, bytes], mode: int = 0o755, **config: Any) -> list[object]:
        """Load an image with a shell and these files. Return the arguments of `run`."""
        layer = busybox_layer({}) if mode != 0o755 else busybox_layer(files)
        layer = layer if mode == 0o755 else joined(layer, tar_of(files, mode=mode))
        return self.loaded(layer, **config)

    def loaded(self, layer: bytes, **config: Any) -> list[object]:
        """Load an image of this layer. Return the arguments of `run`."""
        name = f"localrun-test/fault:{secrets.token_hex(4)}"
        self.engine.load_image([image_archive(layer, name, **{"Env": ENV, **config})])
        self.closing.append(lambda: self.engine.remove_image(name))
        return [*self.program("true"), "--image", name]

    def zipped(self, archive: bytes, described: str | None = None) -> list[object]:
        """Write a zip with this image archive. Return the arguments of `run`."""
        self.program("true")
        members = {
            "descriptor.yml": (described or descriptor()).encode(),
            "com.example.add-1.0.0.tar": archive,
        }
        zip_of(self.folder / "bundle.zip", members)
        return ["bundle.zip", "-i", "script=@script"]

    def built(self, dockerfile: str) -> list[object]:
        """Write a folder with this Dockerfile, with IMAGE replaced. Return the arguments of `run`."""
        self.program("true")
        self.write("project/descriptor.yml", descriptor())
        self.write("project/Dockerfile", dockerfile.replace("IMAGE", self.image))
        return ["project", "-i", "script=@script"]

    def small_disk(self, size: str = "8m") -> Path:
        """Move the task folder to a file system of this size."""
        mounted = ExitStack()
        disk = mounted.enter_context(small_disk(self.folder / "disk", size, self.engine, self.image))
        self.closing.append(mounted.close)
        self.home = "disk/home"
        return disk

    def containers(self, task_id: str) -> list[str]:
        """Return the containers of a task."""
        return [found.handle for found in self.engine.find({LABEL_TASK: task_id})]

    def tasks(self) -> list[dict[str, Any]]:
        """Return the records of the folder from disk."""
        return [json.loads(path.read_bytes()) for path in self.folder.glob(f"{self.home}/tasks/*/task.json")]

    def close(self) -> None:
        """Remove everything that was created for a fault."""
        for each in reversed(self.closing):
            each()


def joined(layer: bytes, more: bytes) -> bytes:
    """Concatenate two tar archives."""
    return layer.rstrip(b"\0") + bytes(-len(layer.rstrip(b"\0")) % 512) + more


@dataclass(frozen=True)
class Observed:
    """The observed result: exit code, standard error, and JSON record."""

    code: int
    err: str
    record: dict[str, Any]

    @property
    def text(self) -> str:
        """The message and all problems, as text."""
        problems = [
            f"{problem.get('path', '')}: {problem['message']}" for problem in self.record["problems"] or []
        ]
        return "\n".join([self.record["message"], *problems])

    @property
    def remedies(self) -> str:
        """All remedies, as text."""
        own = [problem.get("remedy", "") for problem in self.record["problems"] or []]
        return "\n".join([self.record["remedy"], *own])


Arrange = Callable[[FaultHarness], Sequence[object]]
Meanwhile = Callable[[FaultHarness, Process], object]
Provoke = Callable[[FaultHarness], Observed]


@dataclass(frozen=True)
class Row:
    """A fault, and its expected result.

    The program is `script`, or `arrange` returns the arguments of `run`; `more` are added to them.
    `meanwhile` is called once the program has written `ready`. `provoke` replaces the call of `run`.
    The message and problems must contain `says`, the remedies `remedy`, and the record the fields `facts`.
    Without a cause the task must finish, with `says` in its warnings.
    """

    cause: Cause | None
    what: str
    says: tuple[str, ...] = ()
    remedy: str = ""
    script: str = ""
    arrange: Arrange | None = None
    more: tuple[object, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    meanwhile: Meanwhile | None = None
    provoke: Provoke | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.cause or 'FINISHED'}-{self.what}".replace(" ", "_")

    def execute(self, bench: FaultHarness) -> Observed:
        """Provoke the fault. Return the observed result."""
        if self.provoke is not None:
            return self.provoke(bench)
        given = self.arrange(bench) if self.arrange else bench.program(self.script)
        return run(bench, *given, *self.more, meanwhile=self.meanwhile, **self.env)


def run(bench: FaultHarness, *arguments: object, meanwhile: Meanwhile | None = None, **env: str) -> Observed:
    """Call `run` and return the observed result."""
    if meanwhile is None:
        result = bench.call("run", *arguments, "--json", **env)
        return Observed(result.code, result.err, result.json)
    with bench.start("run", *arguments, "--json", **env) as process:
        said = process.read_until("out | ready")
        meanwhile(bench, process)
        result = process.result()
    return Observed(result.code, said + result.err, result.json)
