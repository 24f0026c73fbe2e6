"""Run the command in this process, on the fake engine or the real one, or as a separate process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from localrun.app import App
from localrun.cli import main
from localrun.engines.fake import FakeContainer, FakeEngine
from localrun.settings import Settings
from tests.support.environment import DESCRIPTOR, IMAGE

Program = Callable[[FakeContainer], Any]


def add(container: FakeContainer) -> int:
    """Write the sum of a and b to the output and the log."""
    a, b = (int(container.path(f"/inputs/{name}").read_text()) for name in "ab")
    container.stdout.write(f"{a} + {b}\n")
    container.path("/outputs/sum").write_text(str(a + b))
    return 0


@dataclass
class Result:
    """The exit code and output of a call."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one line of JSON."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


@dataclass
class Command:
    """`localrun` in its own folder, with a bundle that adds two integers."""

    folder: Path
    capsys: pytest.CaptureFixture[str]
    program: Program = add
    bundle: Path = field(init=False)
    engines: list[FakeEngine] = field(default_factory=list)  # one for each call

    def __post_init__(self) -> None:
        self.bundle = self.folder / "descriptor.yml"
        self.bundle.write_text(DESCRIPTOR)

    def app(self, settings: Settings) -> App:
        """Return an app on the fake engine, whose containers are functions."""
        engine = FakeEngine(lambda container: self.program(container))  # noqa: PLW0108 - a test may change it
        engine.add_image(IMAGE)
        self.engines.append(engine)
        return App(settings, engine)

    def __call__(self, *arguments: object) -> Result:
        """Call the command."""
        self.capsys.readouterr()
        code = main(["--home", str(self.folder / "home"), *map(str, arguments)], self.app)
        printed = self.capsys.readouterr()
        return Result(code, printed.out, printed.err)

    def run(self, *arguments: object, values: str = "3 4") -> Result:
        """Call `localrun run` with two values."""
        a, b = values.split()
        given = ("--image", IMAGE, "--pull", "never", "-i", f"a={a}", "-i", f"b={b}")
        return self("run", self.bundle, *given, *arguments)


def call(*arguments: object, cwd: Path, env: Mapping[str, str], capsys: pytest.CaptureFixture[str]) -> Result:
    """Call the command in this process on the real engine, which is several times faster than a process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cwd)
        for name, value in env.items():
            patch.setenv(name, value)
        capsys.readouterr()
        code = main(list(map(str, arguments)))
        printed = capsys.readouterr()
    return Result(code, printed.out, printed.err)


class Process(subprocess.Popen[str]):
    """`python -m localrun` as a separate process in its own process group."""

    def __init__(self, *arguments: object, cwd: Path, env: Mapping[str, str] | None = None) -> None:
        super().__init__(
            [sys.executable, "-m", "localrun", *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill the process of a failed test instead of waiting for it."""
        if kind is not None:
            self.kill()
        super().__exit__(kind, error, trace)

    def read_until(self, words: str) -> str:
        """Read standard error up to a line with these words and return the line."""
        assert self.stderr is not None
        for line in self.stderr:
            if words in line:
                return line
        raise AssertionError(f"it ended without saying {words!r}")

    def result(self, timeout: float = 120) -> Result:
        """Wait for the process to end."""
        out, err = self.communicate(timeout=timeout)
        return Result(self.returncode, out, err)
