"""The fixture `fake_engine`: an engine that simulates the runs that a test has planned."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from localrun.engines.architectures import parse_platform
from localrun.engines.base import EngineImage, Exit
from localrun.engines.fake import FakeContainer, FakeEngine, Program, Scripted
from localrun.engines.labels import LABEL_TASK


class Run:
    """The task, command, environment and inputs of a fake container."""

    def __init__(self, container: FakeContainer) -> None:
        self.task_id = container.spec.labels.get(LABEL_TASK, "")
        self.command = container.command
        self.environment = container.environment
        self._container = container

    def path(self, name: str) -> Path:
        """Return the path of an input file, which exists until the end of the test."""
        spec = self._container.spec
        folder = spec.mounts[0].target if spec.mounts else spec.folders[0]
        return self._container.path(f"{folder}/{name}")

    def read(self, name: str) -> str:
        return self.path(name).read_text("utf-8")


class ScriptedEngine(FakeEngine):
    """Simulates the planned runs in order, and repeats the last one. It has every image.

    Without a plan, every run ends immediately with exit code 0 and without outputs.
    """

    def __init__(self) -> None:
        super().__init__(self._play)
        self._planned: list[Program] = []
        self._runs: list[Run] = []
        self._plan_lock = threading.Lock()

    def plan(
        self,
        program: Program | None = None,
        /,
        *,
        outputs: Mapping[str, Any] | None = None,
        exit_code: int = 0,
        stdout: str = "",
        stderr: str = "",
        seconds: float = 0.0,
        oom_killed: bool = False,
    ) -> None:
        """Plan one run: either a function that gets the container, or its outputs and exit code.

        `outputs` are values by name: numbers, strings, lists, GeoJSON objects, bytes, or the `Path` of a
        file or folder to copy. The run takes `seconds`, unless it is stopped.
        """
        scripted = Scripted(
            exit_code=exit_code,
            stdout=stdout,
            stderr=stderr,
            outputs=outputs or {},
            seconds=seconds,
            oom_killed=oom_killed,
        )
        with self._plan_lock:
            self._planned.append(program or scripted)

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs so far, in the order of their start."""
        with self._plan_lock:
            return tuple(self._runs)

    def find_image(self, reference: str, platform: str = "") -> EngineImage | None:
        """Return the image, and add it if it is missing; nothing is built, loaded or pulled."""
        machine = parse_platform(platform).architecture if platform else "amd64"
        found = super().find_image(reference, platform)
        return found or self.add_image(reference, architecture=machine)

    def _play(self, container: FakeContainer) -> int | Exit | None:
        with self._plan_lock:
            self._runs.append(Run(container))
            if not self._planned:
                return 0
            program = self._planned.pop(0) if len(self._planned) > 1 else self._planned[0]
        return program(container)
