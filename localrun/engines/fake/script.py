"""Programs that play a script: scripted output, files, delays and exits."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from localrun.engines.base import Exit
from localrun.engines.fake.container import FakeContainer, Program


@dataclass(frozen=True)
class Scripted:
    """One run of a script: what it writes, makes and returns, after `seconds` unless it is stopped.

    `files` are the contents of files by their path in the container; None removes the file.
    """

    exit_code: int = 0
    stdout: str = ""
    stderr: str = ""
    files: Mapping[str, str | bytes | None] = field(default_factory=dict)
    seconds: float = 0.0
    oom_killed: bool = False
    error: str = ""

    def __call__(self, container: FakeContainer) -> Exit:
        """Play it."""
        container.stdout.write(self.stdout)
        container.stderr.write(self.stderr)
        for name, content in self.files.items():
            put(container.path(name), content)
        if self.seconds and container.stopped.wait(self.seconds):
            return Exit(128 + 15)
        return Exit(self.exit_code, self.oom_killed, self.error)


def put(path: Path, content: str | bytes | None) -> None:
    """Write a file, with the folders it needs; None removes it."""
    if content is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


class Script:
    """Plays its parts one after the other, per image; the last one again and again."""

    def __init__(self, parts: Mapping[str, Sequence[Program]]) -> None:
        self._parts = {image: list(programs) for image, programs in parts.items()}
        self._lock = threading.Lock()

    def __call__(self, container: FakeContainer) -> int | Exit | None:
        """Play the next part of the container's image."""
        names = (container.spec.image, container.image.id, *container.image.tags, "*")
        with self._lock:
            left: list[Program] = next((self._parts[name] for name in names if name in self._parts), [])
            program = (left.pop(0) if len(left) > 1 else left[0]) if left else None
        return program(container) if program else 0
